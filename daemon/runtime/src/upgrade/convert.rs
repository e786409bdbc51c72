//! Converting the states of an upgrade's members: jobs on the pool give each process a shadow beside its live state.
//!
//! ```text
//! convert --> a job on each worker: take the next process, visit it (export), convert, visit it (place the shadow)
//!    |          |  after a chunk of them: behind what else the pool has to do
//!    | waits    |  a state is refused: all jobs end
//!    v          v
//!  all ended, one refused, or one that does not come back
//! ```
//!
//! Members need not be held meanwhile. The first visit leaves the number of the round in the body, and whoever begins a
//! callback takes it away ([`stir`](crate::world::change::stir)); so the second visit sees whether the state is still the one that
//! was read, and leaves the process *dirty* if not.
//!
//! Where an upgrade may have to go back, the way back is tried before a shadow is placed: the new
//! state is carried to the code that it came from by the very code that converts, and what that
//! makes is dropped. No process is claimed meanwhile, and none is the running one, so the node
//! refuses whatever a conversion or a trial asks it for.
//!
//! App code that never returns cannot be stopped: its thread is left to itself, and [`Stuck`] tells of it until it
//! comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use parking_lot::{Condvar, Mutex, RwLock};

use crate::pool::lanes::Lanes;
use crate::pool::stuck::Stuck;
use crate::process::body::{Actor, Body, Card, Process};
use crate::process::gate::Round;
use crate::process::rows::Rows;
use crate::process::shadow::{Fate, Shadow};
use crate::process::slot::{Slot, Unclaimed};
use crate::tree::supervisor::{self, Supervisor};
use crate::words::child_spec::SupervisorSpec;
use crate::words::code::{Behaviour, Bytes, Instance};
use crate::words::code_server::Code;
use crate::words::cut::Cut;
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::world::World;
use crate::world::change::settle;

/// How the states of a module's processes are converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conversion {
    /// Written by the old code, read by the new.
    Soft {
        /// What the new code is not to see of it.
        cut: Cut,
    },
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
        /// What the older code is not to see of the answer.
        cut: Cut,
    },
    /// The new code's init is asked again with the original argument; specs are merged, children stay.
    Supervisor,
}

impl Conversion {
    /// Returns what is cut out of a state that is carried over by bytes; nothing of one that its
    /// new code converts.
    pub(crate) fn cut(&self) -> &Cut {
        static NOTHING: Cut = Cut::NOTHING;
        match self {
            Self::Soft { cut } | Self::Down { cut, .. } => cut,
            Self::Up { .. } | Self::Supervisor => &NOTHING,
        }
    }
}

/// The way of a module's states to other code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// How they are converted.
    pub how: Conversion,
    /// How each is carried back, as a trial, before its conversion counts; `None` for no trial.
    pub back: Option<Conversion>,
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
    /// A new state cannot be carried back: a trial failed.
    #[error("no way back from {from} to {to}: {cause}")]
    NoWayBack {
        /// The version of the code that is to come.
        from: String,
        /// The version of the code that runs.
        to: String,
        /// What the trial came to.
        cause: Box<Self>,
    },
    /// No thread was free to convert anything for all that time.
    #[error("no thread was free")]
    Starved,
    /// The upgrade was given up meanwhile.
    #[error("the upgrade was given up")]
    GivenUp,
}

impl ConvertError {
    /// Returns the process whose state it is about.
    pub fn pid(&self) -> Option<Pid> {
        match self {
            Self::Refused { pid, .. } | Self::TimedOut { pid, .. } => Some(*pid),
            Self::NoWayBack { cause, .. } => cause.pid(),
            Self::Starved | Self::GivenUp => None,
        }
    }
}

/// What a conversion did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Converted {
    /// How many processes have a shadow now.
    pub processes: usize,
    /// What changed for supervisors.
    pub children: Vec<(Pid, supervisor::Change)>,
}

