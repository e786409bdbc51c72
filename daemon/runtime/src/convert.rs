//! Converting the states of an upgrade's members: jobs on the pool give each process a shadow beside its live state.
//!
//! ```text
//! convert --> a job on each worker: take the next process, visit it (export), convert, visit it (place the shadow)
//!    |          |  after CHUNK processes: behind what else the pool has to do
//!    | waits    |  a state is refused: all jobs end
//!    v          v
//!  all ended, one refused, or one that does not come back
//! ```
//!
//! App code that never returns cannot be stopped: its thread is left to itself, and [`Stuck`] tells of it until it
//! comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::code::{Behaviour, Bytes, Instance};
use crate::code_server::Code;
use crate::exit::Exit;
use crate::pid::Pid;
use crate::process::{Actor, Body, Process};
use crate::slot::{Slot, Unclaimed};
use crate::supervisor;
use crate::upgrade::{Fate, Shadow};
use crate::world::World;

/// How many processes a pool job converts before it lets others run.
const CHUNK: usize = 128;

/// How the states of a module's processes are converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conversion {
    /// Written by the old code, read by the new.
    Soft,
    /// The new code converts from this version.
    Up {
        /// The version the states come from.
        from: String,
        /// MessagePack for the app.
        extra: Bytes,
    },
    /// The code that is left converts to this version, then the older code reads.
    Down {
        /// The version the states go to.
        to: String,
        /// MessagePack for the app.
        extra: Bytes,
    },
    /// The new code's init is asked again with the original argument; specs are merged, children stay.
    Supervisor,
}

/// A conversion that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// A process's state was not accepted.
    #[error("{pid}: {version}: {exit}")]
    Refused {
        /// The process.
        pid: Pid,
        /// The version of the code that answered.
        version: String,
        /// Why.
        exit: Exit,
    },
    /// A conversion did not come back in time; its thread is left to itself, see [`Stuck`].
    #[error("{pid}: {version}: no answer in time")]
    TimedOut {
        /// The process.
        pid: Pid,
        /// The version of the code that does not come back.
        version: String,
    },
    /// No thread was free to convert anything for all that time.
    #[error("no thread was free")]
    Starved,
}

/// App code that does not come back, and so holds a thread and its library. OTP has no such thing: the emulator
/// interrupts any code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Whose state or message it works on.
    pub pid: Pid,
    /// The module.
    pub module: String,
    /// The version of that code.
    pub version: String,
    /// Since when.
    pub since: Instant,
}

/// What a conversion did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Converted {
    /// How many processes have a shadow now.
    pub processes: usize,
    /// What changed for supervisors.
    pub children: Vec<(Pid, supervisor::Change)>,
}

/// Converts the states of these processes to shadows, and waits for that. `limit` is for each state by itself, as the
/// time-out of `sys:change_code` is in OTP.
pub(crate) fn convert(
    world: &Arc<World>,
    pids: Vec<Pid>,
    code: Arc<Code>,
    how: Conversion,
    upgrade: usize,
    limit: Duration,
) -> Result<Converted, ConvertError> {
    let work = Arc::new(Work {
        world: Arc::clone(world),
        upgrade,
        pids,
        code,
        how,
        next: AtomicUsize::new(0),
        at: (0..world.scheduler.width()).map(|_| Mutex::new(None)).collect(),
        state: Mutex::new(WorkState::default()),
        done: Condvar::new(),
    });
    (0..work.at.len()).for_each(|job| Work::spawn(&work, job));
    work.wait(limit)
}

/// One conversion, shared by the jobs that do it.
struct Work {
    world: Arc<World>,
    upgrade: usize,
    pids: Vec<Pid>,
    code: Arc<Code>,
    how: Conversion,
    next: AtomicUsize,
    /// Where each job is; read when one does not come back.
    at: Vec<Mutex<Option<At>>>,
    state: Mutex<WorkState>,
    done: Condvar,
}

/// Which state a job converts, since when, and whose code does it.
#[derive(Clone, Copy)]
struct At {
    pid: Pid,
    since: Instant,
    side: Side,
    /// It was given up, and [`World::stuck`] tells of it.
    is_stuck: bool,
}

#[derive(Clone, Copy)]
enum Side {
    Old,
    New,
}

