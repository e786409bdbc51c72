//! What can go wrong, by name.

use std::fmt;

use reld_plan::{AppName, ModuleName, PlanError, Vsn};
use reld_store::Refusal;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::back::Need;
use crate::node::{Lingerer, NodeError};
use crate::process::{Listed, Process};

/// What stands in the way of an install. A check tells all that it finds.
///
/// Serialises as `{"class", "message"}`, the class being OTP's word where OTP has one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Obstacle {
    /// The release's status does not allow it.
    #[error(transparent)]
    Refused(Refusal),
    /// The release's files can not be used.
    #[error("{0}")]
    Files(String),
    /// A library that cannot be loaded: it was tried in a process that was thrown away.
    #[error(transparent)]
    Library(NodeError),
    /// An app that could not be started as its documents say.
    #[error(
        "app {app} {vsn} could not be started: {reason}; correct its app.toml or the release's config.toml"
    )]
    Application {
        /// The app.
        app: AppName,
        /// Its version.
        vsn: Vsn,
        /// Why.
        reason: String,
    },
    /// A library that is to be replaced has threads of its own, and does not say that it ends them.
    #[error(
        "app {app} {vsn} has started threads, and {count} of them run: whatever replaces it, they stay in its code. Restart it \
         (`restart_application`, or --mode restart), or end them when it is unloaded and say `threads = true` in its app.toml"
    )]
    Threads {
        /// The app.
        app: AppName,
        /// The version that runs.
        vsn: Vsn,
        /// How many threads.
        count: usize,
    },
    /// There is no script.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// No appup leads there at once; releases in between that the node has do.
    #[error(
        "{error}; a way leads through {}: `relctl upgrade {}` first",
        through.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        through[0]
    )]
    Detour {
        /// The step that is missing.
        error: PlanError,
        /// The releases in between, in the order of the way; one at least.
        through: Vec<Vsn>,
    },
    /// Something may need the way back, and there is none.
    #[error(
        "there is no way back, which {need} may need: {why}; write it into the appup, or go without one (--one-way)"
    )]
    NoWayBack {
        /// What may need it.
        need: Need,
        /// Why there is none.
        why: String,
    },
    /// A step that this version of reld does not carry out.
    #[error("step {step}: this version of reld does not carry out `{instruction}`; {remedy}")]
    Unsupported {
        /// The step, counted from 1 as the script prints it.
        step: usize,
        /// The instruction as the script prints it.
        instruction: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The script restarts the daemon, which an install that can be given up cannot.
    #[error(
        "its script restarts the daemon, which boots the release for good: use `relctl upgrade` or `relctl downgrade` \
         without --no-commit, --settle and --probe"
    )]
    Restarts,
    /// The release is for another daemon than the one that would be executed.
    #[error(
        "it is for reld {wanted}, and the daemon's file is reld {installed}; install reld {wanted} there first"
    )]
    OtherDaemon {
        /// What the release names.
        wanted: Vsn,
        /// What a restart would execute.
        installed: Vsn,
    },
    /// There is no daemon that a restart could execute.
    #[error(transparent)]
    NoSuccessor(NodeError),
    /// The release has another name than the one that runs.
    #[error("it is a release of {wanted}, and the node runs {running} {vsn}")]
    OtherRelease {
        /// Its name.
        wanted: AppName,
        /// The name of what runs.
        running: AppName,
        /// The version of what runs.
        vsn: Vsn,
    },
    /// A function is called of a module that neither release has.
    #[error("step {step}: `{instruction}`: no app of the two releases has the module; correct the appup")]
    UndefModule {
        /// The step, counted from 1 as the script prints it.
        step: usize,
        /// The instruction as the script prints it.
        instruction: String,
    },
    /// OTP: `old_processes`. Code from an earlier upgrade still runs, and its purge is soft.
    #[error(
        "module {module} has old code {vsn} that still runs: {}; purge it, or write pre_purge = \"brutal\"",
        ListedLingerers(.lingering)
    )]
    OldProcesses {
        /// The module.
        module: ModuleName,
        /// The version of its old code.
        vsn: Vsn,
        /// Who runs it.
        lingering: Vec<Lingerer>,
    },
    /// Behaviour processes outside every supervision tree use a module that is to be updated.
    #[error("outside every supervision tree, so not upgraded: {}; end them with `relctl kill`, start them below a supervisor, or choose with --orphans", Listed(.processes))]
    Orphans {
        /// Who.
        processes: Vec<Process>,
    },
    /// The children of a supervisor would change without an instruction that says so.
    #[error("{0}")]
    Children(String),
    /// A call about a child would be refused by its supervisor.
    #[error("step {step}: {call} would fail: {reason}; correct the appup")]
    Call {
        /// The step, counted from 1 as the script prints it.
        step: usize,
        /// The call.
        call: String,
        /// Why.
        reason: String,
    },
    /// Code that is to come does not take something that it would get.
    #[error("{0}")]
    NotTaken(String),
    /// The release that runs is current, and another one than those before it is asked for.
    #[error("release {running} runs and is not committed; {}", Boots(.boots.as_ref()))]
    Unconfirmed {
        /// What runs.
        running: Vsn,
        /// What the node boots.
        boots: Option<Vsn>,
    },
}

