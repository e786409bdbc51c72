//! The result of a supervisor's init, and child specs. OTP: supervisor flags, child specification.
//!
//! Libraries write them, and the daemon refuses unknown members. Absent members have the defaults
//! of OTP. In the answer to `get_childspec` the daemon writes a child spec with all members.

use serde::{Deserialize, Deserializer, Serialize};
use serde_bytes::ByteBuf;

/// A supervisor's name, flags and children.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SupervisorSpec {
    /// Its registered name. Since ABI 1.6.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The supervisor's reaction to the end of a child.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// The maximum number of restarts within `period_ms`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub intensity: Option<u32>,
    /// The period in which restarts are counted.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub period_ms: Option<u64>,
    /// Whether the supervisor ends with its significant children. Since ABI 1.2.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub auto_shutdown: Option<AutoShutdown>,
    /// The children, in start order. A simple_one_for_one has exactly one, the template.
    #[serde(default)]
    pub children: Vec<ChildSpec>,
}

/// One child of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildSpec {
    /// The id of the child, unique among its siblings: a MessagePack value.
    pub id: ByteBuf,
    /// The module to start.
    pub module: String,
    /// The start argument of the child: a MessagePack value.
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
    /// The kind of the child: a worker or a supervisor.
    #[serde(default, rename = "type", deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub child_type: Option<ChildType>,
}

/// Reads an optional member. It may be absent, but must not be nil.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// How a supervisor reacts to the end of a child. OTP: strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Restart only the child that ended.
    #[default]
    OneForOne,
    /// Terminate all other children and restart them all.
    OneForAll,
    /// Terminate the children that were started after the child that ended, and restart all of
    /// these.
    RestForOne,
    /// All children have the same spec, the template. They are started by requests, and identified
    /// by their pids.
    SimpleOneForOne,
}

/// The condition under which a supervisor ends because of its significant children. Only children
/// that have ended by themselves and are not restarted count. OTP: `auto_shutdown`. Since ABI 1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoShutdown {
    /// The supervisor does not end. No child may be significant.
    #[default]
    Never,
    /// The supervisor ends after the first significant child.
    AnySignificant,
    /// The supervisor ends after the last significant child.
    AllSignificant,
}

/// When a child is restarted after it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// The child is always restarted.
    #[default]
    Permanent,
    /// The child is restarted unless it ended normally or by shutdown.
    Transient,
    /// The child is never restarted. Its child spec is removed when it ends.
    Temporary,
}

/// How a child is terminated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shutdown {
    /// Ask the child to shut down, and kill it after this many milliseconds.
    Ms(u64),
    /// Ask the child to shut down, and wait without a time limit.
    Infinity,
    /// Kill the child at once.
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
