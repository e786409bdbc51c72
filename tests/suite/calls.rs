//! Functions that appups call, and children that they stop and start (S46, S47, S80 to S82).

use reld_api::request::Shutdown;
use reld_api::response::{Checked, ChildSpecShown, Outcome, Report};
use reld_tests::{Node, Run, assert_contains, eventually, exactly, release};

fn yard() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    node
}

/// Returns the children of an app's root supervisor: id and pid, in start order.
fn children(node: &Node, app: &str) -> Vec<(String, Option<String>)> {
    let rows = node.tree(app).children.into_iter();
    rows.map(|row| (row.id.as_str().expect("ids are words").to_owned(), row.pid)).collect()
}

fn ids(node: &Node, app: &str) -> Vec<String> {
    let mut ids: Vec<String> = children(node, app).into_iter().map(|(id, _)| id).collect();
    ids.sort();
    ids
}

/// Returns how the worker that stays is shut down.
fn shutdown_of_a(node: &Node) -> Option<Shutdown> {
    node.read::<ChildSpecShown>(&["child", "spec", &node.supervisor("yard"), "a"]).spec.shutdown
}

/// Returns the notes in the yard's log.
fn notes(node: &Node) -> Vec<String> {
    serde_json::from_value(node.call("yard_log", "get")).expect("lines")
}

#[track_caller]
fn assert_smooth(report: &Report) {
    assert_eq!((report.outcome, &*report.warnings), (Outcome::Installed, &[][..]));
}

#[test]
fn s46_s47_children_are_renamed_added_and_removed_both_ways_and_the_others_stay() {
    let node = yard();
    let [a, old] = ["a", "old"].map(|id| node.pid("yard", id));
    node.ok(&["cast", &old, "41"]);
    assert_eq!(shutdown_of_a(&node), Some(Shutdown::Ms(5_000)));
    let report = node.report(&["upgrade", &release("yard-2.0.0")]);
    assert_eq!((report.outcome, report.warnings.len()), (Outcome::Installed, 1), "{report:?}");
    assert_contains(&report.warnings[0], &["restart_application shed"]);
    assert_eq!(ids(&node, "yard"), ["a", "fresh", "log", "new"]);
    assert_eq!(node.pid("yard", "a"), a);
    let shutdown = shutdown_of_a(&node);
    assert_eq!(shutdown, Some(Shutdown::Ms(7_000)), "the new init's spec applies to running children");
    assert_eq!(node.pid("yard", "new"), old, "a renamed child runs on");
    assert_eq!(node.call(&old, "get"), 41);
    let fresh = node.pid("yard", "fresh");
    assert_eq!(node.proc(&fresh).process.version, "2.0.0");

    node.ok(&["downgrade"]);
    assert_eq!(ids(&node, "yard"), ["a", "gone", "log", "old"]);
    assert_eq!(shutdown_of_a(&node), Some(Shutdown::Ms(5_000)));
    assert_eq!(node.pid("yard", "old"), old);
    assert_eq!(node.call(&old, "get"), 41);
    let ends = "a worker ends at 0: shutdown";
    assert_eq!(notes(&node).iter().filter(|line| *line == ends).count(), 2, "gone, then fresh");
}

#[test]
fn s80_an_app_gets_the_changes_of_its_environment_up_and_down() {
    let node = yard();
    node.ok(&["upgrade", &release("yard-2.0.0")]);
    node.ok(&["downgrade"]);
    let lines = notes(&node);
    let changes: Vec<&String> = lines.iter().filter(|line| line.starts_with("config_change")).collect();
    let expected = [
        r#"config_change ["speed"] ["fresh"] ["left_over"], speed Some(2)"#,
        r#"config_change ["speed"] ["left_over"] ["fresh"], speed Some(1)"#,
    ];
    assert_eq!(changes, expected);
}

