//! The code server by hand (S1 to S18).

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use reld_api::response::{OldCode, Purged, Resumed};
use reld_tests::{Node, assert_contains, eventually, field, folder, release};
use serde_json::Value;

fn stage() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    node
}

fn load(node: &Node, version: &str) {
    let dir = folder(&format!("tests/fixtures/lib/stage-{version}"));
    node.ok(&["load", &dir.to_string_lossy(), "--profile", "dev"]);
}

fn step(node: &Node, pid: &str) -> Value {
    node.call(pid, "step")
}

fn modules(node: &Node) -> Vec<String> {
    node.code().modules.into_iter().map(|module| module.module).collect()
}

/// Purges a module and returns the processes that were killed.
fn purge(node: &Node, module: &str) -> Vec<String> {
    let purged: Purged = node.read(&["purge", module]);
    purged.killed.into_iter().map(|ended| ended.pid).collect()
}

/// Purges every module, and checks that no process is killed.
fn purge_all(node: &Node) {
    let modules = modules(node);
    assert!(modules.contains(&"looper".to_owned()), "{modules:?}");
    for module in modules {
        assert_eq!(purge(node, &module), [""; 0], "{module}");
    }
}

fn current(node: &Node, module: &str) -> String {
    node.module(module).current.expect("the module has a current version")
}

fn old(node: &Node, module: &str) -> OldCode {
    node.module(module).old.expect("the module has old code")
}

#[test]
fn s1_s4_s5_two_versions_run_side_by_side_soft_purge_names_lingerers_and_purge_kills_them() {
    let node = stage();
    let a = node.spawn("looper", 0);
    load(&node, "0.2.0");
    let b = node.spawn("looper", 0);
    assert_eq!([step(&node, &a), step(&node, &b)], [0, 2]);
    assert_eq!(current(&node, "looper"), "0.2.0");
    let old = old(&node, "looper");
    assert_eq!(old.version, "0.1.0");
    assert_eq!(old.lingering.iter().map(|of| &of.pid).collect::<Vec<_>>(), [&a]);

    let refused = node.run(&["soft-purge", "looper"]).expect(1);
    assert_contains(&(refused.stdout + &refused.stderr), &[&a]);
    assert_eq!(purge(&node, "looper"), [a]);
    assert_eq!(step(&node, &b), 2);
    assert_eq!(purge(&node, "looper"), [""; 0]);
}

#[test]
fn s3_a_third_version_is_refused_while_the_old_one_was_not_purged() {
    let node = stage();
    load(&node, "0.2.0");
    let dir = folder("tests/fixtures/lib/stage-0.3.0");
    let third = node.run(&["load", &dir.to_string_lossy(), "--profile", "dev"]).expect(1);
    assert_contains(&third.stderr, &["not_purged"]);
    assert_eq!(current(&node, "count_server"), "0.2.0");
}

#[test]
fn s7_a_behaviour_server_takes_new_code_at_its_next_message_and_keeps_pid_and_state() {
    let node = stage();
    let pid = node.pid("stage", "b");
    assert_eq!(step(&node, &pid), 0);
    load(&node, "0.2.0");
    assert_eq!(node.pid("stage", "b"), pid);
    assert_eq!(step(&node, &pid), 2);
    assert!(field::<i64>(&node.state(&pid), "n") >= 1_000);
}

#[test]
fn s8_an_idle_server_lingers_in_no_old_code() {
    let node = stage();
    let pid = node.pid("stage", "pi");
    load(&node, "0.2.0");
    let process = node.proc(&pid);
    assert_eq!((process.in_callback, &*process.process.version), (false, "0.2.0"));
    assert_eq!(old(&node, "pi_gen").lingering, []);
}

#[test]
fn s16_a_loop_of_ones_own_is_killed_by_a_purge_and_its_link_gets_the_reason() {
    let node = stage();
    let linked = node.relctl(&["spawn", "looper", "0", "--link"]).stdout(Stdio::piped()).spawn();
    let mut linked = linked.expect("relctl can be run");
    let mut printed = BufReader::new(linked.stdout.take().expect("the stream is piped")).lines();
    let mut line = move || printed.next().expect("relctl prints a line").expect("it is text");
    let pid = line();
    assert_eq!(step(&node, &pid), 0);
    load(&node, "0.2.0");
    node.ok(&["purge", "looper"]);
    assert_eq!(line(), format!("{pid} exited: killed"));
    assert!(linked.wait().is_ok_and(|status| status.success()), "the session itself goes on");
}

