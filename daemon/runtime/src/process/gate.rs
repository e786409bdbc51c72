//! The gate: brings the members of an upgrade to rest, and holds them there.
//!
//! While the gate is up, a member starts no callback; one that is under way goes on to its end (members *drain*).
//! What a draining member waits for is let through: the daemon sees every open request, so it follows them from the
//! members that wait to the processes that hold them up, and lets those serve just these calls. So busy members that
//! call each other come to rest without deadlock. What it cannot see (a deferred reply, a socket) meets the deadline.
//!
//! ```text
//! build: listen for births -> rounds of pre-copy -> raise: up, count who is busy -> drain until nobody is counted -> closed
//!                                                                              \-> deadline: named, lowered
//! closed: nothing of a member moves; states are converted -> switch -> lower: parked members go on
//! ```
//!
//! Behind the switch a call of the upgrade may be let through in the same way, before parked members go on: a child that
//! starts may wait for them.
//!
//! Who is *counted* was found inside a callback; a count ends when the body is put back at rest ([`crate::process::slot`]).
//!
//! While the gate listens, a member is either *dirty*, and in a list here, or a round of pre-copy has found it at rest
//! and it has begun no callback since. So raising looks at the dirty ones only, however many members there are. Nobody
//! slips through, since the two orders cross: a worker notes the process as dirty and *then* asks whether the gate is
//! up; who raises it sets the flag and *then* reads the list.
//!
//! The gate sees processes through two traits ([`Processes`], [`Entrant`]), so that shuttle can run this very code over
//! processes of its own (`gate/model.rs`).

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

/// How often a gate looks anew at what draining members wait for.
pub(crate) const LOOK_EVERY: Duration = Duration::from_micros(200);

/// Tells the rounds of pre-copy of a node apart, whatever gate they belong to; 0 is none.
pub(crate) type Round = u32;

/// What is done about members of a module that do not come to rest in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unrest {
    /// The gate is not raised.
    Abort,
    /// They are held where they are, to be killed after the switch.
    Kill,
    /// They go on in old code, and move when their callback returns.
    Leave,
}

/// How the processes of one module are brought to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// How long each may take.
    pub timeout: Duration,
    /// What is done about those that take longer.
    pub unrest: Unrest,
}

/// What a gate sees of the process world.
pub(crate) trait Processes {
    /// Asks whether a process rests, and counts it for that gate if not.
    fn rest(&self, pid: Pid, gate: GateNumber) -> Rest;
    /// Says whether that gate waits for a process.
    fn is_counted(&self, pid: Pid, gate: GateNumber) -> bool;
    /// Lets `look` read the name of a process's module; `None` for one whose state cannot be converted.
    fn module<R>(&self, pid: Pid, look: impl FnOnce(Option<&str>) -> R) -> Option<R>;
    /// Returns the calls that a parked callback of a process waits for.
    fn waits_for(&self, pid: Pid) -> Vec<From>;
    /// Lets a parked process look again.
    fn unpark(&self, pid: Pid);
    /// Says that nobody wants the gate any more: no member is waited for.
    fn is_given_up(&self) -> bool {
        false
    }
}

/// A claimed process that is about to run its next callback.
pub(crate) trait Entrant {
    fn pid(&self) -> Pid;
    /// The name of its module; `None` for one whose state cannot be converted.
    fn module(&self) -> Option<&str>;
    /// The round of pre-copy that found it at rest; 0 when none did, or it has begun a callback since.
    fn round(&self) -> Round;
    /// Its next callback is its init.
    fn is_unborn(&self) -> bool;
    /// The calls that wait in its mailbox, oldest first.
    fn calls(&self) -> impl Iterator<Item = From>;
    /// Counts it for that gate; says whether it was not yet.
    fn count(&self, gate: GateNumber) -> bool;
}

/// Whether a process may run its next callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Nothing is in its way.
    Free,
    /// Only this call, which a draining member waits for.
    Only(From),
    /// The gate is up.
    Parked,
}

/// Where the gate of the upgrade under way is found. One load for everybody else.
#[derive(Default)]
pub(crate) struct GateHouse {
    /// A gate exists and hears of births, and of members that are about to run.
    listening: AtomicBool,
    /// The gate is up.
    up: AtomicBool,
    gate: RwLock<Option<Arc<Gate>>>,
    /// How many gates there were.
    built: AtomicU32,
    /// The last round of pre-copy.
    rounds: AtomicU32,
}

