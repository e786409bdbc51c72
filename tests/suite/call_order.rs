//! The order of the children that an appup starts, the app's own calls, and the resume of members.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use reld_api::response::{Outcome, Report};
use reld_tests::{Node, assert_contains, assert_in_order, eventually, release};
use tempfile::TempDir;

use crate::doctored::{doctored, edit};

/// Yard 2.0.0 with an appup that starts a dock and then runs the instructions `behind`. The way
/// back ends the dock.
fn yard_with_dock(behind: &str) -> (TempDir, String) {
    let appup = "lib/yard-2.0.0/appup.toml";
    let start = "{ apply = \"supervisor:start_child\", args = [\"yard\", { id = \"dock\", module = \"yard_dock\" }] },";
    let end = ["terminate_child", "delete_child"]
        .map(|function| format!("{{ apply = \"supervisor:{function}\", args = [\"yard\", \"dock\"] }},"));
    doctored("yard-2.0.0", |files| {
        let fresh = "{ apply = \"supervisor:restart_child\", args = [\"yard\", \"fresh\"] },";
        edit(files, appup, fresh, &[fresh, start, behind].join("\n  "));
        let fresh = "{ apply = \"supervisor:terminate_child\", args = [\"yard\", \"fresh\"] },";
        edit(files, appup, fresh, &[&end.join("\n  "), fresh].join("\n  "));
    })
}

const USES: &str =
    "{ load_module = \"yard_calls\" },\n  { apply = \"yard_calls:find\", args = [\"yard_dock\"] },";

fn yard() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    node
}

#[test]
fn r3_a_call_after_a_start_finds_the_child_in_one_window_and_in_several() {
    let (_scratch, tarball) = yard_with_dock(USES);
    for windows in [&[][..], &["--group-windows"]] {
        let node = yard();
        let upgrade = [&["upgrade", &tarball], windows].concat();
        let dry = node.ok(&[&upgrade[..], &["--dry-run"]].concat()).stdout;
        let steps = ["switch", "supervisor:start_child(", "yard_calls:find(\"yard_dock\")"];
        assert_in_order(&dry, &steps);
        let step = dry.lines().find(|line| line.contains("yard_calls:find")).expect("it is a step");
        assert_contains(step, &["; a failure reverts the upgrade"]);
        let worker = node.pid("yard", "a");
        node.ok(&["cast", &worker, "7"]);
        let report = node.report(&upgrade);
        assert_eq!(report.outcome, Outcome::Installed, "{report:#?}");
        assert_eq!(node.call(&worker, "get"), 7);
        node.ok(&["downgrade"]);
        assert_eq!(node.call(&worker, "get"), 7);
    }
}

#[test]
fn r3_a_call_that_fails_after_the_switch_takes_the_upgrade_back_and_its_way_back_is_the_down_entry() {
    let note = |line: &str| format!("{{ apply = \"yard_calls:note\", args = [\"{line}\"] }}");
    let behind = format!(
        "{{ apply = \"yard_calls:note\", args = [\"behind\"], undo = {} }},\n  \
         {{ apply = \"yard_calls:fail\", args = [\"no power\"] }},",
        note("undone")
    );
    let (_scratch, tarball) = yard_with_dock(&behind);
    let node = yard();
    let (before, worker) = (node.tree("yard"), node.pid("yard", "a"));
    node.ok(&["cast", &worker, "7"]);
    let failed = node.run(&["upgrade", &tarball]).expect(4);
    assert_contains(
        &failed.stderr,
        &["2.0.0 was taken back; the node runs 1.0.0 again", "yard_calls:fail(\"no power\")", "no power"],
    );
    assert_eq!(node.version(), "1.0.0");
    let ids = |tree: &reld_api::response::TreeNode| {
        let mut ids: Vec<String> = tree.children.iter().map(|child| child.id.to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&node.tree("yard")), ids(&before));
    assert_eq!((node.pid("yard", "a"), node.call(&worker, "get")), (worker, 7.into()));
    let notes = node.call("yard_log", "get").to_string();
    assert_contains(&notes, &["\"moving up\"", "\"behind\""]);
    assert!(!notes.contains("undone"), "{notes}");
}