/// What is to be done with some processes.
pub(crate) struct Order {
    pub(crate) pids: Vec<Pid>,
    /// The code of the shadows and the way to them; without it processes are only noted to be at rest.
    pub(crate) to: Option<(Arc<Code>, Passage)>,
    /// Children, by supervisor and id, that are deleted right after the switch.
    pub(crate) leaving: Arc<[(Pid, Bytes)]>,
    pub(crate) upgrade: usize,
    pub(crate) round: Round,
    /// The processes are held: one that is claimed is not for long.
    pub(crate) is_held: bool,
}

/// What a conversion did, and which processes it leaves to another one: they run, or ran meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) converted: Converted,
    pub(crate) dirty: Vec<Pid>,
    /// How long the trials of the way back took, added up.
    pub(crate) trial: Duration,
}

impl Order {
    /// Returns whether the way back of each state is tried.
    fn is_trial(&self) -> bool {
        self.to.as_ref().is_some_and(|(_, passage)| passage.back.is_some())
    }
}

/// How often is looked whether the upgrade is given up.
const HEED: Duration = Duration::from_millis(20);

/// A conversion that is given up and has taken so long already is told of as one that does not come back.
const SLOW: Duration = Duration::from_millis(100);

/// Converts the states of these processes to shadows, and waits for that. `limit` is for each state by itself, as the
/// time-out of `sys:change_code` is in OTP.
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

/// One conversion, shared by the jobs that do it.
struct Work {
    world: Arc<World>,
    order: Order,
    /// The places of `order.pids`.
    lanes: Lanes,
    /// Where each job is; read when one does not come back. Apart, since each is written for every process.
    at: Vec<CachePadded<Station>>,
    state: Mutex<WorkState>,
    done: Condvar,
}

/// Where a job is.
#[derive(Default)]
struct Station {
    at: Mutex<Option<At>>,
    /// The code that is to come does it.
    is_in_new: AtomicBool,
}

/// Which state a job converts, and since when.
#[derive(Clone, Copy)]
struct At {
    pid: Pid,
    since: Instant,
    /// The state is on its way back, as a trial.
    is_trial: bool,
    /// It was given up, and [`World::stuck`] tells of it.
    is_stuck: bool,
}

impl At {
    fn new(pid: Pid, is_trial: bool) -> Self {
        Self { pid, since: Instant::now(), is_trial, is_stuck: false }
    }
}

#[derive(Default)]
struct WorkState {
    /// Jobs that have ended.
    ended: usize,
    done: Done,
    error: Option<ConvertError>,
}

impl Work {
    fn spawn(work: &Arc<Self>, job: usize) {
        let next = Arc::clone(work);
        work.world.scheduler.job(Box::new(move || Self::chunk(&next, job)));
    }

    /// Converts some processes, then queues up again behind what else the pool has to do.
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

    /// Notes where a job is now. One that was given up has come back.
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
            let until = (since + limit).min(Instant::now() + HEED);
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

    /// Leaves a conversion that takes too long to itself, and its thread with it.
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
        tracing::warn!(name: "code_change.stuck", pid = %at.pid, module, version, "app code does not come back; it keeps its thread");
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

    /// Gives one resting process a shadow. The conversion itself, and the trial of the way back,
    /// run while nobody has the process claimed, so a slow one blocks no sender and no inspector.
    fn one(&self, job: usize, pid: Pid, trial: &mut Duration) -> Result<One, ConvertError> {
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
                let stays = |id: &[u8]| !self.order.leaving.iter().any(|(of, it)| *of == pid && it == id);
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
        Ok(self.place(pid, made))
    }

