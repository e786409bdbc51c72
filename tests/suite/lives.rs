//! How processes end (S22, S23, S85).

use std::fs;

use reld_api::response::{AppStatus, EndedApp, Forest};
use reld_tests::{Node, assert_contains, eventually, folder, pack_release, release};
use serde_json::json;

fn stage() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    node
}

fn root(node: &Node) -> String {
    node.supervisor("stage")
}

/// State of a child after its end.
#[derive(Debug, PartialEq)]
enum After {
    Restarted,
    Stopped,
    Gone,
}

fn after(node: &Node, id: &str, pid: &str) -> After {
    eventually("the child's end is seen", || {
        let row = node.tree("stage").children.into_iter().find(|row| row.id == id);
        match row.map(|row| row.pid) {
            None => Some(After::Gone),
            Some(None) => Some(After::Stopped),
            Some(Some(now)) => (now != pid).then_some(After::Restarted),
        }
    })
}

#[track_caller]
fn check(node: &Node, restart: &str, end: &[&str], expected: After) {
    let spec = json!({"id": restart, "module": "count_server", "args": 0, "restart": restart}).to_string();
    let sup = root(node);
    node.ok(&["child", "start", &sup, &spec]);
    let pid = node.pid("stage", restart);
    // A call that ends its server returns an error.
    node.run(&[&[end[0], &pid], &end[1..]].concat());
    let became = after(node, restart, &pid);
    assert_eq!(became, expected, "{restart} after {end:?}");
    if became != After::Gone {
        node.run(&["child", "terminate", &sup, restart]).expect(0);
        node.run(&["child", "delete", &sup, restart]).expect(0);
    }
}

#[test]
fn s22_restart_types_act_on_each_kind_of_end_as_in_otp() {
    let node = stage();
    let normal: &[&str] = &["cast", "stop"];
    let [shutdown, crash, kill]: [&[&str]; 3] = [&["kill", "shutdown"], &["call", "fail"], &["kill"]];
    for end in [normal, shutdown, crash, kill] {
        check(&node, "permanent", end, After::Restarted);
        check(&node, "temporary", end, After::Gone);
    }
    check(&node, "transient", normal, After::Stopped);
    check(&node, "transient", shutdown, After::Stopped);
    check(&node, "transient", crash, After::Restarted);
    check(&node, "transient", kill, After::Restarted);
}

#[test]
fn a_message_that_its_receiver_would_not_understand_is_refused_and_ends_no_process() {
    let node = stage();
    let a = node.pid("stage", "a");
    for verb in ["call", "cast"] {
        let refused = node.run(&[verb, &a, "gett"]).expect(1);
        assert_contains(&refused.stderr, &["nothing was sent", "count_server", "gett"]);
        let refused = node.run(&[verb, &root(&node), "get"]).expect(1);
        assert_contains(&refused.stderr, &["is a supervisor"]);
    }
    assert_eq!(node.pid("stage", "a"), a);
    node.ok(&["call", &a, "get"]);
}

/// Waits until exactly one app has ended by itself, and returns it.
fn ended_app(node: &Node) -> EndedApp {
    let ended = eventually("an app has ended", || Some(node.status().ended).filter(|of| !of.is_empty()));
    assert_eq!(ended.len(), 1, "{ended:#?}");
    ended.into_iter().next().expect("an app has ended")
}

#[test]
fn an_app_that_ended_by_itself_is_listed_with_its_reason_until_it_is_started_again() {
    let node = stage();
    node.ok(&["kill", &root(&node)]);
    let ended = ended_app(&node);
    assert_eq!([&*ended.app, &ended.version, &ended.reason], ["stage", "0.1.0", "killed"]);
    let app = node.app("stage");
    assert_eq!((app.status, app.reason.as_deref()), (AppStatus::Ended, Some("killed")));
    node.ok(&["app", "start", "stage"]);
    assert_eq!(node.status().ended, []);
    // An app stopped by hand has no end reason.
    node.ok(&["app", "stop", "stage"]);
    assert_eq!(node.status().ended, []);
}

