//! What the kernel says of a daemon's memory.

use std::fs;

use reld_tests::Node;

const PAGE: f64 = 4_096.0;

/// Returns the bytes that are resident.
pub(crate) fn resident(node: &Node) -> f64 {
    let statm = fs::read_to_string(format!("/proc/{}/statm", node.id())).expect("the daemon lives");
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok());
    pages.expect("the kernel counts pages") * PAGE
}
