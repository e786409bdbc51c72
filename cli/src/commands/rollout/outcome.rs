//! The outcome of a rollout: the document of `--json`, the text, and the exit code. Pure.

use reld_api::{ErrorCode, ErrorReport, ExitCode, FailedStep};
use reld_fleet::State;
use serde::Serialize;

use super::member::Member;
use super::progress::word;
use super::sight::{Direction, Sight};
use super::target::Target;
use super::verdict::TAKEN_BACK;
use crate::error::Failure;
use crate::render;
use crate::shown::Shown;

/// The answer of `relctl rollout`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) rollout: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) outcome: &'static str,
    /// The reason for a halt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    /// The user and the machine of the last driver, and its begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<String>,
    pub(super) nodes: Vec<Node>,
}

#[derive(Debug, Serialize)]
pub(super) struct Node {
    host: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runs: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<FailedStep>,
}

impl Report {
    pub(super) fn new(
        target: &Target,
        direction: Direction,
        outcome: &'static str,
        why: Option<String>,
        members: &[Member],
    ) -> Self {
        Self {
            rollout: target.rollout.clone(),
            name: target.name.clone(),
            version: target.version.clone(),
            outcome,
            why,
            by: None,
            since: None,
            nodes: nodes(direction, members),
        }
    }

    /// Formats the report.
    pub(super) fn text(&self) -> String {
        let Self { rollout, name, version, outcome, by, since, .. } = self;
        let by =
            by.iter().zip(since).map(|(by, since)| format!(", begun by {by} at {since}")).collect::<String>();
        let why = self.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let rows = self.nodes.iter().map(|node| {
            let texts = [&node.runs, &node.since, &node.why];
            let [runs, since, why] = texts.map(|text| text.clone().unwrap_or_default());
            vec![node.host.clone(), node.state.to_owned(), runs, since, why]
        });
        let table = render::table(&["host", "state", "runs", "since", "why"], rows);
        let outcome = outcome.replace('_', " ");
        format!("rollout {rollout} of {name} {version}: {outcome}{why}{by}\n{table}")
    }
}

/// Returns the rows of a report.
pub(super) fn nodes(direction: Direction, members: &[Member]) -> Vec<Node> {
    let node = |member: &Member| {
        let sight = member.sight.as_ref();
        Node {
            host: member.host.clone(),
            state: word(direction, sight.map_or(State::Missing, |sight| sight.state)),
            since: member.since.clone(),
            runs: sight.and_then(|sight| sight.runs.clone()),
            why: sight.and_then(|sight| sight.why.clone()),
            step: sight.and_then(|sight| sight.step.clone()),
        }
    };
    members.iter().map(node).collect()
}

/// Returns the exit code of a rollout that does not run any more.
///
/// | the nodes | exit code |
/// |---|---|
/// | each has the release, or was skipped | 0 |
/// | one runs the release, or is under way to it | 6 |
/// | one had begun, and one does not answer: it may run the release | 6 |
/// | one had begun, and each is known not to run the release | 4 |
/// | none had begun | 1 |
pub(super) fn exit_code(members: &[Member]) -> ExitCode {
    let any =
        |is_so: fn(&Sight) -> bool| members.iter().filter_map(|member| member.sight.as_ref()).any(is_so);
    let has_begun = any(|sight| sight.has_begun);
    let is_under_way = |sight: &Sight| sight.has_begun && sight.state == State::Busy;
    let is_unknown = |sight: &Sight| sight.state == State::Missing;
    if members.iter().all(|member| matches!(member.state(), State::Committed | State::Skipped)) {
        ExitCode::Done
    } else if any(|sight| sight.has_moved) || any(is_under_way) || has_begun && any(is_unknown) {
        ExitCode::Halted
    } else if has_begun {
        ExitCode::RolledBack
    } else {
        ExitCode::Refused
    }
}

/// Returns the exit code of a rollout that was taken back: 4 if each node is home. A node that had
/// the release before the rollout is.
pub(super) fn exit_code_back(members: &[Member]) -> ExitCode {
    let is_home = |member: &Member| match &member.sight {
        Some(sight) if sight.state == State::Skipped => !sight.has_moved,
        sight => sight.as_ref().is_some_and(|sight| sight.state == State::Committed),
    };
    if members.iter().all(is_home) { ExitCode::RolledBack } else { ExitCode::Halted }
}

