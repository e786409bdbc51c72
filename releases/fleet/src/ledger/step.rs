//! The next step of one node.

use std::time::Duration;

use super::direction::Direction;
use super::document::{Ending, Outcome, Phase, Slot, Standing};
use super::give::{Given, ended};
use super::keys::Name;
use super::txn::{Txn, json};
use super::view::{Run, View};
use crate::next::{Halt, Next, State, Wait};

/// The number of attempts. A daemon that has ended within each of them has failed.
pub(super) const ATTEMPTS_MAX: u32 = 3;

/// A node's knowledge of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// Its name.
    pub node: Name,
    /// The life of its daemon: a text that no other process has.
    pub life: String,
    /// The identity of its permanent release.
    pub identity: Option<String>,
    /// Whether it boots, carries out an order of its own, or lets a release settle. It begins
    /// nothing then.
    pub is_busy: bool,
    /// The name of the last order of a slot that it has begun in this life, or of one that has a
    /// result which is not written yet. An old view may still have the slot.
    pub tx: Option<String>,
    /// A name for its next order.
    pub new_tx: String,
    /// Whether it moves to the release of a finished rollout that it has missed.
    pub follows: bool,
    /// The time since it first saw the present state of the rollout.
    pub quiet: Duration,
    /// The present time, in RFC 3339 format.
    pub now: String,
}

/// The next step of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// There is no work for this node.
    Idle,
    /// The node waits.
    Wait(Why),
    /// Write this, and look again, whether it was written or not.
    Write(Txn),
    /// The node holds this slot and has not begun: carry the order out, then
    /// [give](View::give) the result.
    Carry(Slot),
}

/// The reason for a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The policy lets no node begin.
    Policy(Wait),
    /// An operator has paused the rollout.
    Paused,
    /// These nodes begin first. They are named by their place in the lineup.
    Others(Vec<usize>),
    /// The node is busy with an order of its own.
    Busy,
    /// Each slot of a finished rollout is held.
    Slots,
}

impl View {
    /// Decides the next step of a node. The first line that holds decides:
    ///
    /// | the node and the rollout | step |
    /// |---|---|
    /// | the node holds a slot | see the table of `go_on` |
    /// | the rollout is over; the node follows it and has missed it | take a slot |
    /// | the rollout is over | idle |
    /// | the node waits, is at the goal, and is not busy | write that |
    /// | the policy ends the rollout | write that |
    /// | the node is not in the rollout | idle |
    /// | an operator has paused the rollout | wait |
    /// | the policy lets this node begin, and the node is busy | wait |
    /// | the policy lets this node begin | take a slot |
    /// | otherwise | wait |
    #[must_use]
    pub fn step(&self, own: &Own) -> Step {
        let Some(run) = &self.rollout else { return Step::Idle };
        if let Some((number, slot)) = run.slot_of(&own.node) {
            return self.go_on(run, own, number, slot);
        }
        let standing = &run.standing.value;
        if standing.phase.has_ended() {
            return if run.is_missed_by(own) { self.take(run, own) } else { Step::Idle };
        }
        let lineup = self.lineup();
        let place = lineup.iter().position(|(node, _)| **node == own.node);
        let waits = place.is_some_and(|place| lineup[place].1 == State::Waiting);
        if waits && !own.is_busy && run.is_at_goal(standing.direction, own) {
            return Step::Write(self.note(run, own, standing.direction));
        }
        if let Some(closed) = self.closing(run, own.quiet) {
            return Step::Write(self.change(run, closed));
        }
        let Some(place) = place else { return Step::Idle };
        if standing.phase == Phase::Paused {
            return Step::Wait(Why::Paused);
        }
        match self.next(run, own.quiet) {
            Next::Begin(nodes) if !nodes.contains(&place) => Step::Wait(Why::Others(nodes)),
            Next::Begin(_) if own.is_busy => Step::Wait(Why::Busy),
            Next::Begin(_) => self.take(run, own),
            Next::Wait(wait) => Step::Wait(Why::Policy(wait)),
            // These have closed the rollout.
            Next::Halt(_) | Next::Done => Step::Idle,
        }
    }

