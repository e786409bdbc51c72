//! Verbs of a fleet: the rollouts that its nodes carry out by themselves. A daemon without
//! `--fleet` refuses all of them.

use serde::{Deserialize, Serialize};

/// The membership of the node in its fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fleet {}

/// `relctl rollout nodes`: the nodes of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetNodes {}

/// `relctl rollout nodes --remove NODE`: removes a node that is gone for good. A node that is
/// connected, or that is in a rollout under way, is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveNode {
    /// The node.
    pub node: String,
}

/// `relctl rollout status` and `locks`: the last rollout of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetRollout {}

/// `relctl rollout start --fleet`: starts a rollout. It is refused while another one is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRollout {
    /// The text of the `rollout.toml`.
    pub policy: String,
    /// The tarball, for nodes that do not have the release: a URL, which each of them must reach.
    pub source: String,
    /// The name of the release.
    pub name: String,
    /// The version of the release.
    pub version: String,
    /// The identity of the release.
    pub identity: String,
    /// The nodes that are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<String>,
    /// The operator, for the records.
    pub by: String,
}

/// `relctl rollout pause`: no upgrade begins until the rollout is resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseRollout {
    /// The operator, for the records.
    pub by: String,
}

/// `relctl rollout resume`: ends a pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeRollout {
    /// The operator, for the records.
    pub by: String,
}

/// `relctl rollout halt`: no further upgrade begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HaltRollout {
    /// The operator, for the records.
    pub by: String,
}

/// `relctl rollout take-back`: the nodes that the rollout has moved go back, the last one first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeBackRollout {
    /// The operator, for the records.
    pub by: String,
}

/// `relctl rollout skip NODE`: leaves a node out, and frees the slot that it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkipNode {
    /// The node.
    pub node: String,
    /// The operator, for the records.
    pub by: String,
}
