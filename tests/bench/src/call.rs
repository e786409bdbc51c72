//! Measures calls between processes of a loaded library, with one echo and one caller in each pair.

use reld_tests::{Node, release};
use serde_json::{Value, json};

use crate::line::{self, percentile};

/// Number of calls for the round trip of one pair. `CALLS` is the number for the throughput of all
/// pairs together.
const ROUND_TRIPS: u64 = 300_000;
const CALLS: u64 = 1_000_000;

/// Number of calls of all pairs together whose durations are kept.
const TIMED_CALLS: u64 = 200_000;

/// The payloads: a number, a hundred bytes, and a struct of about the same size.
pub(crate) const PAYLOADS: [&str; 3] = ["int", "bin100", "map100"];

/// Measures the durations of single calls. `taskset -c 0` before the program gives the node one
/// processor.
pub(crate) fn latencies(reps: usize) {
    let node = node();
    let samples = |pairs: u64| {
        let order = json!({"latencies": {"payload": "int", "pairs": pairs, "calls": TIMED_CALLS / pairs}});
        let answer = crate::upgrade::order(&node, &order);
        let nanoseconds = answer.as_array().expect("the driver answers a list").iter();
        let mut samples: Vec<f64> = nanoseconds.filter_map(Value::as_f64).map(|each| each / 1e3).collect();
        samples.sort_by(f64::total_cmp);
        samples
    };
    samples(1);
    for pairs in [1, 64] {
        let all: Vec<_> = (0..reps).map(|_| samples(pairs)).collect();
        let parameters = json!({"payload": "int", "pairs": pairs});
        for (bench, per_cent) in [("call_p50", 50), ("call_p99", 99), ("call_max", 100)] {
            line::print(
                bench,
                &parameters,
                "us",
                all.iter().map(|each| percentile(each, per_cent)).collect(),
            );
        }
    }
}

fn node() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("bench-1.0.0")]);
    node
}

pub(crate) fn run(reps: usize) {
    let node = node();
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
