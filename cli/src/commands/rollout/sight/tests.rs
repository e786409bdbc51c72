use reld_api::ExitCode;
use reld_api::response::{HistoryList, ReleaseList, ReleaseRow, RunningRelease};
use serde_json::json;

use super::super::target::Tarball;
use super::*;

const OURS: &str = "aa";

fn target() -> Target {
    Target {
        rollout: "shop-1.1.0-aa".to_owned(),
        name: "shop".to_owned(),
        version: "1.1.0".to_owned(),
        identity: OURS.to_owned(),
        tarball: Tarball::File("shop.tar.gz".into()),
        settle: 0,
        probe: None,
    }
}

/// Returns the answers of a node that runs a release, with entries of the rollout.
fn look(version: &str, status: ReleaseStatus, identity: &str, entries: Vec<HistoryEntry>) -> Look {
    let node = json!({
        "reld": "0.1.0", "os_pid": 1, "uptime_ms": 1, "release": null, "permanent": "1.0.0", "processes": 0,
        "dirty": false, "upgrade": null, "lingering": [], "ended": [], "stuck": [],
    });
    let mut node: NodeStatus = serde_json::from_value(node).unwrap();
    let (name, version) = ("shop".to_owned(), version.to_owned());
    node.release = Some(RunningRelease {
        name: name.clone(),
        version: version.clone(),
        status,
        serial: 0,
        floor: 0,
        signed_by: Vec::new(),
    });
    let row = ReleaseRow {
        name,
        version,
        status,
        serial: 0,
        signed_by: Vec::new(),
        identity: identity.to_owned(),
        apps: Vec::new(),
    };
    let (releases, history) = (ReleaseList { releases: vec![row] }, HistoryList { entries });
    Look { status: node, releases, history }
}

fn entry(number: u64, kind: HistoryKind, outcome: Outcome) -> HistoryEntry {
    let failed =
        ErrorReport::new(reld_api::ErrorCode::RolledBack, "release 1.1.0 failed", ExitCode::RolledBack);
    HistoryEntry {
        number: Some(number),
        begun: "2026-11-30T12:00:00Z".to_owned(),
        ended: (outcome != Outcome::UnderWay).then(|| "2026-11-30T12:00:07Z".to_owned()),
        kind,
        uid: None,
        rollout: Some("shop-1.1.0-aa".to_owned()),
        from: Some("1.0.0".to_owned()),
        to: "1.1.0".to_owned(),
        outcome,
        committed: outcome == Outcome::Installed,
        report: None,
        failure: (outcome == Outcome::RolledBack).then(|| failed.caused_by("unknown state version 3")),
    }
}

#[track_caller]
fn check(look: &Look, after: u64, forward: State, back: State) {
    assert_eq!(judge(Direction::Forward, &target(), look, after).state, forward, "forward");
    assert_eq!(judge(Direction::Back, &target(), look, after).state, back, "back");
}

#[test]
fn a_node_is_committed_only_with_the_same_content() {
    use ReleaseStatus::{Current, Permanent};
    use State::{Committed, Failed, Waiting};
    let came = || vec![entry(5, HistoryKind::Upgrade, Outcome::Installed)];
    check(&look("1.0.0", Permanent, "bb", vec![]), 0, Waiting, Committed);
    check(&look("1.1.0", Permanent, OURS, came()), 0, Committed, Waiting);
    let mut from_idle = entry(5, HistoryKind::Upgrade, Outcome::Installed);
    from_idle.from = None;
    check(&look("1.1.0", Permanent, OURS, vec![from_idle]), 5, Committed, State::Skipped);
    // It had the release before the rollout.
    check(&look("1.1.0", Permanent, OURS, vec![]), 0, Committed, Committed);
    check(&look("1.1.0", Permanent, "bb", vec![]), 0, Waiting, Committed);
    check(&look("1.1.0", Current, OURS, vec![]), 0, Waiting, Committed);
    let kept = vec![entry(5, HistoryKind::Upgrade, Outcome::NotTakenBack)];
    check(&look("1.1.0", Current, OURS, kept.clone()), 4, Failed, Waiting);
    check(&look("1.1.0", Current, OURS, kept), 5, Waiting, Waiting);
}

