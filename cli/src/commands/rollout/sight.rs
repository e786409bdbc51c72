//! The state of a node in a rollout, from its answers. Pure.

use reld_api::response::{HistoryEntry, HistoryKind, NodeStatus, Outcome, ReleaseStatus};
use reld_api::{ErrorReport, FailedStep};
use reld_fleet::State;

use super::node::Look;
use super::target::Target;

/// A node in a rollout, as far as the driver knows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sight {
    pub(super) state: State,
    /// The order under way, or the reason for a failure or a silence.
    pub(super) why: Option<String>,
    /// The failed step of an upgrade.
    pub(super) step: Option<FailedStep>,
    /// The running release, if it is known.
    pub(super) runs: Option<String>,
    /// Whether the node runs the release of the rollout, committed or not.
    pub(super) has_moved: bool,
    /// Whether an order of this rollout has begun on the node.
    pub(super) has_begun: bool,
}

/// The direction of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Back,
}

impl Sight {
    /// A node without an answer.
    pub(super) fn silent(why: String, before: Option<&Self>) -> Self {
        let (has_moved, has_begun) =
            before.map_or((false, false), |sight| (sight.has_moved, sight.has_begun));
        Self { state: State::Missing, why: Some(why), step: None, runs: None, has_moved, has_begun }
    }

    /// A node that the operator has left out.
    pub(super) const fn skipped() -> Self {
        let (has_moved, has_begun) = (false, false);
        Self { state: State::Skipped, why: None, step: None, runs: None, has_moved, has_begun }
    }

    /// A node that has refused an order.
    pub(super) fn refused(self, report: &ErrorReport) -> Self {
        Self { state: State::Failed, why: Some(report.in_one_line()), step: report.step.clone(), ..self }
    }
}

/// Judges the answers of a node. `after` is the number of the last entry of its history that counts
/// as past: a failure before it is no reason not to try again. The first line that holds decides:
///
/// | the node | forward | back |
/// |---|---|---|
/// | boots, carries out an order, or settles | busy | busy |
/// | runs the release, committed | committed | waits, or is home if the rollout did not bring it |
/// | has a failed order of this direction after `after` | failed | failed |
/// | runs the release, not committed | waits | waits, if the rollout brought it |
/// | otherwise | waits | is home, which counts as committed |
///
/// A node that was idle before the rollout cannot go back. It is skipped, so that the others go.
pub(super) fn judge(direction: Direction, target: &Target, look: &Look, after: u64) -> Sight {
    let Look { status, releases, history } = look;
    let running = status.release.as_ref();
    let is_ours = |version: &str| {
        let same = |row: &&reld_api::response::ReleaseRow| row.version == version;
        releases.releases.iter().find(same).is_some_and(|row| row.identity == target.identity)
    };
    let has_moved = running.is_some_and(|running| is_ours(&running.version));
    let is_committed = running.is_some_and(|running| running.status == ReleaseStatus::Permanent);
    let last = history.entries.last();
    let is_of_the_direction =
        |entry: &&HistoryEntry| (entry.kind == HistoryKind::Downgrade) == (direction == Direction::Back);
    let failed =
        last.filter(|entry| entry.number > Some(after)).filter(is_of_the_direction).and_then(failure);
    let came = came(look).filter(|_| has_moved);
    let (state, why, step) = match (busy(status), direction, failed) {
        (Some(order), _, _) => (State::Busy, Some(order), None),
        (None, Direction::Forward, _) if has_moved && is_committed => (State::Committed, None, None),
        (None, _, Some((why, step))) => (State::Failed, Some(why), step),
        (None, Direction::Forward, None) => (State::Waiting, None, None),
        (None, Direction::Back, None) => match came.map(|entry| &entry.from) {
            Some(Some(_)) => (State::Waiting, None, None),
            Some(None) => (State::Skipped, Some("it ran no release before the rollout".to_owned()), None),
            None => (State::Committed, None, None),
        },
    };
    let runs = running.map(|running| running.version.clone());
    Sight { state, why, step, runs, has_moved, has_begun: last.is_some() }
}

/// Returns the release that a node goes back to: the one that it ran before the rollout.
pub(super) fn origin(look: &Look) -> Option<&str> {
    came(look)?.from.as_deref()
}

/// Returns the time since which a node is in a state, as far as its history of the rollout knows:
/// the begin of an order under way, or the end of the last order.
pub(super) fn since(look: &Look, state: State) -> Option<&str> {
    let last = look.history.entries.last()?;
    match state {
        State::Busy => (last.outcome == Outcome::UnderWay).then_some(&*last.begun),
        State::Committed | State::Failed => Some(last.ended.as_ref().unwrap_or(&last.begun)),
        State::Waiting | State::Missing | State::Skipped => None,
    }
}

/// Returns the time at which the rollout began to upgrade a node.
pub(super) fn begun(look: &Look) -> Option<&str> {
    came(look).map(|entry| &*entry.begun)
}

/// Returns the last entry of an order that led to the release of the rollout.
fn came(look: &Look) -> Option<&HistoryEntry> {
    let leads_there = |entry: &&HistoryEntry| {
        entry.kind != HistoryKind::Downgrade && entry.from.as_ref() != Some(&entry.to)
    };
    look.history.entries.iter().rfind(leads_there)
}

/// Returns the number of the last entry that has ended, or 0.
pub(super) fn past(look: &Look) -> u64 {
    let ended = look.history.entries.iter().rfind(|entry| entry.outcome != Outcome::UnderWay);
    ended.and_then(|entry| entry.number).unwrap_or(0)
}

/// Returns the work of a node that is not at rest.
fn busy(status: &NodeStatus) -> Option<String> {
    if let (None, Some(permanent)) = (&status.release, &status.permanent) {
        return Some(format!("boots {permanent}"));
    }
    if let Some(progress) = &status.upgrade {
        return Some(format!("step {} of {}: {}", progress.step, progress.of, progress.text));
    }
    let settling = status.settling.as_ref().map(|release| format!("release {release} settles"));
    status
        .order
        .clone()
        .or(settling)
        .or_else(|| status.waiting.first().map(|next| format!("{} waits", next.order)))
}

/// Returns the reason and the step of a failed order.
fn failure(entry: &HistoryEntry) -> Option<(String, Option<FailedStep>)> {
    if entry.outcome == Outcome::Installed && entry.committed || entry.outcome == Outcome::UnderWay {
        return None;
    }
    Some(match &entry.failure {
        Some(report) => (report.in_one_line(), report.step.clone()),
        None => (entry.outcome.to_string(), None),
    })
}

#[cfg(test)]
mod tests;