/// What a restart of a node does whose running release is not committed.
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
    /// Returns the obstacle's class, OTP's word where OTP has one.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Refused(Refusal::NoSuchRelease(_)) => "no_such_release",
            Self::Refused(Refusal::ExistingRelease(_)) => "existing_release",
            Self::Refused(Refusal::AlreadyInstalled(_)) => "already_installed",
            Self::Refused(Refusal::BadStatus { .. }) => "bad_status",
            Self::Refused(Refusal::Permanent(_)) => "permanent",
            Self::Refused(Refusal::Current(_)) => "current",
            Self::Files(_) => "files",
            Self::Library(_) => "library",
            Self::Application { .. } => "application",
            Self::Threads { .. } => "threads",
            Self::Plan(error) | Self::Detour { error, .. } => error.class(),
            Self::NoWayBack { .. } => "no_way_back",
            Self::Unsupported { .. } => "unsupported",
            Self::Restarts => "restarts",
            Self::OtherDaemon { .. } | Self::NoSuccessor(_) => "other_daemon",
            Self::OtherRelease { .. } => "other_release",
            Self::UndefModule { .. } => "undef_module",
            Self::OldProcesses { .. } => "old_processes",
            Self::Orphans { .. } => "orphans",
            Self::Children(_) => "children",
            Self::Call { .. } => "call",
            Self::NotTaken(_) => "not_taken",
            Self::Unconfirmed { .. } => "unconfirmed",
        }
    }
}

impl Serialize for Obstacle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("class", self.class())?;
        map.serialize_entry("message", &self.to_string())?;
        map.end()
    }
}

/// Lingerers in one line.
struct ListedLingerers<'a>(&'a [Lingerer]);

impl fmt::Display for ListedLingerers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let processes: Vec<Process> = self.0.iter().map(|lingerer| lingerer.process.clone()).collect();
        Listed(&processes).fmt(f)
    }
}

/// Why the release handler did nothing. The node runs as before.
///
/// An upgrade that began and failed is no error of the handler: its [`Report`](crate::Report) tells how it ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The check found obstacles.
    #[error("{what} was not installed; {}{}", AsBefore(.running.as_ref()), Lines(.obstacles))]
    Refused {
        /// The release or app.
        what: String,
        /// What the node runs.
        running: Option<Vsn>,
        /// All that was found.
        obstacles: Vec<Obstacle>,
    },
    /// The store refused, or could not do, its part.
    #[error(transparent)]
    Store(#[from] reld_store::Error),
    /// The machine does not give what a boot needs. The release has nothing to do with it.
    #[error("cannot boot release {vsn} now: {lack}")]
    NoRoom {
        /// The release.
        vsn: Vsn,
        /// What is missing, for people.
        lack: String,
    },
    /// There is no release to go back to, or more than one.
    #[error("which release to go back to is not known{}; name one", Candidates(.candidates))]
    NoPrevious {
        /// The releases that once ran.
        candidates: Vec<Vsn>,
    },
    /// An app is replaced in a release that runs.
    #[error("the node is idle, so there is no app to replace")]
    Idle,
    /// An app by itself comes in a tarball of its own.
    #[error("the tarball holds {0} apps; one is needed")]
    NotOneApp(usize),
    /// The tarball of an app holds no library.
    #[error("the tarball has no library of app {app} {vsn}")]
    NoLibrary {
        /// The app.
        app: AppName,
        /// Its version.
        vsn: Vsn,
    },
    /// No release runs that could be committed.
    #[error("the node is idle; there is nothing to commit")]
    NothingToCommit,
    /// A release settles, and the order would disturb that.
    #[error("release {vsn} settles: it is watched before it is committed")]
    Settles {
        /// The release.
        vsn: Vsn,
    },
    /// The daemon panicked.
    #[error("the daemon panicked: {0}; this is a bug of reld")]
    Bug(String),
    /// An earlier rollback was not complete, or another release is to be booted.
    #[error("the node must restart before anything else is installed")]
    NeedsRestart,
}

/// Says what the node runs, where nothing was changed; `None` = it is idle.
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

/// Obstacles, one a line.
struct Lines<'a>(&'a [Obstacle]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|obstacle| write!(f, "\n  {obstacle}"))
    }
}

/// Releases to choose from.
struct Candidates<'a>(&'a [Vsn]);

impl fmt::Display for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(": none ran before");
        }
        let names: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, ": {} ran before", names.join(", "))
    }
}