#[test]
fn s80_settings_of_the_command_line_override_every_release_and_never_change() {
    let node = Node::start_with(&["--env", "yard.speed=7", "--env", "yard.note='set by hand'"]);
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    node.ok(&["upgrade", &release("yard-2.0.0")]);
    let lines = notes(&node);
    let changes: Vec<&String> = lines.iter().filter(|line| line.starts_with("config_change")).collect();
    assert_eq!(changes, [r#"config_change [] ["fresh"] ["left_over"], speed Some(7)"#]);

    let refused = Run::of(Node::daemon_in(&node.root()).args(["--env", "yard.speed"])).expect(2);
    assert_contains(&refused.stderr, &["--env", "yard.speed"]);
}

#[test]
fn s81_a_restarted_app_loses_its_state_and_the_others_keep_theirs() {
    let node = yard();
    let (pump, worker) = (node.pid("shed", "pump"), node.pid("yard", "a"));
    node.ok(&["call", &pump, "stroke"]);
    node.ok(&["cast", &worker, "7"]);
    let dry = node.run(&["upgrade", &release("yard-2.0.0"), "--dry-run"]).stdout;
    assert_contains(&dry, &["restart_application shed permanent", "LOST"]);
    assert_eq!(node.pid("shed", "pump"), pump);

    node.ok(&["upgrade", &release("yard-2.0.0")]);
    let new = node.pid("shed", "pump");
    assert_ne!(new, pump);
    assert_eq!(node.call(&new, "stroke"), 2, "it began anew, with the new stroke");
    assert_eq!(node.call(&worker, "get"), 7);
}

#[test]
fn stopped_children_are_terminated_after_the_switch_and_restarted_and_their_siblings_keep_their_state() {
    let node = yard();
    node.ok(&["upgrade", &release("yard-2.0.0")]);
    let (pump, tank) = (node.pid("shed", "pump"), node.pid("shed", "tank"));
    node.ok(&["call", &pump, "stroke"]);
    node.ok(&["cast", &tank, "5"]);
    assert_smooth(&node.report(&["downgrade"]));
    let new = node.pid("shed", "pump");
    assert_ne!(new, pump);
    assert_eq!(node.call(&new, "stroke"), 1);
    assert_eq!(node.pid("shed", "tank"), tank);
    assert_eq!(node.call(&tank, "get"), 5);
    eventually("the pump has noted its end", || {
        node.log().contains("the pump ends at 2: shutdown").then_some(())
    });
}

#[test]
fn a_child_that_does_not_start_after_the_switch_takes_the_upgrade_back() {
    let node = yard();
    node.ok(&["upgrade", &release("yard-2.0.0")]);
    let before = children(&node, "yard");
    let worker = node.pid("yard", "a");
    node.ok(&["cast", &worker, "7"]);
    let failed = node.run(&["upgrade", &release("yard-3.0.0")]).expect(4);
    assert_contains(
        &failed.stderr,
        &["3.0.0 was taken back; the node runs 2.0.0 again", "a worker that starts below zero"],
    );
    assert_eq!(node.version(), "2.0.0");
    assert_eq!(children(&node, "yard"), before);
    assert_eq!(node.call(&worker, "get"), 7);
    assert_eq!(node.proc(&worker).process.version, "2.0.0");
}

#[test]
fn s82_a_function_that_fails_in_the_pause_reverts_everything_including_earlier_calls() {
    let node = yard();
    let before = (children(&node, "yard"), node.code().modules);
    let tank = node.pid("shed", "tank");
    let failed = node.run(&["upgrade", &release("yard-3.0.0")]).expect(4);
    assert_contains(&failed.stderr, &["apply yard_calls:fail(\"no power\")", "no power"]);
    assert_eq!(node.version(), "1.0.0");
    assert_eq!((children(&node, "yard"), node.code().modules), before);
    assert_eq!(notes(&node), ["before", "undone"]);
    let lost = "the node runs 1.0.0 again, with app shed started afresh: its states are lost";
    assert_contains(&failed.stderr, &[lost]);
    // The restarted app runs its old version again with a fresh state, as planned.
    let again = node.pid("shed", "tank");
    assert_ne!(again, tank);
    assert_eq!(node.proc(&again).process.version, "1.0.0");
    let pump = node.pid("shed", "pump");
    assert_eq!(node.call(&pump, "stroke"), 1);
}

#[test]
fn an_upgrade_that_failed_after_it_restarted_an_app_names_the_processes_that_were_lost_and_the_check_warns() {
    let node = yard();
    let (pump, worker) = (node.pid("shed", "pump"), node.pid("yard", "a"));
    let warning = "restart_application shed ends its processes, and their states are lost";
    node.ok(&["unpack", &release("yard-2.0.0")]);
    let checked: Checked = node.read(&["check", "2.0.0"]);
    assert_contains(&checked.warnings.join("\n"), &[warning, "even if the upgrade fails or is taken back"]);
    let failed = node.error(4, &["upgrade", &release("yard-3.0.0")]);
    let report: Report = exactly(&failed.details);
    let killed: Vec<&str> = report.killed.iter().map(|ended| ended.pid.as_str()).collect();
    assert!(killed.contains(&&*pump) && !killed.contains(&&*worker), "{killed:?}");
    let restarted: Vec<&str> = report.restarted.iter().map(|started| started.pid.as_str()).collect();
    assert!(restarted.contains(&&*node.pid("shed", "pump")), "{restarted:?}");
    assert_contains(&report.warnings.join("\n"), &["app shed was started afresh: its states are lost"]);
}

#[test]
fn s81_a_script_that_restarts_the_daemon_is_an_orderly_restart_into_the_other_release() {
    let node = yard();
    let daemon = node.id();
    node.ok(&["upgrade", &release("yard-3.0.0"), "--mode", "restart"]);
    assert_eq!(node.version(), "3.0.0");
    let worker = node.pid("yard", "a");
    node.ok(&["cast", &worker, "7"]);
    let script = node.run(&["check", "1.0.0"]).expect(0).stdout;
    assert_contains(&script, &["restart_daemon", "RESTARTS"]);
    let refused = node.run(&["downgrade", "1.0.0", "--no-commit"]).expect(1);
    assert_contains(&refused.stderr, &["restarts the daemon"]);
    assert_eq!(node.call(&worker, "get"), 7);

    node.ok(&["downgrade", "1.0.0"]);
    assert_eq!((&*node.version(), node.status().permanent.as_deref()), ("1.0.0", Some("1.0.0")));
    assert_eq!(node.id(), daemon, "it executed itself again");
    assert_eq!(node.call(&node.pid("yard", "a"), "get"), 0);
    assert!(!node.log().contains("did not stop cleanly"), "{}", node.log());
}