/// Returns the answer of a driver: the report, or an error with the report as its details. A
/// rollout that was taken back is no error, but its exit code is that of a failed upgrade.
pub(super) fn answer(report: &Report, exit_code: ExitCode) -> Result<Shown, Failure> {
    if exit_code == ExitCode::Done || report.outcome == TAKEN_BACK {
        return Ok(Shown { exit_code, ..Shown::new(report, report.text()) });
    }
    let Report { rollout, version, outcome, why, nodes, .. } = report;
    let runs = nodes.iter().filter(|node| node.runs.as_ref() == Some(version)).count();
    let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let mut error =
        ErrorReport::new(ErrorCode::Halted, format!("rollout {rollout}: {outcome}{why}"), exit_code);
    error.node_state = Some(format!("{runs} of {} nodes run {version}", nodes.len()));
    error.step = nodes.iter().find_map(|node| node.step.clone());
    error.causes = nodes.iter().filter(|node| node.why.is_some()).map(in_words).collect();
    error.details = serde_json::to_value(report).expect("a report has only text keys");
    let hint = match exit_code {
        ExitCode::Halted => {
            "`relctl rollout start` goes on, `relctl rollout take-back` takes the release back"
        }
        _ => "`relctl rollout start` tries again",
    };
    Err(error.with_hint(hint).into())
}

fn in_words(node: &Node) -> String {
    let why = node.why.as_deref().unwrap_or_default();
    format!("{} {}: {why}", node.host, node.state)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a member: its state, whether it runs the release, whether its upgrade has begun.
    fn member(state: State, has_moved: bool, has_begun: bool) -> Member {
        let mut member = Member::new("n1".to_owned());
        member.show(Sight { state, has_moved, has_begun, ..Sight::skipped() });
        member
    }

    #[test]
    fn the_exit_code_is_where_the_nodes_are() {
        use State::{Busy, Committed, Failed, Missing, Skipped, Waiting};
        let code = |members: &[(State, bool, bool)]| {
            let members: Vec<_> = members.iter().map(|(state, a, b)| member(*state, *a, *b)).collect();
            exit_code(&members)
        };
        let done = (Committed, true, true);
        let waits = (Waiting, false, false);
        assert_eq!(code(&[done, done]), ExitCode::Done);
        assert_eq!(code(&[done, (Skipped, false, false)]), ExitCode::Done);
        assert_eq!(code(&[waits, (Missing, false, false)]), ExitCode::Refused);
        assert_eq!(code(&[(Failed, false, false), waits]), ExitCode::Refused);
        assert_eq!(code(&[(Failed, false, true), waits]), ExitCode::RolledBack);
        assert_eq!(code(&[(Failed, true, true), waits]), ExitCode::Halted);
        assert_eq!(code(&[done, (Failed, false, true)]), ExitCode::Halted);
        assert_eq!(code(&[done, waits]), ExitCode::Halted);
        assert_eq!(code(&[(Busy, false, true), waits]), ExitCode::Halted, "it may still commit");
        assert_eq!(code(&[(Missing, false, true), waits]), ExitCode::Halted);
        // Another driver may have moved the silent node.
        assert_eq!(code(&[(Failed, false, true), (Missing, false, false)]), ExitCode::Halted);
        let of_another_order = (Busy, false, false);
        assert_eq!(code(&[(Failed, false, true), of_another_order]), ExitCode::RolledBack);
    }

    #[test]
    fn a_rollout_is_back_when_no_node_has_the_release() {
        let home = || member(State::Committed, false, true);
        assert_eq!(exit_code_back(&[home(), home()]), ExitCode::RolledBack);
        assert_eq!(exit_code_back(&[home(), member(State::Failed, true, true)]), ExitCode::Halted);
        assert_eq!(exit_code_back(&[home(), member(State::Missing, false, false)]), ExitCode::Halted);
        assert_eq!(exit_code_back(&[home(), member(State::Skipped, false, false)]), ExitCode::RolledBack);
        assert_eq!(exit_code_back(&[home(), member(State::Skipped, true, true)]), ExitCode::Halted);
    }
}
