//! The gate: brings the members of an upgrade to rest, and holds them there.
//!
//! While the gate is up, a member starts no callback. A callback under way runs to its end: its
//! member *drains*. The calls that a draining member waits for are let through. The daemon sees
//! every open request. So it follows the requests from the waiting members to the processes that
//! hold them up, and lets these processes serve just these calls. In this way busy members that
//! call each other come to rest without deadlock. The daemon cannot see a deferred reply or data
//! expected on a socket: a member that waits for one runs into the deadline.
//!
//! ```text
//! build:  listen for births -> rounds of pre-copy
//! raise:  flag up -> count the busy members -> drain until every counted one rests -> closed
//!                                           \-> deadline: report the late members, lower
//! closed: no member runs; states are converted -> switch -> lower: parked members go on
//! ```
//!
//! After the switch and before parked members go on, a call of the upgrade itself may be let
//! through in the same way: a starting child may wait for parked members.
//!
//! A *counted* process was found inside a callback, and the gate waits for it until its body is put
//! back at rest ([`crate::process::slot`]).
//!
//! While the gate listens, each member is in one of two states. It is *dirty* if it is in the dirty
//! list of the gate. Otherwise a round of pre-copy has found it at rest, and it has begun no
//! callback since. So raising the gate needs to look at the dirty members only, however many
//! members there are. No member slips through, because the two sides go in opposite order. A worker
//! adds its process to the dirty list and *then* checks whether the gate is up. The raising thread
//! sets the flag and *then* reads the list.
//!
//! The gate sees processes through two traits ([`Processes`], [`Entrant`]), so that shuttle can run
//! this very code over processes of its own (`gate/model.rs`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::process::slot::{GateNumber, Rest};
use crate::words::code::From;
use crate::words::pid::Pid;
use crate::words::sync::{AtomicBool, AtomicU32, Condvar, Mutex, Ordering, RwLock};

mod drain;
#[cfg(all(test, feature = "shuttle"))]
mod model;

/// How often a gate checks again which calls the draining members wait for.
pub(crate) const LOOK_EVERY: Duration = Duration::from_micros(200);

/// Identifies a round of pre-copy among all rounds of all gates of a node; 0 stands for no round.
pub(crate) type Round = u32;

/// The treatment of members that do not come to rest in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unrest {
    /// The upgrade is aborted and the gate lowered.
    Abort,
    /// They are held inside their callbacks, and killed after the switch.
    Kill,
    /// They go on in old code, and change to the new code when their callback returns.
    Leave,
}

/// The terms on which the processes of one module are brought to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// How long each process may take.
    pub timeout: Duration,
    /// The treatment of processes that take longer.
    pub unrest: Unrest,
}

/// The process world as a gate sees it.
pub(crate) trait Processes {
    /// Checks whether a process rests. If it does not, marks the process as counted by that gate.
    fn rest(&self, pid: Pid, gate: GateNumber) -> Rest;
    /// Returns whether that gate waits for a process.
    fn is_counted(&self, pid: Pid, gate: GateNumber) -> bool;
    /// Passes the name of a process's module to `look`; `None` if the state cannot be converted.
    fn module<R>(&self, pid: Pid, look: impl FnOnce(Option<&str>) -> R) -> Option<R>;
    /// Returns the calls that a parked callback of a process waits for.
    fn waits_for(&self, pid: Pid) -> Vec<From>;
    /// Makes a parked process check the gate again.
    fn unpark(&self, pid: Pid);
    /// Returns whether the upgrade is given up: the gate then waits for no member any more.
    fn is_given_up(&self) -> bool {
        false
    }
}

/// A claimed process that is about to run its next callback.
pub(crate) trait Entrant {
    fn pid(&self) -> Pid;
    /// Returns the name of the process's module; `None` if the state cannot be converted.
    fn module(&self) -> Option<&str>;
    /// Returns the round of pre-copy that found the process at rest; 0 if there is none, or if the
    /// process has begun a callback since.
    fn round(&self) -> Round;
    /// Returns whether the next callback is the init.
    fn is_unborn(&self) -> bool;
    /// Returns the calls that wait in the mailbox, oldest first.
    fn calls(&self) -> impl Iterator<Item = From>;
    /// Marks the process as counted by that gate; returns false if it was counted already.
    fn count(&self, gate: GateNumber) -> bool;
}

/// The decision whether a process may run its next callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It may run any callback.
    Free,
    /// It may serve only this call, which a draining member waits for.
    Only(From),
    /// It may not run: the gate is up.
    Parked,
}

