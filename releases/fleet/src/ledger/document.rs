//! The documents of a fleet, as JSON. Unknown members are ignored, so that a newer daemon can add
//! some.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::direction::Direction;
use super::keys::Name;

/// A node that is connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The version of the running release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
    /// The version of the permanent release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permanent: Option<String>,
    /// The identity of the permanent release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The version of the daemon.
    pub daemon: String,
    /// The work of the node, in words, if it is not at rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<String>,
    /// The life of the daemon: another daemon with the name of this node has another one.
    pub life: String,
    /// The time at which the node has joined, in RFC 3339 format.
    pub since: String,
}

/// A node that has joined the fleet once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The labels of the node.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The time at which the node has joined for the first time, in RFC 3339 format.
    pub since: String,
}

/// A rollout. Only a start changes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The text of `rollout.toml`.
    pub policy: String,
    /// The name of the release.
    pub name: String,
    /// The version of the release.
    pub version: String,
    /// The identity of the release: the SHA-256 of its manifest, in hexadecimal.
    pub identity: String,
    /// The address or the absolute path of the tarball, for nodes that do not have the release.
    pub source: String,
    /// The nodes, in the order of their upgrades.
    pub members: Vec<Name>,
    /// The operator.
    pub by: String,
    /// The time of the start, in RFC 3339 format.
    pub at: String,
}

/// The phase of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Upgrades begin as the policy allows.
    Running,
    /// No upgrade begins until the operator resumes the rollout.
    Paused,
    /// The rollout has ended before its goal.
    Halted,
    /// The rollout has reached its goal.
    Done,
}

impl Phase {
    /// Returns whether the rollout has ended.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Halted | Self::Done)
    }
}

/// An action of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The operator.
    pub by: String,
    /// The time, in RFC 3339 format.
    pub at: String,
}

/// The state of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The phase.
    pub phase: Phase,
    /// The direction.
    pub direction: Direction,
    /// The reason for a halt or a pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The nodes that an operator has left out.
    #[serde(default)]
    pub skipped: BTreeMap<Name, Note>,
    /// The number of changes. It gives each of them a value of its own.
    pub changes: u64,
}

impl Standing {
    /// Returns the state in one word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match (self.direction, self.phase) {
            (Direction::Forward, Phase::Running) => "running",
            (Direction::Back, Phase::Running) => "taking_back",
            (_, Phase::Paused) => "paused",
            (_, Phase::Halted) => "halted",
            (Direction::Forward, Phase::Done) => "done",
            (Direction::Back, Phase::Done) => "taken_back",
        }
    }
}

/// The permission to be unavailable, and its holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The holder.
    pub node: Name,
    /// The direction in which the holder moves.
    pub direction: Direction,
    /// The name of this order. Only its holder knows it in advance.
    pub tx: String,
    /// The life of the holder's daemon.
    pub life: String,
    /// The number of the attempt, from 1. A daemon that ends within an attempt begins the next one
    /// when it is back.
    pub attempt: u32,
    /// The time of the first attempt, in RFC 3339 format.
    pub since: String,
}

/// The result of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The end.
    pub ending: Ending,
    /// The name of the order.
    pub tx: String,
    /// The direction of the order.
    #[serde(default)]
    pub direction: Direction,
    /// The reason for a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The failed step, as in the report of the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<serde_json::Value>,
    /// The longest pause of a process, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_us: Option<u64>,
    /// The number of the report in the node's history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<u64>,
    /// The time, in RFC 3339 format.
    pub at: String,
}

/// The end of a node's part in a rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The node has reached the goal.
    #[default]
    Reached,
    /// The node was at the goal without an order of the rollout.
    WasThere,
    /// The node failed, and is as before.
    Failed,
    /// The node failed, and runs the release of the other side.
    FailedMoved,
}

impl Ending {
    /// Returns whether the node has failed.
    pub(super) const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::FailedMoved)
    }

    /// Returns whether the order has moved the node, at least to a release that it did not commit.
    pub(super) const fn has_moved(self) -> bool {
        matches!(self, Self::Reached | Self::FailedMoved)
    }
}
