//! Measures calls between processes of a loaded library, with one echo and one caller in each pair.

use reld_tests::{Node, release};
use serde_json::json;

use crate::line;

/// Number of calls for the round trip of one pair. `CALLS` is the number for the throughput of all
/// pairs together.
const ROUND_TRIPS: u64 = 300_000;
const CALLS: u64 = 1_000_000;

/// The payloads: a number, a hundred bytes, and a struct of about the same size.
pub(crate) const PAYLOADS: [&str; 3] = ["int", "bin100", "map100"];

pub(crate) fn run(reps: usize) {
    let node = Node::start();
    node.ok(&["upgrade", &release("bench-1.0.0")]);
    let time = |payload: &str, pairs: u64, calls: u64| {
        let order = json!({"call": {"payload": payload, "pairs": pairs, "calls": calls}});
        crate::upgrade::order(&node, &order).as_f64().expect("the driver answers nanoseconds")
    };
    time("int", 1, ROUND_TRIPS);
    for payload in PAYLOADS {
        let samples = (0..reps).map(|_| time(payload, 1, ROUND_TRIPS) / ROUND_TRIPS as f64).collect();
        line::print("call_rtt", &json!({"payload": payload, "pairs": 1}), "ns/call", samples);
    }
    for payload in PAYLOADS {
        for pairs in [1, 2, 8, 64, 1000] {
            let calls = CALLS / pairs;
            let rate = |_| (calls * pairs) as f64 * 1e9 / time(payload, pairs, calls);
            let parameters = json!({"payload": payload, "pairs": pairs});
            line::print("call_throughput", &parameters, "calls/s", (0..reps).map(rate).collect());
        }
    }
}