#[test]
fn only_a_failure_of_this_attempt_counts() {
    use State::{Committed, Failed, Waiting};
    for outcome in [Outcome::RolledBack, Outcome::TakenBack, Outcome::Interrupted, Outcome::NeedsRestart] {
        let failed =
            look("1.0.0", ReleaseStatus::Permanent, "bb", vec![entry(5, HistoryKind::Upgrade, outcome)]);
        // A node that did not get there is at home.
        check(&failed, 4, Failed, Committed);
        check(&failed, 5, Waiting, Committed);
        assert_eq!(past(&failed), 5);
    }
    let came = entry(5, HistoryKind::Upgrade, Outcome::Installed);
    let kept = vec![came, entry(6, HistoryKind::Downgrade, Outcome::RolledBack)];
    check(&look("1.1.0", ReleaseStatus::Permanent, OURS, kept), 5, Committed, Failed);
    let begun = vec![
        entry(5, HistoryKind::Upgrade, Outcome::RolledBack),
        entry(6, HistoryKind::Upgrade, Outcome::UnderWay),
    ];
    let under_way = look("1.0.0", ReleaseStatus::Permanent, "bb", begun);
    assert_eq!(past(&under_way), 5, "an upgrade that an earlier driver began belongs to this attempt");
}

#[test]
fn a_failure_has_its_message_and_its_causes_in_one_line() {
    let mut failed = entry(5, HistoryKind::Upgrade, Outcome::RolledBack);
    let step = FailedStep { number: 7, of: 12, text: "change_code till in <41.1>".to_owned(), kind: None };
    failed.failure.as_mut().unwrap().step = Some(step.clone());
    let sight =
        judge(Direction::Forward, &target(), &look("1.0.0", ReleaseStatus::Permanent, "bb", vec![failed]), 0);
    let expected = "release 1.1.0 failed: step 7 of 12, change_code till in <41.1>: unknown state version 3";
    assert_eq!(sight.why.as_deref(), Some(expected));
    assert_eq!((sight.step, sight.has_begun, sight.has_moved), (Some(step), true, false));
}

#[test]
fn a_state_began_with_the_last_change_of_the_node_and_not_with_the_look() {
    let look = |outcome| {
        let entries = vec![entry(5, HistoryKind::Upgrade, outcome)];
        look("1.1.0", ReleaseStatus::Permanent, OURS, entries)
    };
    let (ended, begun) = (Some("2026-11-30T12:00:07Z"), Some("2026-11-30T12:00:00Z"));
    assert_eq!(since(&look(Outcome::Installed), State::Committed), ended);
    assert_eq!(since(&look(Outcome::RolledBack), State::Failed), ended);
    assert_eq!(since(&look(Outcome::UnderWay), State::Busy), begun);
    assert_eq!(since(&look(Outcome::Installed), State::Busy), None, "the order of another client");
    assert_eq!(since(&look(Outcome::RolledBack), State::Waiting), None);
}

#[test]
fn a_node_at_work_is_busy_with_the_order_of_any_client() {
    let idle = look("1.0.0", ReleaseStatus::Permanent, "bb", vec![]);
    let busy = |change: fn(&mut NodeStatus), expected: &str| {
        let mut status = idle.status.clone();
        change(&mut status);
        let releases = ReleaseList { releases: idle.releases.releases.clone() };
        let look = Look { status, releases, history: HistoryList { entries: vec![] } };
        let sight = judge(Direction::Forward, &target(), &look, 0);
        assert_eq!((sight.state, sight.why.as_deref()), (State::Busy, Some(expected)));
    };
    busy(|status| status.order = Some("upgrade to 1.2.0".to_owned()), "upgrade to 1.2.0");
    busy(|status| status.settling = Some("1.2.0".to_owned()), "release 1.2.0 settles");
    busy(|status| status.release = None, "boots 1.0.0");
}