#[derive(Default)]
struct WorkState {
    /// Jobs that have ended.
    ended: usize,
    converted: Converted,
    error: Option<ConvertError>,
}

impl Work {
    fn spawn(work: &Arc<Self>, job: usize) {
        let next = Arc::clone(work);
        work.world.scheduler.job(Box::new(move || Self::chunk(&next, job)));
    }

    /// Converts some processes, then queues up again behind what else the pool has to do.
    fn chunk(work: &Arc<Self>, job: usize) {
        let mut converted = Converted::default();
        // Neighbours go to one worker: their places lie side by side.
        let pids = work.pids.chunks(CHUNK).nth(work.next.fetch_add(1, Ordering::Relaxed));
        let mut ended = pids.is_none();
        for pid in pids.unwrap_or_default().iter().copied() {
            if !work.is_open() {
                ended = true;
                break;
            }
            match work.one(job, pid) {
                Ok(One::Converted(change)) => {
                    converted.processes += 1;
                    converted.children.extend(change.map(|change| (pid, change)));
                }
                Ok(One::Gone) => {}
                Err(error) => {
                    ended = true;
                    work.state.lock().error.get_or_insert(error);
                    break;
                }
            }
        }
        work.go(job, None);
        work.note(converted, ended);
        if !ended {
            Self::spawn(work, job);
        }
    }

    fn is_open(&self) -> bool {
        self.world.fates.of(self.upgrade) == Fate::Open
    }

    /// Notes where a job is now. One that was given up has come back.
    fn go(&self, job: usize, to: Option<At>) {
        let from = std::mem::replace(&mut *self.at[job].lock(), to);
        if let Some(at) = from.filter(|at| at.is_stuck) {
            self.world.stuck.lock().retain(|stuck| (stuck.pid, stuck.since) != (at.pid, at.since));
        }
    }

    fn note(&self, converted: Converted, ended: bool) {
        let mut state = self.state.lock();
        state.converted.processes += converted.processes;
        state.converted.children.extend(converted.children);
        if ended {
            state.ended += 1;
            self.done.notify_all();
        }
    }

    fn wait(&self, limit: Duration) -> Result<Converted, ConvertError> {
        let mut state = self.state.lock();
        let mut begun = 0;
        while state.ended < self.at.len() && state.error.is_none() {
            let oldest = self.at.iter().filter_map(|at| *at.lock()).min_by_key(|at| at.since);
            let since = oldest.map_or_else(Instant::now, |at| at.since);
            if !self.done.wait_until(&mut state, since + limit).timed_out() {
                continue;
            }
            let begun_before = std::mem::replace(&mut begun, self.next.load(Ordering::Relaxed));
            state.error = match self.at.iter().find_map(|at| self.abandon(&mut at.lock(), limit)) {
                Some(error) => Some(error),
                None if oldest.is_none() && begun == begun_before => Some(ConvertError::Starved),
                None => None,
            };
        }
        match state.error.clone() {
            Some(error) => Err(error),
            None => Ok(std::mem::take(&mut state.converted)),
        }
    }

    /// Leaves a conversion that takes too long to itself, and its thread with it.
    fn abandon(&self, at: &mut Option<At>, limit: Duration) -> Option<ConvertError> {
        let at = at.as_mut().filter(|at| at.since.elapsed() >= limit)?;
        at.is_stuck = true;
        let own = || (self.code.name().to_owned(), self.code.module.version().to_owned());
        let (module, version) = match at.side {
            Side::New => own(),
            Side::Old => self.world.process(at.pid).map_or_else(own, |info| (info.module, info.version)),
        };
        tracing::warn!(name: "code_change.stuck", pid = %at.pid, module, version, "app code does not come back; it keeps its thread");
        let stuck = Stuck { pid: at.pid, module, version: version.clone(), since: at.since };
        self.world.stuck.lock().push(stuck);
        Some(ConvertError::TimedOut { pid: at.pid, version })
    }