    /// Notes whose code is about to run.
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
        // Going down, the code that is left makes the state that the other can read.
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
            Conversion::Supervisor => Err(Exit::Error("it is no supervisor".to_owned())),
        };
        made.map_err(|exit| self.refused(pid, Some(to), exit))
    }

    /// Asks the init that a supervisor came from again, as the way back would. The state is the
    /// daemon's own, and stays.
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

    /// Tries the way back, where there is one to try; returns how long that took. The trial has a
    /// time limit of its own.
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

    /// Returns the failure of a trial for this reason.
    fn no_way_back(&self, cause: ConvertError) -> ConvertError {
        let from = self.order.to.as_ref().map(|(code, _)| code.module.version().to_owned());
        let to = cause.pid().map(|pid| self.version_of(pid));
        let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
        ConvertError::NoWayBack { from, to, cause: Box::new(cause) }
    }

    /// Returns the code that a process runs.
    fn running(&self, pid: Pid) -> Option<Arc<Code>> {
        self.world.slot(pid)?.card(pid.generation, |card| Arc::clone(&card.code))
    }

    /// Returns the code that the shadows are to replace.
    fn replaced(&self) -> Option<Arc<Code>> {
        self.world.code.current(self.order.to.as_ref()?.0.name())
    }

    /// Returns the version of the code that a process runs, or ran before it ended.
    fn version_of(&self, pid: Pid) -> String {
        let code = self.running(pid).or_else(|| self.replaced());
        code.map(|code| code.module.version().to_owned()).unwrap_or_default()
    }

    /// Reads the state of a process at rest, and notes that it was read.
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
        // OTP: whatever asked for it, the code change of a supervisor asks its init. Unlike gen_servers, its state is the
        // daemon's own: without a code change nothing of it moves.
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

    /// Puts a shadow beside the live state, unless that has changed, or the upgrade was given up meanwhile.
    fn place(&self, pid: Pid, made: Made) -> One {
        // What is not placed drops when nobody has the process claimed any more.
        let mut made = Some(made);
        let placed = self.visit(pid, |body| {
            if !self.is_open() {
                return One::Nothing;
            }
            let (Actor::Resting(live), Some((code, _))) = (&body.actor, &self.order.to) else {
                return One::Dirty;
            };
            if body.round != self.order.round {
                return One::Dirty;
            }
            let card = body.card.with_code(code);
            let (card, instance, change): (_, Box<dyn Instance>, _) =
                match (made.take(), Supervisor::of(&**live)) {
                    (Some(Made::State(instance)), _) => (card, instance, None),
                    (Some(Made::Supervisor(wanted)), Some(old)) => {
                        let (new, change) = supervisor::change(old, code, wanted);
                        (card.with_rows(new.rows()), new, Some(change))
                    }
                    _ => return One::Nothing,
                };
            let (upgrade, is_tried) = (self.order.upgrade, self.order.is_trial());
            let shadow = Shadow { upgrade, is_tried, card, instance };
            body.shadow = Some(Box::new(shadow));
            One::Converted(change)
        });
        match placed {
            Visited::Done(one) => one,
            Visited::Gone => One::Nothing,
            Visited::Taken => One::Dirty,
        }
    }

    /// Visits a process. One that is held and taken is so for microseconds only: a worker handles a signal, or parks it.
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

    /// `by` is who refused; `None` for the code that the process runs.
    fn refused(&self, pid: Pid, by: Option<&Code>, exit: Exit) -> ConvertError {
        let version = match by {
            Some(code) => code.module.version().to_owned(),
            None => self.version_of(pid),
        };
        ConvertError::Refused { pid, version, exit }
    }
}

enum One {
    Converted(Option<supervisor::Change>),
    /// The process has ended, or nothing of it is to be converted, or it has its shadow.
    Nothing,
    /// It runs, or ran meanwhile.
    Dirty,
}

/// What the first visit found.
enum Read {
    /// A state, and whose it is.
    State(Bytes, Arc<Card>),
    /// What a supervisor was started with, its children, and whose they are.
    Supervisor(Bytes, Arc<RwLock<Rows>>, Arc<Card>),
    Nothing,
    Runs,
}

/// What the second visit places.
enum Made {
    State(Box<dyn Instance>),
    /// What the new init wants; merged with the rows as they are when it is placed.
    Supervisor(Option<SupervisorSpec>),
}

enum Visited<R> {
    Done(R),
    Gone,
    Taken,
}

/// Reads the state of a process that rests, without asking it. `[pool]`
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
