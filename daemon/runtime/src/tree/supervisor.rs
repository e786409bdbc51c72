//! The supervisor. It is daemon code; the app's module implements only init. OTP: supervisor.
//!
//! ```text
//! init --> start all, left to right            children.rs
//! a child's end --> decide, Intensity --> do   decide.rs, intensity.rs
//! a request --> do, answer                     requests.rs
//! a code change --> merge                      change.rs
//! ```
//! Decisions and actions are separate. [`decide`] decides how to react to the end of a child, and
//! [`Intensity`] limits how often children are restarted. This file carries the decisions out, in
//! the callbacks of an ordinary process.

mod change;
mod children;
mod decide;
mod intensity;
mod requests;

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::RwLock;
use reld_wire::spec as wire;
use serde::{Deserialize, Serialize};

use self::decide::{OnEnd, on_end, round, shuts_down};
use self::intensity::Intensity;
use crate::process::rows::{Child, Rows, Seq};
use crate::tree::native;
use crate::tree::request::{self, listed};
use crate::words::child_spec::{ChildSpec, Strategy, SupervisorSpec, show_id};
use crate::words::code::{Bytes, Event, Instance, Module, Next, Outcome, Step, one_by_one};
use crate::words::code_server::Code;
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::words::sync::AtomicBool;
use crate::words::term;
use crate::world::context;

pub use self::change::{Change, Kept, Prospect, Supervised};
pub(crate) use self::change::{change, check_kept, wanted};

/// The state of a supervisor.
#[derive(Debug)]
pub struct Supervisor {
    pid: Pid,
    /// The name of the module. The code itself is not kept here, because an upgrade replaces it
    /// without notifying a supervisor at rest.
    module: String,
    /// The start argument; a code change passes it to the new init.
    args: Bytes,
    spec: SupervisorSpec,
    /// The child spec of all children of a simple_one_for_one.
    template: Option<Arc<ChildSpec>>,
    /// The children. They are shared, so that the tree can be read while the supervisor is busy.
    rows: Arc<RwLock<Rows>>,
    intensity: Intensity,
    /// Whether an [`Own::TryAgain`] was sent and has not arrived.
    retry_pending: bool,
}

/// A message of a supervisor to itself.
#[derive(Debug, Serialize, Deserialize)]
enum Own {
    /// Try again to start the rows that are being restarted. The message names no row, because a
    /// code change renumbers them. OTP: `try_again_restart`.
    TryAgain,
}

/// Runs the init of a supervisor's module and returns the spec; `Ok(None)` stands for `ignore`.
/// Starts no child.
///
/// # Errors
/// The exit reason if init ends in another way or panics, or the error in its spec.
pub fn ask_init(module: &dyn Module, args: &[u8]) -> Result<Option<SupervisorSpec>, Exit> {
    let name = module.name();
    let Step::Ready(outcome) = module.init(args) else {
        return Err(Exit::Error(format!("init of supervisor {name} waited; it must be a plain function")));
    };
    match outcome.next {
        Next::Ignore => return Ok(None),
        Next::Stop(exit) | Next::Crash(exit) => return Err(exit),
        Next::Continue => {}
    }
    let reply = outcome.reply.unwrap_or_default();
    let spec: wire::SupervisorSpec = term::decode_known(&reply)
        .map_err(|e| Exit::Undecodable(format!("supervisor {name} {}: {e}", module.version())))?;
    let spec = SupervisorSpec::from(spec);
    spec.check().map_err(|e| Exit::Error(format!("supervisor {name}: {e}")))?;
    Ok(Some(spec))
}

/// Gives the running supervisor the name of its spec.
fn take_name(code: &Code, spec: &SupervisorSpec) -> Result<(), Exit> {
    let name = spec.name.as_deref();
    let renamed = context::rename(name).map_err(|refused| Exit::Error(refused.to_string()))?;
    renamed.map_err(|owner| name_taken(code.name(), name, owner))
}

/// Returns the reason for which a supervisor cannot have the name of its spec.
pub(crate) fn name_taken(module: &str, name: Option<&str>, owner: Pid) -> Exit {
    let name = name.unwrap_or_default();
    Exit::Error(format!("supervisor {module} cannot have the name {name}: already_started: {owner} has it"))
}

