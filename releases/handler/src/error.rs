//! What can go wrong, by name.

use reld_plan::{AppName, ModuleName, Vsn};

use crate::process::{Listed, Process};

/// Why a node did not do what a verb of [`Node`](crate::Node) asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// A library was not loaded.
    #[error("the library of app {app} {vsn} was not loaded: {reason}")]
    Load {
        /// The library's app.
        app: AppName,
        /// The library's version.
        vsn: Vsn,
        /// What the loader says, path included.
        reason: String,
    },
    /// A library could not be given back.
    #[error("the library of app {app} {vsn} could not be given back: {reason}")]
    Unload {
        /// The library's app.
        app: AppName,
        /// The library's version.
        vsn: Vsn,
        /// What the loader says.
        reason: String,
    },
    /// A module can not become current.
    #[error("module {module} can not become current: {reason}")]
    Stage {
        /// The module.
        module: ModuleName,
        /// What stands in the way.
        reason: String,
    },
    /// An app did not start.
    #[error("app {app} {vsn} did not start: {reason}")]
    StartApplication {
        /// The app.
        app: AppName,
        /// Its version.
        vsn: Vsn,
        /// What it answered, or how long was waited.
        reason: String,
    },
    /// An app did not stop.
    #[error("app {app} did not stop in time; these still run: {}", Listed(.left))]
    StopApplication {
        /// The app.
        app: AppName,
        /// Who could not be ended.
        left: Vec<Process>,
    },
    /// Members did not come to rest.
    #[error("not at rest after {after_ms} ms: {}", Listed(.processes))]
    NotAtRest {
        /// Who.
        processes: Vec<Process>,
        /// How long was waited.
        after_ms: u64,
    },
    /// A state was not converted.
    #[error("change_code {process}: app {} {vsn} answered: {reason}", process.app)]
    ChangeCode {
        /// Whose state.
        process: Process,
        /// The version of the code that answered.
        vsn: Vsn,
        /// What the app answered, or its panic.
        reason: String,
    },
    /// A conversion did not return.
    #[error("change_code {process}: app {} {vsn} did not return within {after_ms} ms", process.app)]
    ChangeCodeTimedOut {
        /// Whose state.
        process: Process,
        /// The version of the code that does not return.
        vsn: Vsn,
        /// How long was waited.
        after_ms: u64,
    },
}
