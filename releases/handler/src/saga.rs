//! The saga: carries out a program on a node, and undoes the completed steps if one fails.
//!
//! ```text
//!   before, stage, staged, gate, held   ---ok--->   SWITCH   --->   finish 1, 2, .. m   --->   Installed
//!      | a step fails                                  (leftovers are listed;
//!      |                                                a failed start or call is a failure,
//!      |                                                and ends the finishes)
//!      v
//!   each phase undoes its steps, newest first, and returns its token   ---all done--->  RolledBack
//!      | an undo fails: it is recorded, the others are still done
//!      +---------------------------------------------------------------------------->  NeedsRestart
//! ```
//!
//! A saga is plain sequential code in the caller's thread and cannot be cancelled half-way. Each
//! phase with a token has a function. Before each step up to the switch, the saga checks for an
//! interrupt and for crashes after earlier windows. Either is a failure like any other.

mod cause;
mod meet;
mod steps;

use std::collections::BTreeMap;
use std::time::Instant;

use reld_plan::AppName;

use self::cause::Cause;
use crate::event::Progress;
use crate::guard::guarded;
use crate::interrupt::Interrupt;
use crate::limits::{Limits, deadline};
use crate::meeting::{Joined, Meetings, Unmet};
use crate::node::NodeError;
use crate::node::{Exited, Held, Idle, Image, Node, Staged, Staging, Switched};
use crate::process::Process;
use crate::report::{Failure, Outcome, Report, StepReport};
use crate::step::{Blueprint, Effect, Inside, Numbered, Precopy, Program, Undo};

/// Observes the steps. It is also called inside the pause, so it must not wait.
pub(crate) type Steps<'a> = &'a mut dyn FnMut(Progress<'_>);

/// A function that returns the crashes on a node since the first of several windows; none during
/// the first window.
pub(crate) type Crashes<'a, N> = &'a dyn Fn(&N) -> Vec<Exited>;

/// Everything around a saga that it heeds.
pub(crate) struct Around<'a, N> {
    pub(crate) limits: Limits,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) crashes: Crashes<'a, N>,
    /// `None` if the node has no fleet. Then no program has a meeting.
    pub(crate) meetings: Option<&'a dyn Meetings>,
}

/// Carries out a program, and records the events in the report.
pub(crate) fn run<N: Node>(
    node: &mut N,
    program: &Program,
    around: Around<'_, N>,
    report: &mut Report,
    observer: Steps<'_>,
) {
    let Around { limits, interrupt, crashes, meetings } = around;
    report.changed = true;
    let saga = Saga {
        node,
        program,
        limits,
        interrupt,
        crashes,
        meetings,
        attendance: Attendance::Ahead,
        report,
        observer,
        images: BTreeMap::new(),
        doomed: Vec::new(),
        is_switched: false,
        untried: String::new(),
    };
    interrupt.heed(true);
    saga.run();
    interrupt.heed(false);
}

/// The marker of a failed step, which is already recorded. The caller undoes the earlier steps.
struct Failed;

/// Why the switch did not succeed.
enum Halt {
    /// A step failed, and the phase has undone its own steps.
    Back,
    /// The switch itself failed: the node is in neither the old nor the new state.
    Torn,
}

/// The place of a saga in its meeting with other nodes.
enum Attendance {
    /// The meeting is ahead.
    Ahead,
    Joined(Joined),
    /// All nodes switch.
    Met(Joined),
    /// The meeting has ended for this node.
    Over,
}

struct Saga<'a, N> {
    node: &'a mut N,
    program: &'a Program,
    limits: Limits,
    interrupt: &'a Interrupt,
    crashes: Crashes<'a, N>,
    meetings: Option<&'a dyn Meetings>,
    attendance: Attendance,
    report: &'a mut Report,
    observer: Steps<'a>,
    images: BTreeMap<AppName, Image>,
    doomed: Vec<Process>,
    is_switched: bool,
    /// The reason why some pre-copied states were not converted back in the trial.
    untried: String,
}

