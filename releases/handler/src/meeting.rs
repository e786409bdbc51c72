//! Meetings with other nodes before the switch. OTP: `sync_nodes`.
//!
//! ```text
//! precopy ---> join ---> raise, convert, compare ---> decide ---> SWITCH
//!   | a failed step            | a failed step          |
//!   +------------+-------------+                        | no, late, or in doubt
//!                v                                      v
//!             refuse -------------------------------> roll back
//! ```
//!
//! Unlike OTP, where nodes only wait for each other, all nodes of a meeting switch, or none.
//! Processes run while nodes join, and are held while they decide. A script that goes back from a
//! faulty release meets no other node, because the others may be well.

use std::fmt;
use std::time::Instant;

use reld_error_codes::ErrorCode;
use reld_plan::{Apply, Mode, SyncWith};
use serde::Serialize;
use serde_json::Value;

use crate::interrupt::Interrupt;

/// The most nodes of a meeting: etcd allows 128 comparisons in one transaction.
const NODES_MAX: usize = 127;

/// A meeting of an upgrade.
#[derive(Debug, Clone, PartialEq)]
pub struct Meeting {
    /// The id of the instruction.
    pub id: Value,
    /// The nodes that meet; `None` for all nodes of the fleet.
    pub nodes: Option<Vec<String>>,
    /// The identity of the release that the upgrade leads to.
    pub identity: String,
    /// The direction of the upgrade.
    pub mode: Mode,
}

/// The place of a node in a meeting that all nodes have joined.
#[derive(Debug, Clone, PartialEq)]
pub struct Joined {
    /// The meeting.
    pub meeting: Meeting,
    /// The nodes that meet.
    pub nodes: Vec<String>,
    /// The number of the round.
    pub round: u64,
    /// The name of this attempt.
    pub attempt: String,
    /// Whether the other nodes have switched without this one, so that there is nothing to decide.
    pub follows: bool,
}

/// The reason why a node does not switch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmet {
    /// The nodes cannot meet.
    #[error("{0}")]
    Impossible(String),
    /// A node has refused.
    #[error("{0}")]
    Refused(String),
    /// Nodes did not come in time. This node has refused.
    #[error("after {after_ms} ms these nodes are missing: {}", .missing.join(", "))]
    Late {
        /// The nodes.
        missing: Vec<String>,
        /// The time that this node waited.
        after_ms: u64,
    },
    /// The decision is unknown, and the other nodes may switch.
    #[error("{why}; the other nodes may have switched: this node follows them when it sees their decision")]
    InDoubt {
        /// The reason.
        why: String,
    },
    /// The upgrade was interrupted.
    #[error("the upgrade was interrupted")]
    GivenUp,
}

impl Unmet {
    pub(crate) const fn code(&self) -> ErrorCode {
        match self {
            Self::Impossible(_) | Self::Refused(_) | Self::Late { .. } => ErrorCode::NotMet,
            Self::InDoubt { .. } => ErrorCode::InDoubt,
            Self::GivenUp => ErrorCode::Interrupted,
        }
    }
}

/// The meetings of a node with the other nodes of its fleet.
pub trait Meetings: fmt::Debug + Send + Sync {
    /// Returns the name of this node in the fleet.
    fn node(&self) -> String;

    /// Joins a meeting, and waits until all nodes have joined it. No process is held.
    ///
    /// # Errors
    /// The nodes do not meet. This node has refused, so that no other node waits for it.
    fn join(&self, meeting: &Meeting, deadline: Instant, interrupt: &Interrupt) -> Result<Joined, Unmet>;

    /// Votes for the switch, and waits for the decision. Processes are held, so the call returns
    /// at the deadline, or one request after it. It cannot be interrupted.
    ///
    /// # Errors
    /// The node must not switch. [`Unmet::InDoubt`] if others may.
    fn decide(&self, joined: &Joined, deadline: Instant) -> Result<(), Unmet>;

    /// Refuses the switch, because a step failed before this node was to decide. The node may not
    /// have joined the meeting yet. Returns at once.
    fn refuse(&self, meeting: &Meeting, why: String);

    /// Records that this node has switched. Returns at once.
    fn gone(&self, joined: Joined);
}

/// The place of a node in its fleet, as far as a program needs it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seat {
    /// The name of the node.
    pub(crate) node: String,
    /// The identity of the release that the upgrade leads to.
    pub(crate) identity: String,
}

/// The meeting of a window in a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeetingReport {
    /// The id of the instruction.
    pub id: Value,
    /// The nodes that met.
    pub nodes: Vec<String>,
    /// The number of the round.
    pub round: u64,
    /// The decision.
    pub verdict: Verdict,
    /// The wait for the other nodes before any process was held, in microseconds.
    pub joined_us: u64,
    /// The part of the pause that the decision took, in microseconds.
    pub held_us: u64,
}

/// The decision of a meeting, as a node knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All nodes switch.
    Go,
    /// No node switches.
    No,
    /// The node has lost the others, and they may switch.
    InDoubt,
    /// The others had switched before, and this node follows them.
    Follows,
}

/// Returns the nodes of a `sync_nodes`; `None` for all nodes of the fleet.
///
/// # Errors
/// The remedy, if this node cannot meet them.
pub(crate) fn nodes(with: &SyncWith, seat: Option<&Seat>) -> Result<Option<Vec<String>>, String> {
    let Some(Seat { node, .. }) = seat else {
        return Err("a node without a fleet knows no other nodes; start the daemon with --fleet, or \
                    remove it from the appup"
            .to_owned());
    };
    match with {
        SyncWith::Nodes(nodes) if !nodes.contains(node) => {
            Err(format!("its nodes lack {node}, which is this node; add it"))
        }
        SyncWith::Nodes(nodes) if nodes.len() > NODES_MAX => {
            Err(format!("at most {NODES_MAX} nodes can meet; list fewer than {}", nodes.len()))
        }
        SyncWith::Nodes(nodes) => Ok(Some(nodes.clone())),
        SyncWith::From(call) if is_all(call) => Ok(None),
        SyncWith::From(_) => Err("functions of apps return no value; list the nodes, or write from = \
                                  \"fleet:nodes\" for all nodes of the fleet"
            .to_owned()),
    }
}

/// Returns whether a call returns all nodes of the fleet. OTP: `erlang:nodes()`, with this node.
fn is_all(call: &Apply) -> bool {
    call.module.as_str() == "fleet" && call.function == "nodes" && call.args.is_empty()
}
