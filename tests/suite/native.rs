//! Native code: leftovers of purged libraries (S83 to S93).

use std::fs;
use std::path::PathBuf;
use std::process::Child;

use reld_api::response::{Library, Replied, Resident};
use reld_tests::{Node, Soak, assert_contains, eventually, field, folder, release};
use serde_json::{Value, json};

use crate::doctored::doctored;
use crate::misfits::{meter, with_library};

fn habits(options: &[&str]) -> Node {
    let node = Node::start_with(options);
    node.ok(&["upgrade", &release("habits-1.0.0")]);
    node
}

fn residents(node: &Node) -> Vec<Resident> {
    node.code().residents
}

#[track_caller]
fn ask(node: &Node, number: u64, question: &Value) -> Value {
    let call = ["call", &format!("habit_{number}"), &question.to_string(), "--timeout", "60000"];
    node.read::<Replied>(&call).reply
}

fn pids(node: &Node) -> Vec<String> {
    (0..4).map(|number| node.pid("habits", number)).collect()
}

/// Returns the path of a file that does not exist until the test creates it.
fn gate(node: &Node) -> PathBuf {
    node.root().with_file_name("gate")
}

#[test]
fn s86_s91_purged_libraries_leave_the_address_space_despite_thread_locals() {
    let node = habits(&[]);
    let before = pids(&node);
    node.ok(&["upgrade", &release("habits-2.0.0")]);
    for version in [1, 2, 1, 2, 1] {
        node.ok(&["upgrade", &format!("{version}.0.0")]);
        assert_eq!(ask(&node, 3, &json!("version")), json!(version));
        assert_eq!((residents(&node), node.mapped().len()), (vec![], 1), "only version {version} is mapped");
    }
    assert_eq!(pids(&node), before);
    let count = ask(&node, 2, &json!("count"));
    assert!(field::<u64>(&count, "answered") > 0, "{count}");
    assert_eq!(field::<u64>(&count, "lost"), 0);
}

/// 150 rounds of the soak that `reld-bench soak` runs 2,000 times. A library that stays mapped
/// would cost some megabytes here.
#[test]
fn s86_s91_rounds_of_up_and_down_leave_everything_as_it_was() {
    let soak = Soak::run(150, 20);
    assert_eq!(soak.faults(200.0), [""; 0], "{soak:?}");
}

/// Returns the counts of a library.
fn library(node: &Node, version: &str) -> Library {
    let libraries = node.code().libraries;
    let found = libraries.iter().find(|library| library.version == version);
    found.unwrap_or_else(|| panic!("no {version} in {libraries:#?}")).clone()
}

/// Returns the number of bytes that a library has allocated and not freed.
fn heap(library: &Library) -> u64 {
    library.heap.expect("the SDK counts").bytes
}

#[test]
fn the_resources_of_a_library_are_counted() {
    let node = habits(&[]);
    let gate = gate(&node);
    ask(&node, 1, &json!({"thread": gate}));
    ask(&node, 1, &json!({"keep": 1_000_000}));
    node.ok(&["kill", "habit_0"]);
    let counted = eventually("the end is counted", || {
        let library = library(&node, "1.0.0");
        (library.exits.get("killed") == Some(&1) && library.processes == 6).then_some(library)
    });
    assert!(!counted.is_leaving);
    assert!(counted.threads >= 1, "{counted:#?}");
    assert!(counted.timers >= 1, "each server has one, but for a moment: {counted:#?}");
    let kept = heap(&counted);
    assert!((1_000_000..3_000_000).contains(&kept), "{counted:#?}");
    assert_contains(&node.ok(&["code", "habit"]).stdout, &["habits 1.0.0", "1 killed"]);

    // Memory held by a state is freed with the state, memory held by statics is not. Both are
    // counted until they are freed.
    ask(&node, 1, &json!({"keep": 0}));
    let freed = heap(&library(&node, "1.0.0"));
    assert!(freed < 500_000, "{freed} of {kept}");
    fs::write(&gate, "").expect("the gate can be opened");
}

