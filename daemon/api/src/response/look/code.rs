//! Modules and libraries.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::response::release::Lingerer;

/// The code server's table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeTable {
    /// The modules, ordered by name.
    pub modules: Vec<Module>,
    /// The libraries mapped into the daemon.
    #[serde(default)]
    pub libraries: Vec<Library>,
    /// The residents: purged libraries that stay mapped into the daemon.
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
    /// The number of processes that run the current version.
    pub current_processes: u64,
    /// The old version and its processes.
    pub old: Option<OldCode>,
}

/// The old slot of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldCode {
    /// The old version.
    pub version: String,
    /// The processes that still run it.
    pub lingering: Vec<Lingerer>,
}

/// A mapped library and its use of the node's resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Library {
    /// The app.
    pub app: String,
    /// The version.
    pub version: String,
    /// Whether it was purged; then it is also in the list of residents, with the reason why it
    /// stays mapped.
    pub is_leaving: bool,
    /// The size of its address space.
    pub bytes: u64,
    /// The memory that it has allocated and not freed; null if it does not count.
    pub heap: Option<Heap>,
    /// The number of running threads that it started itself.
    pub threads: u64,
    /// The number of processes with a state built by it.
    pub processes: u64,
    /// The number of these processes that wait inside a callback: each holds a future of the
    /// library.
    pub waiting: u64,
    /// The number of sockets of these processes.
    pub ports: u64,
    /// The number of timers that will send to these processes.
    pub timers: u64,
    /// The number of its blocking jobs that are queued or running.
    pub blocking: u64,
    /// The number of its processes that have ended, by the kind of the exit reason.
    pub exits: BTreeMap<String, u64>,
}

/// Memory that was allocated and not freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heap {
    /// The number of blocks.
    pub blocks: u64,
    /// Their total size.
    pub bytes: u64,
}

/// A resident: a library that stays mapped although no slot holds its modules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resident {
    /// The app.
    pub app: String,
    /// The version.
    pub version: String,
    /// The size of its address space.
    pub bytes: u64,
    /// Why it stays mapped.
    pub reason: String,
    /// The time since it was purged.
    #[serde(default)]
    pub for_ms: u64,
}
