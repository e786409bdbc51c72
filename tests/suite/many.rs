//! A hundred thousand of something. The benchmark takes a million: `reld-bench spawn timers scrape --n 1000000`.

use std::time::{Duration, Instant};

use reld_tests::{Node, pid_value, release};
use serde_json::{Value, json};

/// What is answered at once: no more than a look at the node, however slow the machine is.
const AT_ONCE: Duration = Duration::from_secs(5);

fn running() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("bench-1.0.0")]);
    node
}

/// Has the driver do something, however long that takes, and returns its reply.
fn order(node: &Node, order: &Value) -> Value {
    node.json(&["call", "driver", &order.to_string(), "--timeout", "600000"])["reply"].clone()
}

/// Returns a figure for operators.
fn metric(node: &Node, name: &str) -> u64 {
    let page = node.metrics();
    let number = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    number.unwrap_or_else(|| panic!("no {name} in {page}"))
}

fn at_once<R>(what: &str, work: impl FnOnce() -> R) -> R {
    let begin = Instant::now();
    let done = work();
    assert!(begin.elapsed() < AT_ONCE, "{what} took {:?}", begin.elapsed());
    done
}

#[test]
fn a_dynamic_supervisor_of_100000_answers_at_once_and_is_stopped_with_all_of_them() {
    const CHILDREN: u64 = 100_000;
    let node = running();
    let root = node.tree("driver")["pid"].as_str().expect("the driver has a root").to_owned();
    order(&node, &json!({"spawn": {"root": pid_value(&root), "shape": "simple", "servers": CHILDREN}}));
    let families = node.json(&["child", "list", &root])["children"].clone();
    let family = families.as_array().into_iter().flatten().find(|row| row["type"] == json!("supervisor"));
    let family = family.and_then(|row| row["pid"].as_str()).expect("the family runs").to_owned();
    let mine = "reld_processes{app=\"driver\"}";
    at_once("a scrape", || assert!(metric(&node, mine) > CHILDREN));
    let child = at_once("one more child", || node.json(&["child", "start", &family, "--args", "\"Idle\""]));
    let child = child["pid"].as_str().expect("it was started").to_owned();
    let refused = at_once("a word for a child that it has not", || {
        node.run(&["child", "terminate", &family, "\"x\""]).expect(1).stderr
    });
    assert!(refused.contains("simple_one_for_one"), "{refused}");
    at_once("the end of a child", || node.ok(&["kill", &child]));
    let list = node.json(&["child", "list", &family]);
    assert_eq!(list["active"], json!(CHILDREN + 1), "the one that was killed is back");
    let id = node.json(&["child", "list", &root])["children"][0]["id"].to_string();
    node.ok(&["child", "terminate", &root, &id]);
    assert!(metric(&node, mine) < 100, "nobody is left");
}

#[test]
fn two_hundred_thousand_timers_fire_once_each_after_an_upgrade_of_those_whom_they_are_for() {
    const TIMERS: u64 = 200_000;
    let node = running();
    let root = node.tree("pool")["pid"].as_str().map(pid_value).expect("the pool has a root");
    let fill = json!({"fill": {"supervisor": root, "servers": 100, "state": "small", "shape": "simple", "groups": 1}});
    assert_eq!(order(&node, &fill), json!(100));
    node.ok(&["unpack", &release("bench-1.1.0")]);
    order(&node, &json!({"timers": {"timers": TIMERS, "after_ms": 30_000}}));
    node.ok(&["upgrade", "1.1.0"]);
    assert_eq!(metric(&node, "reld_timers"), TIMERS, "none has fired yet");
    assert_eq!(order(&node, &json!({"check": {"version": 2}})), json!(100));
    // Answered when each of them has come once.
    assert!(order(&node, &json!({"rung": {"patience_ms": 600_000}})).is_u64());
    // That of the driver's last call stays armed, in case it calls again.
    assert!(metric(&node, "reld_timers") <= 1);
}

#[test]
fn of_many_children_started_at_run_time_the_check_looks_at_some_and_says_so_and_the_upgrade_keeps_all() {
    const SERVERS: u64 = 2_000;
    let node = running();
    let root = node.tree("pool")["pid"].as_str().map(pid_value).expect("the pool has a root");
    let fill = json!({"fill": {"supervisor": root, "servers": SERVERS, "state": "small", "shape": "one", "groups": 1}});
    assert_eq!(order(&node, &fill), json!(SERVERS));
    node.ok(&["unpack", &release("bench-1.1.0")]);
    let check = node.json(&["check", "1.1.0"]).to_string();
    assert!(check.contains("more start arguments of children of"), "{check}");
    let upgraded = node.json(&["upgrade", "1.1.0"]);
    assert_eq!(upgraded["changed"], json!(true), "{upgraded}");
    assert_eq!(order(&node, &json!({"check": {"version": 2}})), json!(SERVERS));
    node.ok(&["downgrade"]);
    assert_eq!(order(&node, &json!({"check": {"version": 1}})), json!(SERVERS));
}