/// The gate of one upgrade.
pub(crate) struct Gate {
    number: GateNumber,
    /// The first round that is its own.
    first_round: Round,
    /// The modules of its members.
    modules: HashSet<String>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Direct supervisors of members.
    supervisors: HashSet<Pid>,
    /// Of members' modules, born since this was asked for last.
    newborn: Vec<Pid>,
    /// Members and supervisors that no round has found at rest, or that were about to run since; some more than once.
    dirty: Vec<Pid>,
    /// How many counts are open. May be below zero for a moment: a process can come to rest before its count is noted.
    open: isize,
    /// Everybody who was ever counted.
    counted: Vec<Pid>,
    /// Left or doomed: no longer waited for.
    given_up: HashSet<Pid>,
    /// What draining members wait for.
    needed: HashSet<Need>,
    parked: Vec<Pid>,
    /// All members rest: none is waited for.
    closed: bool,
    lowered: bool,
}

/// Something that must happen for a draining member to come to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Need {
    /// The process must answer this call.
    Call(Pid, From),
    /// The process must be born.
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

    /// Says whether the claimed process may run its next callback.
    pub(crate) fn admit(&self, entrant: &impl Entrant) -> Admission {
        // First: who raises the gate and misses this note has raised it before, and the process is parked.
        self.stir(entrant.pid(), entrant.round());
        match self.gate(&self.up) {
            Some(gate) => gate.admit(entrant),
            None => Admission::Free,
        }
    }

    /// A claimed process is about to change: if that round of pre-copy found it at rest, it is dirty from now on.
    pub(crate) fn stir(&self, pid: Pid, round: Round) {
        if round != 0
            && let Some(gate) = self.gate(&self.listening).filter(|gate| round >= gate.first_round)
        {
            gate.note([pid]);
        }
    }

    /// A process was started.
    pub(crate) fn born(&self, processes: &impl Processes, pid: Pid) {
        let Some(gate) = self.gate(&self.listening) else { return };
        if processes.module(pid, |module| gate.is_member(module)) == Some(true) {
            gate.state.lock().newborn.push(pid);
        }
    }

    /// Returns the members that a gate which is up still waits for.
    pub(crate) fn awaited(&self, processes: &impl Processes) -> Vec<Pid> {
        self.gate(&self.up).map(|gate| gate.awaited(processes)).unwrap_or_default()
    }

    /// A process that this gate counted came to rest, or ended.
    pub(crate) fn rested(&self, pid: Pid, number: GateNumber) {
        if let Some(gate) = self.gate(&self.listening).filter(|gate| gate.number == number) {
            gate.rested(pid);
        }
    }

    /// A process was put back because of the gate.
    pub(crate) fn parked(&self, processes: &impl Processes, pid: Pid) {
        let parked = self.gate(&self.up).is_some_and(|gate| gate.park(pid));
        if !parked {
            processes.unpark(pid);
        }
    }
}

impl Gate {
    /// Says whether the processes of that module are members.
    pub(crate) fn is_member(&self, module: Option<&str>) -> bool {
        module.is_some_and(|module| self.modules.contains(module))
    }

    /// Says whether it is for just these modules.
    pub(crate) fn is_over(&self, members: &HashMap<String, Member>) -> bool {
        self.modules.len() == members.len() && members.keys().all(|module| self.modules.contains(module))
    }

    /// Holds these processes too.
    pub(crate) fn oversee(&self, supervisors: &[Pid]) {
        self.state.lock().supervisors.extend(supervisors);
    }

    /// Notes that these are dirty.
    pub(crate) fn note(&self, pids: impl IntoIterator<Item = Pid>) {
        self.state.lock().dirty.extend(pids);
    }

    /// Returns the members that were born since this was asked last. They are dirty.
    pub(crate) fn newborn(&self) -> Vec<Pid> {
        let mut state = self.state.lock();
        let newborn = std::mem::take(&mut state.newborn);
        state.dirty.extend(&newborn);
        newborn
    }

    /// Returns who is dirty, each once.
    pub(crate) fn dirty(&self) -> Vec<Pid> {
        let state = self.state.lock();
        let dirty = [&state.dirty[..], &state.newborn[..]].concat();
        drop(state);
        each_once(dirty)
    }

    /// Returns who is dirty, each once, for a round of pre-copy: who is not found at rest by it must be noted again.
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
        // One that is left in old code moves on by itself when the gate is down; until then it waits like others.
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

    /// Lowers the gate: whoever was parked goes on.
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
    /// Returns what of the needed things this process can do next.
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

/// Returns the parents that are no members themselves, each once. Children of one parent mostly come in a row.
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
