//! The obstacles of an install, and the errors of the release handler.

use std::fmt;

use reld_error_codes::ErrorCode;
use reld_plan::{AppName, ModuleName, PlanError, Vsn};
use reld_store::Refusal;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::back::Need;
use crate::node::{Lingerer, NodeError};
use crate::process::{Listed, Process};

/// An obstacle to an install. A check reports all obstacles that it finds.
///
/// Serialises as `{"class", "message"}`; the class is OTP's word where OTP has one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Obstacle {
    /// The status of the release does not allow the install.
    #[error(transparent)]
    Refused(Refusal),
    /// The files of the release cannot be used.
    #[error("{0}")]
    Files(String),
    /// The policy of signatures does not let the release or the app run.
    #[error("{why}")]
    Distrust {
        /// The code of the reason.
        code: ErrorCode,
        /// The reason.
        why: String,
    },
    /// A library cannot be loaded, as a trial in a disposable child process showed.
    #[error(transparent)]
    Library(NodeError),
    /// An app cannot be started as its documents require.
    #[error(
        "app {app} {vsn} could not be started: {reason}; correct its app.toml or the release's config.toml"
    )]
    Application {
        /// The app.
        app: AppName,
        /// Its version.
        vsn: Vsn,
        /// The reason.
        reason: String,
    },
    /// A library to be replaced has started threads that still run, and the app does not declare
    /// that it ends them.
    #[error(
        "app {app} {vsn} has started threads, and {count} of them still run: they would stay in the replaced code; restart the \
         app (`restart_application` or --mode restart), or end the threads on unload and set `threads = true` in its app.toml"
    )]
    Threads {
        /// The app.
        app: AppName,
        /// The version that runs.
        vsn: Vsn,
        /// The number of threads.
        count: usize,
    },
    /// There is no script.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// No appup leads directly to the target, but there is a way through other releases of the
    /// node.
    #[error(
        "{error}; the appups lead there through {}: run `relctl upgrade {}` first",
        through.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        through[0]
    )]
    Detour {
        /// The missing step.
        error: PlanError,
        /// The releases in between, in order; at least one.
        through: Vec<Vsn>,
    },
    /// The upgrade may need a way back, and there is none.
    #[error("there is no way back, which {need} may need: {why}; add it to the appup, or pass --one-way")]
    NoWayBack {
        /// The reason for needing a way back.
        need: Need,
        /// The reason for its absence.
        why: String,
    },
    /// This version of reld does not carry out a step.
    #[error("step {step}: this version of reld does not carry out `{instruction}`; {remedy}")]
    Unsupported {
        /// The step, counted from 1 as the script prints it.
        step: usize,
        /// The instruction as the script prints it.
        instruction: String,
        /// The remedy.
        remedy: String,
    },
    /// The script restarts the daemon, but an install that stays uncommitted or settles cannot
    /// include a restart.
    #[error(
        "the script restarts the daemon, which makes the release permanent; use `relctl upgrade` or `relctl downgrade` \
         without --no-commit, --settle and --probe"
    )]
    Restarts,
    /// The release needs another daemon than the installed one.
    #[error(
        "the release needs reld {wanted}, but the daemon's file is reld {installed}; install reld {wanted} there first"
    )]
    OtherDaemon {
        /// The version that the release names.
        wanted: Vsn,
        /// The version that a restart would execute.
        installed: Vsn,
    },
    /// A restart would have no usable daemon to execute.
    #[error(transparent)]
    NoSuccessor(NodeError),
    /// The release has another name than the running release.
    #[error("the release belongs to {wanted}, but the node runs {running} {vsn}")]
    OtherRelease {
        /// The name of the release.
        wanted: AppName,
        /// The name of the running release.
        running: AppName,
        /// The version of the running release.
        vsn: Vsn,
    },
    /// An instruction calls a function of a module that neither release has.
    #[error("step {step}: `{instruction}`: no app of the two releases has the module; correct the appup")]
    UndefModule {
        /// The step, counted from 1 as the script prints it.
        step: usize,
        /// The instruction as the script prints it.
        instruction: String,
    },
    /// OTP: `old_processes`. Code from an earlier upgrade still runs, and its purge is soft.
    #[error(
        "module {module} has old code {vsn} that still runs: {}; purge it, or set pre_purge = \"brutal\"",
        ListedLingerers(.lingering)
    )]
    OldProcesses {
        /// The module.
        module: ModuleName,
        /// The version of its old code.
        vsn: Vsn,
        /// The processes that run it.
        lingering: Vec<Lingerer>,
    },
    /// Behaviour processes outside every supervision tree use a module to be updated.
    #[error("not upgraded, because outside every supervision tree: {}; end them with `relctl kill`, start them below a supervisor, or pass --orphans", Listed(.processes))]
    Orphans {
        /// The processes.
        processes: Vec<Process>,
    },
    /// The children of a supervisor would change without an instruction for them.
    #[error("{0}")]
    Children(String),
    /// A supervisor would refuse a call about a child.
    #[error("step {step}: {call} would fail: {reason}; correct the appup")]
    Call {
        /// The step, counted from 1 as the script prints it.
        step: usize,
        /// The call.
        call: String,
        /// The reason.
        reason: String,
    },
    /// New code rejects a start argument, a state or a message that it would receive.
    #[error("{text}")]
    NotTaken {
        /// The module of the new code.
        module: ModuleName,
        /// The input, and the reason.
        text: String,
    },
    /// The running release is not committed, and the order does not return from it to an earlier
    /// release.
    #[error("release {running} runs and is not committed; {}", Boots(.boots.as_ref()))]
    Unconfirmed {
        /// The running release.
        running: Vsn,
        /// The release that the node boots.
        boots: Option<Vsn>,
    },
}

