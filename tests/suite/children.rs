//! Supervisors and applications (S20 to S35).

use reld_api::request::ChildType::{Supervisor, Worker};
use reld_api::response::{AppStopped, Behaviour, ChildList, Forest, ProcessStatus};
use reld_tests::{Node, assert_contains, eventually, field, release};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::doctored::{doctored, edit};
use crate::lives::with_start_types;

fn shop() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    node
}

fn counter_sup(node: &Node) -> String {
    node.supervisor("counter")
}

fn ids(node: &Node) -> Vec<Value> {
    node.tree("counter").children.into_iter().map(|child| child.id).collect()
}

fn stage() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    node
}

fn root(node: &Node) -> String {
    node.supervisor("stage")
}

fn value(node: &Node, pid: &str) -> u64 {
    field(&node.call(pid, "get"), "value")
}

fn rows(node: &Node, supervisor: &str) -> ChildList {
    node.read(&["child", "list", supervisor])
}

fn has_tree(node: &Node, app: &str) -> bool {
    !node.read::<Forest>(&["tree", "--app", app]).roots.is_empty()
}

#[test]
fn s20_the_tree_shows_id_pid_type_and_module_of_each_child_and_the_counters_tick() {
    let node = shop();
    let tree = node.tree("counter");
    assert_eq!((tree.behaviour, &*tree.module), (Behaviour::Supervisor, "counter_sup"));
    assert_eq!(ids(&node), [10_000, 20_000]);
    let child = node.child("counter", 10_000);
    assert_eq!((child.behaviour, &*child.module), (Behaviour::GenServer, "counter"));
    let pid = node.pid("counter", 10_000);
    eventually("the counter has ticked ten times", || (value(&node, &pid) >= 10_010).then_some(()));
}

#[test]
fn s21_a_killed_child_comes_back_in_its_row_with_its_first_value() {
    let node = shop();
    let pid = node.pid("counter", 20_000);
    eventually("the counter has ticked", || (value(&node, &pid) > 20_001).then_some(()));
    node.ok(&["kill", &pid]);
    let new = node.restarted("counter", 20_000, &pid);
    assert!(value(&node, &new) < 20_010);
}

#[test]
fn s26_s27_children_are_added_and_removed_at_run_time_with_otp_s_answers() {
    let node = shop();
    let sup = counter_sup(&node);
    let spec = r#"{"id": 30000, "module": "counter", "args": 30000}"#;
    let pid = node.start_child(&sup, spec);
    assert_eq!(node.pid("counter", 30_000), pid);
    let again = node.run(&["child", "start", &sup, spec]).expect(1);
    assert_contains(&again.stderr, &["already_started"]);
    let running = node.run(&["child", "delete", &sup, "30000"]).expect(1);
    assert_contains(&running.stderr, &["running"]);

    node.ok(&["child", "terminate", &sup, "30000"]);
    assert_eq!(node.child("counter", 30_000).pid, None);
    let present = node.run(&["child", "start", &sup, spec]).expect(1);
    assert_contains(&present.stderr, &["already_present"]);
    node.ok(&["child", "restart", &sup, "30000"]);
    node.ok(&["child", "terminate", &sup, "30000"]);
    node.ok(&["child", "delete", &sup, "30000"]);
    assert_eq!(ids(&node), [10_000, 20_000]);
    let gone = node.run(&["child", "delete", &sup, "30000"]).expect(1);
    assert_contains(&gone.stderr, &["not_found"]);
}

#[test]
fn s24_a_supervisor_of_ones_own_with_two_counters_lists_the_latest_first() {
    let node = stage();
    let top = root(&node);
    let spec =
        json!({"id": "row", "module": "stage_row", "type": "supervisor", "args": [[10_000, 1], [20_000, 2]]});
    let row = node.start_child(&top, spec);
    let latest = &rows(&node, &top).children[0];
    assert_eq!((&latest.id, latest.kind), (&json!("row"), Supervisor));
    let kinds: Vec<_> = rows(&node, &row).children.into_iter().map(|row| (row.id, row.kind)).collect();
    assert_eq!(kinds, [(json!(20_000), Worker), (json!(10_000), Worker)]);
    node.ok(&["child", "terminate", &row, "10000"]);
    let list = rows(&node, &row);
    assert_eq!([list.specs, list.active, list.supervisors, list.workers], [2, 1, 0, 2]);
    assert_eq!(list.children[1].status, ProcessStatus::NotStarted);
    assert_contains(&node.ok(&["child", "list", &row]).stdout, &["2 specs, 1 active"]);
}