#[test]
fn s90_a_thread_of_its_own_keeps_a_purged_library_with_the_reason_and_a_warning_until_it_ends() {
    let node = habits(&["--residents", "0"]);
    let gate = gate(&node);
    ask(&node, 1, &json!({"thread": gate}));
    node.ok(&["upgrade", &release("habits-2.0.0")]);
    let stays = residents(&node);
    assert_eq!((stays.len(), node.mapped().len()), (1, 2), "{stays:#?}");
    assert_eq!(stays[0].reason, "a thread that it started still runs");
    assert_eq!([&*stays[0].app, &stays[0].version], ["habits", "1.0.0"]);
    assert!(stays[0].bytes > 4096, "{stays:#?}");
    assert_contains(&node.status().alarms.join("\n"), &["1 purged libraries stay mapped"]);

    // The downgrade loads the same version as another image, with statics of its own.
    node.ok(&["downgrade"]);
    assert_eq!((ask(&node, 3, &json!("version")), node.mapped().len()), (json!(1), 2));
    fs::write(&gate, "").expect("the gate can be opened");
    eventually("it leaves", || residents(&node).is_empty().then_some(()));
    assert_eq!(node.mapped().len(), 1);
    assert_eq!(node.status().alarms, [""; 0]);
}

#[test]
fn s90_threads_that_a_library_ends_when_it_is_unloaded_keep_it_no_longer() {
    let node = habits(&[]);
    ask(&node, 1, &json!("work"));
    assert!(library(&node, "1.0.0").threads >= 1);
    node.ok(&["upgrade", &release("habits-2.0.0")]);
    assert_eq!((residents(&node), node.mapped().len()), (vec![], 1));
}

#[test]
fn s90_a_library_with_its_own_tokio_stays_until_its_threads_have_ended_without_harm() {
    let node = habits(&[]);
    let gate = gate(&node);
    ask(&node, 1, &json!({"runtime": gate}));
    eventually("it runs", || (library(&node, "1.0.0").threads >= 3).then_some(()));
    node.ok(&["upgrade", &release("habits-2.0.0")]);
    let stays = residents(&node);
    let reason = &stays[0].reason;
    assert!(reason.ends_with("threads that it started still run"), "{reason}");
    assert_eq!(ask(&node, 3, &json!("version")), json!(2));
    fs::write(&gate, "").expect("the gate can be opened");
    eventually("it leaves", || residents(&node).is_empty().then_some(()));
    assert_eq!((node.mapped().len(), ask(&node, 3, &json!("version"))), (1, json!(2)));
}

#[test]
fn s88_pointers_into_a_library_never_reach_another_version() {
    let node = habits(&[]);
    let motto = || ask(&node, 1, &json!("motto"));
    let first = motto();
    node.ok(&["upgrade", &release("habits-2.0.0")]);
    assert_eq!(node.mapped().len(), 1, "the library that the state pointed into is unmapped");
    let second = motto();
    assert_ne!(first, second);
    node.ok(&["downgrade"]);
    assert_eq!((motto(), node.mapped().len()), (first, 1));
}

/// Returns whether the spinning function is among the frames.
fn spins(frames: &[String]) -> bool {
    frames.iter().any(|frame| frame.contains("::wait"))
}

