//! The meetings of nodes before a switch. OTP: `sync_nodes`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A meeting of nodes before a switch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meeting {
    /// The id of the `sync_nodes`.
    pub id: Value,
    /// The nodes that met.
    pub nodes: Vec<String>,
    /// The number of the round.
    pub round: u64,
    /// The decision.
    pub verdict: Verdict,
    /// The wait for the other nodes before any process was paused.
    pub joined_us: u64,
    /// The part of the pause that the decision took.
    pub held_us: u64,
}

/// The decision of a meeting, as the node knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All nodes switch.
    Go,
    /// No node switches.
    No,
    /// The node lost the others after its vote, and they may switch.
    InDoubt,
    /// The others had switched before, and the node follows them.
    Follows,
}
