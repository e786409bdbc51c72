//! Upgrades group by group: OTP's windows, with the way back from the first of them.

use std::path::Path;

use reld_tests::{Node, release};
use serde_json::{Value, json};

use crate::relup::yard_with;

fn pauses(report: &Value) -> Vec<(u64, &str, bool)> {
    let windows = report["windows"].as_array().expect("a list of windows");
    let pause = |window: &Value| window["pauses"]["processes"].as_u64().is_some_and(|held| held > 0);
    windows
        .iter()
        .map(|window| {
            (window["window"].as_u64().unwrap_or(0), window["outcome"].as_str().unwrap_or(""), pause(window))
        })
        .collect()
}

#[test]
fn each_group_moves_in_a_window_of_its_own_up_and_down() {
    let node = Node::start();
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    let pids = [10_000, 20_000].map(|id| node.pid("counter", &json!(id)));
    let dry = node.ok(&["upgrade", &release("shop-1.1.0"), "--dry-run", "--group-windows"]).stdout;
    let at = |what: &str| dry.find(what).unwrap_or_else(|| panic!("no {what} in:\n{dry}"));
    let order =
        ["window 1", "load counter ", "code_change counter ", "window 2", "code_change counter_sup "].map(at);
    assert!(order.is_sorted(), "{dry}");

    let report = node.json(&["upgrade", &release("shop-1.1.0"), "--group-windows"]);
    assert_eq!(pauses(&report), [(1, "installed", true), (2, "installed", true)], "{report:#}");
    assert_eq!(report["windows"][1]["modules"], json!(["counter_sup"]));
    assert_eq!([10_000, 20_000].map(|id| node.pid("counter", &json!(id))), pids);
    for pid in &pids {
        assert_eq!(node.state(pid)["interval_ms"], json!(250));
    }
    for module in node.json(&["code"])["modules"].as_array().expect("a list") {
        assert_eq!((&module["current"], &module["old"]), (&json!("0.1.1"), &Value::Null), "{module:#}");
    }
    let report = node.json(&["downgrade", "--group-windows"]);
    assert_eq!(pauses(&report).len(), 2, "{report:#}");
    assert_eq!(node.state(&pids[0]).get("interval_ms"), None);
    assert_eq!(node.json(&["code"])["residents"], json!([]), "a purged library is unmapped");
}

/// The second yard, with this call at the beginning of its second window, which is that of the supervisor.
fn calling(place: &Path, call: &str) -> String {
    let second = "{ suspend = [\"yard_sup\"] }";
    yard_with(place, &[(second, &format!("{call},\n  {second}"))])
}

#[test]
fn a_window_that_fails_after_the_first_resume_takes_the_first_back_by_a_conversion_and_says_so() {
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let tarball = calling(place.path(), r#"{ apply = "yard_calls:fail", args = ["no power"] }"#);

    let ids = ["a", "old", "gone"];
    let pids = ids.map(|id| node.pid("yard", &json!(id)));
    node.ok(&["cast", &pids[0], "7"]);
    let [tree, apps] = [node.tree("yard").to_string(), node.json(&["apps"]).to_string()];
    let failed = node.run(&["upgrade", &tarball, "--group-windows", "--json"]).expect(4);
    let error: Value = serde_json::from_str(&failed.stderr).expect("the error is JSON");
    for words in [
        "taken_back",
        "no power",
        "their states were converted back, not put back",
        "the node runs 1.0.0 again",
    ] {
        assert!(failed.stderr.contains(words), "no {words} in {error:#}");
    }
    let report = &error["error"]["details"];
    assert_eq!(pauses(report)[..2], [(1, "installed", true), (2, "rolled_back", true)], "{report:#}");
    assert_eq!(report["way_back"]["outcome"], json!("installed"), "{report:#}");

    assert_eq!(node.tree("yard").to_string(), tree, "every child has its id again");
    assert_eq!(node.json(&["apps"]).to_string(), apps);
    assert_eq!(ids.map(|id| node.pid("yard", &json!(id))), pids);
    assert_eq!(node.json(&["call", &pids[0], "get"])["reply"], json!(7));
    assert_eq!(node.json(&["status"])["release"]["version"], "1.0.0");
    for module in node.json(&["code"])["modules"].as_array().expect("a list") {
        assert_eq!(module["old"], Value::Null, "{module:#}");
    }
    // Without the failing function every window arrives.
    node.ok(&["remove", "2.0.0"]);
    node.ok(&["upgrade", &release("yard-2.0.0"), "--group-windows"]);
    assert_eq!(node.pid("yard", &json!("new")), pids[1], "renamed, and running on");
}

#[test]
fn s46_a_child_that_a_later_window_starts_is_expected_where_its_supervisor_is_updated() {
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let resumed = "{ resume = [\"yard_sup\"] }";
    let third = "{ suspend = [\"yard_calls\"] }, { resume = [\"yard_calls\"] }";
    let tarball = yard_with(place.path(), &[(resumed, &format!("{resumed}, {third}"))]);
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    let report = node.json(&["upgrade", &tarball, "--group-windows"]);
    assert_eq!(pauses(&report).len(), 3, "{report:#}");
    node.pid("yard", &json!("fresh"));
}

#[test]
fn a_crash_in_the_new_code_of_one_window_takes_it_back_before_the_next_opens_unless_it_is_to_be_ignored() {
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let tarball = calling(place.path(), r#"{ apply = "yard_calls:kill", args = ["yard_log"] }"#);
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    let worker = node.pid("yard", &json!("a"));
    let log = node.pid("yard", &json!("log"));
    let failed = node.run(&["upgrade", &tarball, "--group-windows"]).expect(4).stderr;
    for words in [
        "was taken back; the node runs 1.0.0 again",
        log.as_str(),
        "crashed: killed",
        "1 windows were in force",
    ] {
        assert!(failed.contains(words), "no {words} in:\n{failed}");
    }
    let code = node.json(&["code"]);
    for module in code["modules"].as_array().expect("a list") {
        assert_eq!((&module["current"], &module["old"]), (&json!("1.0.0"), &Value::Null), "{module:#}");
    }
    assert_eq!(node.pid("yard", &json!("a")), worker);

    // Who crashes is told in any case. (On another node, for two crashes at once are more than the supervisor bears.)
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    let log = node.pid("yard", &json!("log"));
    let report = node.json(&["upgrade", &tarball, "--group-windows", "--crashes", "ignore"]);
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains(&log) && warnings.contains("crashed: killed"), "{report:#}");
    assert_eq!(node.json(&["status"])["release"]["version"], "2.0.0");
}
