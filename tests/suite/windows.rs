//! Upgrades group by group, with windows as in OTP, and the way back after a failed window.

use std::path::Path;

use reld_api::response::{Outcome, Report};
use reld_tests::{Node, assert_contains, assert_in_order, exactly, field, keys, release};

use crate::relup::yard_with;

/// Returns the number and outcome of each window, and whether it held processes.
fn windows(report: &Report) -> Vec<(usize, Outcome, bool)> {
    let windows = report.windows.iter();
    windows.map(|of| (of.window, of.outcome, of.pauses.processes > 0)).collect()
}

#[test]
fn each_group_moves_in_a_window_of_its_own_up_and_down() {
    let node = Node::start();
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    let pids = [10_000, 20_000].map(|id| node.pid("counter", id));
    let dry = node.ok(&["upgrade", &release("shop-1.1.0"), "--dry-run", "--group-windows"]).stdout;
    assert_in_order(
        &dry,
        &["window 1", "load counter ", "code_change counter ", "window 2", "code_change counter_sup "],
    );

    let report = node.report(&["upgrade", &release("shop-1.1.0"), "--group-windows"]);
    assert_eq!(windows(&report), [(1, Outcome::Installed, true), (2, Outcome::Installed, true)]);
    assert_eq!(report.windows[1].modules, ["counter_sup"]);
    assert_eq!([10_000, 20_000].map(|id| node.pid("counter", id)), pids);
    for pid in &pids {
        assert_eq!(field::<u64>(&node.state(pid), "interval_ms"), 250);
    }
    node.assert_code("0.1.1");
    assert_eq!(node.report(&["downgrade", "--group-windows"]).windows.len(), 2);
    assert_eq!(keys(&node.state(&pids[0])), ["n", "stopping"]);
    assert_eq!(node.code().residents, [], "a purged library is unmapped");
}

/// Returns yard 2.0.0 with this call at the beginning of its second window, the one of the
/// supervisor.
fn calling(place: &Path, call: &str) -> String {
    let second = "{ suspend = [\"yard_sup\"] }";
    yard_with(place, &[(second, &format!("{call},\n  {second}"))])
}

#[test]
fn a_window_that_fails_after_the_first_resume_reverts_the_first_by_a_conversion_and_reports_it() {
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let tarball = calling(place.path(), r#"{ apply = "yard_calls:fail", args = ["no power"] }"#);

    let ids = ["a", "old", "gone"];
    let pids = ids.map(|id| node.pid("yard", id));
    node.ok(&["cast", &pids[0], "7"]);
    let (tree, apps) = (node.tree("yard"), node.apps());
    let failed = node.run(&["upgrade", &tarball, "--group-windows", "--json"]).expect(4);
    let parts = [
        "taken_back",
        "no power",
        "their states were converted back, not restored",
        "the node runs 1.0.0 again",
    ];
    assert_contains(&failed.stdout, &parts);
    let report: Report = exactly(&failed.error().details);
    assert_eq!(windows(&report)[..2], [(1, Outcome::Installed, true), (2, Outcome::RolledBack, true)]);
    assert_eq!(report.way_back.map(|back| back.outcome), Some(Outcome::Installed));

    assert_eq!(node.tree("yard"), tree, "every child has its id again");
    assert_eq!(node.apps(), apps);
    assert_eq!(ids.map(|id| node.pid("yard", id)), pids);
    assert_eq!(node.call(&pids[0], "get"), 7);
    assert_eq!(node.version(), "1.0.0");
    node.assert_code("1.0.0");
    // Without the failing function every window is installed.
    node.ok(&["remove", "2.0.0"]);
    node.ok(&["upgrade", &release("yard-2.0.0"), "--group-windows"]);
    assert_eq!(node.pid("yard", "new"), pids[1], "renamed, and running on");
}

#[test]
fn s46_a_child_may_be_started_by_a_later_window_than_the_update_of_its_supervisor() {
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let resumed = "{ resume = [\"yard_sup\"] }";
    let third = "{ suspend = [\"yard_calls\"] }, { resume = [\"yard_calls\"] }";
    let tarball = yard_with(place.path(), &[(resumed, &format!("{resumed}, {third}"))]);
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    let report = node.report(&["upgrade", &tarball, "--group-windows"]);
    assert_eq!(report.windows.len(), 3, "{report:#?}");
    node.pid("yard", "fresh");
}

#[test]
fn a_crash_in_the_new_code_of_a_window_takes_it_back_before_the_next_window_unless_crashes_are_ignored() {
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let tarball = calling(place.path(), r#"{ apply = "yard_calls:kill", args = ["yard_log"] }"#);
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    let worker = node.pid("yard", "a");
    let log = node.pid("yard", "log");
    let failed = node.run(&["upgrade", &tarball, "--group-windows"]).expect(4).stderr;
    let parts =
        ["was taken back; the node runs 1.0.0 again", &log, "crashed: killed", "1 windows were in force"];
    assert_contains(&failed, &parts);
    node.assert_code("1.0.0");
    assert_eq!(node.pid("yard", "a"), worker);

    // Ignored crashes are still reported. This uses another node, since two crashes at once exceed
    // the supervisor's restart intensity.
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    let log = node.pid("yard", "log");
    let report = node.report(&["upgrade", &tarball, "--group-windows", "--crashes", "ignore"]);
    assert_contains(&report.warnings.join("\n"), &[&log, "crashed: killed"]);
    assert_eq!(node.version(), "2.0.0");
}