/// Prints the result of a restart while the running release is not committed.
struct Boots<'a>(Option<&'a Vsn>);

impl fmt::Display for Boots<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(vsn) => write!(f, "a restart boots {vsn}"),
            None => f.write_str("after a restart the node is idle"),
        }
    }
}

impl Obstacle {
    /// Returns the code of the obstacle: OTP's word where OTP has one.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Files(_) => ErrorCode::Files,
            Self::Distrust { code, .. } => *code,
            Self::Library(_) => ErrorCode::Library,
            Self::Application { .. } => ErrorCode::Application,
            Self::Threads { .. } => ErrorCode::Threads,
            Self::Plan(error) | Self::Detour { error, .. } => error.code(),
            Self::NoWayBack { .. } => ErrorCode::NoWayBack,
            Self::Unsupported { .. } => ErrorCode::Unsupported,
            Self::Restarts => ErrorCode::Restarts,
            Self::OtherDaemon { .. } | Self::NoSuccessor(_) => ErrorCode::OtherDaemon,
            Self::OtherRelease { .. } => ErrorCode::OtherRelease,
            Self::UndefModule { .. } => ErrorCode::UndefModule,
            Self::OldProcesses { .. } => ErrorCode::OldProcesses,
            Self::Orphans { .. } => ErrorCode::Orphans,
            Self::Children(_) => ErrorCode::Children,
            Self::Call { .. } => ErrorCode::Call,
            Self::NotTaken { .. } => ErrorCode::NotTaken,
            Self::Unconfirmed { .. } => ErrorCode::Unconfirmed,
        }
    }
}

impl Serialize for Obstacle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("class", self.code().as_str())?;
        map.serialize_entry("message", &self.to_string())?;
        if let Self::NotTaken { module, .. } = self {
            map.serialize_entry("module", module)?;
        }
        map.end()
    }
}

/// Prints lingerers in one line.
struct ListedLingerers<'a>(&'a [Lingerer]);

impl fmt::Display for ListedLingerers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let processes: Vec<Process> = self.0.iter().map(|lingerer| lingerer.process.clone()).collect();
        Listed(&processes).fmt(f)
    }
}

