//! Modules and libraries.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::response::release::Lingerer;

/// The table of the code server.
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

/// A module with its current and old version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// The module.
    pub module: String,
    /// The app whose library contains the module.
    pub app: String,
    /// The current version. Absent if the module was deleted and only its old code remains.
    pub current: Option<String>,
    /// The number of processes that run the current version.
    pub current_processes: u64,
    /// The old version and the processes that run it.
    pub old: Option<OldCode>,
}

/// The old version of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldCode {
    /// The old version.
    pub version: String,
    /// The processes that still run the old version.
    pub lingering: Vec<Lingerer>,
}

/// A mapped library, and the resources that it uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Library {
    /// The app.
    pub app: String,
    /// The version.
    pub version: String,
    /// Whether the library was purged. If so, the list of residents also contains it, with the
    /// reason why it stays mapped.
    pub is_leaving: bool,
    /// The size of the library's mapping, in bytes.
    pub bytes: u64,
    /// The memory that the library has allocated and not freed. Null if the library does not count.
    pub heap: Option<Heap>,
    /// The number of running threads that the library has started itself.
    pub threads: u64,
    /// The number of processes whose state was built by the library.
    pub processes: u64,
    /// The number of these processes that wait inside a callback. Each of them holds a future of
    /// the library.
    pub waiting: u64,
    /// The number of sockets that these processes own.
    pub ports: u64,
    /// The number of timers that will send a message to these processes.
    pub timers: u64,
    /// The number of the library's blocking jobs that are queued or running.
    pub blocking: u64,
    /// The number of the library's processes that have ended, by the kind of the exit reason.
    pub exits: BTreeMap<String, u64>,
}

/// Memory that was allocated and not freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heap {
    /// The number of blocks.
    pub blocks: u64,
    /// The total size of the blocks.
    pub bytes: u64,
}

/// A resident: a library that stays mapped although all its modules are purged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resident {
    /// The app.
    pub app: String,
    /// The version.
    pub version: String,
    /// The size of the library's mapping, in bytes.
    pub bytes: u64,
    /// The reason why the library stays mapped.
    pub reason: String,
    /// The time since the library was purged.
    #[serde(default)]
    pub for_ms: u64,
}
