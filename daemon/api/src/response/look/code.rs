//! Modules and libraries.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::response::release::Lingerer;

/// The code server's table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeTable {
    /// By module.
    pub modules: Vec<Module>,
    /// The libraries that are mapped into the daemon.
    #[serde(default)]
    pub libraries: Vec<Library>,
    /// Libraries that are meant to leave, yet stay mapped into the daemon.
    pub residents: Vec<Resident>,
}

/// One module and its two slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// The module.
    pub module: String,
    /// The app whose library holds it.
    pub app: String,
    /// The current version; absent for a module that was deleted while its old code is still there.
    pub current: Option<String>,
    /// How many processes run the current version.
    pub current_processes: u64,
    /// The old version and who still runs it.
    pub old: Option<OldCode>,
}

/// The old slot of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldCode {
    /// The old version.
    pub version: String,
    /// Who still runs it.
    pub lingering: Vec<Lingerer>,
}

/// A library that is mapped, and what it has of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Library {
    /// The app.
    pub app: String,
    /// The version.
    pub version: String,
    /// Whether it is meant to leave; then it is among the residents, with the reason why it has not.
    pub is_leaving: bool,
    /// How much address space it takes.
    pub bytes: u64,
    /// What it has allocated and not freed; null where it does not count.
    pub heap: Option<Heap>,
    /// Threads that it started itself and that run.
    pub threads: u64,
    /// Processes whose states it has built.
    pub processes: u64,
    /// Those of them that wait inside a callback: each has a future of the library.
    pub waiting: u64,
    /// Sockets of these processes.
    pub ports: u64,
    /// Timers that will send to these processes.
    pub timers: u64,
    /// Work of it that waits for a thread or runs on one, for it blocks.
    pub blocking: u64,
    /// How many of its processes have ended, by the kind of their reason.
    pub exits: BTreeMap<String, u64>,
}

/// Memory that was allocated and not freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heap {
    /// Blocks.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A library that is mapped though no slot has its modules any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resident {
    /// The app.
    pub app: String,
    /// The version.
    pub version: String,
    /// How much address space it takes.
    pub bytes: u64,
    /// Why it stays.
    pub reason: String,
    /// For how long it has stayed since it was purged.
    #[serde(default)]
    pub for_ms: u64,
}
