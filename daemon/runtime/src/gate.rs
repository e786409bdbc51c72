//! The gate: brings the members of an upgrade to rest, and holds them there.
//!
//! While the gate is up, a member starts no callback; one that is under way goes on to its end (members *drain*).
//! What a draining member waits for is let through: the daemon sees every open request, so it follows them from the
//! members that wait to the processes that hold them up, and lets those serve just these calls. So busy members that
//! call each other come to rest without deadlock. What it cannot see (a deferred reply, a socket) meets the deadline.
//!
//! ```text
//! build: listen for births -> raise: up, count who is busy -> drain until nobody is counted -> closed
//!                                                        \-> deadline: named, lowered
//! closed: nothing of a member moves; states are converted -> lower: parked members go on
//! ```
//!
//! Who is *counted* was found inside a callback; a count ends when the body is put back at rest ([`crate::slot`]).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};

use crate::code::{Behaviour, From};
use crate::pid::Pid;
use crate::process::{Actor, Body, Card, Mail, Process};
use crate::slot::{GateNumber, Rest, Slot, Wake};
use crate::world::World;

/// How often a gate looks anew at what draining members wait for.
const LOOK_EVERY: Duration = Duration::from_micros(200);

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
    /// A gate exists and hears of births.
    listening: AtomicBool,
    /// The gate is up.
    up: AtomicBool,
    gate: RwLock<Option<Arc<Gate>>>,
    /// How many gates there were.
    built: AtomicU64,
}

/// The gate of one upgrade.
pub(crate) struct Gate {
    number: GateNumber,
    members: HashMap<String, Member>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Direct supervisors of members.
    supervisors: HashSet<Pid>,
    /// Born since staging, of members' modules.
    newborn: Vec<Pid>,
    /// How many counts are open. May be below zero for a moment: a process can come to rest before its count is noted.
    open: isize,
    /// Everybody who was ever counted.
    counted: Vec<Pid>,
    /// Left or doomed: no longer waited for.
    given_up: HashSet<Pid>,
    /// What draining members wait for.
    needed: HashSet<Need>,
    parked: Vec<Pid>,
    /// All members rest: nothing is let through any more.
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
    pub(crate) fn build(&self, members: HashMap<String, Member>) -> Arc<Gate> {
        let gate = Arc::new(Gate {
            number: self.built.fetch_add(1, Ordering::Relaxed),
            members,
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
        });
        *self.gate.write() = Some(Arc::clone(&gate));
        self.listening.store(true, Ordering::SeqCst);
        gate
    }

    pub(crate) fn tear_down(&self) {
        self.listening.store(false, Ordering::SeqCst);
        *self.gate.write() = None;
    }

    fn gate(&self, flag: &AtomicBool) -> Option<Arc<Gate>> {
        if flag.load(Ordering::SeqCst) { self.gate.read().clone() } else { None }
    }

    /// Says whether the claimed process may run its next callback.
    pub(crate) fn admit(&self, slot: &Slot<Process>, body: &Body) -> Admission {
        match self.gate(&self.up) {
            Some(gate) => gate.admit(slot, body),
            None => Admission::Free,
        }
    }

    /// A process was started.
    pub(crate) fn born(&self, world: &World, pid: Pid) {
        let Some(gate) = self.gate(&self.listening) else { return };
        let is_member =
            world.slot(pid).and_then(|slot| slot.card(pid.generation, |card| gate.is_member(card)));
        if is_member == Some(true) {
            gate.state.lock().newborn.push(pid);
        }
    }

    /// A process that this gate counted came to rest, or ended.
    pub(crate) fn rested(&self, pid: Pid, number: GateNumber) {
        if let Some(gate) = self.gate(&self.listening).filter(|gate| gate.number == number) {
            gate.rested(pid);
        }
    }

    /// A process was put back because of the gate.
    pub(crate) fn parked(&self, world: &World, pid: Pid) {
        let parked = self.gate(&self.up).is_some_and(|gate| gate.park(pid));
        if !parked {
            world.unpark(pid);
        }
    }
}