#[test]
fn s25_children_of_equal_ids_are_refused_by_name_and_none_runs() {
    let node = stage();
    let before = node.ps();
    let spec = json!({"id": "row", "module": "stage_row", "type": "supervisor", "args": [[7, 1], [7, 2]]});
    let refused = node.run(&["child", "start", &root(&node), &spec.to_string()]).expect(1).stderr;
    assert_contains(&refused, &["duplicate_child_name: 7"]);
    assert_eq!(node.ps().len(), before.len());
    assert_eq!(rows(&node, &root(&node)).specs, 3, "its spec is not kept");
}

/// Starts a child that causes `trouble` in its terminate and has a second to shut down. Terminates
/// it and returns its pid.
fn terminated(node: &Node, trouble: &str) -> String {
    let sup = root(node);
    let spec = json!({"id": trouble, "module": "count_server", "args": 0, "shutdown": {"ms": 1000}});
    let pid = node.start_child(&sup, spec);
    node.ok(&["cast", &pid, r#"{"trap_exit": true}"#]);
    node.ok(&["cast", &pid, &json!({ "trouble": trouble }).to_string()]);
    let began = std::time::Instant::now();
    node.ok(&["child", "terminate", &sup, trouble]);
    let took = began.elapsed();
    assert!((1..10).contains(&took.as_secs()), "{took:?}");
    let late = |line: &str| line.contains("did not shut down in time") && line.contains(&pid);
    assert!(node.log().lines().any(late), "{}", node.log());
    assert_eq!(node.child("stage", trouble).pid, None);
    node.run(&["proc", &pid]).expect(1);
    pid
}

#[test]
fn s33_a_child_that_does_not_shut_down_in_its_time_is_killed_and_the_rest_goes_on() {
    let node = stage();
    let b = node.pid("stage", "b");
    terminated(&node, "linger");
    assert_eq!(node.status().stuck, []);
    // A thread cannot be killed. The process has ended, and its callback is reported as stuck.
    let pid = terminated(&node, "hang");
    let status = node.status();
    assert_eq!((&status.stuck[0].pid, status.degraded), (&pid, true));
    assert_eq!(node.pid("stage", "b"), b);
    node.ok(&["call", &b, "get"]);
    node.ok(&["app", "stop", "stage"]);
}

#[test]
fn s28_a_pid_in_place_of_a_child_id_is_refused_with_the_id() {
    let node = shop();
    let pid = node.pid("counter", 10_000);
    let refused = node.run(&["child", "terminate", &counter_sup(&node), &pid]).expect(1).stderr;
    assert_contains(&refused, &["not_found", "is a pid; the child's id is 10000"]);
    assert_eq!(node.pid("counter", 10_000), pid);
}

#[test]
fn s29_a_whole_subtree_is_added_at_run_time_beside_children_of_the_same_ids() {
    let node = shop();
    let top = counter_sup(&node);
    let spec = json!({"id": "more", "module": "counter_sup", "type": "supervisor", "restart": "permanent"});
    let below = node.start_child(&top, spec);
    let subtree: Forest = node.read(&["tree", "--sup", &below]);
    let ids: Vec<_> = subtree.roots[0].children.iter().map(|child| &child.id).collect();
    assert_eq!(ids, [10_000, 20_000]);
    node.ok(&["child", "terminate", &below, "10000"]);
    let other = &node.tree("counter").children[0];
    assert_eq!((&other.id, other.pid.is_some()), (&json!(10_000), true), "{other:#?}");
    node.ok(&["child", "terminate", &top, "more"]);
    node.ok(&["child", "delete", &top, "more"]);
}

#[test]
fn s34_s36_a_counter_stops_at_a_round_number_and_only_a_permanent_one_is_started_again() {
    let node = shop();
    let sup = counter_sup(&node);
    let spec = r#"{"id": 5, "module": "counter", "args": 5, "restart": "permanent"}"#;
    node.ok(&["child", "start", &sup, spec]);
    for (id, comes_back) in [(10_000, false), (5, true)] {
        let pid = node.pid("counter", id);
        node.ok(&["cast", &pid, r#"{"trap_exit": true}"#]);
        let number: u64 = field(&node.call(&pid, "stop_gracefully"), "stopped");
        assert_eq!(number % 10, 0);
        let last = format!("counter terminates at {number}: normal");
        eventually("the end is logged", || node.log().contains(&last).then_some(()));
        let now = eventually("its end is seen", || {
            Some(node.child("counter", id).pid).filter(|now| now.as_ref() != Some(&pid))
        });
        assert_eq!(now.is_some(), comes_back, "{now:?}");
    }
}

#[test]
fn s30_the_tree_is_drawn_and_unknown_places_are_errors() {
    let node = shop();
    let text = node.ok(&["tree"]).stdout;
    assert_contains(&text, &["counter_sup", "0.1.0"]);
    let mermaid = node.ok(&["tree", "--format", "mermaid"]).stdout;
    assert_contains(&mermaid, &["-->"]);
    node.run(&["tree", "--sup", "nobody"]).expect(1);
    let worker = node.pid("counter", 10_000);
    node.run(&["tree", "--sup", &worker]).expect(1);
}

/// Returns the number and the exit reason of each count_server that traps exits, in the order of
/// their ends.
pub(crate) fn ends(node: &Node) -> Vec<String> {
    let log = node.log();
    let end = |line: &str| line.split_once("count_server terminates at ").map(|(_, end)| end.to_owned());
    log.lines().filter_map(end).collect()
}

#[test]
fn s32_the_stop_of_a_supervisor_runs_terminate_in_the_children_that_trap_exits_in_reverse_order() {
    let node = stage();
    let sup = root(&node);
    for (id, n) in [("c", 3_000), ("quiet", 9_000)] {
        let spec = json!({"id": id, "module": "count_server", "args": n}).to_string();
        node.ok(&["child", "start", &sup, &spec]);
    }
    for id in ["a", "b", "c"] {
        let pid = node.pid("stage", id);
        node.ok(&["cast", &pid, r#"{"trap_exit": true}"#]);
        // A later call is answered only after the cast was handled.
        node.ok(&["call", &pid, "get"]);
    }
    node.ok(&["app", "stop", "stage"]);
    let ends = ends(&node);
    let expected = ["3000: shutdown", "1000: shutdown", "1: shutdown"];
    assert_eq!(ends.len(), 3, "{ends:?}");
    assert!(ends.iter().zip(expected).all(|(end, expected)| end.starts_with(expected)), "{ends:?}");
}

#[test]
fn s35_an_app_stops_by_prep_stop_at_round_numbers_and_no_child_is_restarted() {
    let node = shop();
    let took_us = node.read::<AppStopped>(&["app", "stop", "counter"]).took_us;
    assert!(took_us < 5_000_000, "both counters are asked at once: {took_us} us");
    assert!(!has_tree(&node, "counter"));
    assert_eq!(node.ps(), []);
    node.ok(&["app", "start", "counter"]);
    assert_eq!(ids(&node), [10_000, 20_000]);
}

/// Starts the board with a guard. Its prep_stop calls the guard.
fn guarded(guard: &str) -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("board-1.0.0")]);
    node.ok(&["spawn", "board_guard", guard]);
    node
}

#[test]
fn s37_a_prep_stop_that_waits_for_ever_is_reported_and_the_tree_stops_anyway() {
    let node = guarded("silent");
    node.ok(&["app", "stop", "board"]);
    let log = node.log();
    assert_contains(&log, &["prep_stop did not answer; the tree stops all the same"]);
    assert!(!log.contains("board is prepared"), "{log}");
    assert!(!has_tree(&node, "board"));
}

#[test]
fn s38_a_prep_stop_sees_whether_the_tree_runs_and_its_crash_delays_nothing() {
    let node = with_start_types("board-1.0.0", "permanent", "temporary");
    node.ok(&["spawn", "board_guard", "rude"]);
    let kept = |words: &str| {
        eventually("it is in the log", || node.log().contains(words).then_some(()));
    };
    node.ok(&["app", "stop", "board"]);
    kept("board has a tree: true");
    kept("prep_stop failed; the tree stops all the same");
    assert!(node.log().contains("the guard is rude"));
    node.ok(&["app", "start", "board"]);
    let root = node.supervisor("board");
    node.ok(&["kill", &root]);
    kept("board is stopped TreeEnded");
    kept("board has a tree: false");
    let ended = eventually("the app's end is listed", || node.status().ended.into_iter().next());
    assert_eq!(ended.reason, "killed", "the reason is the tree's");
}

#[test]
fn s39_an_app_starts_its_tree_left_to_right_and_one_child_that_fails_stops_those_before_it() {
    let node = Node::start();
    node.ok(&["upgrade", &release("board-1.0.0")]);
    node.ok(&["app", "stop", "board"]);
    // Another process already has the name that the second child registers.
    let other = node.spawn("board_door", "null");
    let refused = node.run(&["app", "start", "board"]).expect(1).stderr;
    assert_contains(&refused, &["failed_to_start_child \"door\"", "board_door", "is taken by"]);
    assert_eq!(node.ps().iter().map(|process| &process.pid).collect::<Vec<_>>(), [&other]);
    node.ok(&["kill", &other]);
    node.ok(&["app", "start", "board"]);
    assert_eq!(node.tree("board").children.len(), 3);
}

/// The first instruction of yard 2.0.0, a function of the app. It might free names.
const NOTE: &str = "{ apply = \"yard_calls:note\", args = [\"moving up\"] },";

/// A node that runs yard 1.0.0 with a supervisor that is named `moody`, and `moody_new` since
/// 2.0.0; and a tarball of 2.0.0 that changes its code, with this as its first instruction.
fn moody(first: &str) -> (Node, String, TempDir, String) {
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    let moody = node.start_child(&node.supervisor("yard"), named("moody"));
    let (scratch, tarball) = doctored("yard-2.0.0", |files| {
        let also = "{ update = \"yard_sup\", change = \"supervisor\" },\n  { update = \"yard_moody\", change = \"supervisor\" },";
        edit(files, "lib/yard-2.0.0/appup.toml", "{ update = \"yard_sup\", change = \"supervisor\" },", also);
        edit(files, "lib/yard-2.0.0/appup.toml", NOTE, first);
    });
    (node, moody, scratch, tarball)
}

/// A child of the yard that is a supervisor with this name.
fn named(name: &str) -> Value {
    json!({"id": name, "module": "yard_moody", "type": "supervisor", "args": {"named": name}})
}

/// Returns the process with a name.
fn whereis(node: &Node, name: &str) -> Option<String> {
    node.ps().into_iter().find(|process| process.name.as_deref() == Some(name)).map(|process| process.pid)
}

#[test]
fn a_supervisor_is_found_by_the_name_of_its_spec_and_its_name_moves_with_the_release() {
    let (node, moody, _scratch, tarball) = moody(NOTE);
    let taken = json!({"id": 2, "module": "yard_moody", "type": "supervisor", "args": {"named": "moody"}});
    let yard = node.supervisor("yard");
    let refused = node.run(&["child", "start", &yard, &taken.to_string()]).expect(1).stderr;
    let reason = format!("cannot have the name moody: already_started: {moody} has it");
    assert_contains(&refused, &["supervisor yard_moody", &reason]);
    assert_eq!(rows(&node, "moody").specs, 0, "relctl takes the name");
    node.ok(&["upgrade", &tarball]);
    assert_eq!((whereis(&node, "moody"), whereis(&node, "moody_new")), (None, Some(moody.clone())));
    node.ok(&["downgrade"]);
    assert_eq!((whereis(&node, "moody"), whereis(&node, "moody_new")), (Some(moody), None));
}

#[test]
fn the_check_finds_that_another_process_has_the_new_name_of_a_supervisor() {
    let (node, moody, _scratch, tarball) = moody("");
    let owner = node.start_child(&node.supervisor("yard"), named("moody_new"));
    let reason = "(yard:yard_moody) cannot have the name moody_new of its spec in yard_moody 2.0.0";
    let has_it = format!("moody_new {owner} (yard:yard_moody) has it");
    for upgrade in [vec!["upgrade", &tarball, "--dry-run"], vec!["upgrade", &tarball]] {
        let refused = node.run(&upgrade).expect(1);
        assert_contains(&(refused.stdout + &refused.stderr), &[&moody, reason, &has_it]);
    }
    node.ok(&["child", "terminate", "yard", "moody_new"]);
    node.ok(&["upgrade", &tarball]);
    assert_eq!(whereis(&node, "moody_new"), Some(moody));
}

#[test]
fn an_upgrade_is_rolled_back_if_the_new_name_of_a_supervisor_belongs_to_another_process() {
    let (node, moody, _scratch, tarball) = moody(NOTE);
    let owner = node.start_child(&node.supervisor("yard"), named("moody_new"));
    let refused = node.run(&["upgrade", &tarball]).expect(4).stderr;
    let reason = format!("cannot have the name moody_new: already_started: {owner} has it");
    assert_contains(&refused, &[&reason, "the node runs 1.0.0 again"]);
    assert_eq!((whereis(&node, "moody"), whereis(&node, "moody_new")), (Some(moody), Some(owner)));
}