/// Starts a supervisor: calls its init, registers its name, then starts the children from left to
/// right.
pub(crate) fn init(pid: Pid, code: Arc<Code>, args: Bytes) -> Step {
    let spec = match ask_init(&*code.module, &args) {
        Ok(Some(spec)) => spec,
        Ok(None) => return Step::Ready(Outcome { instance: None, next: Next::Ignore, reply: None }),
        Err(exit) => return Step::Ready(Outcome { instance: None, next: Next::Stop(exit), reply: None }),
    };
    if let Err(exit) = take_name(&code, &spec) {
        return Step::Ready(Outcome { instance: None, next: Next::Stop(exit), reply: None });
    }
    let simple = spec.strategy == Strategy::SimpleOneForOne;
    let mut rows = Rows::new(simple);
    if !simple {
        rows.extend_stopped(&spec.children);
    }
    let rows = Arc::new(RwLock::new(rows));
    context::publish_rows(&rows);
    let supervisor = Box::new(Supervisor {
        pid,
        module: code.name().to_owned(),
        args,
        template: template(&spec),
        spec,
        rows,
        intensity: Intensity::default(),
        retry_pending: false,
    });
    native::run(async move {
        let next = match supervisor.start_all().await {
            Ok(()) => Next::Continue,
            Err(exit) => {
                supervisor.stop_all().await;
                Next::Stop(exit)
            }
        };
        let instance = (next == Next::Continue).then_some(supervisor as Box<dyn Instance>);
        Outcome { instance, next, reply: None }
    })
}

/// Returns the child spec of a simple_one_for_one.
fn template(spec: &SupervisorSpec) -> Option<Arc<ChildSpec>> {
    (spec.strategy == Strategy::SimpleOneForOne).then(|| Arc::new(spec.children[0].clone()))
}

impl Rows {
    fn extend_stopped(&mut self, children: &[ChildSpec]) {
        for spec in children {
            self.push(spec.clone(), Child::Stopped);
        }
    }
}

impl Supervisor {
    /// Returns the supervisor behind an instance, if it is one.
    pub(crate) fn of(instance: &dyn Instance) -> Option<&Self> {
        instance.own()?.downcast_ref()
    }

    pub(crate) fn rows(&self) -> &Arc<RwLock<Rows>> {
        &self.rows
    }

    /// Returns the name of the supervisor's spec.
    pub(crate) fn name(&self) -> Option<&str> {
        self.spec.name.as_deref()
    }

    /// Returns the supervisor's start argument.
    pub(crate) fn args(&self) -> &[u8] {
        &self.args
    }

    /// Returns the supervisor as its next code change will find it.
    pub(crate) fn supervised(&self) -> Supervised {
        Supervised {
            pid: self.pid,
            module: self.module.clone(),
            args: self.args.clone(),
            spec: self.spec.clone(),
            rows: Arc::clone(&self.rows),
        }
    }

    /// Reacts to the end of a process. `Err` ends the supervisor itself.
    async fn child_ended(&mut self, pid: Pid, exit: &Exit) -> Result<(), Exit> {
        let found = self.rows.read().by_pid(pid).map(|(seq, row)| (seq, row.clone()));
        // The process is no child any more: a request or a restart has terminated it, or its start
        // failed.
        let Some((seq, row)) = found else { return Ok(()) };
        let is_simple = self.spec.strategy == Strategy::SimpleOneForOne;
        match on_end(row.terms.restart, exit) {
            OnEnd::Restart => return self.restart(seq).await,
            OnEnd::Keep if !is_simple => self.rows.write().set(seq, Child::Stopped),
            OnEnd::Keep | OnEnd::Forget => self.rows.write().remove(seq),
        }
        if shuts_down(self.spec.auto_shutdown, row.terms.significant, &self.rows.read()) {
            let id = show_id(row.id());
            tracing::info!(
                name: "supervisor.auto_shutdown", pid = %self.pid, module = self.module, child = id,
                "a significant child ended; the supervisor shuts down"
            );
            return Err(Exit::Shutdown("auto_shutdown".to_owned()));
        }
        Ok(())
    }