#[test]
fn s83_s84_a_purge_detaches_a_callback_that_does_not_return_and_the_node_is_degraded_until_it_does() {
    let node = habits(&["--threads", "1"]);
    let (gate, before) = (gate(&node), pids(&node));
    let question = json!({"spin": gate}).to_string();
    let mut spinning = node.relctl(&["call", "habit_3", &question, "--timeout", "60000"]);
    let spinning = spinning.spawn().expect("relctl can be run");
    let stuck = eventually("it is reported", || {
        let stuck = node.status().stuck.into_iter().next()?;
        let is_told = node.log().contains("a callback has not returned");
        // The thread is sampled with a signal, which a busy machine delivers late.
        (is_told && stuck.for_ms >= 1_000 && spins(&stuck.frames)).then_some(stuck)
    });
    let what = [&*stuck.app, &stuck.module, &stuck.pid, &stuck.version];
    assert_eq!((what, stuck.detached), (["habits", "habit", &before[3], "1.0.0"], false));
    let line =
        node.log().lines().find(|line| line.contains("a callback has not returned")).map(str::to_owned);
    assert!(line.as_ref().is_some_and(|line| line.contains("::wait")), "{line:?}");
    let now =
        eventually("it is looked at", || Some(node.proc("habit_3")).filter(|process| spins(&process.frames)));
    assert!(now.in_callback);
    assert_eq!(ask(&node, 1, &json!("version")), json!(1), "the node goes on");

    let dir = folder("tests/fixtures/lib/habits-2.0.0");
    node.ok(&["load", &dir.to_string_lossy(), "--profile", "dev"]);
    let refused = node.run(&["soft-purge", "habit"]).expect(1);
    assert!((refused.stdout + &refused.stderr).contains(&before[3]), "a soft purge lists the process inside");
    for module in ["habit", "habits_sup", "habits_app"] {
        node.ok(&["purge", module]);
    }
    let called = spinning.wait_with_output().expect("relctl ends");
    assert!(!called.status.success(), "the caller gets an error at once");
    let after = pids(&node);
    // Server 2 may have waited for server 3 in old code, so it is not checked.
    assert_eq!((&after[..2], after[3] == before[3]), (&before[..2], false), "only this one was restarted");
    assert_eq!(ask(&node, 3, &json!("version")), json!(2), "on current code");
    let status = node.status();
    assert!(status.degraded && status.stuck[0].detached, "{status:#?}");
    assert_eq!(status.stuck[0].pid, before[3]);
    assert_eq!(residents(&node)[0].reason, "its code still runs, or one of its values is still held");

    fs::write(&gate, "").expect("the gate can be opened");
    eventually("it leaves", || residents(&node).is_empty().then_some(()));
    assert_eq!(node.mapped().len(), 1);
    let status = node.status();
    assert_eq!((status.degraded, status.stuck), (false, vec![]));
    assert_eq!(pids(&node), after);
}