/// Holds the gate of the upgrade under way. Without an upgrade, each check costs one load.
#[derive(Default)]
pub(crate) struct GateHouse {
    /// Whether a gate exists. It is then notified of births, and of members that are about to run.
    listening: AtomicBool,
    /// Whether the gate is up.
    up: AtomicBool,
    gate: RwLock<Option<Arc<Gate>>>,
    /// How many gates were built so far.
    built: AtomicU32,
    /// The number of the last round of pre-copy.
    rounds: AtomicU32,
}

/// The gate of one upgrade.
pub(crate) struct Gate {
    number: GateNumber,
    /// The first round of pre-copy that belongs to this gate.
    first_round: Round,
    /// The modules of the gate's members.
    modules: HashSet<String>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Direct supervisors of members.
    supervisors: HashSet<Pid>,
    /// Members born since [`Gate::newborn`] was last called.
    newborn: Vec<Pid>,
    /// Members and supervisors that no round has found at rest, or that were about to run since
    /// then. A process may be listed more than once.
    dirty: Vec<Pid>,
    /// How many counted processes the gate still waits for. Can be negative for a moment: a process
    /// may come to rest before this number is increased for it.
    open: isize,
    /// Every process that was ever counted.
    counted: Vec<Pid>,
    /// Late members that the gate no longer waits for. They will be left in old code or killed.
    given_up: HashSet<Pid>,
    /// The calls and births that draining members wait for.
    needed: HashSet<Need>,
    parked: Vec<Pid>,
    /// Whether all members rest, so that the gate waits for none.
    closed: bool,
    lowered: bool,
}

/// Something that must happen for a draining member to come to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Need {
    /// The process must answer this call.
    Call(Pid, From),
    /// The init of the process must end.
    Birth(Pid),
}

impl GateHouse {
    pub(crate) fn build(&self, modules: HashSet<String>) -> Arc<Gate> {
        let gate = Arc::new(Gate {
            number: GateNumber::MIN.saturating_add(self.built.fetch_add(1, Ordering::Relaxed)),
            first_round: self.begin_round(),
            modules,
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
        });
        *self.gate.write() = Some(Arc::clone(&gate));
        self.listening.store(true, Ordering::SeqCst);
        gate
    }

    /// Returns the number of a new round of pre-copy.
    pub(crate) fn begin_round(&self) -> Round {
        self.rounds.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn tear_down(&self) {
        self.listening.store(false, Ordering::SeqCst);
        *self.gate.write() = None;
    }

    fn gate(&self, flag: &AtomicBool) -> Option<Arc<Gate>> {
        if flag.load(Ordering::SeqCst) { self.gate.read().clone() } else { None }
    }

    /// Returns whether no gate is up. A process that no round has found at rest may then run any
    /// callback.
    pub(crate) fn is_down(&self) -> bool {
        !self.up.load(Ordering::SeqCst)
    }

    /// Returns the flag that is set while a gate is up, so that a claimed process stops soon. It
    /// decides nothing: the gate counts such a process, and [`GateHouse::admit`] stops it.
    pub(crate) fn up(&self) -> &AtomicBool {
        &self.up
    }

    /// Decides whether the claimed process may run its next callback.
    pub(crate) fn admit(&self, entrant: &impl Entrant) -> Admission {
        // First the mark, then the flag. The thread that raises the gate works the other way: it
        // sets the flag, then reads the dirty list. So it finds this process in the list, or this
        // thread sees the flag and parks the process.
        self.mark_dirty(entrant.pid(), entrant.round());
        match self.gate(&self.up) {
            Some(gate) => gate.admit(entrant),
            None => Admission::Free,
        }
    }

    /// Marks a claimed process as dirty, because its state is about to change. Does nothing unless
    /// `round`, the round that found the process at rest, belongs to the present gate.
    pub(crate) fn mark_dirty(&self, pid: Pid, round: Round) {
        if round != 0
            && let Some(gate) = self.gate(&self.listening).filter(|gate| round >= gate.first_round)
        {
            gate.note([pid]);
        }
    }

    /// Notes that a process was started.
    pub(crate) fn born(&self, processes: &impl Processes, pid: Pid) {
        let Some(gate) = self.gate(&self.listening) else { return };
        if processes.module(pid, |module| gate.is_member(module)) == Some(true) {
            gate.state.lock().newborn.push(pid);
        }
    }

    /// Returns the members that a raised gate still waits for.
    pub(crate) fn awaited(&self, processes: &impl Processes) -> Vec<Pid> {
        self.gate(&self.up).map(|gate| gate.awaited(processes)).unwrap_or_default()
    }

    /// Records that a process counted by this gate came to rest, or ended.
    pub(crate) fn rested(&self, pid: Pid, number: GateNumber) {
        if let Some(gate) = self.gate(&self.listening).filter(|gate| gate.number == number) {
            gate.rested(pid);
        }
    }

    /// Records that a worker put a process back because of the gate.
    pub(crate) fn parked(&self, processes: &impl Processes, pid: Pid) {
        let parked = self.gate(&self.up).is_some_and(|gate| gate.park(pid));
        if !parked {
            processes.unpark(pid);
        }
    }
}

impl Gate {
    /// Returns whether the processes of that module are members.
    pub(crate) fn is_member(&self, module: Option<&str>) -> bool {
        module.is_some_and(|module| self.modules.contains(module))
    }

