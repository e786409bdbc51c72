//! The supervisor: the daemon's own code; the app's module only answers init. OTP: supervisor.
//!
//! Deciding and doing are apart: [`decide`] says what a child's end calls for, [`Intensity`] whether that is too
//! often; the rest of this file carries it out, as callbacks of an ordinary process.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::child_spec::{ChildSpec, ChildType, Restart, Shutdown, Strategy, SupervisorSpec, show_id};
use crate::code::{Behaviour, BodyKind, Bytes, Event, Instance, Next, Outcome, Step};
use crate::code_server::{Code, CodeServer};
use crate::context;
use crate::exit::Exit;
use crate::native;
use crate::pid::Pid;
use crate::process::Answer;
use crate::request::{Counts, Error, Listed, Reason, Request, reply};
use crate::rows::{Child, Row, Rows, Seq};
use crate::term;

/// How long a killed child may take to be gone. One that computes without end is left to itself and reported.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// What a child's end calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnEnd {
    /// Its row goes.
    Forget,
    /// Its row stays, not running.
    Keep,
    /// It is started again.
    Restart,
}

/// Decides. OTP, g.2:
///
/// | restart   | normal, shutdown | any other end |
/// |-----------|------------------|---------------|
/// | permanent | restart          | restart       |
/// | transient | keep             | restart       |
/// | temporary | forget           | forget        |
pub(crate) fn decide(restart: Restart, exit: &Exit) -> OnEnd {
    match restart {
        Restart::Permanent => OnEnd::Restart,
        Restart::Transient if exit.is_abnormal() => OnEnd::Restart,
        Restart::Transient => OnEnd::Keep,
        Restart::Temporary => OnEnd::Forget,
    }
}

/// How often a supervisor has restarted children lately.
#[derive(Debug, Clone, Default)]
pub(crate) struct Intensity {
    times: VecDeque<Instant>,
}

impl Intensity {
    /// Notes a restart; says whether it is still one of at most `max` in `period`.
    fn allows(&mut self, now: Instant, max: u32, period: Duration) -> bool {
        self.times.retain(|time| now.duration_since(*time) <= period);
        self.times.push_back(now);
        self.times.len() <= max as usize
    }
}

/// What a supervisor's code change did to its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Ids of the old init that the new one does not name: their rows stay, and run on.
    pub vanished: Vec<Bytes>,
    /// Ids that only the new init names: rows that are not started.
    pub added: Vec<Bytes>,
}

/// A supervisor's state.
#[derive(Debug)]
pub struct Supervisor {
    pid: Pid,
    /// Its module's name. Not its code, which an upgrade may replace without a word to a supervisor at rest.
    module: String,
    /// What it was started with; a code change asks the new init with the same.
    args: Bytes,
    spec: SupervisorSpec,
    /// Readable by everybody while the supervisor is busy: the daemon's table is the tree.
    rows: Arc<RwLock<Rows>>,
    intensity: Intensity,
}

/// A message of a supervisor to itself.
#[derive(Debug, Serialize, Deserialize)]
enum Own {
    /// Start the first row again that waits for it. No row is named, for a code change numbers them anew. OTP:
    /// `try_again_restart`.
    TryAgain,
}

/// Asks a module's init. `Ok(None)` is `ignore`.
fn ask_init(code: &Code, args: &[u8]) -> Result<Option<SupervisorSpec>, Exit> {
    let Step::Ready(outcome) = code.module.init(args) else {
        return Err(Exit::Error(format!(
            "init of supervisor {} waited; it must be a plain function",
            code.name()
        )));
    };
    match outcome.next {
        Next::Ignore => return Ok(None),
        Next::Stop(exit) | Next::Crash(exit) => return Err(exit),
        Next::Continue => {}
    }
    let reply = outcome.reply.unwrap_or_default();
    let spec: SupervisorSpec = term::decode(&reply).map_err(|e| {
        Exit::Undecodable(format!("supervisor {} {}: {e}", code.name(), code.module.version()))
    })?;
    spec.check().map_err(|e| Exit::Error(format!("supervisor {}: {e}", code.name())))?;
    Ok(Some(spec))
}

