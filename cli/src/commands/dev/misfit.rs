//! Decides which processes have to start anew when a node has refused a revision.

use std::collections::BTreeSet;

use reld_api::{ErrorCode, ErrorReport, ExitCode};
use reld_plan::{Anew, ModuleName};
use serde::Deserialize;

/// An obstacle as the daemon reports it.
#[derive(Debug, Deserialize)]
struct Obstacle {
    class: String,
    /// The module, if it does not take a state or an argument.
    module: Option<ModuleName>,
}

/// The obstacles that do not exist for an app that restarts.
const OF_STATES: [ErrorCode; 5] =
    [ErrorCode::NotTaken, ErrorCode::Children, ErrorCode::Call, ErrorCode::Threads, ErrorCode::OldProcesses];

/// Returns the processes that have to start anew so that a refused revision fits; `None` if no
/// restart of processes helps.
///
/// | the node | start anew |
/// |---|---|
/// | refuses because modules do not take their states | the processes of these modules |
/// | refuses so again, or because of other processes | all processes of the app |
/// | refuses for another reason | |
/// | rolls back, and its check finds no obstacle | all processes of the app |
pub(super) fn anew(report: &ErrorReport, tried: &Anew) -> Option<Anew> {
    let Anew::Modules(tried) = tried else { return None };
    match report.exit_code {
        ExitCode::RolledBack => return Some(Anew::App),
        ExitCode::Refused => {}
        _ => return None,
    }
    let obstacles: Vec<Obstacle> = serde_json::from_value(report.details.clone()).ok()?;
    let is_of_state = |found: &Obstacle| OF_STATES.iter().any(|code| code.as_str() == found.class);
    if obstacles.is_empty() || !obstacles.iter().all(is_of_state) {
        return None;
    }
    let modules: Option<BTreeSet<ModuleName>> = obstacles.into_iter().map(|found| found.module).collect();
    Some(match modules {
        Some(modules) if modules.is_disjoint(tried) => Anew::Modules(modules.union(tried).cloned().collect()),
        _ => Anew::App,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn modules(names: &[&str]) -> Anew {
        Anew::Modules(names.iter().map(|name| name.parse().unwrap()).collect())
    }

    #[track_caller]
    fn check(details: Value, tried: &Anew, expected: Option<Anew>) {
        let report = ErrorReport { details, ..ErrorReport::refused(ErrorCode::NotTaken, "refused") };
        assert_eq!(anew(&report, tried), expected);
    }

    #[test]
    fn every_row_of_the_table() {
        let state = |module| json!({ "class": "not_taken", "message": "", "module": module });
        let other = |class| json!({ "class": class, "message": "" });
        check(json!([state("a"), state("b")]), &modules(&[]), Some(modules(&["a", "b"])));
        check(json!([state("b")]), &modules(&["a"]), Some(modules(&["a", "b"])));
        check(json!([state("a")]), &modules(&["a"]), Some(Anew::App));
        check(json!([state("a"), other("children")]), &modules(&[]), Some(Anew::App));
        check(json!([state("a")]), &Anew::App, None);
        check(json!([state("a"), other("library")]), &modules(&[]), None);
        check(Value::Null, &modules(&[]), None);
        check(json!([]), &modules(&[]), None);
    }

    #[test]
    fn after_a_rollback_the_app_restarts_and_after_a_worse_end_nothing_is_tried() {
        for (code, expected) in [(ExitCode::RolledBack, Some(Anew::App)), (ExitCode::Incomplete, None)] {
            let report = ErrorReport::new(ErrorCode::RolledBack, "failed", code);
            assert_eq!(anew(&report, &modules(&[])), expected);
        }
    }
}
