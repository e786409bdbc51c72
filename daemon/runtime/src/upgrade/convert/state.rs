//! Converts one state: reads it from its process, converts it while the process is not claimed, and
//! places the shadow.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::RwLock;

use super::{At, One, Work, leave};
use crate::process::body::{Actor, Body};
use crate::process::card::Card;
use crate::process::rows::Rows;
use crate::process::shadow::Shadow;
use crate::process::slot::Unclaimed;
use crate::tree::supervisor::{self, Supervisor};
use crate::upgrade::conversion::{Conversion, ConvertError, Passage};
use crate::words::child_spec::SupervisorSpec;
use crate::words::code::{Behaviour, Bytes, Instance};
use crate::words::code_server::Code;
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::world::change::settle;

impl Work {
    /// Gives one process at rest a shadow. The process is not claimed during the conversion and the
    /// trial, so a slow conversion blocks no sender and no inspector.
    pub(super) fn one(&self, job: usize, pid: Pid, trial: &mut Duration) -> Result<One, ConvertError> {
        self.go(job, Some(At::new(pid, false)));
        let read = match self.visit(pid, |body| self.read(job, body)) {
            Visited::Done(Ok(read)) => read,
            Visited::Done(Err(exit)) => return Err(self.refused(pid, None, exit)),
            Visited::Gone => return Ok(One::Nothing),
            Visited::Taken => return Ok(One::Dirty),
        };
        let made = match (read, &self.order.to) {
            (Read::Runs, _) => return Ok(One::Dirty),
            (Read::Nothing, _) | (_, None) => return Ok(One::Nothing),
            (Read::Supervisor(args, rows, old), Some((code, passage))) => {
                self.enter(job, code);
                let stays =
                    |id: &[u8]| !self.order.to_be_deleted.iter().any(|(of, it)| *of == pid && it == id);
                let wanted = supervisor::wanted(code, &args).and_then(|wanted| {
                    supervisor::check_kept(&rows, wanted.as_ref(), stays, &self.world.code)?;
                    Ok(wanted)
                });
                let wanted = wanted.map_err(|exit| self.refused(pid, Some(code), exit))?;
                *trial +=
                    self.trial(job, pid, passage, |back| self.ask_again(job, pid, &args, &old.code, back))?;
                Made::Supervisor(wanted)
            }
            (Read::State(state, old), Some((code, passage))) => {
                let made = self.carry(job, pid, state, (&old.code, code), &passage.how)?;
                *trial += self.trial(job, pid, passage, |back| {
                    let state = made.export().map_err(|exit| self.refused(pid, Some(code), exit))?;
                    self.carry(job, pid, state, (code, &old.code), back).map(drop)
                })?;
                Made::State(made)
            }
        };
        self.place(pid, made)
    }

    /// Records which code the job is about to run.
    fn enter(&self, job: usize, code: &Arc<Code>) {
        let is_new = self.order.to.as_ref().is_some_and(|(new, _)| Arc::ptr_eq(new, code));
        self.at[job].is_in_new.store(is_new, Ordering::Relaxed);
    }

    /// Carries a state from the code that wrote it to other code.
    fn carry(
        &self,
        job: usize,
        pid: Pid,
        state: Bytes,
        (from, to): (&Arc<Code>, &Arc<Code>),
        how: &Conversion,
    ) -> Result<Box<dyn Instance>, ConvertError> {
        // On a downgrade, the newer code makes the state that the older code can read.
        let state = match how {
            Conversion::Down { to: version, extra, .. } => {
                self.enter(job, from);
                let lowered = from.module.change_code_down(version, &state, extra);
                lowered.map_err(|exit| self.refused(pid, Some(from), exit))?
            }
            Conversion::Soft { .. } | Conversion::Up { .. } | Conversion::Supervisor => state,
        };
        self.enter(job, to);
        let made = match how {
            Conversion::Up { from: version, extra } => to.module.change_code(version, &state, extra),
            Conversion::Soft { cut } | Conversion::Down { cut, .. } => to.module.import(&cut.of(&state)),
            Conversion::Supervisor => Err(Exit::Error("it is not a supervisor".to_owned())),
        };
        made.map_err(|exit| self.refused(pid, Some(to), exit))
    }

