//! The result of a supervisor's init, and child specs. OTP: supervisor flags, child specification.
//!
//! Libraries write them, and the daemon refuses unknown members. Absent members have OTP's
//! defaults. In the answer to `get_childspec` the daemon writes a child spec with all members.

use serde::{Deserialize, Deserializer, Serialize};
use serde_bytes::ByteBuf;

/// A supervisor's flags and children.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SupervisorSpec {
    /// The reaction to the end of a child.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// How many restarts are allowed in `period_ms`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub intensity: Option<u32>,
    /// The period in which restarts are counted.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub period_ms: Option<u64>,
    /// Whether the supervisor ends with its significant children. Since ABI 1.2.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub auto_shutdown: Option<AutoShutdown>,
    /// The children, in start order; for simple_one_for_one exactly one, the template.
    #[serde(default)]
    pub children: Vec<ChildSpec>,
}

/// One child of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildSpec {
    /// The id, unique among the siblings: a MessagePack value.
    pub id: ByteBuf,
    /// The module to start.
    pub module: String,
    /// The start argument: a MessagePack value.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub args: Option<ByteBuf>,
    /// When the child is restarted.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// Whether the final end of the child counts for [`AutoShutdown`]. Since ABI 1.2.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub significant: Option<bool>,
    /// How the child is terminated. Nil means the same as an absent member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shutdown: Option<Shutdown>,
    /// Worker or supervisor.
    #[serde(default, rename = "type", deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub child_type: Option<ChildType>,
}

/// Reads an optional member that must not be nil.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// How a supervisor reacts to the end of a child. OTP: strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Restart the ended child only.
    #[default]
    OneForOne,
    /// Terminate all other children and restart them all.
    OneForAll,
    /// Terminate the children that were started after it, and restart it and them.
    RestForOne,
    /// All children have the same spec (the template); they are started by request and known by
    /// pid.
    SimpleOneForOne,
}

/// Whether a supervisor ends after significant children have ended by themselves and are not
/// restarted. OTP: `auto_shutdown`. Since ABI 1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoShutdown {
    /// It does not end; no child may be significant.
    #[default]
    Never,
    /// It ends after the first of them.
    AnySignificant,
    /// It ends after the last of them.
    AllSignificant,
}

/// When a child is restarted after it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// Unless it ended normally or by shutdown.
    Transient,
    /// Never; its row is removed.
    Temporary,
}

/// How a child is terminated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shutdown {
    /// Ask it to shut down, and kill it after this many milliseconds.
    Ms(u64),
    /// Ask it to shut down, and wait without a limit.
    Infinity,
    /// Kill it.
    BrutalKill,
}

/// The kind of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildType {
    /// Any process that is not a supervisor.
    #[default]
    Worker,
    /// A supervisor.
    Supervisor,
}
