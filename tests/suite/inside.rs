//! Events while members are suspended: ends, starts, suspended supervisors (S45, S53, S55); and a
//! second upgrade beside a lingerer (S49).

use std::sync::Arc;
use std::thread;

use reld_api::response::{ProcessStatus, Report};
use reld_tests::{Node, assert_contains, eventually, field, release};

use crate::relup::{packed_with, yard_with};

/// Duration of the wait inside the pause, in milliseconds.
const PAUSE: u64 = 3000;

fn running(release_name: &str) -> Arc<Node> {
    let node = Node::start();
    node.ok(&["upgrade", &release(release_name)]);
    Arc::new(node)
}

/// Upgrades the yard with a long pause, runs `meanwhile` during it, and returns the report.
fn upgraded_while(node: &Arc<Node>, meanwhile: impl FnOnce()) -> Report {
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let suspend = "{ suspend = [\"yard_worker\"] },";
    let waits = format!("{suspend}\n  {{ apply = \"yard_calls:wait\", args = [{PAUSE}] }},");
    let tarball = yard_with(place.path(), &[(suspend, &waits)]);
    let upgrading = Arc::clone(node);
    let upgrade = thread::spawn(move || upgrading.report(&["upgrade", &tarball]));
    eventually("the pause has begun", || {
        node.status().upgrade?.text.contains("yard_calls:wait").then_some(())
    });
    meanwhile();
    upgrade.join().expect("the upgrade ends well")
}

#[test]
fn s45_a_member_that_is_killed_in_the_pause_is_reported_and_restarted_on_new_code() {
    let node = running("yard-1.0.0");
    let killed = node.pid("yard", "a");
    let report = upgraded_while(&node, || drop(node.ok(&["kill", &killed])));
    assert!(report.killed.iter().any(|ended| ended.pid == killed), "{report:#?}");
    let again = node.restarted("yard", "a", &killed);
    assert_eq!(node.proc(&again).process.version, "2.0.0");
    assert_eq!(node.call(&again, "get"), 0);
}

#[test]
fn s55_a_child_requested_in_the_pause_starts_after_it_on_new_code() {
    let node = running("yard-1.0.0");
    let sup = node.supervisor("yard");
    let spec = r#"{"id": "late", "module": "yard_worker", "args": 3}"#;
    let mut starting = None;
    upgraded_while(&node, || {
        let node = Arc::clone(&node);
        starting = Some(thread::spawn(move || node.start_child(&sup, spec)));
    });
    let pid = starting.expect("it was asked for").join().expect("it was started");
    assert_eq!(node.pid("yard", "late"), pid);
    assert_eq!(node.proc(&pid).process.version, "2.0.0");
    assert_eq!(node.call(&pid, "get"), 3);
}

#[test]
fn s53_a_suspended_supervisor_hides_nothing_and_stays_suspended() {
    let node = running("shop-1.0.0");
    let sup = node.supervisor("counter");
    let pid = node.pid("counter", 10_000);
    node.ok(&["suspend", &sup]);
    node.ok(&["upgrade", &release("shop-1.1.0")]);
    let interval = |pid: &str| field::<u64>(&node.state(pid), "interval_ms");
    assert_eq!(interval(&pid), 250, "its child was found and converted");
    let shown = node.proc(&sup).process;
    assert_eq!((&*shown.version, shown.status), ("0.1.1", ProcessStatus::Suspended));
    node.ok(&["resume", &sup]);
    node.ok(&["kill", &pid]);
    let new = node.restarted("counter", 10_000, &pid);
    assert_eq!(interval(&new), 200, "by the new spec");
}

#[test]
fn s49_a_second_upgrade_is_refused_beside_a_lingerer_or_kills_it_by_a_brutal_pre_purge() {
    let node = running("stage-1.0.0");
    let lingerer = node.spawn("looper", 1);
    let report = node.report(&["upgrade", &release("stage-2.0.0")]);
    assert_contains(&report.warnings.join("\n"), &["stays on its version"]);
    assert_eq!(report.lingering[0].pid, lingerer);
    let tree = node.tree("stage");
    let refused = node.run(&["upgrade", &release("stage-3.0.0")]).expect(1);
    assert_contains(
        &refused.stderr,
        &["module looper has old code 0.1.0 that still runs", lingerer.as_str(), "pre_purge"],
    );
    assert_eq!(node.tree("stage"), tree);
    node.ok(&["remove", "3.0.0"]);

    let derived = node.ok(&["plan", &release("stage-2.0.0"), &release("stage-3.0.0"), "--relup"]).stdout;
    let brutal =
        "\"point_of_no_return\",\n  { load = \"looper\", pre_purge = \"brutal\", post_purge = \"soft\" }";
    let relup = derived.replacen("{ load_object_code = [", "{ load_object_code = [\"looper\", ", 1).replacen(
        "\"point_of_no_return\"",
        brutal,
        1,
    );
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let tarball = packed_with(place.path(), "tests/fixtures", "stage-3.0.0", &relup);
    let dry = node.ok(&["upgrade", &tarball, "--dry-run"]).stdout;
    let parts = ["pre_purge brutal", "IRREVERSIBLE", "would be killed by its brutal pre_purge", &lingerer];
    assert_contains(&dry, &parts);
    let report = node.report(&["upgrade", &tarball]);
    assert_eq!((&report.killed[0].pid, &*report.lingering), (&lingerer, &[][..]));
}
