//! The events of members during an upgrade, and processes that are not members.

use serde::Serialize;
use serde_json::Value;

use crate::process::Process;

/// The events of the members since staging.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Processes of staged modules that ended, for any reason.
    pub exits: Vec<Exited>,
    /// Processes of staged modules that were started or restarted.
    pub starts: Vec<Process>,
    /// Members of staged modules that are alive, at rest and without a shadow state. Members that
    /// were left running or will be killed are excluded.
    pub unconverted: Vec<Process>,
    /// The number of calls to processes of staged modules that timed out.
    pub timeouts: usize,
}

/// A process that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exited {
    /// The process.
    #[serde(flatten)]
    pub process: Process,
    /// The exit reason, as text.
    pub reason: String,
}

/// A process that uses a module but is not a member of a gate over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outsider {
    /// The process.
    pub process: Process,
    /// The reason.
    pub kind: OutsiderKind,
}

/// Why a process is not a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutsiderKind {
    /// A behaviour process outside every supervision tree.
    Orphan,
    /// A task. It has its own loop, and stays on its version until it ends or continues at a named
    /// entry of new code.
    Task,
}

/// A child of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// The child id.
    pub id: Value,
    /// Whether the child runs or is starting.
    pub runs: bool,
}