    /// Restarts a child, and other children with it according to the strategy.
    async fn restart(&mut self, seq: Seq) -> Result<(), Exit> {
        self.rows.write().set(seq, Child::Restarting);
        if !self.intensity.allows(Instant::now(), self.spec.intensity, self.spec.period()) {
            tracing::warn!(
                name: "supervisor.intensity", pid = %self.pid, module = self.module,
                intensity = self.spec.intensity, period_ms = self.spec.period_ms,
                "too many restarts; the supervisor ends"
            );
            self.rows.write().set(seq, Child::Stopped);
            return Err(Exit::Shutdown("reached_max_restart_intensity".to_owned()));
        }
        let round = round(self.spec.strategy, &self.rows.read(), seq);
        for other in round.stop {
            self.stop_row(other).await;
        }
        for temporary in round.forget {
            self.rows.write().remove(temporary);
        }
        for seq in round.start {
            context::restarted();
            match self.start_row(seq).await {
                Ok(Some(pid)) => self.report_restart(seq, pid),
                Ok(None) => {}
                Err(exit) => {
                    tracing::warn!(name: "supervisor.restart_failed", pid = %self.pid, reason = %exit, "a child could not be restarted");
                    self.rows.write().set(seq, Child::Restarting);
                    self.schedule_retry();
                    break;
                }
            }
        }
        Ok(())
    }

    fn report_restart(&self, seq: Seq, pid: Pid) {
        let Some(row) = self.rows.read().get(seq).cloned() else { return };
        tracing::info!(
            name: "supervisor.restart", %pid, child = show_id(row.id()), module = row.terms.module,
            supervisor = %self.pid, "a child was restarted"
        );
    }

    /// Schedules a retry as a message instead of a loop, so that the supervisor answers requests
    /// between two attempts.
    fn schedule_retry(&mut self) {
        if !self.retry_pending {
            self.retry_pending = true;
            let _ = context::send(context::SendKind::Cast, self.pid, term::encode(&Own::TryAgain));
        }
    }

    async fn retry(&mut self, own: &[u8]) -> Result<(), Exit> {
        let Ok(Own::TryAgain) = term::decode(own) else { return Ok(()) };
        self.retry_pending = false;
        let restarting = self.rows.read().restarting();
        for seq in restarting {
            // The restart of another row may have started this child already.
            if self.rows.read().get(seq).is_some_and(|row| row.child == Child::Restarting) {
                self.restart(seq).await?;
            }
        }
        Ok(())
    }
}

impl Instance for Supervisor {
    fn callback(mut self: Box<Self>, event: &Event<'_>) -> Step {
        match event {
            Event::Call(_, body) => match request::read(body) {
                Ok(request) => native::run(async move {
                    let reply = Some(self.request(request).await);
                    Outcome { instance: Some(self), next: Next::Continue, reply }
                }),
                Err(error) => {
                    let reply = Some(request::reply::<()>(Err(error)));
                    Step::Ready(Outcome { instance: Some(self), next: Next::Continue, reply })
                }
            },
            Event::Cast(body) => {
                let body = body.to_vec();
                native::run(async move {
                    let result = self.retry(&body).await;
                    outcome(self, result)
                })
            }
            Event::Exit(pid, exit) => {
                let (pid, exit) = (*pid, (*exit).clone());
                native::run(async move {
                    let result = self.child_ended(pid, &exit).await;
                    outcome(self, result)
                })
            }
            Event::Terminate(_) => native::run(async move {
                self.stop_all().await;
                outcome(self, Ok(()))
            }),
            // OTP logs unexpected messages, and goes on.
            Event::Info(_)
            | Event::Told(_)
            | Event::Down(..)
            | Event::Continue(_)
            | Event::Timeout
            | Event::PrepStop(..)
            | Event::StartPhase(_)
            | Event::ConfigChange(_) => Step::Ready(outcome(self, Ok(()))),
        }
    }

    fn callbacks(self: Box<Self>, events: &[Event<'_>], stop: [&AtomicBool; 3]) -> (Step, usize) {
        one_by_one(self, events, stop)
    }

    fn export(&self) -> Result<Bytes, Exit> {
        let rows = self.rows.read();
        Ok(term::encode(&request::Exported {
            strategy: self.spec.strategy,
            intensity: self.spec.intensity,
            period_ms: self.spec.period_ms,
            auto_shutdown: self.spec.auto_shutdown,
            children: rows.iter().map(|row| listed(&rows, row)).collect(),
        }))
    }

    /// Makes the children of a simple_one_for_one restart by the template of this state from now
    /// on.
    fn installed(&self) {
        if let Some(template) = &self.template {
            self.rows.write().set_template(template);
        }
    }

    fn own(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

fn outcome(supervisor: Box<Supervisor>, result: Result<(), Exit>) -> Outcome {
    let next = result.map_or_else(Next::Stop, |()| Next::Continue);
    Outcome { instance: Some(supervisor), next, reply: None }
}
