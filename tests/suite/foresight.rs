//! Warnings and refusals of a check about supervisors, start arguments and messages (S14, S44, S46,
//! R9).

use std::fs;

use reld_api::response::Checked;
use reld_tests::{Node, assert_contains, release};
use serde_json::{Value, json};

use crate::doctored::{Files, doctored};
use crate::relup::packed_with;

fn running(release_name: &str) -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release(release_name)]);
    node
}

fn root(node: &Node, app: &str) -> String {
    node.supervisor(app)
}

/// Packs yard 2.0.0 with `change` applied to each line of its upgrade script.
fn yard_with(place: &tempfile::TempDir, change: impl Fn(&str) -> Option<String>) -> String {
    let node = Node::start();
    let derived = node.ok(&["plan", &release("yard-1.0.0"), &release("yard-2.0.0"), "--relup"]).stdout;
    let changed: Vec<String> = derived.lines().filter_map(change).collect();
    let changed = changed.join("\n");
    assert_ne!(changed, derived.trim_end(), "nothing was changed in:\n{derived}");
    packed_with(place.path(), "tests/fixtures", "yard-2.0.0", &changed)
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

#[test]
fn s44_a_start_argument_that_new_code_does_not_take_refuses_the_upgrade() {
    let node = running("shop-1.0.0");
    let sup = root(&node, "counter");
    node.ok(&["child", "start", &sup, r#"{"id": 30000, "module": "counter", "args": 30000}"#]);
    let tree = node.tree("counter");
    node.ok(&["unpack", &release("shop-1.1.0")]);
    for verb in ["check", "upgrade"] {
        let refused = node.run(&[verb, "1.1.0"]).expect(1);
        assert_contains(
            &refused.stderr,
            &[
                "child 30000 of",
                "module counter 0.1.1 does not take its start argument",
                "terminate and delete",
            ],
        );
    }
    assert_eq!(node.tree("counter"), tree);
    node.ok(&["child", "terminate", &sup, "30000"]);
    node.ok(&["child", "delete", &sup, "30000"]);
    node.ok(&["upgrade", "1.1.0"]);
}

#[test]
fn s44_a_child_that_the_script_deletes_need_not_be_startable_by_new_code() {
    let place = scratch();
    let derived =
        Node::start().ok(&["plan", &release("shop-1.0.0"), &release("shop-1.1.0"), "--relup"]).stdout;
    let call = |name: &str| format!("{{ apply = \"supervisor:{name}\", args = [\"counter\", 30000] }}");
    let up = derived.find("[[down]]").expect("the way back comes last");
    let end = derived[..up].rfind("]\n").expect("a list ends");
    let with = |calls: &[&str]| {
        let calls: String = calls.iter().map(|name| format!("  {},\n", call(name))).collect();
        let relup = format!("{}{calls}{}", &derived[..end], &derived[end..]);
        packed_with(place.path(), "examples", "shop-1.1.0", &relup)
    };
    let node = running("shop-1.0.0");
    let sup = root(&node, "counter");
    let spec = r#"{"id": 30000, "module": "counter", "args": 30000}"#;
    node.ok(&["child", "start", &sup, spec]);
    // A child that stays in the supervisor would be started again by the next restart of all.
    let refused = node.run(&["upgrade", &with(&["terminate_child"])]).expect(1);
    assert_contains(&refused.stderr, &["terminate and delete"]);
    node.ok(&["remove", "1.1.0"]);
    let tarball = with(&["terminate_child", "delete_child"]);
    node.ok(&["unpack", &tarball]);
    node.ok(&["check", "1.1.0"]);
    node.ok(&["upgrade", "1.1.0"]);
    let ids: Vec<Value> = node.tree("counter").children.into_iter().map(|child| child.id).collect();
    assert_eq!(ids, [10_000, 20_000], "it is gone");
}

#[test]
fn s44_with_several_windows_a_child_must_be_deleted_before_new_code_might_start_it() {
    let place = scratch();
    let derived =
        Node::start().ok(&["plan", &release("shop-1.0.0"), &release("shop-1.1.0"), "--relup"]).stdout;
    let call = |name: &str| format!("{{ apply = \"supervisor:{name}\", args = [\"counter\", 30000] }},\n");
    let deleted = ["terminate_child", "delete_child"].map(call).concat();
    // The calls belong to the window of the suspend that follows them.
    let third = "{ suspend = [\"counter_app\"] },\n{ resume = [\"counter_app\"] },\n";
    let resumed = "{ resume = [\"counter_sup\"] },\n";
    let packed = |before: &str, after: &str| {
        let up = derived.replacen("{ suspend = [\"counter_sup\"] },", before, 1);
        packed_with(place.path(), "examples", "shop-1.1.0", &up.replacen(resumed, after, 1))
    };
    let suspended = "{ suspend = [\"counter_sup\"] },";
    let node = running("shop-1.0.0");
    let sup = root(&node, "counter");
    node.ok(&["child", "start", &sup, r#"{"id": 30000, "module": "counter", "args": 30000}"#]);
    node.ok(&["unpack", &packed(suspended, &format!("{resumed}{deleted}{third}"))]);
    node.ok(&["check", "1.1.0"]);
    for verb in ["check", "upgrade"] {
        let refused = node.run(&[verb, "1.1.0", "--group-windows"]).expect(1);
        assert_contains(&refused.stderr, &["terminate and delete it first"]);
    }
    node.ok(&["remove", "1.1.0"]);
    node.ok(&["unpack", &packed(&format!("{deleted}{suspended}"), &format!("{resumed}{third}"))]);
    node.ok(&["check", "1.1.0", "--group-windows"]);
    assert_eq!(node.report(&["upgrade", "1.1.0", "--group-windows"]).windows.len(), 3);
    assert_eq!(node.tree("counter").children.len(), 2, "it is gone");
}

#[test]
fn s46_all_children_added_or_removed_without_an_instruction_are_reported_together() {
    let place = scratch();
    let forgets = |line: &str| {
        let is_forgotten =
            ["restart_child", "delete_child", "rename_child"].iter().any(|call| line.contains(call));
        (!is_forgotten).then(|| line.to_owned())
    };
    let tarball = yard_with(&place, forgets);
    let node = running("yard-1.0.0");
    let refused = node.run(&["upgrade", &tarball, "--dry-run"]).expect(1);
    assert_contains(
        &refused.stderr,
        &["\"gone\" vanishes", "\"old\" vanishes", "\"fresh\" is new", "\"new\" is new"],
    );
    assert_eq!(node.version(), "1.0.0");
}

#[test]
fn s47_a_call_that_would_fail_is_refused_with_its_step_before_anything_is_done() {
    let node = running("yard-1.0.0");
    let gone = |name: &str| format!("  {{ apply = \"supervisor:{name}\", args = [\"yard\", \"gone\"] }},");
    let derived = node.ok(&["plan", &release("yard-1.0.0"), &release("yard-2.0.0"), "--relup"]).stdout;
    let check = |from: &str, to: &str, words: &str| {
        assert_contains(&derived, &[from]);
        let relup = derived.replace(from, to).into_bytes();
        let add = |files: &mut Files| drop(files.insert("releases/2.0.0/relup.toml".to_owned(), relup));
        let (_scratch, tarball) = doctored("yard-2.0.0", add);
        node.ok(&["unpack", &tarball]);
        for verb in ["check", "upgrade"] {
            let refused = node.run(&[verb, "2.0.0"]).expect(1).stderr;
            assert_contains(&refused, &[words]);
        }
        node.ok(&["remove", "2.0.0"]);
    };
    let tree = node.tree("yard");
    check(
        &gone("terminate_child"),
        "",
        "child \"gone\" of yard is running at that point; terminate it first",
    );
    let more = |call: &str| format!("{}\n  {{ {call} }},", gone("delete_child"));
    let after = |call: &str, words: &str| check(&gone("delete_child"), &more(call), words);
    after(
        r#"apply = "supervisor:restart_child", args = ["yard", "ghost"]"#,
        "yard has no child \"ghost\" at that point",
    );
    after(
        r#"apply = "supervisor:rename_child", args = ["yard", "a", "log"]"#,
        "yard already has a child \"log\"",
    );
    after(
        r#"apply = "supervisor:restart_child", args = ["yard/none", 1]"#,
        "cannot find yard/none: yard has no child none; its children are ",
    );
    after(
        r#"apply = "supervisor:start_child", args = ["yard", { id = 1, module = "ghost" }]"#,
        "has the module",
    );
    let note = "apply = \"yard_calls:note\", args = [\"moving up\"]";
    check(note, r#"apply = "yard_calls:not", args = []"#, "yard_calls:not() would fail");
    let undone = format!("{note}, undo = {{ apply = \"yard_calls:unnote\", args = [] }}");
    check(note, &undone, "yard_calls:unnote() would fail");
    after(r#"apply = "application:start", args = ["ghost"]"#, "no application ghost in the release");
    assert_eq!(node.tree("yard"), tree);
}

#[test]
fn r9_a_supervisor_with_a_changed_init_needs_its_update() {
    let place = scratch();
    let forgets = |line: &str| {
        let is_update = line.contains("code_change") && line.contains("yard_sup");
        (!is_update).then(|| line.to_owned())
    };
    let tarball = yard_with(&place, forgets);
    let node = running("yard-1.0.0");
    let refused = node.run(&["upgrade", &tarball]).expect(1);
    assert_contains(
        &refused.stderr,
        &["names other children", "{ update = \"yard_sup\", change = \"supervisor\" }"],
    );
}

#[test]
fn an_init_that_panics_hangs_or_exits_is_a_warning_and_ends_no_process() {
    let node = running("yard-1.0.0");
    let sup = root(&node, "yard");
    let pids = ["spin", "panic", "exit"].map(|mood| {
        let spec = json!({"id": mood, "module": "yard_moody", "args": mood, "type": "supervisor"});
        node.start_child(&sup, spec)
    });
    node.ok(&["unpack", &release("yard-2.0.0")]);
    let warnings = node.read::<Checked>(&["check", "2.0.0"]).warnings;
    let check_warned = |pid: &str, words: &str| {
        let is_it = |warning: &String| warning.contains(pid) && warning.contains(words);
        assert!(warnings.iter().any(is_it), "no {words} of {pid} in {warnings:#?}");
    };
    check_warned(&pids[0], "did not end within 5s");
    check_warned(&pids[1], "an init that panics");
    check_warned(&pids[2], "exited with 7");
    // The upgrade changes the code of these supervisors, but does not call their init.
    node.ok(&["upgrade", "2.0.0"]);
    for pid in pids {
        assert_eq!(node.proc(&pid).process.version, "2.0.0");
    }
}

#[test]
fn an_init_that_failed_once_is_probed_again() {
    let node = running("yard-1.0.0");
    let cause = node.root().with_file_name("cause");
    let spec =
        json!({"id": 1, "module": "yard_moody", "args": {"panic_beside": cause}, "type": "supervisor"});
    let pid = node.start_child(&root(&node, "yard"), spec);
    node.ok(&["unpack", &release("yard-2.0.0")]);
    let warned = || {
        let warnings = node.read::<Checked>(&["check", "2.0.0"]).warnings;
        warnings.iter().any(|warning| warning.contains(&pid) && warning.contains("an init that panics"))
    };
    fs::write(&cause, "").expect("the folder can be written");
    assert!(warned());
    fs::remove_file(&cause).expect("the file exists");
    assert!(!warned());
}
