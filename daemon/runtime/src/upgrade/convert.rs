//! Converts the states of an upgrade's members: jobs on the pool give each process a shadow beside
//! its live state.
//!
//! ```text
//! convert --> a job on each worker: for each process: visit (export), convert, visit (place the shadow)
//!    |          |  after a chunk of processes: queues up again behind other work
//!    | waits    |  a state is refused: all jobs end
//!    v          v
//!  all jobs ended, one state was refused, or one conversion did not return
//! ```
//!
//! Members need not be held meanwhile. The first visit stores the number of the round in the body,
//! and the start of a callback clears that number
//! ([`invalidate_shadow`](crate::world::change::invalidate_shadow)). So the second visit sees
//! whether the state may have changed since it was read. If so, the process stays *dirty*.
//!
//! If the upgrade may have to be reverted, each new state is converted back as a trial before its
//! shadow is placed: the steps of a real downgrade convert it for the running code, and the result
//! is dropped. During a conversion or trial no process is claimed, and the thread has no running
//! process. So the node refuses every request that a conversion or trial makes.
//!
//! App code that never returns cannot be stopped. Its thread stays with it, and [`Stuck`] lists it
//! until it returns.

mod state;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use parking_lot::{Condvar, Mutex};

use crate::pool::lanes::Lanes;
use crate::pool::stuck::Stuck;
use crate::process::body::{Actor, Body, Process};
use crate::process::gate::Round;
use crate::process::shadow::Fate;
use crate::process::slot::Slot;
use crate::tree::supervisor;
use crate::upgrade::conversion::{ConvertError, Converted, Passage};
use crate::words::code::Bytes;
use crate::words::code_server::Code;
use crate::words::pid::Pid;
use crate::world::World;
use crate::world::change::settle;

/// A conversion to carry out on some processes.
pub(crate) struct Order {
    pub(crate) pids: Vec<Pid>,
    /// The new code, and the way in which states are carried to it. With `None` the processes are
    /// not converted, only recorded as at rest.
    pub(crate) to: Option<(Arc<Code>, Passage)>,
    pub(crate) to_be_deleted: Arc<[(Pid, Bytes)]>,
    pub(crate) upgrade: usize,
    pub(crate) round: Round,
    /// True if the gate holds the processes, so that none stays claimed for long.
    pub(crate) is_held: bool,
}

/// The result of a conversion, and the processes that are still to be converted because they run or
/// ran meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) converted: Converted,
    pub(crate) dirty: Vec<Pid>,
    /// The total time that the trials took.
    pub(crate) trial: Duration,
}

impl Order {
    /// Returns whether each state is also converted back as a trial.
    fn is_trial(&self) -> bool {
        self.to.as_ref().is_some_and(|(_, passage)| passage.back.is_some())
    }
}

/// How often the wait checks whether the upgrade was given up.
const CHECK_EVERY: Duration = Duration::from_millis(20);

/// When the upgrade is given up, a conversion that has taken this long is listed as stuck.
const SLOW: Duration = Duration::from_millis(100);

/// Converts the states of these processes to shadows, and waits. `limit` applies to each state
/// separately, like the time-out of `sys:change_code` in OTP.
pub(crate) fn convert(world: &Arc<World>, order: Order, limit: Duration) -> Result<Done, ConvertError> {
    if order.pids.is_empty() {
        return Ok(Done::default());
    }
    let work = Arc::new(Work {
        world: Arc::clone(world),
        lanes: Lanes::new(order.pids.len(), world.scheduler.width()),
        order,
        at: (0..world.scheduler.width()).map(|_| CachePadded::default()).collect(),
        state: Mutex::new(WorkState::default()),
        done: Condvar::new(),
    });
    (0..work.at.len()).for_each(|job| Work::spawn(&work, job));
    work.wait(limit)
}

/// One conversion, shared by its jobs.
struct Work {
    world: Arc<World>,
    order: Order,
    /// The indexes into `order.pids`.
    lanes: Lanes,
    /// The position of each job, which is read when a conversion does not return. Each position is
    /// written for every process, so each has a cache line of its own.
    at: Vec<CachePadded<Station>>,
    state: Mutex<WorkState>,
    done: Condvar,
}

/// The position of a job.
#[derive(Default)]
struct Station {
    at: Mutex<Option<At>>,
    /// True while the new code runs, false while the old code runs.
    is_in_new: AtomicBool,
}

/// The state that a job converts.
#[derive(Clone, Copy)]
struct At {
    pid: Pid,
    since: Instant,
    /// True while the new state is converted back as a trial.
    is_trial: bool,
    /// True once the conversion was given up; [`World::stuck`] then lists it.
    is_stuck: bool,
}

impl At {
    fn new(pid: Pid, is_trial: bool) -> Self {
        Self { pid, since: Instant::now(), is_trial, is_stuck: false }
    }
}

#[derive(Default)]
struct WorkState {
    /// The number of jobs that have ended.
    ended: usize,
    done: Done,
    error: Option<ConvertError>,
}

/// The result for one process.
enum One {
    Converted(Option<supervisor::Change>),
    /// The process has ended, has nothing to convert, or already has its shadow.
    Nothing,
    /// The process runs, or it ran during the conversion.
    Dirty,
}

impl Work {
    fn spawn(work: &Arc<Self>, job: usize) {
        let next = Arc::clone(work);
        work.world.scheduler.job(Box::new(move || Self::chunk(&next, job)));
    }