    /// Calls the init in the supervisor's running code again, as the reverse conversion would. The
    /// state of a supervisor belongs to the daemon and needs no conversion.
    fn ask_again(
        &self,
        job: usize,
        pid: Pid,
        args: &[u8],
        code: &Arc<Code>,
        back: &Conversion,
    ) -> Result<(), ConvertError> {
        if matches!(back, Conversion::Soft { .. }) {
            return Ok(());
        }
        self.enter(job, code);
        let wanted = supervisor::wanted(code, args).map(drop);
        wanted.map_err(|exit| self.refused(pid, Some(code), exit))
    }

    /// Converts a new state back as a trial, if the upgrade makes trials. Returns the time that
    /// this took. The trial has a time limit of its own.
    fn trial(
        &self,
        job: usize,
        pid: Pid,
        passage: &Passage,
        carry: impl FnOnce(&Conversion) -> Result<(), ConvertError>,
    ) -> Result<Duration, ConvertError> {
        let Some(back) = &passage.back else { return Ok(Duration::ZERO) };
        let at = At::new(pid, true);
        self.go(job, Some(at));
        carry(back).map_err(|error| self.no_way_back(error))?;
        Ok(at.since.elapsed())
    }

    /// Wraps the failure of a trial.
    pub(super) fn no_way_back(&self, cause: ConvertError) -> ConvertError {
        let from = self.order.to.as_ref().map(|(code, _)| code.module.version().to_owned());
        let to = cause.pid().map(|pid| self.version_of(pid));
        let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
        ConvertError::NoWayBack { from, to, cause: Box::new(cause) }
    }

    /// Returns the code that a process runs.
    pub(super) fn running(&self, pid: Pid) -> Option<Arc<Code>> {
        self.world.slot(pid)?.card(pid.generation, |card| Arc::clone(&card.code))
    }

    /// Returns the code that the shadows will replace.
    pub(super) fn replaced(&self) -> Option<Arc<Code>> {
        self.world.code.current(self.order.to.as_ref()?.0.name())
    }

    /// Returns the version of the code that a process runs; if it has ended, the module's version
    /// before the upgrade.
    fn version_of(&self, pid: Pid) -> String {
        let code = self.running(pid).or_else(|| self.replaced());
        code.map(|code| code.module.version().to_owned()).unwrap_or_default()
    }

    /// Reads the state of a process at rest, and marks the process as read in this round.
    fn read(&self, job: usize, body: &mut Body) -> Result<Read, Exit> {
        self.enter(job, &body.card.code);
        settle(&self.world, body);
        if !matches!(body.actor, Actor::Resting(_)) {
            return Ok(Read::Runs);
        }
        if body.shadow.is_some() {
            return Ok(Read::Nothing);
        }
        body.round = self.order.round;
        let (Actor::Resting(instance), Some((_, Passage { how, .. }))) = (&body.actor, &self.order.to) else {
            return Ok(Read::Nothing);
        };
        // OTP: the code change of a supervisor always calls its init. Unlike the state of a
        // gen_server, the state of a supervisor belongs to the daemon: without a code change there
        // is nothing to convert.
        let is_supervisor = body.card.code.behaviour() == Behaviour::Supervisor;
        if is_supervisor && !matches!(how, Conversion::Soft { .. }) {
            let read = |old: &Supervisor| {
                Read::Supervisor(old.args().to_vec(), Arc::clone(old.rows()), Arc::clone(&body.card))
            };
            return Ok(Supervisor::of(&**instance).map_or(Read::Nothing, read));
        }
        if is_supervisor || matches!(how, Conversion::Supervisor) {
            return Ok(Read::Nothing);
        }
        Ok(Read::State(instance.export()?, Arc::clone(&body.card)))
    }