impl World {
    pub(crate) fn unpark(&self, pid: Pid) {
        let wake = self.slot(pid).map_or(Wake::Nothing, |slot| slot.unpark(pid.generation));
        self.act_last(pid, wake);
    }
}

impl Gate {
    /// Says whether the processes of this code are members.
    pub(crate) fn is_member(&self, card: &Card) -> bool {
        card.code.behaviour() != Behaviour::Task && self.members.contains_key(card.code.name())
    }

    pub(crate) fn newborn(&self) -> Vec<Pid> {
        self.state.lock().newborn.clone()
    }

    fn admit(&self, slot: &Slot<Process>, body: &Body) -> Admission {
        let mut state = self.state.lock();
        if state.lowered || !(self.is_member(&body.card) || state.supervisors.contains(&body.pid)) {
            return Admission::Free;
        }
        // One that is left in old code moves on by itself when the gate is down; until then it waits like others.
        let Some(need) = state.need(body) else { return Admission::Parked };
        state.needed.remove(&need);
        if slot.count(self.number) {
            state.open += 1;
            state.counted.push(body.pid);
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

    /// Raises the gate over `members` and waits until all of them rest.
    ///
    /// `rests` hears of each member found at rest. Returns who was left or doomed.
    pub(crate) fn raise(
        &self,
        world: &World,
        members: &[Pid],
        mut rests: impl FnMut(Pid),
    ) -> Result<Vec<Pid>, Vec<Pid>> {
        let raised = Instant::now();
        let supervisors = supervisors_of(world, members);
        self.state.lock().supervisors.clone_from(&supervisors);
        world.gate.up.store(true, Ordering::SeqCst);
        let newborn = self.newborn();
        for pid in members.iter().chain(&supervisors).chain(&newborn).copied() {
            if self.look_at(world, pid) {
                rests(pid);
            }
        }
        self.drain(world, raised)
    }

    /// Says whether a member rests; else it is counted.
    fn look_at(&self, world: &World, pid: Pid) -> bool {
        match world.slot(pid).map_or(Rest::Dead, |slot| slot.rest(pid.generation, self.number)) {
            Rest::Quiet => true,
            Rest::Dead => false,
            Rest::Counted => {
                let mut state = self.state.lock();
                state.open += 1;
                state.counted.push(pid);
                false
            }
        }
    }

    fn drain(&self, world: &World, raised: Instant) -> Result<Vec<Pid>, Vec<Pid>> {
        loop {
            {
                let mut state = self.state.lock();
                if state.open <= 0 {
                    state.closed = true;
                    state.needed.clear();
                    return Ok(state.given_up.iter().copied().collect());
                }
            }
            let late = self.late(world, raised);
            let refused: Vec<Pid> =
                late.iter().filter(|(_, unrest)| *unrest == Unrest::Abort).map(|(pid, _)| *pid).collect();
            if !refused.is_empty() {
                return Err(refused);
            }
            self.give_up(late.into_iter().map(|(pid, _)| pid));
            self.let_through(world);
            let mut state = self.state.lock();
            if state.open > 0 {
                self.changed.wait_for(&mut state, LOOK_EVERY);
            }
        }
    }

    /// Returns the counted processes that have had their time.
    fn late(&self, world: &World, raised: Instant) -> Vec<(Pid, Unrest)> {
        let (counted, given_up) = {
            let state = self.state.lock();
            (state.counted.clone(), state.given_up.clone())
        };
        let waited = raised.elapsed();
        let terms = |card: &Card| {
            self.members.get(card.code.name()).copied().unwrap_or_else(|| self.supervisors_terms())
        };
        counted
            .into_iter()
            .filter(|pid| !given_up.contains(pid))
            .filter_map(|pid| {
                let slot = world.slot(pid)?;
                if !slot.is_counted(pid.generation, self.number) {
                    return None;
                }
                let member = slot.card(pid.generation, terms)?;
                (waited >= member.timeout).then_some((pid, member.unrest))
            })
            .collect()
    }

    /// A supervisor of members has no terms of its own: it is waited for as long as the most patient member, and may
    /// stop the upgrade only if some member may.
    fn supervisors_terms(&self) -> Member {
        let abort = self.members.values().any(|member| member.unrest == Unrest::Abort);
        Member {
            timeout: self.members.values().map(|member| member.timeout).max().unwrap_or_default(),
            unrest: if abort { Unrest::Abort } else { Unrest::Leave },
        }
    }

    fn give_up(&self, late: impl Iterator<Item = Pid>) {
        let mut state = self.state.lock();
        for pid in late {
            if state.given_up.insert(pid) {
                state.open -= 1;
            }
        }
    }

    /// Follows the open requests of draining members and lets through what holds them up.
    fn let_through(&self, world: &World) {
        let mut seen: HashSet<Pid> = HashSet::new();
        let mut follow = self.state.lock().counted.clone();
        let mut needs = Vec::new();
        while let Some(pid) = follow.pop() {
            if seen.insert(pid) {
                for (target, need) in waits_for(world, pid) {
                    needs.push(need);
                    follow.push(target);
                }
            }
        }
        self.state.lock().needed.extend(needs.iter().copied());
        for need in needs {
            let (Need::Call(pid, _) | Need::Birth(pid)) = need;
            // Waking one that cannot use it only makes it look and park again.
            if self.is_parked(pid) {
                world.unpark(pid);
            }
        }
    }

    fn is_parked(&self, pid: Pid) -> bool {
        let mut state = self.state.lock();
        let before = state.parked.len();
        state.parked.retain(|parked| *parked != pid);
        before != state.parked.len()
    }

    /// Lowers the gate: whoever was parked goes on.
    pub(crate) fn lower(&self, world: &World) {
        world.gate.up.store(false, Ordering::SeqCst);
        let parked = {
            let mut state = self.state.lock();
            state.lowered = true;
            std::mem::take(&mut state.parked)
        };
        for pid in parked {
            world.unpark(pid);
        }
    }
}

impl State {
    /// Returns what of the needed things this process can do next.
    fn need(&self, body: &Body) -> Option<Need> {
        if self.closed {
            return None;
        }
        if matches!(body.actor, Actor::Unborn(_)) {
            let birth = Need::Birth(body.pid);
            return self.needed.contains(&birth).then_some(birth);
        }
        body.inbox.iter().find_map(|mail| match mail {
            Mail::Call(_, from, _) => {
                let need = Need::Call(body.pid, *from);
                self.needed.contains(&need).then_some(need)
            }
            _ => None,
        })
    }
}

/// Returns what a parked callback of that process waits for.
fn waits_for(world: &World, pid: Pid) -> Vec<(Pid, Need)> {
    let Some(slot) = world.slot(pid) else { return Vec::new() };
    let open = slot.peek(pid.generation, |body| {
        if !body.is_waiting() {
            return Vec::new();
        }
        body.open
            .iter()
            .map(|open| (open.target, From { caller: pid, server: open.target, reference: open.reference }))
            .collect()
    });
    open.unwrap_or_default()
        .into_iter()
        .filter(|(target, _)| *target != Pid::NONE)
        .flat_map(|(target, from)| [(target, Need::Call(target, from)), (target, Need::Birth(target))])
        .collect()
}

/// Returns the direct supervisors of these processes that are not among them.
fn supervisors_of(world: &World, members: &[Pid]) -> HashSet<Pid> {
    let parent = |pid: &Pid| world.slot(*pid).and_then(|slot| slot.card(pid.generation, |card| card.parent));
    let mut supervisors: HashSet<Pid> =
        members.iter().filter_map(parent).filter(|pid| *pid != Pid::NONE).collect();
    members.iter().for_each(|member| {
        supervisors.remove(member);
    });
    supervisors
}