    /// Decides the next step of a node that holds a slot. The first line that holds decides:
    ///
    /// | the node | step |
    /// |---|---|
    /// | carries the order out, or has its result | idle |
    /// | is busy with an order of its own, or boots | wait |
    /// | is at the goal after a restart | give this result |
    /// | has not begun, and the rollout has ended, halts or has turned | give a failure |
    /// | has not begun, and an operator has paused the rollout | wait |
    /// | has taken the slot in this life | carry the order out |
    /// | has ended within each attempt | give a failure |
    /// | has ended within an attempt | begin the next one |
    fn go_on(&self, run: &Run, own: &Own, number: usize, slot: &Slot) -> Step {
        if own.tx.as_ref() == Some(&slot.tx) {
            return Step::Idle;
        }
        let is_new = slot.life == own.life;
        if own.is_busy {
            return Step::Wait(Why::Busy);
        }
        if !is_new && run.is_at_goal(slot.direction, own) {
            return self.give_now(run, own, slot, Ending::Reached, None);
        }
        if self.is_over_for(run, own, slot) {
            let why = "the rollout had ended before this attempt".to_owned();
            return self.give_now(run, own, slot, Ending::Failed, Some(why));
        }
        if run.standing.value.phase == Phase::Paused {
            return Step::Wait(Why::Paused);
        }
        if is_new {
            return Step::Carry(slot.clone());
        }
        if slot.attempt >= ATTEMPTS_MAX {
            let why = format!("the daemon has ended within each of {ATTEMPTS_MAX} attempts");
            return self.give_now(run, own, slot, Ending::Failed, Some(why));
        }
        let again = Slot {
            tx: own.new_tx.clone(),
            life: own.life.clone(),
            attempt: slot.attempt + 1,
            ..slot.clone()
        };
        let txn = self.change(run, run.standing.value.clone());
        Step::Write(txn.put(self.keys.slot(&run.id, number), json(&again)))
    }

    /// Returns whether no attempt of a slot may begin any more. A node that follows a finished
    /// rollout may begin.
    fn is_over_for(&self, run: &Run, own: &Own, slot: &Slot) -> bool {
        let Standing { phase, direction, .. } = run.standing.value;
        if phase == Phase::Halted || direction != slot.direction {
            return true;
        }
        let next = self.next(run, own.quiet);
        phase != Phase::Done && matches!(next, Next::Halt(Halt::Failures(_)) | Next::Wait(Wait::Halting(..)))
    }

    fn give_now(&self, run: &Run, own: &Own, slot: &Slot, ending: Ending, why: Option<String>) -> Step {
        let outcome = Outcome { why, ..ended(ending, slot, &own.now) };
        match self.give(&run.id, slot, &outcome) {
            Given::Write(txn) => Step::Write(txn),
            Given::Written | Given::Forgotten => Step::Idle,
        }
    }

    /// Takes the first free slot. Two nodes that see the same slots want the same one.
    fn take(&self, run: &Run, own: &Own) -> Step {
        let free = (0..run.rollout.max_unavailable).find(|number| !run.slots.contains_key(number));
        let Some(number) = free else { return Step::Wait(Why::Slots) };
        let standing = run.standing.value.clone();
        let slot = Slot {
            node: own.node.clone(),
            direction: standing.direction,
            tx: own.new_tx.clone(),
            life: own.life.clone(),
            attempt: 1,
            since: own.now.clone(),
        };
        Step::Write(self.change(run, standing).put(self.keys.slot(&run.id, number), json(&slot)))
    }

    /// Notes that a node was at the goal without an order of the rollout.
    fn note(&self, run: &Run, own: &Own, direction: Direction) -> Txn {
        let outcome = Outcome {
            ending: Ending::WasThere,
            tx: String::new(),
            at: own.now.clone(),
            ..Outcome::default()
        };
        let key = self.keys.outcome(&run.id, direction, &own.node);
        self.change(run, run.standing.value.clone()).put(key, json(&outcome))
    }
}

impl Run {
    /// Returns whether a node has nothing left to do in a direction.
    fn is_at_goal(&self, direction: Direction, own: &Own) -> bool {
        let has_release = own.identity.as_ref() == Some(&self.document.identity);
        match direction {
            Direction::Forward => has_release,
            Direction::Back => !has_release,
        }
    }

    /// Returns whether a node has to move to the release of a finished rollout. None does after too
    /// many failures, and none that an operator has left out.
    fn is_missed_by(&self, own: &Own) -> bool {
        let Standing { phase, direction, skipped, .. } = &self.standing.value;
        let is_finished = *phase == Phase::Done && *direction == Direction::Forward;
        let has_part = self.forward.contains_key(&own.node) || skipped.contains_key(&own.node);
        let failed = self.forward.values().filter(|seen| seen.value.ending.is_failure()).count();
        let may = own.follows && !own.is_busy && failed <= self.rollout.max_failures;
        may && is_finished && !has_part && !self.is_at_goal(Direction::Forward, own)
    }
}