impl<N: Node> Saga<'_, N> {
    fn run(mut self) {
        let mut undos = Vec::new();
        let ready = self.effects(&self.program.before, &mut undos);
        match ready.map_err(|Failed| Halt::Back).and_then(|()| self.stage()) {
            Ok(switched) => self.finish_all(switched),
            Err(Halt::Back) => self.undo_all(undos),
            Err(Halt::Torn) => {}
        }
    }

    fn stage(&mut self) -> Result<Switched, Halt> {
        let Program { stage: Numbered { step, what }, staged: effects, gate, .. } = self.program;
        let staged = self.attempt(*step, &what.to_string(), |saga| {
            Ok(saga.node.stage(Idle::new(), &staging(what, &saga.images))?)
        });
        let Ok(staged) = staged else { return Err(Halt::Back) };
        let (mut undos, mut has_shadows) = (Vec::new(), false);
        let mut ready = self.effects(effects, &mut undos);
        if let (Ok(()), Some(Numbered { step, what })) = (&ready, gate) {
            ready = self.attempt(*step, &what.to_string(), |saga| saga.precopy(&staged, what));
            has_shadows = ready.is_ok();
        }
        let ready = ready.and_then(|()| self.join());
        let staged = match ready {
            Ok(()) => match self.hold(staged) {
                Ok(switched) => return Ok(switched),
                Err(Some(staged)) => staged,
                Err(None) => return Err(Halt::Torn),
            },
            Err(Failed) => staged,
        };
        if has_shadows {
            self.take_back("discard shadow states", |saga| {
                saga.node.discard(&staged);
                Ok(())
            });
        }
        self.undo_all(undos);
        self.take_back("unstage", |saga| {
            saga.node.unstage(staged);
            Ok(())
        });
        Err(Halt::Back)
    }

    /// Returns the token if the window is to be undone; `None` if the switch failed.
    fn hold(&mut self, staged: Staged) -> Result<Switched, Option<Staged>> {
        let held = match &self.program.gate {
            Some(gate) => self.raise(gate, staged).map_err(Some)?,
            None => staged.hold(),
        };
        let mut undos = Vec::new();
        match self.convert_all(&held, &mut undos).and_then(|()| self.decide()) {
            Ok(()) => self.switch(held).ok_or(None),
            Err(Failed) => {
                self.undo_all(undos);
                Err(Some(self.lower(held)))
            }
        }
    }

    fn raise(&mut self, gate: &Numbered<Precopy>, staged: Staged) -> Result<Held, Staged> {
        let gate = Numbered { step: gate.step, what: &gate.what.gate };
        let mut token = Some(staged);
        let held = self.attempt(gate.step, &gate.what.to_string(), |saga| {
            let staged = token.take().unwrap_or_else(Staged::again);
            match saga.node.raise(staged, gate.what, deadline(saga.limits.rest)) {
                Ok((held, raised)) => {
                    saga.raised(raised);
                    Ok(held)
                }
                Err((staged, error)) => {
                    token = Some(staged);
                    Err(error.into())
                }
            }
        });
        held.map_err(|Failed| token.unwrap_or_else(Staged::again))
    }

    fn convert_all(&mut self, held: &Held, undos: &mut Vec<Undo>) -> Result<(), Failed> {
        let program = self.program;
        for Numbered { step, what } in &program.held {
            self.attempt(*step, &what.to_string(), |saga| match what {
                Inside::Effect(effect) => saga.forward(effect, undos),
                Inside::Convert(conversion) => saga.convert(held, conversion),
            })?;
        }
        match program.gate {
            Some(_) => self.attempt(program.switch, "compare", |saga| saga.check_all_converted()),
            None => Ok(()),
        }
    }

    fn lower(&mut self, held: Held) -> Staged {
        if self.program.gate.is_none() {
            return held.lower();
        }
        let mut token = None;
        self.take_back("resume", |saga| {
            let (staged, pause) = saga.node.lower(held);
            (saga.report.pause, token) = (pause, Some(staged));
            Ok(())
        });
        token.unwrap_or_else(Staged::again)
    }

    /// Returns `None` if the switch failed.
    fn switch(&mut self, held: Held) -> Option<Switched> {
        self.report.outcome = Outcome::Installed;
        let step = self.program.switch;
        let switched = self.timed(step, "switch", |saga| Ok(saga.node.switch(held)));
        self.is_switched = switched.is_ok();
        switched.map_err(|cause| self.torn(step, "switch", &cause)).ok()
    }

    fn finish_all(&mut self, switched: Switched) {
        let Program { switch, births, resume, finishes, gate, .. } = self.program;
        if gate.is_some() {
            self.conclude(*switch, "kill", |saga| {
                saga.kill_doomed();
                Ok(())
            });
            let held = deadline(self.limits.births);
            for Numbered { step, what } in births {
                if self.report.failure.is_none() {
                    let title = format!("apply {what}");
                    self.conclude(*step, &title, |saga| Ok(saga.start_child(&switched, what, held)?));
                }
            }
            // The gate is lowered even if an earlier step failed.
            let resumed = self.timed(*resume, "resume", |saga| {
                saga.report.pause = saga.node.resume(&switched);
                Ok(())
            });
            if let Err(cause) = resumed {
                return self.torn(*resume, "resume", &cause);
            }
        }
        // The sweep also ends the journal, so a window without a gate needs it too.
        self.conclude(*resume, "sweep", |saga| {
            saga.record_switch();
            saga.node.sweep(switched, deadline(saga.limits.sweep));
            Ok(())
        });
        for Numbered { step, what } in finishes {
            if self.report.failure.is_none() {
                self.conclude(*step, &what.to_string(), |saga| Ok(saga.finish(what)?));
            }
        }
        self.compare();
    }

    fn effects(&mut self, effects: &[Numbered<Effect>], undos: &mut Vec<Undo>) -> Result<(), Failed> {
        for Numbered { step, what } in effects {
            self.attempt(*step, &what.to_string(), |saga| saga.forward(what, undos))?;
        }
        Ok(())
    }

    /// Does a step before the switch, unless there is an interrupt or a crash.
    fn attempt<T>(
        &mut self,
        step: usize,
        title: &str,
        what: impl FnOnce(&mut Self) -> Result<T, Cause>,
    ) -> Result<T, Failed> {
        let done = match guarded(|| self.stopped()).map_err(Cause::Panicked) {
            Ok(None) => self.timed(step, title, what),
            Ok(Some(cause)) | Err(cause) => Err(cause),
        };
        done.map_err(|cause| {
            let cause = self.blamed(cause);
            self.refuse(&cause);
            self.failed(step, title, &cause);
            self.interrupt.heed(false);
            self.compare();
            self.report.outcome = Outcome::RolledBack;
            self.forget();
            Failed
        })
    }

    /// Does a step after the switch. It has no undo.
    fn conclude(&mut self, step: usize, title: &str, what: impl FnOnce(&mut Self) -> Result<(), Cause>) {
        if let Err(cause) = self.timed(step, title, what) {
            self.failed(step, title, &self.blamed(cause));
        }
    }

    /// Undoes effects, newest first. A failed undo does not stop the others.
    fn undo_all(&mut self, undos: Vec<Undo>) {
        for undo in undos.into_iter().rev() {
            self.take_back(&undo.to_string(), |saga| saga.undo(&undo));
        }
    }

    fn take_back(&mut self, undo: &str, what: impl FnOnce(&mut Self) -> Result<(), NodeError>) {
        tracing::info!(name: "release.install.undo", vsn = %self.report.to, undo);
        let undone = guarded(|| what(self)).map_err(Cause::Panicked);
        if let Err(error) = undone.and_then(|undone| Ok(undone?)) {
            tracing::error!(name: "release.install.not_undone", vsn = %self.report.to, undo, %error);
            self.report.not_undone.push(format!("{undo}: {error}"));
            self.report.outcome = Outcome::NeedsRestart;
        }
    }

    /// Returns the cause of a failed step: the interrupt, if it ended a wait of the node.
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
            ) | Cause::Unmet(Unmet::GivenUp)
        );
        self.interrupt.wish().filter(|_| is_wait).map_or(cause, Cause::Interrupted)
    }

    /// Returns why the next step must not be done: an interrupt or a crash.
    fn stopped(&self) -> Option<Cause> {
        let crashes = || Some((self.crashes)(self.node)).filter(|crashes| !crashes.is_empty());
        self.interrupt.wish().map(Cause::Interrupted).or_else(|| crashes().map(Cause::Crashed))
    }

    /// Announces a step, does it, and records its duration. A panic is a failure of the step.
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
        let duration_us = micros(begin);
        self.report.steps.push(StepReport { step, title: title.to_owned(), duration_us });
        answer.and_then(|answer| answer)
    }

    /// Records that the node is in neither the old nor the new state: it has to restart.
    fn torn(&mut self, step: usize, title: &str, cause: &Cause) {
        self.failed(step, title, cause);
        self.report.not_undone.push(format!("{title}: {cause}"));
        self.report.outcome = Outcome::NeedsRestart;
    }

    fn failed(&mut self, step: usize, title: &str, cause: &Cause) {
        tracing::error!(name: "release.install.failed", vsn = %self.report.to, step, title, %cause);
        let steps = self.program.steps;
        self.report.failure.get_or_insert_with(|| Failure {
            step,
            steps,
            title: title.to_owned(),
            code: cause.code(),
            cause: cause.to_string(),
            process: cause.process(),
        });
    }

    /// Copies the node's journal into the report.
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

fn micros(begin: Instant) -> u64 {
    begin.elapsed().as_micros().try_into().unwrap_or(u64::MAX)
}

/// Returns the staging with its images. Every load follows its load_object_code, by a rule of
/// `Script::check`.
fn staging(blueprint: &Blueprint, images: &BTreeMap<AppName, Image>) -> Staging {
    Staging {
        modules: blueprint.modules.iter().map(|(module, app)| (module.clone(), images[app])).collect(),
        removals: blueprint.removals.clone(),
        at_once: blueprint.at_once.clone(),
        continues: blueprint.continues,
        apps: blueprint.apps.clone(),
    }
}
