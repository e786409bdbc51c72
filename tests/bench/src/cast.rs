//! Measures casts from one process of a loaded library to another, and from a thousand to one.
//!
//! The clock stops when the last cast was handled.

use reld_tests::{Node, release};
use serde_json::json;

use crate::{call::PAYLOADS, line, upgrade::order};

/// Number of casts of all senders together.
const CASTS: u64 = 1_000_000;

pub(crate) fn run(reps: usize) {
    let node = Node::start();
    node.ok(&["upgrade", &release("bench-1.0.0")]);
    for senders in [1, 1_000] {
        for payload in PAYLOADS {
            let casts = json!({"payload": payload, "senders": senders, "casts": CASTS / senders});
            let time =
                || order(&node, &json!({"cast": casts})).as_f64().expect("the driver answers nanoseconds");
            let rates = (0..reps).map(|_| CASTS as f64 * 1e9 / time()).collect();
            line::print(
                "cast_throughput",
                &json!({"payload": payload, "senders": senders}),
                "casts/s",
                rates,
            );
        }
    }
}