#[test]
fn s84_a_callback_in_c_that_does_not_return_delays_no_upgrade_of_another_app() {
    let node = Node::start_with(&["--threads", "1"]);
    let gate = gate(&node);
    let spin = format!(
        "#include <unistd.h>\nstatic void __attribute__((noinline)) turn_for_ever(void) {{\n    \
         while (access({gate:?}, F_OK) != 0) {{\n    }}\n}}\n#include \"msgpack.h\"\n"
    );
    let changes = [
        ("#include \"msgpack.h\"\n", spin.as_str()),
        ("    case RELD_EVENT_CAST:\n", "    case RELD_EVENT_CAST:\n        turn_for_ever();\n"),
    ];
    let (_scratch, tarball) = with_library(&meter(&[], "", &changes));
    node.ok(&["upgrade", &tarball]);
    let counter = node.pid("counter", 10_000);
    node.ok(&["cast", "meter", r#"{"add": 1}"#]);
    let stuck = eventually("it is reported", || {
        node.status().stuck.into_iter().next().filter(|stuck| !stuck.frames.is_empty())
    });
    assert_contains(&stuck.frames.join("\n"), &["turn_for_ever"]);

    let older = folder("examples/counter-0.1.0");
    node.ok(&["upgrade", "--app", "counter", &older.to_string_lossy(), "--profile", "dev"]);
    assert_eq!([current(&node, "counter"), node.pid("counter", 10_000)], ["0.1.0", &counter]);
    assert_eq!(node.status().stuck[0].pid, stuck.pid, "the other one spins on");
    fs::write(&gate, "").expect("the gate can be opened");
    eventually("it returns", || node.status().stuck.is_empty().then_some(()));
    let read = node.call("meter", r#""read""#);
    assert_eq!(
        read,
        json!({"total_mwh": 1000, "readings": 1, "largest_mwh": 1000}),
        "nothing was lost of it"
    );
}

#[test]
fn s92_a_constructor_that_crashes_is_tried_in_a_probe_process() {
    let node = Node::start_in(&[("HABITS_CONSTRUCTOR", "abort")]);
    node.ok(&["upgrade", &release("habits-1.0.0")]);
    let before = pids(&node);
    node.ok(&["unpack", &release("habits-2.0.0")]);
    let check = node.run(&["check", "2.0.0"]).expect(1).stderr;
    assert_contains(&check, &["app habits 2.0.0 was not loaded", "signal 6"]);
    node.run(&["upgrade", "2.0.0"]).expect(1);
    let dir = folder("tests/fixtures/lib/habits-2.0.0");
    let by_hand = node.run(&["load", &dir.to_string_lossy(), "--profile", "dev"]).expect(1);
    assert!(by_hand.stderr.contains("signal 6"), "{}", by_hand.stderr);
    assert_eq!((pids(&node), node.mapped().len()), (before, 1), "no process was affected");
}

/// Makes the only pool thread hold values of the first version and spin in the second, then purges
/// the first. Returns `None` when another thread took over meanwhile, as happens after a stall of
/// the machine.
fn busy_elsewhere() -> Option<(Node, Child, Resident)> {
    let node = habits(&["--threads", "1"]);
    assert_eq!(ask(&node, 1, &json!("version")), json!(1));
    let dir = folder("tests/fixtures/lib/habits-2.0.0");
    node.ok(&["load", &dir.to_string_lossy(), "--profile", "dev"]);
    let question = json!({"spin": gate(&node)}).to_string();
    let mut spinning = node.relctl(&["call", "habit_3", &question, "--timeout", "60000"]);
    let mut spinning = spinning.spawn().expect("relctl can be run");
    eventually("it is stuck", || node.status().stuck.pop());
    for module in ["habit", "habits_sup", "habits_app"] {
        node.ok(&["purge", module]);
    }
    let Some(stays) = residents(&node).into_iter().next() else {
        drop(node);
        spinning.wait().expect("its daemon is gone");
        return None;
    };
    Some((node, spinning, stays))
}

#[test]
fn a_pool_thread_that_is_busy_elsewhere_keeps_a_library_until_it_returns() {
    let (node, mut spinning, stays) = (0..5).find_map(|_| busy_elsewhere()).expect("a library that stays");
    assert_contains(&stays.reason, &["values of it live on thread reld-pool"]);

    fs::write(gate(&node), "").expect("the gate can be opened");
    eventually("it leaves", || residents(&node).is_empty().then_some(()));
    assert!(spinning.wait().expect("relctl ends").success());
    assert_eq!(node.mapped().len(), 1);
}

/// Upgrades the shed of a yard with this appup entry, and returns the output of the check. Both
/// servers have handled one stroke before.
fn shed_moved_by(entry: &str) -> (Node, String) {
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    assert_eq!((stroke(&node, "pump"), stroke(&node, "tank")), (1, 1));
    let appup = format!("app = \"shed\"\nversion = \"2.0.0\"\n[[up]]\nfrom = \"1.0.0\"\n{entry}\n");
    let (_scratch, tarball) = doctored("yard-2.0.0", |files| {
        files
            .insert("lib/shed-2.0.0/appup.toml".to_owned(), appup.into_bytes())
            .expect("the release has an appup");
    });
    node.ok(&["unpack", &tarball]);
    let check = node.ok(&["check", "2.0.0", "--one-way"]);
    node.ok(&["upgrade", "2.0.0", "--one-way"]);
    (node, check.stdout + &check.stderr)
}

/// Calls the pump, which adds the value of a stroke, or the tank, which calls the pump's function
/// in its own image.
fn stroke(node: &Node, server: &str) -> u64 {
    let pid = node.pid("shed", server);
    node.call(&pid, r#""stroke""#).as_u64().expect("a number")
}

fn current(node: &Node, module: &str) -> String {
    node.module(module).current.expect("it is loaded")
}

#[test]
fn s93_all_modules_of_an_image_move_with_the_named_one_and_the_check_reports_it() {
    let (node, check) = shed_moved_by(r#"instructions = [{ load_module = "shed_pump" }]"#);
    let implied = "implied: module shed_tank of replaced library shed-2.0.0 has no instruction";
    assert!(check.contains(implied), "{check}");
    // The pump is called through the node, the pump's function in the tank directly.
    assert_eq!((stroke(&node, "pump"), stroke(&node, "tank")), (1 + 2, 2));
    assert_eq!((&*current(&node, "shed_tank"), node.mapped().len()), ("2.0.0", 2));
}

#[test]
fn s93_a_kept_module_calls_the_old_image_directly_and_the_check_reports_it() {
    let entry = "keep = [\"shed_tank\"]\ninstructions = [{ load_module = \"shed_pump\" }]";
    let (node, check) = shed_moved_by(entry);
    let kept = "module shed_tank is kept: library shed-1.0.0 stays mapped, and its calls into that library run old code";
    assert!(check.contains(kept), "{check}");
    assert_eq!((stroke(&node, "pump"), stroke(&node, "tank")), (1 + 2, 1));
    assert_eq!((&*current(&node, "shed_tank"), node.mapped().len()), ("1.0.0", 3));
    assert_eq!(residents(&node), [], "a kept library in use is no resident");
}