    /// Places a shadow beside the live state, unless the state may have changed or the upgrade was
    /// given up during the conversion. Reserves the name of a supervisor's new spec.
    fn place(&self, pid: Pid, made: Made) -> Result<One, ConvertError> {
        // A new state that is not placed stays here until the process is no longer claimed. Its
        // drop runs app code.
        let mut made = Some(made);
        let placed = self.visit(pid, |body| {
            if !self.is_open() {
                return Ok(One::Nothing);
            }
            let (Actor::Resting(live), Some((code, _))) = (&body.actor, &self.order.to) else {
                return Ok(One::Dirty);
            };
            if body.round != self.order.round {
                return Ok(One::Dirty);
            }
            let card = body.card.with_code(code);
            let (card, instance, change): (_, Box<dyn Instance>, _) =
                match (made.take(), Supervisor::of(&**live)) {
                    (Some(Made::State(instance)), _) => (card, instance, None),
                    (Some(Made::Supervisor(wanted)), Some(old)) => {
                        let (new, change) = supervisor::change(old, code, wanted);
                        let reserved = self.world.registry.reserve(pid, new.name(), || self.is_open());
                        reserved.map_err(|owner| supervisor::name_taken(code.name(), new.name(), owner))?;
                        (card.with_rows(new.rows()), new, Some(change))
                    }
                    _ => return Ok(One::Nothing),
                };
            let (upgrade, is_tried) = (self.order.upgrade, self.order.is_trial());
            let shadow = Shadow { upgrade, is_tried, card, instance };
            body.shadow = Some(Box::new(shadow));
            Ok(One::Converted(change))
        });
        match placed {
            Visited::Done(one) => {
                let code = self.order.to.as_ref().map(|(code, _)| &**code);
                one.map_err(|exit| self.refused(pid, code, exit))
            }
            Visited::Gone => Ok(One::Nothing),
            Visited::Taken => Ok(One::Dirty),
        }
    }

    /// Claims a process for `work`. Another thread claims a held process only for microseconds, to
    /// handle a signal or to park it.
    fn visit<R>(&self, pid: Pid, work: impl FnOnce(&mut Body) -> R) -> Visited<R> {
        let Some(slot) = self.world.slot(pid) else { return Visited::Gone };
        let mut body = loop {
            match slot.visit(pid.generation) {
                Ok(body) => break body,
                Err(Unclaimed::Dead) => return Visited::Gone,
                Err(Unclaimed::Taken) if self.order.is_held => std::thread::yield_now(),
                Err(Unclaimed::Taken) => return Visited::Taken,
            }
        };
        let result = work(&mut body);
        leave(&self.world, slot, body);
        Visited::Done(result)
    }

    /// Returns the error of a refused conversion. `by` is the code that refused; `None` stands for
    /// the code that the process runs.
    pub(super) fn refused(&self, pid: Pid, by: Option<&Code>, exit: Exit) -> ConvertError {
        let version = match by {
            Some(code) => code.module.version().to_owned(),
            None => self.version_of(pid),
        };
        ConvertError::Refused { pid, version, exit }
    }
}

/// The result of the first visit.
enum Read {
    /// A state, and the card of its process.
    State(Bytes, Arc<Card>),
    /// The start argument of a supervisor, its children, and the card of its process.
    Supervisor(Bytes, Arc<RwLock<Rows>>, Arc<Card>),
    Nothing,
    Runs,
}

/// The result that the second visit places.
enum Made {
    State(Box<dyn Instance>),
    /// The spec from the new init; merged with the current rows when it is placed.
    Supervisor(Option<SupervisorSpec>),
}

enum Visited<R> {
    Done(R),
    Gone,
    Taken,
}
