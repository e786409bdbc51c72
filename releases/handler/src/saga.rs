//! Forward and back: carries a program out on a node, and takes back what was done when something fails.
//!
//! ```text
//!   effect 1, 2, .. n   ---ok--->   SWITCH   --->   finish 1, 2, .. m   --->   Installed
//!      | fails                                       (leftovers are listed;
//!      |                                              what does not start is a failure, and ends the finishes)
//!      v
//!   undo of k-1, .. 1   ---all done--->  RolledBack
//!      | one fails: noted, the others are still done
//!      +------------------------------>  NeedsRestart
//! ```
//!
//! Plain sequential code in the caller's thread; nothing can stop it half-way. Before each effect it looks whether
//! somebody wishes that it ends, or whether the windows before it brought crashes, which is a failure like others.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reld_plan::{AppName, ModuleName, PurgeMethod};

use crate::children::{Unexpected, unexpected};
use crate::error::NodeError;
use crate::event::Progress;
use crate::guard::guarded;
use crate::interrupt::{Interrupt, Wish};
use crate::node::{Conversion, Exited, Gate, Image, Node, Precopied, Slot, Staging};
use crate::process::{Listed, Process};
use crate::report::{Failure, Outcome, Report, StepReport, Trial};
use crate::settle::crashed;
use crate::step::{Blueprint, Effect, Finish, Precopy, Program, Undo};

/// How long each kind of step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Loading one library.
    pub load: Duration,
    /// Starting one app.
    pub start: Duration,
    /// Bringing a member to rest, where no instruction gives a time.
    pub rest: Duration,
    /// Converting the state of one process. OTP: `code_change_timeout`.
    pub convert: Duration,
    /// A call of an app's function, inside the pause too.
    pub apply: Duration,
    /// Stopping one app, its children's own shutdown times included.
    pub stop: Duration,
    /// Moving the shadow states in, and each purge.
    pub sweep: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            load: Duration::from_secs(30),
            start: Duration::from_secs(60),
            rest: Duration::from_secs(1),
            convert: Duration::from_secs(5),
            apply: Duration::from_secs(5),
            stop: Duration::from_secs(60),
            sweep: Duration::from_secs(30),
        }
    }
}

/// Takes the steps, inside the pause too, so it must not wait.
pub(crate) type Steps<'a> = &'a mut dyn FnMut(Progress<'_>);

/// Why an effect did not come about.
#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error("at rest, alive and not converted: {}", Listed(.0))]
    Forgotten(Vec<Process>),
    #[error("{0}")]
    Children(Unexpected),
    #[error("{0}")]
    Interrupted(Wish),
    #[error("{}", crashed(.0))]
    Crashed(Vec<Exited>),
    #[error("the node panicked: {0}; this is a bug of reld")]
    Panicked(String),
}

/// Asks a node who has crashed since the first of several windows; nobody where none came before.
pub(crate) type Crashes<'a, N> = &'a dyn Fn(&N) -> Vec<Exited>;

/// Carries a program out and notes in the report what happened.
pub(crate) fn run<N: Node>(
    node: &mut N,
    program: &Program,
    limits: Limits,
    interrupt: &Interrupt,
    crashes: Crashes<'_, N>,
    report: &mut Report,
    observer: Steps<'_>,
) {
    report.changed = true;
    let saga = Saga {
        node,
        program,
        limits,
        interrupt,
        crashes,
        report,
        observer,
        images: BTreeMap::new(),
        undos: Vec::new(),
        doomed: Vec::new(),
        is_switched: false,
        untried: String::new(),
    };
    interrupt.heed(true);
    saga.run();
    interrupt.heed(false);
}

struct Saga<'a, N> {
    node: &'a mut N,
    program: &'a Program,
    limits: Limits,
    interrupt: &'a Interrupt,
    crashes: Crashes<'a, N>,
    report: &'a mut Report,
    observer: Steps<'a>,
    images: BTreeMap<AppName, Image>,
    undos: Vec<Undo>,
    doomed: Vec<Process>,
    is_switched: bool,
    /// Why the way back of states that were converted before the pause was not tried, of those
    /// where it was not.
    untried: String,
}

