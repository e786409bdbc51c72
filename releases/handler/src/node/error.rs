//! Why a node did not do what it was asked to.

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
    /// A function of an app did not end well.
    #[error("apply {call}: {reason}")]
    Apply {
        /// The call.
        call: String,
        /// What it ended with, or why it was not called.
        reason: String,
    },
    /// A supervisor or an application did not do what a built-in call asked for.
    #[error("{call}: {reason}")]
    Call {
        /// The call.
        call: String,
        /// What it answered.
        reason: String,
    },
    /// The daemon that a restart would execute is not usable.
    #[error("cannot restart: the daemon's own file is not usable: {reason}; install reld there first")]
    Successor {
        /// The file, and what is wrong with it.
        reason: String,
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
    #[error("change_code {process}: app {} {vsn} answered: {reason}", .process.app)]
    ChangeCode {
        /// Whose state.
        process: Box<Process>,
        /// The version of the code that answered.
        vsn: Vsn,
        /// What the app answered, or its panic.
        reason: String,
    },
    /// A state could not be carried back, when that was tried.
    #[error(
        "{process}: its new state has no way back from {from} to {to}: app {} {reason}; mend that \
         conversion, or go without a way back (--one-way)", .process.app
    )]
    NoWayBack {
        /// Whose state.
        process: Box<Process>,
        /// The version of the code that is to come.
        from: Vsn,
        /// The version of the code that runs.
        to: Vsn,
        /// Which version of the app answered what.
        reason: String,
    },
    /// No thread of the node was free to convert anything.
    #[error(
        "change_code {module}: for {after_ms} ms no thread was free; `relctl status` lists the code that does not return"
    )]
    Starved {
        /// The module whose states were to be converted.
        module: ModuleName,
        /// How long was waited.
        after_ms: u64,
    },
    /// The upgrade was given up while its node waited.
    #[error("it was given up")]
    GivenUp,
    /// A conversion did not return.
    #[error("change_code {process}: app {} {vsn} did not return within {after_ms} ms", .process.app)]
    ChangeCodeTimedOut {
        /// Whose state.
        process: Box<Process>,
        /// The version of the code that does not return.
        vsn: Vsn,
        /// How long was waited.
        after_ms: u64,
    },
}
