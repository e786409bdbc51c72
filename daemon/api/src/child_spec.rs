//! What a supervisor is told of a child, in requests and in answers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a child is started, restarted and stopped. OTP: child specification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildSpec {
    /// Any value that no other child of the supervisor has.
    pub id: Value,
    /// The module that runs in it.
    pub module: String,
    /// The start arguments.
    #[serde(default)]
    pub args: Value,
    /// When it is restarted.
    #[serde(default)]
    pub restart: Restart,
    /// Whether its end for good counts for its supervisor's `auto_shutdown`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub significant: bool,
    /// How long it may take to end; absent: 5000 ms for a worker, no limit for a supervisor, as in OTP.
    #[serde(default)]
    pub shutdown: Option<Shutdown>,
    /// Worker or supervisor.
    #[serde(default, rename = "type")]
    pub kind: ChildType,
}

/// When a supervisor restarts a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// After an end that is neither `normal` nor `shutdown`.
    Transient,
    /// Never; its row goes with it.
    Temporary,
}

/// How a supervisor stops a child: `"brutal_kill"`, `"infinity"` or `{"ms": 5000}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shutdown {
    /// Kills it at once.
    BrutalKill,
    /// Waits for it without limit.
    Infinity,
    /// Kills it after so many milliseconds.
    Ms(u64),
}

/// What a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildType {
    /// A process that supervises nobody.
    #[default]
    Worker,
    /// A supervisor.
    Supervisor,
}
