//! Libraries and their code.

use std::path::PathBuf;

use reld_plan::{AppName, Behaviours, ModuleName, Vsn};
use serde::Serialize;

use crate::process::Process;

/// A loaded library, by its number on the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Image(pub u64);

/// The library of one app version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// The app.
    pub app: AppName,
    /// The version of the app.
    pub vsn: Vsn,
    /// The folder of the app, which its processes may read (`priv/`).
    pub dir: PathBuf,
    /// The library file. The node loads a private copy, never this file.
    pub file: PathBuf,
    /// The SHA-256 of the file, in 64 hexadecimal digits.
    pub sha256: String,
    /// The modules that the library must have.
    pub modules: Vec<ModuleName>,
}

/// The findings on a library that was loaded in a disposable child process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tried {
    /// The behaviours of its modules, from the library's own table.
    pub behaviours: Behaviours,
    /// Why its code will stay in memory after it is replaced, if a reason is known.
    pub stays: Option<String>,
}

/// A slot for code that is neither current nor gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// The code that the last switch replaced.
    Old,
    /// The code that was already old at the last switch.
    Condemned,
}

/// The result of a purge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Purged {
    /// Modules without code in the slot.
    pub modules: Vec<ModuleName>,
    /// Processes that were killed.
    pub killed: Vec<Process>,
    /// Processes that run the code of the other modules.
    pub lingering: Vec<Lingerer>,
}

/// The old code of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldCode {
    /// The module.
    pub module: ModuleName,
    /// The version of the old code.
    pub vsn: Vsn,
    /// The processes that run it.
    pub lingering: Vec<Lingerer>,
}

/// A process that runs old code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Lingerer {
    /// The process.
    #[serde(flatten)]
    pub process: Process,
    /// The supervisor, by name or pid; `None` outside every tree.
    pub supervisor: Option<String>,
    /// The version of the code that the process runs.
    pub vsn: Vsn,
}

/// An image that is still mapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resident {
    /// The app of the image.
    pub app: AppName,
    /// The version of the app.
    pub vsn: Vsn,
    /// Why the image is still mapped, as text.
    pub reason: String,
}