/// Starts a supervisor: asks its init, then starts the children from left to right.
pub(crate) fn init(pid: Pid, code: Arc<Code>, args: Bytes) -> Step {
    let spec = match ask_init(&code, &args) {
        Ok(Some(spec)) => spec,
        Ok(None) => return Step::Ready(Outcome { instance: None, next: Next::Ignore, reply: None }),
        Err(exit) => return Step::Ready(Outcome { instance: None, next: Next::Stop(exit), reply: None }),
    };
    let simple = spec.strategy == Strategy::SimpleOneForOne;
    let mut rows = Rows::new(simple);
    if !simple {
        rows.extend_stopped(&spec.children);
    }
    let rows = Arc::new(RwLock::new(rows));
    context::publish_rows(&rows);
    let (module, intensity) = (code.name().to_owned(), Intensity::default());
    let supervisor = Box::new(Supervisor { pid, module, args, spec, rows, intensity });
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

/// Asks new code what it wants of a supervisor that was started with these arguments; `None` for no change.
pub(crate) fn wanted(new: &Code, args: &[u8]) -> Result<Option<SupervisorSpec>, Exit> {
    ask_init(new, args)
}

/// Makes the supervisor that the new code wants of the old one. Children are neither started nor stopped. OTP, e.5.
pub(crate) fn change(
    old: &Supervisor,
    new: &Code,
    wanted: Option<SupervisorSpec>,
) -> (Box<dyn Instance>, Change) {
    let spec = wanted.unwrap_or_else(|| old.spec.clone());
    let simple = |spec: &SupervisorSpec| spec.strategy == Strategy::SimpleOneForOne;
    let unchanged = Change { vanished: Vec::new(), added: Vec::new() };
    let (rows, change) = match (simple(&old.spec), simple(&spec)) {
        // However many they are: they get the new template when the new state is taken.
        (true, true) => (Arc::clone(&old.rows), unchanged),
        (false, true) => (Arc::new(RwLock::new(old.rows.read().without_ids())), unchanged),
        (_, false) => {
            let (rows, mut change) = old.rows.read().merge(&spec.children);
            // What was added at run time was never in an init, and stays.
            change.vanished.retain(|id| old.spec.children.iter().any(|child| child.id == *id));
            (Arc::new(RwLock::new(rows)), change)
        }
    };
    let (pid, args, intensity) = (old.pid, old.args.clone(), old.intensity.clone());
    let module = new.name().to_owned();
    (Box::new(Supervisor { pid, module, args, spec, rows, intensity }), change)
}

/// Shows the start arguments that stay to the code that is to come. Runs that code, so nothing is held meanwhile.
///
/// Unlike OTP, where a child that was added at run time and cannot be started again brings its supervisor down, minutes
/// after the upgrade.
pub(crate) fn check_kept(
    rows: &RwLock<Rows>,
    wanted: Option<&SupervisorSpec>,
    server: &CodeServer,
) -> Result<(), Exit> {
    let Some(wanted) = wanted else { return Ok(()) };
    let kept: Vec<Row> = if wanted.strategy == Strategy::SimpleOneForOne {
        // All were started by one template: the first speaks for the others.
        let first = rows.read().iter().next().cloned();
        let args = first.map(|row| Some(row.args().to_vec()));
        args.map(|args| Row { spec: Arc::new(wanted.children[0].clone()), args, child: Child::Stopped })
            .into_iter()
            .collect()
    } else {
        let is_named = |row: &Row| wanted.children.iter().any(|child| child.id == row.spec.id);
        rows.read().iter().filter(|row| !is_named(row)).cloned().collect()
    };
    kept.iter().try_for_each(|row| starts_again(row, server))
}

/// Asks the code that a row's child would be started with whether it takes the start argument.
fn starts_again(row: &Row, server: &CodeServer) -> Result<(), Exit> {
    let Some(code) = server.newest(&row.spec.module) else { return Ok(()) };
    code.module.accepts(BodyKind::Init, row.args()).map_err(|why| {
        let (id, module, version) = (show_id(&row.spec.id), code.name(), code.module.version());
        Exit::Error(format!(
            "child {id} could not be started again: module {module} {version} does not take its start argument: {why}; \
             terminate and delete it first"
        ))
    })
}

impl Rows {
    fn extend_stopped(&mut self, children: &[ChildSpec]) {
        for spec in children {
            self.push(Row { spec: Arc::new(spec.clone()), args: None, child: Child::Stopped });
        }
    }

    fn without_ids(&self) -> Self {
        let mut rows = Self::new(true);
        for row in self.iter() {
            rows.push(row.clone());
        }
        rows
    }

    /// OTP: by id; in both: new spec, old process; only new: added, not started; only old: kept, after the new ones.
    fn merge(&self, children: &[ChildSpec]) -> (Self, Change) {
        let mut change = Change { vanished: Vec::new(), added: Vec::new() };
        let mut rows = Self::new(false);
        for spec in children {
            let child = self.by_id(&spec.id).map(|(_, row)| row.child);
            if child.is_none() {
                change.added.push(spec.id.to_vec());
            }
            rows.push(Row {
                spec: Arc::new(spec.clone()),
                args: None,
                child: child.unwrap_or(Child::Stopped),
            });
        }
        for row in self.iter() {
            if rows.by_id(&row.spec.id).is_none() {
                change.vanished.push(row.spec.id.to_vec());
                rows.push(row.clone());
            }
        }
        (rows, change)
    }
}

impl Supervisor {
    /// Returns its children.
    pub(crate) fn rows(&self) -> &Arc<RwLock<Rows>> {
        &self.rows
    }

    /// Returns what it was started with.
    pub(crate) fn args(&self) -> &[u8] {
        &self.args
    }

    /// Takes over: from now on the children of a simple_one_for_one restart by its template.
    pub(crate) fn take_over(&self) {
        if self.spec.strategy == Strategy::SimpleOneForOne {
            self.rows.write().set_template(&Arc::new(self.spec.children[0].clone()));
        }
    }

    // --- starting --------------------------------------------------------------------------------------------------

    async fn start_all(&self) -> Result<(), Exit> {
        let seqs = self.rows.read().seqs();
        for seq in seqs {
            let id = self.rows.read().get(seq).map(|row| show_id(&row.spec.id)).unwrap_or_default();
            if let Err(exit) = self.start_row(seq).await {
                return Err(Exit::Shutdown(format!("failed_to_start_child {id}: {exit}")));
            }
        }
        Ok(())
    }

    /// Starts the child of a row. `Ok(None)` when its init answered ignore.
    async fn start_row(&self, seq: Seq) -> Result<Option<Pid>, Exit> {
        let (spec, args) = match self.rows.read().get(seq) {
            Some(row) => (Arc::clone(&row.spec), row.args().to_vec()),
            None => return Ok(None),
        };
        let (pid, reference) = context::start_child(&spec.module, args)
            .map_err(|_| Exit::Error(format!("module {} is not loaded", spec.module)))?;
        self.rows.write().set(seq, Child::Starting(pid));
        let started = match context::answer(reference).await {
            Answer::Reply(reply) => term::decode::<Option<Pid>>(&reply).map_err(Exit::Undecodable),
            Answer::Exit(exit) => Err(exit),
            Answer::Timeout => Err(Exit::Error("a start has no time-out".to_owned())),
        };
        let child = match started {
            Ok(Some(pid)) => Child::Running(pid),
            Ok(None) | Err(_) => Child::Stopped,
        };
        self.rows.write().set(seq, child);
        if started == Ok(None) && spec.restart == Restart::Temporary {
            self.rows.write().remove(seq);
        }
        started
    }

    // --- stopping --------------------------------------------------------------------------------------------------

    async fn stop_all(&self) {
        let mut seqs = self.rows.read().seqs();
        while let Some(seq) = seqs.pop() {
            self.stop_row(seq).await;
        }
    }

    /// Ends the child of a row and waits for it.
    async fn stop_row(&self, seq: Seq) {
        let Some((pid, shutdown)) =
            self.rows.read().get(seq).and_then(|row| Some((row.child.pid()?, row.spec.shutdown)))
        else {
            self.rows.write().set(seq, Child::Stopped);
            return;
        };
        end_child(pid, shutdown).await;
        self.rows.write().set(seq, Child::Stopped);
    }

    // --- a child's end ---------------------------------------------------------------------------------------------

    /// Acts on the end of a process. `Err` is the supervisor's own end.
    async fn child_ended(&mut self, pid: Pid, exit: &Exit) -> Result<(), Exit> {
        let found = self.rows.read().by_pid(pid).map(|(seq, row)| (seq, row.spec.restart));
        // Not a child any more: terminated by request, or it never came to live.
        let Some((seq, restart)) = found else { return Ok(()) };
        let anonymous = self.spec.strategy == Strategy::SimpleOneForOne;
        match decide(restart, exit) {
            OnEnd::Restart => {
                self.rows.write().set(seq, Child::Restarting);
                self.restart_row(seq).await
            }
            OnEnd::Keep if !anonymous => {
                self.rows.write().set(seq, Child::Stopped);
                Ok(())
            }
            OnEnd::Keep | OnEnd::Forget => {
                self.rows.write().remove(seq);
                Ok(())
            }
        }
    }

    async fn restart_row(&mut self, seq: Seq) -> Result<(), Exit> {
        if !self.intensity.allows(Instant::now(), self.spec.intensity, self.spec.period()) {
            tracing::warn!(
                name: "supervisor.intensity", pid = %self.pid, module = self.module,
                intensity = self.spec.intensity, period_ms = self.spec.period_ms,
                "too many restarts; the supervisor ends"
            );
            return Err(Exit::Shutdown("reached_max_restart_intensity".to_owned()));
        }
        if let Err(exit) = self.start_row(seq).await {
            self.rows.write().set(seq, Child::Restarting);
            tracing::warn!(name: "supervisor.restart_failed", pid = %self.pid, reason = %exit, "a child did not start again");
            // Not in a loop: between two attempts the supervisor answers requests.
            let own = term::encode(&Own::TryAgain);
            let _ = context::send(context::SendKind::Cast, self.pid, own);
        }
        Ok(())
    }

    async fn try_again(&mut self, own: &[u8]) -> Result<(), Exit> {
        let Ok(Own::TryAgain) = term::decode(own) else { return Ok(()) };
        let restarting = self.rows.read().first(|row| row.child == Child::Restarting);
        match restarting {
            Some(seq) => self.restart_row(seq).await,
            None => Ok(()),
        }
    }

    // --- requests --------------------------------------------------------------------------------------------------

    async fn request(&mut self, body: &[u8]) -> Bytes {
        let request = match term::decode(body) {
            Ok(request) => request,
            Err(text) => return reply::<()>(&Err(Error::new(Reason::BadRequest, text))),
        };
        match request {
            Request::StartChild(spec) => reply(&self.start_child(spec).await),
            Request::StartChildArgs(args) => reply(&self.start_child_args(args.into_vec()).await),
            Request::TerminateChild(id) => reply(&self.terminate_child(&id).await),
            Request::TerminatePid(pid) => reply(&self.terminate_pid(pid).await),
            Request::RestartChild(id) => reply(&self.restart_child(&id).await),
            Request::DeleteChild(id) => reply(&self.delete_child(&id)),
            Request::RenameChild(id, new) => reply(&self.rename_child(&id, new)),
            Request::WhichChildren => reply(&Ok(self.which_children())),
            Request::CountChildren => reply(&Ok(self.count_children())),
        }
    }

    async fn start_child(&self, spec: ChildSpec) -> Result<Option<Pid>, Error> {
        self.refuse_simple("start_child takes only arguments here")?;
        if let Some((_, row)) = self.rows.read().by_id(&spec.id) {
            return Err(match row.child.pid() {
                Some(pid) => Error { pid: Some(pid), ..Error::of(Reason::AlreadyStarted, &spec.id) },
                None => Error::of(Reason::AlreadyPresent, &spec.id),
            });
        }
        check_module(&spec)?;
        self.start_row_of(Row { spec: Arc::new(spec), args: None, child: Child::Stopped }).await
    }

    async fn start_child_args(&self, args: Bytes) -> Result<Option<Pid>, Error> {
        if self.spec.strategy != Strategy::SimpleOneForOne {
            return Err(Error::new(
                Reason::BadRequest,
                "only a simple_one_for_one starts children by arguments".into(),
            ));
        }
        let template = Arc::new(self.spec.children[0].clone());
        check_module(&template)?;
        self.start_row_of(Row { spec: template, args: Some(args), child: Child::Stopped }).await
    }

    /// Adds a row and starts it; OTP: a spec whose start failed is not kept.
    async fn start_row_of(&self, row: Row) -> Result<Option<Pid>, Error> {
        let seq = self.rows.write().push(row);
        match self.start_row(seq).await {
            Ok(Some(pid)) => Ok(Some(pid)),
            Ok(None) => {
                if self.spec.strategy == Strategy::SimpleOneForOne {
                    self.rows.write().remove(seq);
                }
                Ok(None)
            }
            Err(exit) => {
                self.rows.write().remove(seq);
                Err(Error::new(Reason::StartFailed, exit.to_string()))
            }
        }
    }

    async fn terminate_child(&self, id: &[u8]) -> Result<(), Error> {
        self.refuse_simple("children are terminated by pid here")?;
        let (seq, restart) = self.find(id).map(|(seq, row)| (seq, row.spec.restart))?;
        self.stop_row(seq).await;
        if restart == Restart::Temporary {
            self.rows.write().remove(seq);
        }
        Ok(())
    }

    async fn terminate_pid(&self, pid: Pid) -> Result<(), Error> {
        let seq = self.rows.read().by_pid(pid).map(|(seq, _)| seq);
        let seq =
            seq.ok_or_else(|| Error::new(Reason::NotFound, format!("{pid} is no child of {}", self.pid)))?;
        self.stop_row(seq).await;
        if self.spec.strategy == Strategy::SimpleOneForOne {
            self.rows.write().remove(seq);
        }
        Ok(())
    }

    async fn restart_child(&self, id: &[u8]) -> Result<Option<Pid>, Error> {
        self.refuse_simple("children have no id here")?;
        let (seq, _) = self.find_stopped(id)?;
        self.start_row(seq).await.map_err(|exit| Error::new(Reason::StartFailed, exit.to_string()))
    }

    fn delete_child(&self, id: &[u8]) -> Result<(), Error> {
        self.refuse_simple("children have no id here")?;
        let (seq, _) = self.find_stopped(id)?;
        self.rows.write().remove(seq);
        Ok(())
    }

    /// Not in OTP: the child goes on under another id.
    fn rename_child(&self, id: &[u8], new: ByteBuf) -> Result<(), Error> {
        self.refuse_simple("children have no id here")?;
        let (seq, _) = self.find(id)?;
        let mut rows = self.rows.write();
        if rows.by_id(&new).is_some() {
            return Err(Error::of(Reason::AlreadyPresent, &new));
        }
        rows.rename(seq, new);
        Ok(())
    }

    fn refuse_simple(&self, text: &str) -> Result<(), Error> {
        if self.spec.strategy == Strategy::SimpleOneForOne {
            return Err(Error::new(
                Reason::SimpleOneForOne,
                format!("{} is a simple_one_for_one: {text}", self.pid),
            ));
        }
        Ok(())
    }

    fn find(&self, id: &[u8]) -> Result<(Seq, Row), Error> {
        let rows = self.rows.read();
        rows.by_id(id).map(|(seq, row)| (seq, row.clone())).ok_or_else(|| Error::of(Reason::NotFound, id))
    }

    fn find_stopped(&self, id: &[u8]) -> Result<(Seq, Row), Error> {
        let (seq, row) = self.find(id)?;
        match row.child {
            Child::Stopped => Ok((seq, row)),
            Child::Restarting => Err(Error::of(Reason::Restarting, id)),
            Child::Running(pid) | Child::Starting(pid) => {
                Err(Error { pid: Some(pid), ..Error::of(Reason::Running, id) })
            }
        }
    }

    fn which_children(&self) -> Vec<Listed> {
        let rows = self.rows.read();
        rows.iter().rev().map(|row| Listed::of(&rows, row)).collect()
    }

    fn count_children(&self) -> Counts {
        let rows = self.rows.read();
        let simple = self.spec.strategy == Strategy::SimpleOneForOne;
        Counts::of(&rows, if simple { 1 } else { rows.len() })
    }
}

/// Ends a process and waits until it is gone. For the running supervisor.
async fn end_child(pid: Pid, shutdown: Shutdown) {
    let (first, timeout) = match shutdown {
        Shutdown::BrutalKill => (Exit::Killed, Some(KILL_GRACE)),
        Shutdown::Infinity => (Exit::shutdown(), None),
        Shutdown::Ms(ms) => (Exit::shutdown(), Some(Duration::from_millis(ms))),
    };
    let Ok(gone) = context::await_exit(pid, timeout) else { return };
    let _ = context::exit(pid, first);
    if context::answer(gone).await != Answer::Timeout {
        return;
    }
    if shutdown != Shutdown::BrutalKill {
        tracing::warn!(name: "supervisor.shutdown_timeout", %pid, "a child did not shut down in its time; it is killed");
        let Ok(gone) = context::await_exit(pid, Some(KILL_GRACE)) else { return };
        let _ = context::exit(pid, Exit::Killed);
        if context::answer(gone).await != Answer::Timeout {
            return;
        }
    }
    tracing::error!(name: "supervisor.kill_timeout", %pid, "a killed child computes on; it is left to itself");
}

/// Unlike OTP, a declared type is compared with what the module is.
fn check_module(spec: &ChildSpec) -> Result<(), Error> {
    let Some(behaviour) = context::behaviour(&spec.module) else {
        return Err(Error::new(Reason::UnknownModule, format!("module {} is not loaded", spec.module)));
    };
    let fits = match behaviour {
        Behaviour::Supervisor => spec.kind == ChildType::Supervisor,
        Behaviour::GenServer | Behaviour::Task => spec.kind == ChildType::Worker,
        Behaviour::Application => false,
    };
    if fits {
        return Ok(());
    }
    let text = format!("module {} is a {behaviour:?}; the spec says {:?}", spec.module, spec.kind);
    Err(Error::new(Reason::BadSpec, text))
}

impl Instance for Supervisor {
    fn callback(mut self: Box<Self>, event: &Event<'_>) -> Step {
        match event {
            Event::Call(_, body) => {
                let body = body.to_vec();
                native::run(async move {
                    let reply = Some(self.request(&body).await);
                    Outcome { instance: Some(self), next: Next::Continue, reply }
                })
            }
            Event::Cast(body) => {
                let body = body.to_vec();
                native::run(async move {
                    let result = self.try_again(&body).await;
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
            // OTP logs what a supervisor did not expect, and goes on.
            Event::Info(_) | Event::Down(..) | Event::PrepStop(_) | Event::ConfigChange(_) => {
                Step::Ready(outcome(self, Ok(())))
            }
        }
    }

    fn export(&self) -> Result<Bytes, Exit> {
        let rows = self.rows.read();
        Ok(term::encode(&crate::request::Exported {
            strategy: self.spec.strategy,
            intensity: self.spec.intensity,
            period_ms: self.spec.period_ms,
            children: rows.iter().map(|row| Listed::of(&rows, row)).collect(),
        }))
    }

    fn supervisor(&self) -> Option<&Supervisor> {
        Some(self)
    }
}

fn outcome(supervisor: Box<Supervisor>, result: Result<(), Exit>) -> Outcome {
    let next = result.map_or_else(Next::Stop, |()| Next::Continue);
    Outcome { instance: Some(supervisor), next, reply: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(restart: Restart, exit: Exit, expected: OnEnd) {
        assert_eq!(decide(restart, &exit), expected);
    }

    #[test]
    fn restart_types_act_as_the_table_says() {
        for exit in [Exit::Normal, Exit::shutdown(), Exit::Shutdown("x".to_owned())] {
            check(Restart::Permanent, exit.clone(), OnEnd::Restart);
            check(Restart::Transient, exit.clone(), OnEnd::Keep);
            check(Restart::Temporary, exit, OnEnd::Forget);
        }
        for exit in [Exit::Killed, Exit::Panic("x".to_owned()), Exit::Undecodable("x".to_owned())] {
            check(Restart::Permanent, exit.clone(), OnEnd::Restart);
            check(Restart::Transient, exit.clone(), OnEnd::Restart);
            check(Restart::Temporary, exit, OnEnd::Forget);
        }
    }

    #[test]
    fn more_restarts_than_the_intensity_in_one_period_are_too_many() {
        let (start, period) = (Instant::now(), Duration::from_secs(5));
        let mut intensity = Intensity::default();
        let mut at = |seconds: u64| intensity.allows(start + Duration::from_secs(seconds), 2, period);
        assert_eq!([at(0), at(1), at(2)], [true, true, false]);
        // Those of seconds 0 and 1 are out of the period by now.
        assert!(at(7));
    }

    #[test]
    fn with_intensity_0_the_first_failure_is_too_much() {
        assert!(!Intensity::default().allows(Instant::now(), 0, Duration::from_secs(5)));
    }
}
