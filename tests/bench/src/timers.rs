//! Measures hundreds of thousands of timers: the time to set one, its memory, and the delay of the
//! last one after an upgrade of the servers.

use reld_tests::{Node, release};
use serde_json::json;

use crate::line::print;
use crate::upgrade::{Servers, fill, order};

const SERVERS: u64 = 1_000;

/// Returns the time to the common due time of the timers. It is longer than setting them and the
/// upgrade take.
fn after_ms(timers: u64) -> u64 {
    10_000 + timers / 50
}

pub(crate) fn run(timers: u64) {
    let node = Node::start();
    node.ok(&["upgrade", &release("bench-1.0.0")]);
    fill(&node, Servers { n: SERVERS, state: "small", shape: "simple", groups: 1 });
    node.ok(&["unpack", &release("bench-1.1.0")]);
    let before = node.resident_kb();
    let order_ = json!({"timers": {"timers": timers, "after_ms": after_ms(timers)}});
    let took = order(&node, &order_).as_f64().expect("the driver answers nanoseconds");
    let bytes = (node.resident_kb() - before) * 1024.0 / timers as f64;
    node.ok(&["upgrade", "1.1.0"]);
    let pending = pending(&node);
    let order_ = json!({"rung": {"patience_ms": 600_000}});
    let late = order(&node, &order_).as_f64().expect("the driver answers nanoseconds");
    let parameters = json!({"n": timers});
    print("timer_set", &parameters, "ns", vec![took / timers as f64]);
    print("timer_rss", &parameters, "bytes/timer", vec![bytes]);
    print("timers_pending_after_upgrade", &parameters, "timers", vec![pending as f64]);
    print("timer_last_late", &parameters, "ms", vec![late / 1e6]);
}

/// Returns the number of pending timers.
fn pending(node: &Node) -> u64 {
    let page = node.metrics();
    let line = page.lines().find_map(|line| line.strip_prefix("reld_timers "));
    line.and_then(|number| number.parse().ok()).expect("the node counts its timers")
}