#[test]
fn s2_a_loop_of_ones_own_stays_old_for_ever_and_one_that_goes_on_in_current_code_moves_at_its_next_round() {
    let node = stage();
    let [looper, rover] = ["looper", "rover"].map(|module| node.spawn(module, 0));
    load(&node, "0.2.0");
    // Both processes wait in a round of the old code.
    assert_eq!([step(&node, &looper), step(&node, &rover)], [0, 0]);
    for _ in 0..3 {
        assert_eq!([step(&node, &looper), step(&node, &rover)], [0, 2]);
    }
    assert_eq!(node.proc(&looper).old_frames, 1);
    let rover = node.proc(&rover);
    assert_eq!((&*rover.process.version, rover.old_frames), ("0.2.0", 0));
    assert_eq!(rover.process.callback.expect("it waits in a callback").waits_for, ["message"]);
}

#[test]
fn s6_ten_rounds_of_purge_and_load_call_each_rounds_function_and_use_two_slots() {
    let node = stage();
    let before = modules(&node);
    for (version, constant) in [("0.2.0", 2), ("0.3.0", 3), ("0.1.0", 0)].into_iter().cycle().take(10) {
        purge_all(&node);
        load(&node, version);
        // A process started by its module's name runs the current version. So does a callback of a
        // server.
        let function = node.spawn("looper", 0);
        assert_eq!(step(&node, &function), constant);
        assert_eq!(step(&node, &node.pid("stage", "b")), constant);
        node.ok(&["kill", &function]);
        assert_eq!(current(&node, "looper"), version);
        assert!(node.mapped().len() <= 3, "the two slots, and one that is on its way out");
    }
    assert_eq!(modules(&node), before, "no module has come twice");
}

#[test]
fn s17_a_loop_that_got_a_message_after_the_load_and_went_on_in_current_code_survives_the_purge() {
    let node = stage();
    let [moved, idle] = [0, 1].map(|_| node.spawn("rover", 0));
    load(&node, "0.2.0");
    assert_eq!(node.call(&moved, "get"), 0);
    assert_eq!(purge(&node, "rover"), [idle]);
    assert_eq!(node.call(&moved, "get"), 1, "it goes on where it was");
}

#[test]
fn s9_a_killed_process_outside_every_tree_is_not_restarted() {
    let node = stage();
    let pid = node.spawn("count_server", 5);
    node.ok(&["kill", &pid]);
    eventually("it is gone", || (node.run(&["call", &pid, "get"]).code == 1).then_some(()));
}

#[test]
fn s10_s12_suspend_change_code_resume_by_hand_turns_an_odd_value_even() {
    let node = stage();
    let pid = node.pid("stage", "a");
    node.ok(&["suspend", &pid]);
    load(&node, "0.2.0");
    let n = || field::<i64>(&node.state(&pid), "n");
    assert_eq!(n(), 1);
    node.ok(&["change-code", &pid, "count_server", "0.1.0"]);
    assert_eq!(n(), 0);
    node.ok(&["resume", &pid]);
    let n = eventually("it grows", || node.call(&pid, "get").as_i64().filter(|n| *n > 0));
    assert_eq!(n % 2, 0);
    let running = node.run(&["change-code", &pid, "count_server", "0.1.0"]).expect(1);
    assert_contains(&running.stderr, &["suspend"]);
    assert!(node.status().dirty);
}

#[test]
fn s11_a_suspended_process_keeps_its_mail_and_handles_it_once_when_resumed() {
    let node = stage();
    let pid = node.spawn("count_server", 0);
    node.ok(&["suspend", &pid]);
    for by in ["1", "10", "100"] {
        node.ok(&["cast", &pid, &format!("{{\"bump\": {by}}}")]);
    }
    let late = node.run(&["call", &pid, "get", "--timeout", "50"]).expect(1);
    assert_contains(&late.stderr, &["50 ms"]);
    let queue = node.read::<Resumed>(&["resume", &pid]).queue;
    assert!(queue >= 4, "three casts, a call and ticks waited: {queue}");
    assert_eq!(node.call(&pid, "get"), 111);
}

#[test]
#[expect(clippy::approx_constant, reason = "it is the number of the story, not of the circle")]
fn s18_a_behaviour_server_survives_any_number_of_load_and_purge_rounds() {
    let node = stage();
    let pid = node.pid("stage", "pi");
    for version in ["0.2.0", "0.3.0", "0.1.0", "0.2.0"] {
        load(&node, version);
        purge_all(&node);
        assert_eq!(node.call(&pid, "get"), 3.14);
    }
    assert_eq!(node.pid("stage", "pi"), pid);
}