#[test]
fn r3_a_reordered_call_is_marked_at_its_step_and_in_a_warning() {
    let behind = format!("{USES}\n  {{ update = \"yard_log\", change = {{ advanced = {{}} }} }},");
    let (_scratch, tarball) = yard_with_dock(&behind);
    let node = yard();
    let dry = node.ok(&["upgrade", &tarball, "--dry-run"]).stdout;
    assert_contains(
        &dry,
        &[
            "start_child(\"yard\", { id = \"dock\", module = \"yard_dock\" })  -- appup of yard; its child is missing from \
             the resume until this step; written before restart_application shed permanent, apply yard_calls:find(\"yard_dock\"), code_change yard_log;",
            "warning: apply yard_calls:find(\"yard_dock\") is written after apply supervisor:start_child(",
            "upgrade with --group-windows",
        ],
    );
    // Separate windows keep the order.
    let report = node.report(&["upgrade", &tarball, "--group-windows"]);
    assert_eq!(report.outcome, Outcome::Installed, "{report:#?}");
}

/// Yard 2.0.0 with one more worker and a bell that takes `ms` milliseconds to start. Both start
/// before any child ends.
fn yard_with_bell(ms: u64) -> (TempDir, String) {
    let appup = "lib/yard-2.0.0/appup.toml";
    let call = |function: &str, args: &str| {
        format!("{{ apply = \"supervisor:{function}\", args = [\"yard\", {args}] }},")
    };
    let bell = format!("{{ id = \"bell\", module = \"yard_bell\", args = {ms} }}");
    let extra = "{ id = \"extra\", module = \"yard_worker\", args = 5 }";
    let starts = [call("start_child", &bell), call("start_child", extra)].join("\n  ");
    let ends: Vec<String> = ["\"bell\"", "\"extra\""]
        .iter()
        .flat_map(|id| ["terminate_child", "delete_child"].map(|function| call(function, id)))
        .collect();
    doctored("yard-2.0.0", |files| {
        let gone = call("terminate_child", "\"gone\"");
        edit(files, appup, &gone, &[starts, gone.clone()].join("\n  "));
        let fresh = call("terminate_child", "\"fresh\"");
        edit(files, appup, &fresh, &[ends.join("\n  "), fresh.clone()].join("\n  "));
    })
}

/// Upgrades while a worker constantly rings the bell.
fn upgraded_while_ringing(node: &Node, tarball: &str) -> Report {
    let worker = node.pid("yard", "a");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    node.ok(&["cast", &worker, "--", "-1000000"]);
                }
            });
        }
        let report = node.report(&["upgrade", tarball]);
        is_over.store(true, Ordering::Relaxed);
        report
    })
}

#[test]
fn w4_a_child_has_started_when_the_members_resume_though_its_init_calls_a_member() {
    let (_scratch, tarball) = yard_with_bell(100);
    let node = yard();
    let dry = node.ok(&["upgrade", &tarball, "--dry-run"]).stdout;
    assert_in_order(&dry, &["switch", "id = \"bell\"", "id = \"extra\"", "resume [", "terminate_child"]);
    // An instruction written after the end of a child runs after it, and the plan states the
    // consequence.
    let fresh = dry.lines().find(|line| line.contains("restart_child(\"yard\", \"fresh\")")).expect("a step");
    assert_contains(fresh, &["its child is missing from the resume until this step"]);

    let report = upgraded_while_ringing(&node, &tarball);
    assert_eq!(report.outcome, Outcome::Installed, "{report:#?}");
    assert!(report.pauses.max_us >= 100_000, "{report:#?}");
    let (bell, extra) = (node.pid("yard", "bell"), node.pid("yard", "extra"));
    eventually("the bell is rung", || node.call(&bell, "get").as_u64().filter(|rung| *rung > 0));
    let notes = node.call("yard_log", "get").to_string();
    assert!(!notes.contains("nobody hears the bell"), "{notes}");
    assert_eq!((node.call(&extra, "get"), &*node.proc(&extra).process.version), (5.into(), "2.0.0"));
    let restarted: Vec<&str> = report.restarted.iter().map(|started| started.pid.as_str()).collect();
    assert!(!restarted.contains(&&*bell) && !restarted.contains(&&*extra), "{restarted:?}");
    node.ok(&["downgrade"]);
}

#[test]
fn w4_members_wait_at_most_half_a_second_for_a_start_and_a_warning_names_it() {
    let (_scratch, tarball) = yard_with_bell(2_000);
    let node = yard();
    let report = node.report(&["upgrade", &tarball]);
    assert_eq!(report.outcome, Outcome::Installed, "{report:#?}");
    assert!((500_000..1_900_000).contains(&report.pauses.max_us), "{report:#?}");
    let warning = "took longer than members are held for it (500 ms): the child was missing in the meantime";
    assert_contains(&report.warnings.join("\n"), &["id = \"bell\"", warning]);
    assert_eq!(node.call(node.pid("yard", "bell").as_str(), "get"), 0);
    assert_eq!(node.call(node.pid("yard", "extra").as_str(), "get"), 5);
}