    /// Gives one resting process a shadow. The conversion itself runs while nobody has the process claimed, so a slow
    /// one blocks no sender and no inspector.
    fn one(&self, job: usize, pid: Pid) -> Result<One, ConvertError> {
        let since = Instant::now();
        let at = |side| self.go(job, Some(At { pid, since, side, is_stuck: false }));
        at(Side::Old);
        let made = match visit(&self.world, pid, |body| read(&self.world, body, &self.how, &self.code)) {
            None | Some(Ok(None)) => return Ok(One::Gone),
            Some(Ok(Some(made))) => made,
            Some(Err(exit)) => {
                let new = matches!(self.how, Conversion::Supervisor).then_some(&*self.code);
                return Err(self.refused(pid, new, exit));
            }
        };
        let (instance, change) = match made {
            Made::Supervisor((instance, change)) => (instance, Some(change)),
            Made::State(bytes) => {
                let bytes = self.lower(pid, bytes)?;
                at(Side::New);
                let instance = match &self.how {
                    Conversion::Up { from, extra } => self.code.module.change_code(from, &bytes, extra),
                    _ => self.code.module.import(&bytes),
                };
                (instance.map_err(|exit| self.refused(pid, Some(&self.code), exit))?, None)
            }
        };
        Ok(self.place(pid, instance).map_or(One::Gone, |()| One::Converted(change)))
    }

    /// Going down, the code that is left makes the state that the other can read.
    fn lower(&self, pid: Pid, state: Bytes) -> Result<Bytes, ConvertError> {
        let Conversion::Down { to, extra } = &self.how else { return Ok(state) };
        let card = |slot: &Slot<Process>| slot.card(pid.generation, |card| Arc::clone(&card.code));
        let Some(old) = self.world.slot(pid).and_then(card) else { return Ok(state) };
        old.module.change_code_down(to, &state, extra).map_err(|exit| self.refused(pid, Some(&old), exit))
    }

    /// Puts a shadow beside the live state, unless the upgrade was given up meanwhile.
    fn place(&self, pid: Pid, instance: Box<dyn Instance>) -> Option<()> {
        let shadow = Box::new(Shadow { upgrade: self.upgrade, code: Arc::clone(&self.code), instance });
        visit(&self.world, pid, |body| {
            if self.is_open() {
                body.shadow = Some(shadow);
            }
        })
    }

    /// `by` is who refused; `None` for the code that the process runs.
    fn refused(&self, pid: Pid, by: Option<&Code>, exit: Exit) -> ConvertError {
        let version = match by {
            Some(code) => code.module.version().to_owned(),
            None => self.world.process(pid).map(|info| info.version).unwrap_or_default(),
        };
        ConvertError::Refused { pid, version, exit }
    }
}

enum One {
    Converted(Option<supervisor::Change>),
    /// The process has ended, or has not been born.
    Gone,
}

enum Made {
    Supervisor((Box<dyn Instance>, supervisor::Change)),
    State(Bytes),
}

/// Reads the state of a process at rest; `None` where nothing of it is to be converted.
fn read(world: &World, body: &Body, how: &Conversion, new: &Arc<Code>) -> Result<Option<Made>, Exit> {
    let Actor::Resting(instance) = &body.actor else { return Ok(None) };
    if matches!(how, Conversion::Supervisor) {
        let changed = instance.supervisor().map(|old| supervisor::change(old, new, &world.code));
        return Ok(changed.transpose()?.map(Made::Supervisor));
    }
    // Unlike gen_servers, a supervisor's state is the daemon's own: without a new init nothing of it changes.
    if body.card.code.behaviour() == Behaviour::Supervisor {
        return Ok(None);
    }
    instance.export().map(|bytes| Some(Made::State(bytes)))
}

/// Visits a process at rest; `None` when it has ended.
fn visit<R>(world: &World, pid: Pid, work: impl FnOnce(&mut Body) -> R) -> Option<R> {
    let slot = world.slot(pid)?;
    let mut body = loop {
        match slot.visit(pid.generation) {
            Ok(body) => break body,
            Err(Unclaimed::Dead) => return None,
            // A worker is handling a signal or parking it: a matter of microseconds for a process at rest.
            Err(Unclaimed::Taken) => std::thread::yield_now(),
        }
    };
    let result = work(&mut body);
    leave(world, slot, body);
    Some(result)
}

pub(crate) fn leave(world: &World, slot: &Slot<Process>, body: Box<Body>) {
    let (pid, left) = (body.pid, body.has_work());
    let put = slot.leave(body, left);
    world.act_last(pid, put.wake);
    if let Some(gate) = put.rested {
        world.gate.rested(pid, gate);
    }
}