impl<N: Node> Saga<'_, N> {
    fn run(mut self) {
        let program = self.program;
        for effect in &program.effects {
            let title = effect.what.to_string();
            let done = match guarded(|| self.stopped()).map_err(Cause::Panicked) {
                Ok(None) => self.timed(effect.step, &title, |saga| saga.forward(&effect.what)),
                Ok(Some(cause)) | Err(cause) => Err(cause),
            };
            if let Err(cause) = done {
                self.failed(effect.step, title, &self.blamed(cause));
                return self.back();
            }
        }
        self.report.outcome = Outcome::Installed;
        let switched = self.timed(program.switch, "switch", |saga| {
            saga.node.switch();
            Ok(())
        });
        if let Err(cause) = switched {
            return self.torn(program.switch, "switch", &cause);
        }
        self.is_switched = true;
        for finish in &program.finishes {
            // Whatever failed, the gate comes down.
            if self.report.failure.is_some() && finish.what != Finish::Lower {
                continue;
            }
            let title = finish.what.to_string();
            match self.timed(finish.step, &title, |saga| Ok(saga.finish(&finish.what)?)) {
                Ok(()) => {}
                Err(cause) if finish.what == Finish::Lower => {
                    return self.torn(finish.step, &title, &cause);
                }
                Err(cause) => self.failed(finish.step, title, &self.blamed(cause)),
            }
        }
        self.compare();
    }

    /// Returns the wish in place of what it has ended: a wait of the node.
    fn blamed(&self, cause: Cause) -> Cause {
        use NodeError::{Apply, Call, GivenUp, Load, NotAtRest, StartApplication};
        let is_wait = matches!(
            cause,
            Cause::Node(
                Apply { .. }
                    | Call { .. }
                    | GivenUp
                    | Load { .. }
                    | NotAtRest { .. }
                    | StartApplication { .. }
            )
        );
        self.interrupt.wish().filter(|_| is_wait).map_or(cause, Cause::Interrupted)
    }

    /// Says why the next effect is not to be tried.
    fn stopped(&self) -> Option<Cause> {
        let crashes = || Some((self.crashes)(self.node)).filter(|crashes| !crashes.is_empty());
        self.interrupt.wish().map(Cause::Interrupted).or_else(|| crashes().map(Cause::Crashed))
    }

    /// Announces a step, does it, and notes how long it took. A panic is a failure of the step.
    fn timed<T>(
        &mut self,
        step: usize,
        title: &str,
        what: impl FnOnce(&mut Self) -> Result<T, Cause>,
    ) -> Result<T, Cause> {
        tracing::info!(name: "release.install.step", vsn = %self.report.to, step, of = self.program.steps, title, "step");
        let is_switched = self.is_switched;
        (self.observer)(Progress { step, steps: self.program.steps, title, is_switched });
        let begin = Instant::now();
        let answer = guarded(|| what(self)).map_err(Cause::Panicked);
        let duration_us = begin.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        self.report.steps.push(StepReport { step, title: title.to_owned(), duration_us });
        answer.and_then(|answer| answer)
    }

    /// Gives the node up: it is neither as before nor as wanted.
    fn torn(&mut self, step: usize, title: &str, cause: &Cause) {
        self.failed(step, title.to_owned(), cause);
        self.report.not_undone.push(format!("{title}: {cause}"));
        self.report.outcome = Outcome::NeedsRestart;
    }

    /// Does one effect; its undo is noted as soon as the effect exists.
    fn forward(&mut self, effect: &Effect) -> Result<(), Cause> {
        match effect {
            Effect::Load(library) => {
                let image = self.node.load(library, deadline(self.limits.load), self.interrupt)?;
                self.images.insert(library.app.clone(), image);
                self.undos.push(Undo::Unload(image));
            }
            Effect::Apply(call) => {
                self.node.apply(call, deadline(self.limits.apply))?;
                self.undos.extend(call.undo.as_deref().cloned().map(Undo::Apply));
            }
            Effect::RenameChild(call) => {
                self.node.call(call, deadline(self.limits.start))?;
                self.undos.extend(call.undo().map(Undo::RenameChild));
            }
            Effect::StopApplication(app) => {
                // One that does not stop in order is killed, so it is to be started again in any case.
                self.undos.push(Undo::StartApplication(app.clone()));
                self.report.killed.append(&mut self.node.processes_of(app));
                self.node.stop_application(app, deadline(self.limits.stop))?;
            }
            Effect::Stage(blueprint) => {
                self.node.stage(&staging(blueprint, &self.images))?;
                self.undos.push(Undo::Unstage);
            }
            Effect::StartApplication(app) => {
                self.node.start_application(app, deadline(self.limits.start))?;
                self.undos.push(Undo::StopApplication(app.clone()));
            }
            Effect::Raise(gate) => self.raise(gate)?,
            Effect::Convert(conversion) => self.convert(conversion)?,
            Effect::Compare => self.nobody_is_forgotten()?,
            Effect::Precopy(precopy) => self.precopy(precopy)?,
        }
        Ok(())
    }

    fn precopy(&mut self, precopy: &Precopy) -> Result<(), Cause> {
        let Precopy { gate, passages, untried } = precopy;
        self.report.precopied = self.node.precopy(gate, passages, self.limits.convert)?;
        // A later conversion that fails half-way leaves shadow states too; they are taken back here.
        self.undos.push(Undo::Discard);
        if let Some(untried) = untried {
            self.untried.clone_from(untried);
            let duration_us = self.report.precopied.trial.as_micros().try_into().unwrap_or(u64::MAX);
            self.report.trial = Some(Trial { duration_us, ..Trial::default() });
        }
        Ok(())
    }

    fn raise(&mut self, gate: &Gate) -> Result<(), Cause> {
        let raised = self.node.raise(gate, deadline(self.limits.rest))?;
        self.undos.push(Undo::Lower);
        self.report.precopied.processes = raised.precopied;
        self.report.converted = raised.precopied;
        if let Some(trial) = &mut self.report.trial {
            trial.tried = raised.tried;
            trial.leave_out(raised.precopied.saturating_sub(raised.tried), &self.untried);
        }
        self.report.left = raised.left;
        self.doomed = raised.doomed;
        Ok(())
    }

    fn convert(&mut self, conversion: &Conversion) -> Result<(), Cause> {
        let mut converted = self.node.convert(conversion, self.limits.convert)?;
        let find = |place: &str| self.node.supervisor(place);
        let unexpected =
            converted.children.iter().find_map(|change| unexpected(change, &self.program.expected, find));
        self.report.converted += converted.processes;
        if let Some(trial) = &mut self.report.trial {
            trial.leave_out(converted.processes, "converted inside the pause");
        }
        self.report.children.append(&mut converted.children);
        unexpected.map_or(Ok(()), |unexpected| Err(Cause::Children(unexpected)))
    }

    /// A process that died is a recorded fact; one that lives, rests and has no new state would meet new code with it.
    fn nobody_is_forgotten(&self) -> Result<(), Cause> {
        let unconverted = self.node.comparison().unconverted;
        if unconverted.is_empty() { Ok(()) } else { Err(Cause::Forgotten(unconverted)) }
    }

    fn failed(&mut self, step: usize, title: String, cause: &Cause) {
        tracing::error!(name: "release.install.failed", vsn = %self.report.to, step, title, %cause);
        let process = match cause {
            Cause::Node(
                NodeError::ChangeCode { process, .. }
                | NodeError::ChangeCodeTimedOut { process, .. }
                | NodeError::NoWayBack { process, .. },
            ) => Some((**process).clone()),
            Cause::Node(NodeError::NotAtRest { processes, .. }) | Cause::Forgotten(processes) => {
                processes.first().cloned()
            }
            Cause::Children(Unexpected { supervisor, .. }) => Some(supervisor.clone()),
            Cause::Crashed(crashes) => crashes.first().map(|exited| exited.process.clone()),
            Cause::Node(_) | Cause::Interrupted(_) | Cause::Panicked(_) => None,
        };
        let steps = self.program.steps;
        self.report.failure = Some(Failure { step, steps, title, cause: cause.to_string(), process });
    }

    /// Takes everything back, newest first. One that fails does not stop the others.
    fn back(mut self) {
        self.interrupt.heed(false);
        self.compare();
        self.report.outcome = Outcome::RolledBack;
        self.report.left.clear();
        self.report.children.clear();
        self.report.converted = 0;
        self.report.precopied = Precopied::default();
        self.report.trial = None;
        while let Some(undo) = self.undos.pop() {
            tracing::info!(name: "release.install.undo", vsn = %self.report.to, %undo);
            let undone = guarded(|| self.undo(&undo)).map_err(Cause::Panicked);
            if let Err(error) = undone.and_then(|undone| Ok(undone?)) {
                tracing::error!(name: "release.install.not_undone", vsn = %self.report.to, %undo, %error);
                self.report.not_undone.push(format!("{undo}: {error}"));
                self.report.outcome = Outcome::NeedsRestart;
            }
        }
    }

    fn undo(&mut self, undo: &Undo) -> Result<(), NodeError> {
        match undo {
            Undo::Unload(image) => self.node.unload(*image)?,
            Undo::Apply(call) => self.node.apply(call, deadline(self.limits.apply))?,
            Undo::RenameChild(call) => self.node.call(call, deadline(self.limits.start))?,
            Undo::StartApplication(app) => {
                self.node.start_application(app, deadline(self.limits.start))?;
                self.report.restarted.append(&mut self.node.processes_of(app));
            }
            Undo::Unstage => self.node.unstage(),
            Undo::StopApplication(app) => {
                let stopped = self.node.stop_application(app, deadline(self.limits.stop));
                self.node.unload_application(app);
                stopped?;
            }
            Undo::Lower => self.report.pause = self.node.lower(),
            Undo::Discard => self.node.discard(),
        }
        Ok(())
    }

    /// Does what comes after the switch. What can not be ended is listed; what does not start is an error.
    fn finish(&mut self, finish: &Finish) -> Result<(), NodeError> {
        match finish {
            Finish::KillDoomed => self.kill_doomed(),
            Finish::Lower => self.report.pause = self.node.lower(),
            Finish::Sweep => self.node.sweep(deadline(self.limits.sweep)),
            Finish::ConfigChange => {
                let mut answers = self.node.config_change(deadline(self.limits.start));
                self.report.warnings.append(&mut answers);
            }
            Finish::StopApplication(app) => {
                let stopped = self.node.stop_application(app, deadline(self.limits.stop));
                self.warn(stopped);
            }
            Finish::UnloadApplication(app) => self.node.unload_application(app),
            Finish::StopChildren(modules) => {
                let stopped = self.node.stop_children(modules, deadline(self.limits.stop));
                self.warn(stopped);
            }
            Finish::StartChildren(modules) => {
                self.node.start_children(modules, deadline(self.limits.start))?;
            }
            Finish::Call(call) if call.ends() => {
                let ended = self.node.call(call, deadline(self.limits.stop));
                self.warn(ended);
            }
            Finish::Call(call) => self.node.call(call, deadline(self.limits.start))?,
            Finish::Purge { slot, modules, method } => self.purge(*slot, modules, *method),
        }
        Ok(())
    }

    fn warn(&mut self, result: Result<(), NodeError>) {
        self.report.warnings.extend(result.err().map(|error| error.to_string()));
    }

    fn kill_doomed(&mut self) {
        let pids: Vec<_> = self.doomed.iter().map(|process| process.pid).collect();
        if !pids.is_empty() {
            self.node.kill(&pids);
            self.report.killed.append(&mut self.doomed);
        }
    }

    fn purge(&mut self, slot: Slot, modules: &[ModuleName], method: PurgeMethod) {
        let mut purged = self.node.purge(slot, modules, method, deadline(self.limits.sweep));
        self.report.killed.append(&mut purged.killed);
        self.report.lingering.append(&mut purged.lingering);
    }

    /// Notes what the node's journal says.
    fn compare(&mut self) {
        let comparison = match guarded(|| self.node.comparison()) {
            Ok(comparison) => comparison,
            Err(panic) => {
                self.report.warnings.push(Cause::Panicked(panic).to_string());
                return;
            }
        };
        self.report.exits = comparison.exits;
        self.report.restarted = comparison.starts;
        self.report.timeouts = comparison.timeouts;
    }
}

/// Every load has its load_object_code before it, which is a rule of `Script::check`.
fn staging(blueprint: &Blueprint, images: &BTreeMap<AppName, Image>) -> Staging {
    Staging {
        modules: blueprint.modules.iter().map(|(module, app)| (module.clone(), images[app])).collect(),
        removals: blueprint.removals.clone(),
        at_once: blueprint.at_once.clone(),
        continues: blueprint.continues,
        apps: blueprint.apps.clone(),
    }
}

fn deadline(after: Duration) -> Instant {
    Instant::now() + after
}
