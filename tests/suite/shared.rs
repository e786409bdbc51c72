//! Resources that the node keeps for processes: tables, timers, blocking work, metrics (issue 3.2,
//! 3.7, 3.9).

use std::time::{Duration, Instant};

use reld_api::response::{Table, TableList, TopList};
use reld_tests::{Node, assert_contains, eventually, release};
use serde_json::{Value, json};

fn wire() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("wire-1.0.0")]);
    node
}

/// Sends a request to a desk of the fixture, and returns the reply.
#[track_caller]
fn ask(node: &Node, desk: &str, request: &Value) -> Vec<String> {
    let reply = node.call(desk, request);
    serde_json::from_value(reply).expect("the desk answers with texts")
}

fn tables(node: &Node) -> Vec<Table> {
    node.read::<TableList>(&["tables"]).tables
}

#[test]
fn a_table_is_read_by_others_written_by_its_owner_and_untouched_by_an_upgrade() {
    let node = wire();
    ask(&node, "wire_desk", &json!({"open": "wire_clerk"}));
    for (room, number, guest) in [("blue", 2, "Bob"), ("blue", 1, "Ann"), ("red", 1, "Eve")] {
        assert_eq!(ask(&node, "wire_desk", &json!({"write": [room, number, guest]})), [""; 0]);
    }
    let read = || ask(&node, "wire_clerk", &json!({"read": "blue"}));
    assert_eq!(read(), ["Ann", "Bob"]);
    let refused = ask(&node, "wire_clerk", &json!({"write": ["blue", 3, "Joe"]}));
    assert_contains(&refused[0], &["book is protected"]);
    assert_eq!(ask(&node, "wire_clerk", &json!({"count": 5})), ["5"]);
    node.ok(&["upgrade", &release("wire-2.0.0")]);
    assert_eq!(read(), ["Ann", "Bob"]);
    assert_eq!(ask(&node, "wire_desk", &json!({"count": -2})), ["3"]);
    let tables = tables(&node);
    assert_eq!(tables.len(), 2, "{tables:#?}");
    let (book, desk) = (&tables[0], node.pid("wire", "desk"));
    assert_eq!(book.name.as_deref(), Some("book"));
    assert_eq!([&book.kind, &book.access, &book.owner], ["ordered_set", "protected", &desk]);
    assert_eq!(book.rows, 3);
    assert_contains(&node.ok(&["tables"]).stdout, &["ordered_set"]);
}

