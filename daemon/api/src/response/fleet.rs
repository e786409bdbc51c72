//! A fleet and its rollout.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::FailedStep;

/// The membership of the node in its fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetStatus {
    /// The fleet.
    pub fleet: String,
    /// The name of the node in it.
    pub node: String,
    /// Whether the node is connected to etcd.
    pub connected: bool,
    /// The state of the connection in one sentence, with the remedy if there is a fault.
    pub text: String,
}

/// The nodes of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetNodeList {
    /// The fleet.
    pub fleet: String,
    /// The nodes, by name.
    pub nodes: Vec<FleetNode>,
}

/// A node that has joined the fleet once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetNode {
    /// The name.
    pub node: String,
    /// The labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether the node is connected to etcd.
    pub connected: bool,
    /// The time at which it has joined; absent if it is not connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The time since which the answering node misses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_since: Option<String>,
    /// The version of the running release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
    /// The version of the permanent release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permanent: Option<String>,
    /// The version of the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon: Option<String>,
    /// The order under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<String>,
}

/// A node was removed from the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRemoved {
    /// The node.
    pub node: String,
}

/// The last rollout of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutShown {
    /// The fleet.
    pub fleet: String,
    /// The rollout. Absent if there was none.
    pub rollout: Option<Rollout>,
}

/// A rollout over a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// Its name, as in the histories of the nodes.
    pub rollout: String,
    /// The name of the release.
    pub name: String,
    /// The version of the release.
    pub version: String,
    /// The identity of the release.
    pub identity: String,
    /// The operator.
    pub by: String,
    /// The time of the start, in RFC 3339 format.
    pub since: String,
    /// The phase.
    pub phase: RolloutPhase,
    /// The direction.
    pub direction: RolloutDirection,
    /// Whether the rollout has ended, and no node is under way.
    pub ended: bool,
    /// The reason for a halt, a pause or a way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The reason for which no upgrade begins at present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
    /// The nodes, in the order of the present direction.
    pub nodes: Vec<RolloutNode>,
    /// The nodes that hold a slot. At most `max_unavailable` slots exist.
    pub holders: Vec<SlotHolder>,
}

/// The phase of a rollout over a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutPhase {
    /// Upgrades begin as the policy allows.
    Running,
    /// No upgrade begins until the rollout is resumed.
    Paused,
    /// The rollout has ended before its goal: no further upgrade begins.
    Halted,
    /// The rollout has reached its goal.
    Done,
}

/// The direction of a rollout over a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutDirection {
    /// To the release.
    Forward,
    /// Back to the release that each node ran before.
    Back,
}

/// A node of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutNode {
    /// The name.
    pub node: String,
    /// The state.
    pub state: RolloutNodeState,
    /// The time since which it is in this state, in RFC 3339 format.
    pub since: String,
    /// The version of the running release. Absent if the node is not connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<String>,
    /// The reason for a failure or a wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The failed step of the upgrade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<FailedStep>,
    /// Whether the rollout has begun on it.
    pub begun: bool,
    /// Whether it runs the release of the rollout because of the rollout.
    pub moved: bool,
}

/// The state of a node in a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutNodeState {
    /// It has not begun.
    Waiting,
    /// It holds a slot.
    Busy,
    /// It has reached the goal.
    Committed,
    /// It has failed.
    Failed,
    /// It is not connected.
    Missing,
    /// It was left out.
    Skipped,
}

/// The holder of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotHolder {
    /// The number of the slot.
    pub slot: usize,
    /// The node.
    pub node: String,
    /// The time at which it has taken the slot, in RFC 3339 format.
    pub since: String,
    /// The number of the attempt, from 1. A daemon that ends within its upgrade tries again when
    /// it is back.
    pub attempt: u32,
    /// Whether the node is connected.
    pub connected: bool,
    /// The time since which the answering node misses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_since: Option<String>,
}

/// A rollout was started, or its phase has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutChanged {
    /// The rollout.
    pub rollout: String,
}
