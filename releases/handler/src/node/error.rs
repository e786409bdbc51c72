//! The errors of a node.

use reld_plan::{AppName, ModuleName, Vsn};

use crate::process::{Listed, Process};

/// An error of a verb of [`Node`](crate::Node).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// A library was not loaded.
    #[error("the library of app {app} {vsn} was not loaded: {reason}")]
    Load {
        /// The app of the library.
        app: AppName,
        /// The version of the library.
        vsn: Vsn,
        /// The error of the loader, including the path.
        reason: String,
    },
    /// A library could not be unloaded.
    #[error("cannot unload the library of app {app} {vsn}: {reason}")]
    Unload {
        /// The app of the library.
        app: AppName,
        /// The version of the library.
        vsn: Vsn,
        /// The error of the loader.
        reason: String,
    },
    /// A module could not be staged.
    #[error("cannot stage module {module}: {reason}")]
    Stage {
        /// The module.
        module: ModuleName,
        /// The obstacle.
        reason: String,
    },
    /// An app did not start.
    #[error("app {app} {vsn} did not start: {reason}")]
    StartApplication {
        /// The app.
        app: AppName,
        /// Its version.
        vsn: Vsn,
        /// The answer of the app, or the time that the node waited.
        reason: String,
    },
    /// An app did not stop.
    #[error("app {app} did not stop in time; still running: {}", Listed(.left))]
    StopApplication {
        /// The app.
        app: AppName,
        /// Processes that could not be ended.
        left: Vec<Process>,
    },
    /// A function of an app failed.
    #[error("apply {call}: {reason}")]
    Apply {
        /// The call.
        call: String,
        /// The exit reason of the call, or why it was not made.
        reason: String,
    },
    /// An app did not take a new environment.
    #[error("{reason}")]
    Configure {
        /// The app.
        app: AppName,
        /// The answer of the app, which names the app, or the time that the node waited.
        reason: String,
    },
    /// A supervisor or an application refused a built-in call.
    #[error("{call}: {reason}")]
    Call {
        /// The call.
        call: String,
        /// The answer.
        reason: String,
    },
    /// The file of the daemon that a restart would execute cannot be used.
    #[error("cannot restart: the daemon's own file is not usable: {reason}; install reld there first")]
    Successor {
        /// The file and its defect.
        reason: String,
    },
    /// Members did not come to rest.
    #[error("not at rest after {after_ms} ms: {}", Listed(.processes))]
    NotAtRest {
        /// The members.
        processes: Vec<Process>,
        /// The time that the node waited.
        after_ms: u64,
    },
    /// A state was not converted.
    #[error("change_code {process}: app {} {vsn} answered: {reason}", .process.app)]
    ChangeCode {
        /// The process with this state.
        process: Box<Process>,
        /// The version of the code that answered.
        vsn: Vsn,
        /// The answer of the app, or its panic.
        reason: String,
    },
    /// A trial could not convert a new state back.
    #[error(
        "{process}: its new state has no way back from {from} to {to}: app {} {reason}; fix this \
         conversion, or pass --one-way", .process.app
    )]
    NoWayBack {
        /// The process with this state.
        process: Box<Process>,
        /// The version of the new code.
        from: Vsn,
        /// The version of the running code.
        to: Vsn,
        /// The version of the app that failed to convert the state back, and its answer.
        reason: String,
    },
    /// No thread of the node was free for conversions.
    #[error(
        "change_code {module}: no thread was free for {after_ms} ms; `relctl status` lists the callbacks that do not return"
    )]
    Starved {
        /// The module of the states.
        module: ModuleName,
        /// The time that the node waited.
        after_ms: u64,
    },
    /// The upgrade was interrupted while the node waited.
    #[error("the upgrade was interrupted")]
    GivenUp,
    /// A conversion did not return.
    #[error("change_code {process}: app {} {vsn} did not return within {after_ms} ms", .process.app)]
    ChangeCodeTimedOut {
        /// The process with this state.
        process: Box<Process>,
        /// The version of the code that does not return.
        vsn: Vsn,
        /// The time that the node waited.
        after_ms: u64,
    },
}