    /// Converts a chunk of processes, then queues up again behind the other work of the pool.
    fn chunk(work: &Arc<Self>, job: usize) {
        let mut done = Done::default();
        let chunk = work.lanes.next(job);
        let mut ended = chunk.is_none();
        for pid in work.order.pids[chunk.unwrap_or_default()].iter().copied() {
            if !work.is_open() {
                ended = true;
                break;
            }
            match work.one(job, pid, &mut done.trial) {
                Ok(One::Converted(change)) => {
                    done.converted.processes += 1;
                    done.converted.children.extend(change.map(|change| (pid, change)));
                }
                Ok(One::Nothing) => {}
                Ok(One::Dirty) => done.dirty.push(pid),
                Err(error) => {
                    ended = true;
                    work.state.lock().error.get_or_insert(error);
                    break;
                }
            }
        }
        work.go(job, None);
        work.note(done, ended);
        if !ended {
            Self::spawn(work, job);
        }
    }

    fn is_open(&self) -> bool {
        self.world.fates.of(self.order.upgrade) == Fate::Open
    }

    /// Records the state that a job converts now, or `None`. If its previous conversion had been
    /// given up as stuck, that conversion has returned after all and is taken off [`World::stuck`].
    fn go(&self, job: usize, to: Option<At>) {
        let from = std::mem::replace(&mut *self.at[job].at.lock(), to);
        if let Some(at) = from.filter(|at| at.is_stuck) {
            self.world.stuck.lock().retain(|stuck| (stuck.pid, stuck.since) != (at.pid, at.since));
        }
    }

    fn note(&self, done: Done, ended: bool) {
        let tried = if self.order.is_trial() { done.converted.processes } else { 0 };
        self.world.fates.shadowed(self.order.upgrade, done.converted.processes, tried);
        let mut state = self.state.lock();
        let all = &mut state.done;
        all.converted.processes += done.converted.processes;
        all.converted.children.extend(done.converted.children);
        all.dirty.extend(done.dirty);
        all.trial += done.trial;
        if ended {
            state.ended += 1;
            self.done.notify_all();
        }
    }

    fn wait(&self, limit: Duration) -> Result<Done, ConvertError> {
        let mut state = self.state.lock();
        let (mut begun, mut idle) = (0, Instant::now());
        while state.ended < self.at.len() && state.error.is_none() {
            let oldest = self.at.iter().filter_map(|station| *station.at.lock()).min_by_key(|at| at.since);
            let begun_before = std::mem::replace(&mut begun, self.lanes.begun());
            if oldest.is_some() || begun != begun_before {
                idle = Instant::now();
            }
            let since = oldest.map_or(idle, |at| at.since);
            let until = (since + limit).min(Instant::now() + CHECK_EVERY);
            if !self.done.wait_until(&mut state, until).timed_out() {
                continue;
            }
            if self.world.is_given_up() {
                self.at.iter().for_each(|station| drop(self.abandon(station, SLOW)));
                state.error = Some(ConvertError::GivenUp);
                continue;
            }
            if Instant::now() < since + limit {
                continue;
            }
            state.error = match self.at.iter().find_map(|station| self.abandon(station, limit)) {
                Some(error) => Some(error),
                None if oldest.is_none() && begun == self.lanes.begun() => Some(ConvertError::Starved),
                None => None,
            };
        }
        match state.error.clone() {
            Some(error) => Err(error),
            None => Ok(std::mem::take(&mut state.done)),
        }
    }

    /// Gives up a conversion that has taken too long. Its thread stays with it.
    fn abandon(&self, station: &Station, limit: Duration) -> Option<ConvertError> {
        let mut at = station.at.lock();
        let at = at.as_mut().filter(|at| at.since.elapsed() >= limit)?;
        at.is_stuck = true;
        let of = |code: &Code| {
            let text = |text: &str| text.to_owned();
            (text(code.name()), text(code.module.version()), text(code.module.app()))
        };
        let is_in_new = station.is_in_new.load(Ordering::Relaxed);
        let new = self.order.to.as_ref().filter(|_| is_in_new).map(|(code, _)| of(code));
        let running = || self.running(at.pid).map(|code| of(&code));
        let replaced = || self.replaced().map(|code| of(&code));
        let (module, version, app) = new.or_else(running).or_else(replaced).unwrap_or_default();
        tracing::warn!(name: "code_change.stuck", pid = %at.pid, module, version, "app code does not return; its thread is left to it");
        let version_ = version.clone();
        let stuck = Stuck {
            pid: at.pid,
            module,
            version: version_,
            app,
            since: at.since,
            is_detached: true,
            frames: Vec::new(),
        };
        self.world.stuck.lock().push(stuck);
        let error = ConvertError::TimedOut { pid: at.pid, version };
        Some(if at.is_trial { self.no_way_back(error) } else { error })
    }
}

/// Reads the state of a process at rest without sending it a message. Runs app code, so it is
/// called on the pool only.
pub(crate) fn resting_state(world: &World, pid: Pid) -> Option<Bytes> {
    let slot = world.slot(pid)?;
    let mut body = slot.visit(pid.generation).ok()?;
    settle(world, &mut body);
    let state = match &body.actor {
        Actor::Resting(instance) => instance.export().ok(),
        _ => None,
    };
    leave(world, slot, body);
    state
}

pub(crate) fn leave(world: &World, slot: &Slot<Process>, body: Box<Body>) {
    let (pid, left) = (body.pid, body.has_work());
    let put = slot.leave(body, left);
    world.act_last(pid, put.wake);
    if let Some(gate) = put.rested {
        world.gate.rested(pid, gate);
    }
}
