//! The result of a node, and the end of a rollout.

use std::time::Duration;

use reld_plan::OnFailure;

use super::direction::Direction;
use super::document::{Ending, Outcome, Phase, Slot, Standing};
use super::txn::{Txn, json};
use super::view::{Run, Seen, View};
use crate::next::{Halt, Next, Seen as Facts, next};

/// The place of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// Write this.
    Write(Txn),
    /// The result is written. The answer to an earlier write was lost.
    Written,
    /// Another rollout has replaced that of the result.
    Forgotten,
}

/// Returns the result of an order.
#[must_use]
pub fn ended(ending: Ending, slot: &Slot, now: &str) -> Outcome {
    let (tx, direction) = (slot.tx.clone(), slot.direction);
    Outcome { ending, tx, direction, at: now.to_owned(), ..Outcome::default() }
}

impl View {
    /// Gives the result of an order, and its slot back, in one transaction. The first line that
    /// holds decides:
    ///
    /// | the rollout | the result |
    /// |---|---|
    /// | is not the current one | is forgotten |
    /// | has it | is written |
    /// | has the slot of this order | is written, and ends the rollout if it is one failure too many |
    /// | has given the slot away | is late: it counts for nothing and frees nothing, but the way back has the node |
    #[must_use]
    pub fn give(&self, rollout: &str, slot: &Slot, outcome: &Outcome) -> Given {
        let Some(run) = self.rollout.as_ref().filter(|run| run.id == rollout) else {
            return Given::Forgotten;
        };
        let written = run.outcomes(slot.direction).get(&slot.node);
        let late = run.late.get(&slot.node);
        if written.into_iter().chain(late).any(|seen| seen.value.tx == slot.tx) {
            return Given::Written;
        }
        let standing = run.standing.value.clone();
        let held = run.slot_of(&slot.node).filter(|(_, held)| held.tx == slot.tx);
        let Some((number, _)) = held else {
            let mut standing = standing;
            if standing.direction == Direction::Back && outcome.ending.has_moved() {
                standing.skipped.remove(&slot.node);
            }
            let txn = self.change(run, standing);
            return Given::Write(txn.put(self.keys.late(&run.id, &slot.node), json(outcome)));
        };
        let after = self.with(number, slot, outcome);
        let closed = after.rollout.as_ref().and_then(|after_run| after.closing(after_run, Duration::ZERO));
        let key = self.keys.outcome(&run.id, slot.direction, &slot.node);
        let txn = self.change(run, closed.unwrap_or(standing));
        Given::Write(txn.put(key, json(outcome)).delete(self.keys.slot(&run.id, number)))
    }

    /// Returns the view with a result.
    fn with(&self, number: usize, slot: &Slot, outcome: &Outcome) -> Self {
        let mut view = self.clone();
        if let Some(run) = &mut view.rollout {
            run.slots.remove(&number);
            let outcomes = match slot.direction {
                Direction::Forward => &mut run.forward,
                Direction::Back => &mut run.back,
            };
            outcomes.insert(slot.node.clone(), Seen { value: outcome.clone(), revision: u64::MAX });
        }
        view
    }

    /// Returns the state in which the policy ends the rollout, or turns it round. A deadline does
    /// not pass while the rollout is paused.
    pub(super) fn closing(&self, run: &Run, quiet: Duration) -> Option<Standing> {
        let standing = run.standing.value.clone();
        if standing.phase.has_ended() {
            return None;
        }
        let halt = match self.next(run, quiet) {
            Next::Done => return Some(Standing { phase: Phase::Done, ..standing }),
            Next::Halt(Halt::Deadline(_)) if standing.phase == Phase::Paused => return None,
            Next::Halt(halt) => halt,
            Next::Begin(_) | Next::Wait(_) => return None,
        };
        let lineup = self.lineup();
        let names: Vec<_> = lineup.iter().map(|(node, _)| node.as_str()).collect();
        let why = Some(halt.in_words(&names));
        let turns = standing.direction == Direction::Forward
            && run.rollout.on_failure == OnFailure::TakeBack
            && matches!(halt, Halt::Failures(_));
        Some(if turns {
            Standing { why, ..run.turned() }
        } else {
            Standing { phase: Phase::Halted, why, ..standing }
        })
    }

    /// Asks the policy for the next step of a rollout.
    pub(super) fn next(&self, run: &Run, quiet: Duration) -> Next {
        let states: Vec<_> = self.lineup().into_iter().map(|(_, state)| state).collect();
        next(&run.policy(), &states, &Facts { quiet, is_halted: false })
    }

    /// Returns a transaction that changes the state of a rollout, if no other one has changed it.
    pub(super) fn change(&self, run: &Run, standing: Standing) -> Txn {
        let key = self.keys.state(&run.id);
        let standing = Standing { changes: run.standing.value.changes.saturating_add(1), ..standing };
        Txn::default().when(&*key, run.standing.revision).put(&*key, json(&standing))
    }
}

impl Run {
    /// Returns the state on the way back. It leaves out no node that has the release.
    pub(super) fn turned(&self) -> Standing {
        let mut standing = self.standing.value.clone();
        for node in self.moved() {
            standing.skipped.remove(node);
        }
        Standing { direction: Direction::Back, ..standing }
    }
}