    /// Returns whether exactly these modules are the modules of the gate.
    pub(crate) fn is_for(&self, members: &HashMap<String, Member>) -> bool {
        self.modules.len() == members.len() && members.keys().all(|module| self.modules.contains(module))
    }

    /// Makes the gate hold these supervisors too.
    pub(crate) fn oversee(&self, supervisors: &[Pid]) {
        self.state.lock().supervisors.extend(supervisors);
    }

    /// Adds these processes to the dirty list.
    pub(crate) fn note(&self, pids: impl IntoIterator<Item = Pid>) {
        self.state.lock().dirty.extend(pids);
    }

    /// Returns the members that were born since the last call, and adds them to the dirty list.
    pub(crate) fn newborn(&self) -> Vec<Pid> {
        let mut state = self.state.lock();
        let newborn = std::mem::take(&mut state.newborn);
        state.dirty.extend(&newborn);
        newborn
    }

    /// Returns the dirty processes, each once.
    pub(crate) fn dirty(&self) -> Vec<Pid> {
        let state = self.state.lock();
        let dirty = [&state.dirty[..], &state.newborn[..]].concat();
        drop(state);
        each_once(dirty)
    }

    /// Takes the dirty processes, each once, for a round of pre-copy. The caller must pass to
    /// [`Gate::note`] those that the round does not find at rest.
    pub(crate) fn take_dirty(&self) -> Vec<Pid> {
        let dirty = std::mem::take(&mut self.state.lock().dirty);
        each_once(dirty)
    }

    fn admit(&self, entrant: &impl Entrant) -> Admission {
        let mut state = self.state.lock();
        let is_held = self.is_member(entrant.module()) || state.supervisors.contains(&entrant.pid());
        if state.lowered || !is_held {
            return Admission::Free;
        }
        // A member that may stay in old code moves to the new code by itself once the gate is down.
        // Until then it waits like the others.
        let Some(need) = state.need(entrant) else { return Admission::Parked };
        state.needed.remove(&need);
        if entrant.count(self.number) {
            state.open += 1;
            state.counted.push(entrant.pid());
        }
        match need {
            Need::Birth(_) => Admission::Free,
            Need::Call(_, from) => Admission::Only(from),
        }
    }

    fn park(&self, pid: Pid) -> bool {
        let mut state = self.state.lock();
        if !state.lowered {
            state.parked.push(pid);
        }
        !state.lowered
    }

    fn rested(&self, pid: Pid) {
        let mut state = self.state.lock();
        if !state.given_up.remove(&pid) {
            state.open -= 1;
        }
        self.changed.notify_all();
    }

    /// Lowers the gate: parked processes go on.
    pub(crate) fn lower(&self, house: &GateHouse, processes: &impl Processes) {
        house.up.store(false, Ordering::SeqCst);
        let parked = {
            let mut state = self.state.lock();
            state.lowered = true;
            std::mem::take(&mut state.parked)
        };
        for pid in parked {
            processes.unpark(pid);
        }
    }
}

impl State {
    /// Returns a need that this process can meet with its next callback.
    fn need(&self, entrant: &impl Entrant) -> Option<Need> {
        if self.needed.is_empty() {
            return None;
        }
        let pid = entrant.pid();
        let is_needed = |need: &Need| self.needed.contains(need);
        if entrant.is_unborn() {
            return Some(Need::Birth(pid)).filter(is_needed);
        }
        entrant.calls().map(|from| Need::Call(pid, from)).find(is_needed)
    }
}

fn each_once(mut pids: Vec<Pid>) -> Vec<Pid> {
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// Returns the parents that are not members themselves, each once. Children of the same parent
/// mostly follow each other.
pub(crate) fn supervisors_of(
    parents: impl Iterator<Item = Pid>,
    members: impl Iterator<Item = Pid>,
) -> Vec<Pid> {
    let mut supervisors: Vec<Pid> = Vec::new();
    for parent in parents.filter(|parent| *parent != Pid::NONE) {
        if supervisors.last() != Some(&parent) {
            supervisors.push(parent);
        }
    }
    supervisors.sort_unstable();
    supervisors.dedup();
    let mut is_member = vec![false; supervisors.len()];
    for at in members.filter_map(|member| supervisors.binary_search(&member).ok()) {
        is_member[at] = true;
    }
    let mut is_member = is_member.into_iter();
    supervisors.retain(|_| is_member.next() == Some(false));
    supervisors
}
