//! The decision about the next upgrades.

use std::time::Duration;

use crate::policy::Policy;

/// The state of a node in a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// The node answers, and its upgrade has not begun.
    Waiting,
    /// An order is under way on the node, or its release settles.
    Busy,
    /// The node runs the release, and it is permanent.
    Committed,
    /// The upgrade has failed.
    Failed,
    /// The node does not answer.
    Missing,
    /// The operator has left the node out.
    Skipped,
}

/// The other facts that a decision depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The time since an upgrade has begun or ended, or since the rollout has begun. Of each node
    /// only the first begin counts, so a rollout that makes no progress has an end.
    pub quiet: Duration,
    /// Whether the operator has halted the rollout.
    pub is_halted: bool,
}

/// The next step of a rollout. Nodes are named by their position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// These nodes begin their upgrade.
    Begin(Vec<usize>),
    /// Nothing begins now.
    Wait(Wait),
    /// The rollout has ended before all nodes had the release.
    Halt(Halt),
    /// The rollout has ended.
    Done,
}

/// The reason for a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// These upgrades are under way.
    Upgrades(Vec<usize>),
    /// These nodes are unavailable, and no further one may be.
    Unavailable(Vec<usize>),
    /// The pause between two waves has this time left.
    Pause(Duration),
    /// The rollout halts when these nodes have ended their upgrades.
    Halting(Halt, Vec<usize>),
}

/// The reason for a halt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    /// These nodes have failed.
    Failures(Vec<usize>),
    /// No upgrade has begun or ended in time. The rollout waits for these nodes.
    Deadline(Vec<usize>),
    /// The operator has halted the rollout.
    Ordered,
}

impl Halt {
    /// Returns the reason in words. `names` has the nodes by their position.
    #[must_use]
    pub fn in_words(&self, names: &[&str]) -> String {
        let named = |nodes: &[usize]| nodes.iter().map(|node| names[*node]).collect::<Vec<_>>().join(", ");
        match self {
            Self::Ordered => "the operator has halted it".to_owned(),
            Self::Failures(nodes) => format!("failed: {}", named(nodes)),
            Self::Deadline(nodes) if nodes.is_empty() => {
                "no upgrade has begun or ended within the deadline".to_owned()
            }
            Self::Deadline(nodes) => format!("the deadline is over; it waited for {}", named(nodes)),
        }
    }
}

/// Decides the next step of a rollout. The first line that holds decides:
///
/// | seen | next |
/// |---|---|
/// | each node is committed or skipped, or one of the failures that are allowed | done |
/// | no upgrade has begun or ended within `deadline` | halt |
/// | a canary or too many nodes have failed, or the operator has halted; nodes are busy | wait for them |
/// | the same, and no node is busy | halt |
/// | no node of the next wave has begun, and the former wave ended within `pause_between` | wait |
/// | nodes of the present wave wait, and fewer than `max_unavailable` nodes are unavailable | begin |
/// | otherwise | wait |
///
/// Unavailable are busy, failed and missing nodes of the whole fleet. The present wave is the first
/// one with a node that is neither committed nor skipped nor failed.
pub fn next(policy: &Policy, states: &[State], seen: &Seen) -> Next {
    let halt = too_many_failures(policy, states).or(seen.is_halted.then_some(Halt::Ordered));
    let waves = policy.waves(states.len());
    let present = waves.iter().position(|wave| !states[wave.clone()].iter().all(|state| has_ended(*state)));
    let Some(present) = present else {
        return halt.filter(|halt| *halt != Halt::Ordered).map_or(Next::Done, Next::Halt);
    };
    let busy = nodes(states, |state| state == State::Busy);
    if seen.quiet >= policy.deadline {
        let waits_for = nodes(states, |state| matches!(state, State::Busy | State::Missing));
        return Next::Halt(halt.unwrap_or(Halt::Deadline(waits_for)));
    }
    match halt {
        Some(halt) if busy.is_empty() => return Next::Halt(halt),
        Some(halt) => return Next::Wait(Wait::Halting(halt, busy)),
        None => {}
    }
    let wave = &states[waves[present].clone()];
    let has_begun = wave.iter().any(|state| matches!(state, State::Busy | State::Committed | State::Failed));
    if present > 0 && !has_begun && seen.quiet < policy.pause_between {
        return Next::Wait(Wait::Pause(policy.pause_between - seen.quiet));
    }
    let unavailable = nodes(states, |state| matches!(state, State::Busy | State::Failed | State::Missing));
    let budget = policy.max_unavailable.saturating_sub(unavailable.len());
    let waiting = waves[present].clone().filter(|node| states[*node] == State::Waiting);
    let begin: Vec<usize> = waiting.take(budget).collect();
    match (begin.is_empty(), busy.is_empty()) {
        (false, _) => Next::Begin(begin),
        (true, false) => Next::Wait(Wait::Upgrades(busy)),
        (true, true) => Next::Wait(Wait::Unavailable(unavailable)),
    }
}

/// Returns whether the rollout has nothing left to do on a node.
const fn has_ended(state: State) -> bool {
    matches!(state, State::Committed | State::Failed | State::Skipped)
}

/// Returns the failures, if a canary is one of them or there are too many.
fn too_many_failures(policy: &Policy, states: &[State]) -> Option<Halt> {
    let failed = nodes(states, |state| state == State::Failed);
    let canaries = policy.canaries(states.len());
    let is_too_many =
        failed.len() > policy.max_failures || failed.first().is_some_and(|node| *node < canaries);
    is_too_many.then_some(Halt::Failures(failed))
}

fn nodes(states: &[State], is_wanted: impl Fn(State) -> bool) -> Vec<usize> {
    (0..).zip(states).filter(|(_, state)| is_wanted(**state)).map(|(node, _)| node).collect()
}

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;
