//! Child specs, in requests and in answers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A child spec: how a child is started, restarted and stopped. OTP: child specification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildSpec {
    /// The id, unique among the children of the supervisor.
    pub id: Value,
    /// The module of the child.
    pub module: String,
    /// The start arguments.
    #[serde(default)]
    pub args: Value,
    /// When the child is restarted.
    #[serde(default)]
    pub restart: Restart,
    /// Whether the final termination of this child counts for the `auto_shutdown` of its
    /// supervisor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub significant: bool,
    /// The time limit for stopping the child. If absent, it is 5000 ms for a worker and unlimited
    /// for a supervisor, as in OTP.
    #[serde(default)]
    pub shutdown: Option<Shutdown>,
    /// The type of the child: a worker or a supervisor.
    #[serde(default, rename = "type")]
    pub kind: ChildType,
}

/// When a supervisor restarts a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// The child is always restarted.
    #[default]
    Permanent,
    /// The child is restarted after an exit with a reason other than `normal` and `shutdown`.
    Transient,
    /// The child is never restarted. Its child spec is deleted when it terminates.
    Temporary,
}

/// How a supervisor stops a child: `"brutal_kill"`, `"infinity"` or `{"ms": 5000}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shutdown {
    /// The supervisor kills the child at once.
    BrutalKill,
    /// The supervisor sends `shutdown` and waits without limit.
    Infinity,
    /// The supervisor sends `shutdown` and kills the child after this many milliseconds.
    Ms(u64),
}

/// The type of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildType {
    /// Any process that is not a supervisor.
    #[default]
    Worker,
    /// A supervisor.
    Supervisor,
}
