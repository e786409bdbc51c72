//! Libraries and the code that came from them.

use std::path::PathBuf;

use reld_plan::{AppName, Behaviours, ModuleName, Vsn};
use serde::Serialize;

use crate::process::Process;

/// A loaded library, as the node numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Image(pub u64);

/// The library of one app version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// Its app.
    pub app: AppName,
    /// Its version.
    pub vsn: Vsn,
    /// The app's folder, which its processes may read (`priv/`).
    pub dir: PathBuf,
    /// The library itself. The node loads a private copy, never this file.
    pub file: PathBuf,
    /// SHA-256 of the file, in 64 hexadecimal digits.
    pub sha256: String,
    /// The modules that the library must have.
    pub modules: Vec<ModuleName>,
}

/// What was found of a library that was tried in another process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tried {
    /// What its modules are, as it says itself.
    pub behaviours: Behaviours,
    /// Why its code will stay in memory when it is replaced, where that is known.
    pub stays: Option<String>,
}

/// Code that is not current and not gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// What the last switch replaced.
    Old,
    /// What was old already at the last switch.
    Condemned,
}

/// What a purge did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Purged {
    /// Modules that have no code in the slot any more.
    pub modules: Vec<ModuleName>,
    /// Who was ended.
    pub killed: Vec<Process>,
    /// Who runs the code of the other modules.
    pub lingering: Vec<Lingerer>,
}

/// A module's old code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldCode {
    /// The module.
    pub module: ModuleName,
    /// The version of the old code.
    pub vsn: Vsn,
    /// Who runs it.
    pub lingering: Vec<Lingerer>,
}

/// A process that runs old code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Lingerer {
    /// The process.
    #[serde(flatten)]
    pub process: Process,
    /// Its supervisor, by name or pid; `None` outside every tree.
    pub supervisor: Option<String>,
    /// The version of the code it runs.
    pub vsn: Vsn,
}

/// An image that is still mapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resident {
    /// Its app.
    pub app: AppName,
    /// Its version.
    pub vsn: Vsn,
    /// Why it is still mapped, for people.
    pub reason: String,
}
