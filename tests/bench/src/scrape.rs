//! Measures scrapes of the metrics of a node with many processes.

use std::time::Instant;

use reld_tests::{Node, release};
use serde_json::json;

use crate::line;
use crate::upgrade::{Servers, fill};

pub(crate) fn run(reps: usize, n: u64) {
    let node = Node::start();
    node.ok(&["upgrade", &release("bench-1.0.0")]);
    fill(&node, Servers { n, state: "small", shape: "simple", groups: 1 });
    let scrape = |_| {
        let begin = Instant::now();
        node.metrics();
        begin.elapsed().as_secs_f64() * 1e3
    };
    line::print("scrape", &json!({"n": n}), "ms", (0..reps).map(scrape).collect());
}
