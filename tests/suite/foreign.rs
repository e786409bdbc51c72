//! Apps that are not written in Rust (issue 5.5).

use std::sync::atomic::{AtomicBool, Ordering};

use reld_api::response::LetterKind;
use reld_tests::{Node, assert_contains, eventually, field, pid_value, release};
use serde_json::{Value, json};

fn read(node: &Node) -> Value {
    node.call("meter", r#""read""#)
}

/// Adds a watt-hour and reads the meter in a loop until `stop` is set. Returns the number of
/// rounds.
fn keep_adding(node: &Node, stop: &AtomicBool) -> u64 {
    let mut added = 0;
    while !stop.load(Ordering::Relaxed) {
        node.ok(&["cast", "meter", r#"{"add": 1}"#]);
        added += 1;
        let read = read(node);
        assert_eq!(field::<u64>(&read, "readings"), added, "{read}");
    }
    added
}

#[test]
fn an_app_in_c_is_packed_upgraded_with_its_state_and_downgraded_beside_one_in_rust_under_calls() {
    let node = Node::start();
    node.ok(&["upgrade", &release("plant-1.0.0")]);
    let pids = [node.pid("meter", "meter"), node.pid("counter", 10_000)];
    node.ok(&["unpack", &release("plant-1.1.0")]);
    let stop = AtomicBool::new(false);
    let added = std::thread::scope(|scope| {
        let adding = scope.spawn(|| keep_adding(&node, &stop));
        eventually("it is used", || (field::<u64>(&read(&node), "readings") >= 3).then_some(()));
        node.ok(&["upgrade", "1.1.0"]);
        let state = node.state("meter");
        let [total, readings] = ["total_mwh", "readings"].map(|key| field::<u64>(&state, key));
        assert_eq!(total, readings * 1000, "{state}");
        eventually("it goes on", || (field::<u64>(&read(&node), "largest_mwh") == 1000).then_some(()));
        node.ok(&["downgrade"]);
        stop.store(true, Ordering::Relaxed);
        adding.join().expect("no call failed")
    });
    assert_eq!(read(&node), json!({"total_wh": added, "readings": added}));
    assert_eq!(pids, [node.pid("meter", "meter"), node.pid("counter", 10_000)]);
    assert_eq!(node.code().residents, [], "nothing of the newer version stays mapped");
}

#[test]
fn a_child_of_a_supervisor_in_c_is_found_by_its_id() {
    let node = Node::start();
    node.ok(&["upgrade", &release("plant-1.0.0")]);
    let sup = node.supervisor("meter");
    for verb in ["terminate", "restart", "spec"] {
        node.ok(&["child", verb, &sup, "meter"]);
    }
    node.ok(&["cast", "meter", r#"{"add": 7}"#]);
    assert_eq!(read(&node), json!({"total_wh": 7, "readings": 1}));
}

#[test]
fn the_losses_and_assumptions_of_a_conversion_in_c_are_those_of_its_appup() {
    let node = Node::start();
    node.ok(&["upgrade", &release("plant-1.0.0")]);
    node.ok(&["cast", "meter", r#"{"add": 7}"#]);
    node.ok(&["upgrade", &release("plant-1.1.0")]);
    assert_eq!(read(&node), json!({"total_mwh": 7000, "readings": 1, "largest_mwh": 0}));
    node.ok(&["cast", "meter", r#"{"add_mwh": 1999}"#]);
    assert_eq!(read(&node), json!({"total_mwh": 8999, "readings": 2, "largest_mwh": 1999}));
    node.ok(&["downgrade"]);
    assert_eq!(read(&node), json!({"total_wh": 8, "readings": 2}));
}

#[test]
fn a_callback_in_c_waits_for_one_in_rust_and_can_be_ended_while_it_waits() {
    let node = Node::start();
    node.ok(&["upgrade", &release("plant-1.0.0")]);
    let counter = node.pid("counter", 10_000);
    let ask = json!({"ask": pid_value(&counter)}).to_string();
    let answer = node.call("meter", &ask);
    assert!(field::<u64>(&answer, "value") >= 10_000, "{answer}");

    node.ok(&["suspend", &counter]);
    let mut waiting = node.relctl(&["call", "meter", &ask, "--timeout", "60000"]);
    let mut waiting = waiting.spawn().expect("relctl can be run");
    let meter = node.pid("meter", "meter");
    eventually("it waits", || {
        let mut mailbox = node.proc(&counter).mailbox.into_iter();
        mailbox.any(|letter| letter.kind == LetterKind::Call && letter.from == meter).then_some(())
    });
    node.ok(&["kill", &meter]);
    assert!(!waiting.wait().expect("relctl ends").success(), "the caller gets an error");
    node.ok(&["resume", &counter]);
    eventually("it is started again", || (node.run(&["call", "meter", r#""read""#]).code == 0).then_some(()));
    assert_eq!(read(&node), json!({"total_wh": 0, "readings": 0}));
}

#[test]
fn an_app_in_c_refuses_unknown_requests_with_the_same_words_as_one_in_rust() {
    let node = Node::start();
    node.ok(&["upgrade", &release("plant-1.0.0")]);
    let refused = node.run(&["call", "meter", r#""raed""#]).expect(1);
    assert_contains(&refused.stderr, &["a meter is cast"]);
    assert_eq!(read(&node), json!({"total_wh": 0, "readings": 0}), "it lives");
}
