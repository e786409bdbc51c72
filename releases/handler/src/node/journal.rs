//! Processes that are told apart from others: by what became of them, or by where they stand.

use serde::Serialize;
use serde_json::Value;

use crate::process::Process;

/// What happened to the members since staging.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Processes of staged modules that ended, whatever the reason.
    pub exits: Vec<Exited>,
    /// Processes of staged modules that were started or restarted.
    pub starts: Vec<Process>,
    /// Members at rest, of staged modules, that are alive and have no shadow state. Who was left or is doomed is no
    /// member.
    pub unconverted: Vec<Process>,
    /// How many calls to processes of staged modules were not answered before their callers gave up.
    pub timeouts: usize,
}

/// A process that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exited {
    /// The process.
    #[serde(flatten)]
    pub process: Process,
    /// Its exit reason, for people.
    pub reason: String,
}

/// A process that uses a module and is no member of a gate over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outsider {
    /// The process.
    pub process: Process,
    /// Why it is none.
    pub kind: OutsiderKind,
}

/// Why a process is no member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutsiderKind {
    /// A behaviour process outside every supervision tree.
    Orphan,
    /// A task: its loop is its own, and it stays on its version until it ends or continues with a named entry.
    Task,
}

/// A child of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Its id.
    pub id: Value,
    /// Whether it runs, or is about to.
    pub runs: bool,
}