#[test]
fn a_table_goes_to_its_heir_or_with_its_owner() {
    let node = wire();
    ask(&node, "wire_desk", &json!({"open": "wire_clerk"}));
    ask(&node, "wire_desk", &json!({"write": ["blue", 1, "Ann"]}));
    node.ok(&["kill", "wire_desk"]);
    eventually("the clerk inherits", || {
        (ask(&node, "wire_clerk", &json!("log")) == [r#"inherits Ok("the book")"#]).then_some(())
    });
    assert_eq!(ask(&node, "wire_clerk", &json!({"write": ["blue", 2, "Bob"]})), [""; 0]);
    eventually("the desk is back", || {
        (node.run(&["call", "wire_desk", r#"{"read": "blue"}"#]).code == 0).then_some(())
    });
    assert_eq!(ask(&node, "wire_desk", &json!({"read": "blue"})), ["Ann", "Bob"]);
    let tables = tables(&node);
    assert_eq!(tables.len(), 1, "the tally went with its owner: {tables:#?}");
}

#[test]
fn an_upgrade_does_not_affect_timers() {
    let node = wire();
    assert_eq!(ask(&node, "wire_desk", &json!({"start": [5, 1_500]})), ["true"]);
    let ticks = || ask(&node, "wire_desk", &json!("ticks"))[0].parse::<u64>().expect("a number");
    let more = |before: u64| eventually("it ticks", || (ticks() > before + 3).then_some(()));
    more(ticks());
    node.ok(&["unpack", &release("wire-2.0.0")]);
    for step in [&["upgrade", "2.0.0"][..], &["downgrade"]] {
        node.ok(step);
        more(ticks());
    }
    eventually("it rings, once", || (ask(&node, "wire_desk", &json!("log")) == ["rang"]).then_some(()));
    assert_eq!(ask(&node, "wire_desk", &json!("stop")), ["true"]);
    assert_eq!(ask(&node, "wire_desk", &json!("stop")), ["false"]);
    let ring = |times: usize| {
        assert_eq!(ask(&node, "wire_desk", &json!({"start": [3_600_000, 100]})), ["true"]);
        let rang = vec!["rang"; times];
        eventually("it rings again", || (ask(&node, "wire_desk", &json!("log")) == rang).then_some(()));
    };
    // A tick already sent arrives before the ring.
    ring(2);
    let stopped = ticks();
    ring(3);
    assert_eq!(ticks(), stopped);
}

#[test]
fn blocking_work_delays_only_its_own_process() {
    let node = wire();
    let begun = Instant::now();
    let mut blocked: Vec<_> =
        ["wire_desk", "wire_clerk"].map(|desk| node.relctl(&["call", desk, r#"{"block": 3000}"#])).into();
    let mut blocked: Vec<_> =
        blocked.iter_mut().map(|call| call.spawn().expect("relctl can be run")).collect();
    eventually("both block", || metric(&node, "reld_blocking").filter(|blocking| *blocking == 2.0));
    node.ok(&["call", "wire_hand", r#""log""#]);
    assert!(begun.elapsed() < Duration::from_secs(3), "a process waited: {:?}", begun.elapsed());
    for call in &mut blocked {
        assert!(call.wait().is_ok_and(|status| status.success()));
    }
    let (me, thread) = ("None", r#"Some("reld-spare")"#);
    assert_eq!(ask(&node, "wire_desk", &json!({"block": 1})), [format!("({me}, {thread})")]);
    let panicked = ask(&node, "wire_desk", &json!("panic"));
    assert_contains(&panicked[0], &["work that panics"]);
    assert_eq!(metric(&node, "reld_blocking"), Some(0.0));
}

/// Reads a metric.
fn metric(node: &Node, name: &str) -> Option<f64> {
    let page = node.metrics();
    let line = page.lines().find(|line| line.split([' ', '{']).next() == Some(name))?.to_owned();
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_mailbox_that_grows_is_logged_and_counted() {
    let node = wire();
    node.ok(&["suspend", "wire_clerk"]);
    ask(&node, "wire_desk", &json!({"send": ["wire_clerk", 9_999]}));
    assert_eq!(metric(&node, "reld_mailbox_high_total"), Some(0.0));
    ask(&node, "wire_desk", &json!({"send": ["wire_clerk", 2]}));
    assert_eq!(metric(&node, "reld_mailbox_high_total"), Some(1.0));
    let clerk = node.pid("wire", "clerk");
    assert!(
        node.log().lines().any(|line| line.contains("a mailbox grows") && line.contains(&clerk)),
        "{}",
        node.log()
    );
    let top: TopList = node.read(&["top", "-n", "1", "--sort", "mailbox", "--interval", "1"]);
    assert_eq!(top.processes[0].process.pid, clerk);
    node.ok(&["resume", "wire_clerk"]);
    eventually("it catches up", || metric(&node, "reld_mailbox_longest").filter(|longest| *longest < 100.0));
    assert_eq!(ask(&node, "wire_clerk", &json!("ticks")), ["10001"]);
}

#[test]
fn a_full_bounded_mailbox_refuses_messages_with_an_error_and_counts_them() {
    let node = Node::start();
    node.ok(&["upgrade", &release("board-1.0.0")]);
    let root = node.supervisor("board");
    let spec = json!({"id": "guard", "module": "board_guard", "args": "narrow"}).to_string();
    node.ok(&["child", "start", &root, &spec]);
    let guard = node.pid("board", "guard");
    node.ok(&["suspend", &guard]);
    for _ in 0..5 {
        node.ok(&["cast", &guard, "null"]);
    }
    let refused = node.run(&["call", &guard, "null"]).expect(1).stderr;
    assert_contains(&refused, &["the mailbox of board_guard is full; the call was not sent"]);
    let process = node.proc(&guard).process;
    assert_eq!((process.queue, process.queue_max, process.dropped), (2, Some(2), 4));
    assert_contains(&node.ok(&["proc", &guard]).stdout, &["2 of 2, 4 dropped"]);
    assert_eq!(metric(&node, "reld_mailbox_full_total"), Some(4.0));
    let is_refusal = |line: &str| line.contains("a mailbox is full") && line.contains(&guard);
    // The first, the second and the fourth refusal are logged.
    assert_eq!(node.log().lines().filter(|line| is_refusal(line)).count(), 3, "{}", node.log());
    node.ok(&["resume", &guard]);
    assert_eq!(node.call(&guard, "null"), 0);
    node.ok(&["upgrade", &release("board-2.0.0"), "--suspend-timeout", "5000"]);
    assert_eq!(node.proc(&guard).process.queue_max, Some(2), "the bound outlives an upgrade");
}

#[test]
fn the_metrics_page_has_the_metrics_of_a_node() {
    let node = wire();
    ask(&node, "wire_desk", &json!({"open": "wire_clerk"}));
    node.ok(&["kill", "wire_hand"]);
    eventually("the restart is counted", || metric(&node, "reld_restarts_total").filter(|n| *n == 1.0));
    node.ok(&["suspend", "wire_clerk"]);
    let clerk = node.pid("wire", "clerk");
    eventually("messages are counted", || metric(&node, "reld_messages_total").filter(|n| *n >= 1.0));
    node.ok(&["cast", &clerk, "null"]);
    assert_eq!(metric(&node, "reld_mailbox_messages"), Some(1.0));
    assert_eq!(metric(&node, "reld_mailbox_longest"), Some(1.0));
    node.ok(&["upgrade", &release("wire-2.0.0")]);
    let page = node.metrics();
    let expected = [
        "# TYPE reld_processes gauge",
        "reld_processes{app=\"wire\"} ",
        "reld_tables 2",
        "reld_ports{kind=\"listener\"} 1",
        "reld_upgrades_total{outcome=\"installed\"} ",
        "reld_last_upgrade_pause_seconds{quantile=\"1\"} 0.",
        "reld_crashes_total ",
        "reld_mailbox_high_total 0",
        "reld_callbacks_over_limit_total ",
        "reld_residents ",
    ];
    assert_contains(&page, &expected);
    assert_contains(&node.ok(&["ports"]).stdout, &["(listens)"]);
}