/// Starts a node with a release of the fixtures and other start types of its apps.
pub(crate) fn with_start_types(release: &str, from: &str, to: &str) -> Node {
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let (file, tarball) = (place.path().join("release.toml"), place.path().join("release.tar.gz"));
    let text = folder(&format!("tests/fixtures/releases/{release}.toml"));
    let text = fs::read_to_string(text).expect("a release");
    fs::write(&file, text.replace(from, to)).expect("a temporary folder can be written");
    pack_release(&file, &folder("tests/fixtures"), &tarball);
    let node = Node::start();
    node.ok(&["upgrade", &tarball.to_string_lossy()]);
    node
}

#[test]
fn s23_a_child_that_ends_too_often_takes_its_app_down_and_no_other() {
    let node = with_start_types("yard-1.0.0", "permanent", "temporary");
    let shed = node.tree("shed");
    // The default restart intensity is one restart in five seconds.
    for _ in 0..2 {
        let worker = node.pid("yard", "a");
        node.ok(&["kill", &worker]);
        eventually("its end is seen", || {
            let Some(tree) = node.read::<Forest>(&["tree", "--app", "yard"]).roots.into_iter().next() else {
                return Some(());
            };
            let a = tree.children.into_iter().find(|child| child.id == "a")?;
            (a.pid? != worker).then_some(())
        });
    }
    let ended = ended_app(&node);
    assert_eq!([&*ended.app, &ended.reason], ["yard", "shutdown: reached_max_restart_intensity"]);
    assert_eq!(node.tree("shed"), shed, "the daemon and other apps stay up");
}

#[test]
fn h2_a_node_goes_down_with_a_permanent_app_in_order_and_fails() {
    let mut node = with_start_types("stage-1.0.0", "temporary", "permanent");
    node.ok(&["kill", &root(&node)]);
    assert_eq!(node.ended().code(), Some(1));
    let log = node.log();
    let last = log.lines().filter(|line| line.contains("ERROR")).collect::<Vec<_>>().join("\n");
    assert_contains(&last, &["cannot run without this app", "app=\"stage\"", "reason=killed"]);
}

#[test]
fn s85_a_panic_in_a_callback_is_a_crash_of_its_process_and_of_nothing_else() {
    let node = stage();
    let [a, b] = ["a", "b"].map(|id| node.pid("stage", id));
    let answer = node.run(&["call", &a, "panic"]).expect(1);
    assert_contains(&answer.stderr, &["asked to panic"]);
    assert_eq!(after(&node, "a", &a), After::Restarted);
    assert_eq!(node.pid("stage", "b"), b);
    assert!(node.log().contains("asked to panic"));
}

/// Starts one more count_server as a temporary child.
fn temporary(node: &Node, id: &str) -> String {
    let spec = json!({"id": id, "module": "count_server", "args": 0, "restart": "temporary"}).to_string();
    node.ok(&["child", "start", &root(node), &spec]);
    node.pid("stage", id)
}

#[test]
fn s85_a_panic_in_init_is_the_error_of_the_start() {
    let node = stage();
    let spec = json!({"id": "c", "module": "count_server", "args": -1}).to_string();
    let refused = node.run(&["child", "start", &root(&node), &spec]).expect(1);
    assert_contains(&refused.stderr, &["a count that starts below zero"]);
    assert_eq!(node.tree("stage").children.len(), 3);
}

#[track_caller]
fn check_end_that_panics(trouble: &str, words: &str) {
    let node = stage();
    let b = node.pid("stage", "b");
    let pid = temporary(&node, "c");
    node.ok(&["cast", &pid, &json!({ "trouble": trouble }).to_string()]);
    node.ok(&["cast", &pid, "stop"]);
    assert_eq!(after(&node, "c", &pid), After::Gone);
    eventually("the panic is in the log", || node.log().contains(words).then_some(()));
    assert_eq!(node.pid("stage", "b"), b);
    node.ok(&["call", &b, "get"]);
}

#[test]
fn s85_a_panic_in_terminate_ends_its_process_and_nothing_else() {
    check_end_that_panics("terminate", "a terminate that panics");
}

#[test]
fn s85_a_panic_in_the_drop_of_a_state_ends_its_process_and_nothing_else() {
    check_end_that_panics("drop", "a state that panics when dropped");
}
