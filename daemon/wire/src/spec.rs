//! What a supervisor's init answers, and the spec of one child. OTP: supervisor flags, child specification.
//!
//! A library writes them, and the daemon refuses members that it does not know. What is absent has OTP's default. In
//! the answer to `get_childspec` the daemon writes the spec of a child with all its members.

use serde::{Deserialize, Deserializer, Serialize};
use serde_bytes::ByteBuf;

/// A supervisor's flags and children.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SupervisorSpec {
    /// How it acts on a child's end.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// How many restarts are allowed in `period_ms`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub intensity: Option<u32>,
    /// The time in which restarts are counted.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub period_ms: Option<u64>,
    /// Whether it ends with its significant children. Since ABI 1.2.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub auto_shutdown: Option<AutoShutdown>,
    /// The children, in start order; for simple_one_for_one exactly one, the template.
    #[serde(default)]
    pub children: Vec<ChildSpec>,
}

/// One child of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildSpec {
    /// Its name among its siblings: a MessagePack value.
    pub id: ByteBuf,
    /// The module that is started.
    pub module: String,
    /// The start argument: a MessagePack value.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub args: Option<ByteBuf>,
    /// When it is started again.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// Whether its end for good counts for the supervisor's own: [`AutoShutdown`]. Since ABI 1.2.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub significant: Option<bool>,
    /// How it is ended. Nil is as absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shutdown: Option<Shutdown>,
    /// What it is.
    #[serde(default, rename = "type", deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub child_type: Option<ChildType>,
}

/// Reads a member that may be absent, but not nil.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// How a supervisor acts on a child's end. OTP: strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Only that child is restarted.
    #[default]
    OneForOne,
    /// All others are ended, and all are started again.
    OneForAll,
    /// Those started after it are ended, and it and they are started again.
    RestForOne,
    /// One template, children by pid, started by request.
    SimpleOneForOne,
}

/// Whether a supervisor ends when significant children have ended by themselves for good. OTP: `auto_shutdown`. Since
/// ABI 1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoShutdown {
    /// It does not; then no child may be significant.
    #[default]
    Never,
    /// When the first of them has.
    AnySignificant,
    /// When the last of them has.
    AllSignificant,
}

/// When a child that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// Unless it ended normally or by shutdown.
    Transient,
    /// Never; its row goes.
    Temporary,
}

/// How a child is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shutdown {
    /// Told to shut down, killed after so many milliseconds.
    Ms(u64),
    /// Told to shut down, and waited for.
    Infinity,
    /// Killed.
    BrutalKill,
}

/// What a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildType {
    /// Any process that is not a supervisor.
    #[default]
    Worker,
    /// A supervisor.
    Supervisor,
}