/// The error of an order that changed nothing. The node runs as before.
///
/// An upgrade that began and failed is not an error of the handler; its [`Report`](crate::Report)
/// has the outcome.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The check found obstacles.
    #[error("{what} was not installed; {}{}", AsBefore(.running.as_ref()), Lines(.obstacles))]
    Refused {
        /// The release or app.
        what: String,
        /// The running release.
        running: Option<Vsn>,
        /// All obstacles that were found.
        obstacles: Vec<Obstacle>,
    },
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] reld_store::Error),
    /// The machine lacks a resource that a boot needs. The release is not the cause.
    #[error("cannot boot release {vsn} now: {lack}")]
    NoRoom {
        /// The release.
        vsn: Vsn,
        /// The missing resource, as text.
        lack: String,
    },
    /// No previous release is recorded.
    #[error("cannot go back: {}", Candidates(.candidates))]
    NoPrevious {
        /// The releases that ran at some time.
        candidates: Vec<Vsn>,
    },
    /// Only an app of a running release can be replaced.
    #[error("the node is idle, so there is no app to replace")]
    Idle,
    /// A tarball for a single app holds another number of apps.
    #[error("the tarball holds {0} apps; exactly one is needed")]
    NotOneApp(usize),
    /// The tarball of an app holds no library.
    #[error("the tarball has no library of app {app} {vsn}")]
    NoLibrary {
        /// The app.
        app: AppName,
        /// Its version.
        vsn: Vsn,
    },
    /// No release runs, so there is none to commit.
    #[error("the node is idle; there is nothing to commit")]
    NothingToCommit,
    /// The order would disturb a settling release.
    #[error("release {vsn} is settling; wait until it is committed or taken back")]
    Settles {
        /// The release.
        vsn: Vsn,
    },
    /// The running release lacks an app that is to be configured.
    #[error("cannot configure {app}: release {vsn} has no such app; its apps: {}", Names(.apps))]
    NoSuchApp {
        /// The app.
        app: AppName,
        /// The running release.
        vsn: Vsn,
        /// The apps of the release.
        apps: Vec<AppName>,
    },
    /// A value cannot be handed over to its app.
    #[error("cannot configure {app}: {reason}")]
    BadValue {
        /// The app.
        app: AppName,
        /// The value and the reason.
        reason: String,
    },
    /// An app or the disk did not take a new configuration. The node's configuration is as before.
    #[error("cannot change the configuration of the node: {cause}; it is as before{}", But(.not_undone))]
    NotConfigured {
        /// The error.
        cause: String,
        /// The errors of apps that did not take their previous environment again.
        not_undone: Vec<String>,
    },
    /// The daemon panicked.
    #[error("the daemon panicked: {0}; this is a bug of reld")]
    Bug(String),
    /// The node has to restart, because an earlier rollback was incomplete or because another
    /// release was made permanent.
    #[error("the node must restart before anything else is installed")]
    NeedsRestart,
}

/// Prints that the node was not changed. Holds the running release; `None` if the node is idle.
#[derive(Debug, Clone, Copy)]
pub struct AsBefore<'a>(pub Option<&'a Vsn>);

impl fmt::Display for AsBefore<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(vsn) => write!(f, "the node runs {vsn} as before"),
            None => f.write_str("the node is idle as before"),
        }
    }
}

/// Prints names in one line.
struct Names<'a>(&'a [AppName]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(AppName::as_str).collect();
        f.write_str(&names.join(", "))
    }
}

/// Prints the exceptions to an undo.
struct But<'a>(&'a [String]);

impl fmt::Display for But<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|error| write!(f, ", but {error}; restart the app"))
    }
}

/// Prints obstacles, one per line.
struct Lines<'a>(&'a [Obstacle]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|obstacle| write!(f, "\n  {obstacle}"))
    }
}

/// Prints the releases that a downgrade may name.
struct Candidates<'a>(&'a [Vsn]);

impl fmt::Display for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no other release has run on this node");
        }
        let names: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "no previous release is recorded; name one of {}", names.join(", "))
    }
}
