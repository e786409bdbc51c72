//! Processes that are named by pid, by registered name, or by their place in a tree.

use reld_api::response::{ChildList, Forest};
use reld_tests::{Node, assert_contains, field, release};
use serde_json::json;

use crate::misfits::{built, with_library};

fn plant() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("plant-1.0.0")]);
    node
}

#[test]
fn a_process_is_found_by_its_path_in_a_tree_and_a_supervisor_despite_a_server_of_the_same_name() {
    let node = plant();
    let spec = json!({"id": "more", "module": "counter_sup", "type": "supervisor"});
    let below = node.start_child("counter", spec);
    let more: Forest = node.read(&["tree", "--sup", "counter/more"]);
    assert_eq!(more.roots[0].pid.as_ref(), Some(&below));
    let child = more.roots[0].children[0].pid.clone().expect("it runs");
    assert_eq!(node.proc("counter/more/10000").process.pid, child);
    assert!(field::<u64>(&node.call("counter/more/10000", "get"), "value") >= 10_000);
    let rows = |supervisor: &str| node.read::<ChildList>(&["child", "list", supervisor]);
    assert_eq!(rows("counter/more").specs, 2);

    // The app meter has a server of the same name. Commands for processes find the server, commands
    // for supervisors the root supervisor.
    assert_eq!(node.proc("meter").process.module, "meter");
    assert_eq!(rows("meter").children[0].module, "meter");

    let missing = node.refused(&["call", "counter/more/10", "get"]);
    assert_eq!((missing.kind.as_str(), missing.message.as_str()), ("noproc", "cannot find counter/more/10"));
    let near = "its children are 10000, 20000; the nearest is 10000";
    assert_eq!(missing.causes, [format!("counter/more has no child 10; {near}")]);
    node.ok(&["child", "terminate", "counter", "more"]);
    let ended = node.refused(&["state", "counter/more"]);
    assert_eq!(ended.causes, ["the child more of counter does not run"]);
    let worker = node.refused(&["child", "list", "counter/10000"]);
    assert_eq!(worker.kind, "not_a_supervisor");
}

/// Runs every command that takes a process.
fn all_commands(node: &Node, process: &str) {
    for command in [
        &["proc", process][..],
        &["state", process],
        &["call", process, "read"],
        &["cast", process, r#"{"add": 1}"#],
        &["suspend", process],
        &["sys", "status", process],
        &["sys", "replace-state", process, r#"{"total_wh": 7, "readings": 1}"#],
        &["resume", process],
        &["sys", "statistics", process, "--on"],
        &["sys", "statistics", process],
        &["sys", "log", process, "--keep", "1"],
        &["sys", "log", process],
        &["sys", "no-debug", process],
        &["trace", "--proc", process, "--label", &format!("{process}=it"), "--for", "0"],
    ] {
        node.ok(command);
    }
    let other = node.refused(&["change-code", process, "counter", "1.0.0"]);
    assert_eq!(other.kind, "other_module");
}

#[test]
fn every_command_takes_a_pid_with_or_without_brackets_a_name_and_a_path() {
    let node = plant();
    let pid = || node.proc("meter").process.pid;
    let bare = |pid: String| pid.replace(['<', '>'], "");
    for process in [pid(), bare(pid()), "meter".to_owned(), "meter/meter".to_owned()] {
        all_commands(&node, &process);
    }
    // One end for each supervisor, because more would reach their restart intensity.
    let before = pid();
    node.ok(&["sys", "terminate", "meter/meter"]);
    node.restarted("meter", "meter", &before);
    let before = node.pid("counter", 10_000);
    node.ok(&["kill", &bare(before.clone())]);
    node.restarted("counter", 10_000, &before);
    let root = node.supervisor("meter");
    for supervisor in [root.clone(), bare(root), "meter".to_owned()] {
        node.ok(&["tree", "--sup", &supervisor]);
        node.ok(&["child", "list", &supervisor]);
        node.ok(&["child", "spec", &supervisor, "meter"]);
        node.ok(&["child", "terminate", &supervisor, "meter"]);
        node.ok(&["child", "restart", &supervisor, "meter"]);
        node.ok(&["child", "start", &supervisor, r#"{"id": 7, "module": "counter", "args": 7}"#]);
        node.ok(&["child", "terminate", &supervisor, "7"]);
        node.ok(&["child", "delete", &supervisor, "7"]);
    }
    let log = node.log();
    assert_contains(&log, &["upgrade to 1.0.0, ordered by uid", "1.0.0, ordered by uid", "installed"]);
}

#[test]
fn a_library_in_c_finds_a_process_by_its_path_and_learns_why_there_is_none() {
    let code = "case READ: {\n\
        static const reld_bytes meter_place = TEXT(\"meter/meter\"), other_place = TEXT(\"meter/metr\");\n\
        reld_pid found = {0, 0};\n\
        reld_buf why = {NULL, 0, 0};\n\
        out->has_reply = 1;\n\
        mp_array(&out->reply, 4);\n\
        mp_uint(&out->reply, host->find(meter_place, &found, NULL));\n\
        mp_uint(&out->reply, found.slot);\n\
        mp_uint(&out->reply, host->find(other_place, &found, &why));\n\
        mp_append(&why, \"\", 1);\n\
        mp_text(&out->reply, (const char *)why.ptr);\n\
        mp_free(&why);\n\
        break;\n\
        }\n";
    let old = "case READ:\n        out->has_reply = 1;\n        write_fields(meter, METER, COUNT(METER), &out->reply);\n        break;\n";
    let (_scratch, tarball) = with_library(&built("1.1.0", &[], "", &[(old, code)]));
    let node = plant();
    node.ok(&["upgrade", &tarball]);
    let pid = node.proc("meter").process.pid;
    let slot: u64 =
        pid.trim_start_matches('<').split('.').next().and_then(|slot| slot.parse().ok()).expect("a pid");
    let why = "cannot find meter/metr: meter has no child metr; its children are meter; the nearest is meter";
    assert_eq!(node.call("meter", "read"), json!([0, slot, 1, why]));
}
