//! The script that the release handler executes for one release change: one window, ordered so that
//! a failure can be rolled back.
//!
//! ```text
//! restart_new_daemon                    only if the daemon's version changes
//! load_object_code*                     every part of loading that can fail
//! apply*                                calls written before the point of no return; rename_child
//! restart_application*                  loses its state; stops before the loads, starts after them
//! load*                                 staged: no process runs the new code yet
//! start_application* load_application*  apps that the release adds, beside the old code
//! suspend                               all members at once
//! code_change* apply*                   in the order of the translation
//! sync_nodes*                           every node can still go back
//! SWITCH                                all staged code becomes current
//! apply*                                starts of children, unless a line written before them
//!                                       runs after the resume
//! resume                                all members at once
//! stop* start* remove* purge* apply*    terminations; starts of children or apps; calls written
//!                                       after one of these
//! restart_daemon
//! ```
//!
//! In OTP, a script suspends and resumes group by group, and a failure after the point of no return
//! restarts the node. Here, the switch comes after every step that can fail. A script with one
//! window for each group, see [`Windows`](crate::Windows), consists of several such sequences, each
//! in the order above.

use serde::Serialize;
use serde_json::Value;

use crate::apply::BuiltIn;
use crate::dropped::Dropped;
use crate::instr::{Apply, Mode, PurgeWords, SyncWith, Timeout};
use crate::name::{AppName, ModuleName};
use crate::reason::Reason;
use crate::rel::StartType;
use crate::version::Vsn;
use crate::warning::Warning;

/// The script of one upgrade, downgrade or boot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Script {
    /// The source release; `None` at boot.
    pub from: Option<Vsn>,
    /// The target release.
    pub to: Vsn,
    /// The release that owns the appups: the target release (up) or the source release (down).
    pub mode: Mode,
    /// The steps, in the order of execution.
    pub steps: Vec<Step>,
    /// Remarks to read before the upgrade.
    pub warnings: Vec<Warning>,
}

/// One step of a script.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The action.
    #[serde(flatten)]
    pub action: Action,
    /// The origin of the step.
    pub reason: Reason,
    /// Whether a rollback undoes the step.
    pub mark: Mark,
    /// The window of the step, counted from 1; `None` if the script is one window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// How the step's place differs from the author's order.
    #[serde(flatten)]
    pub order: Order,
    /// The number of the step's line within the relup lines of its window.
    #[serde(skip)]
    pub(crate) line: Option<usize>,
}

/// The steps that a step has changed places with, each as a short text, and the consequence for a
/// started child.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Order {
    /// Steps that are written after this one and executed before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub written_before: Vec<String>,
    /// Steps that are written before this one and executed after it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub written_behind: Vec<String>,
    /// The step starts a child after the resume, so that resumed processes miss the child until
    /// then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub child_missing: bool,
}

/// The action of a step. Its names are those of the instructions, see
/// [`LowLevel`](crate::LowLevel).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Action {
    /// Opens a library with all its modules. One step per library.
    LoadObjectCode {
        /// The library's app.
        app: AppName,
        /// The library's version.
        vsn: Vsn,
        /// All modules of the library.
        modules: Vec<ModuleName>,
    },
    /// Stages a module, to become current at the switch.
    Load {
        /// The module.
        module: ModuleName,
        /// The library it comes from.
        app: AppName,
        /// The library's version.
        vsn: Vsn,
        /// No instruction names the module: it is loaded because its library is replaced.
        implied: bool,
        /// The purge methods that the author wrote. `pre` is also brutal if a `purge` is written
        /// before the load.
        #[serde(flatten)]
        purge: PurgeWords,
        /// State fields to drop where no `change_code` converts the state.
        #[serde(skip_serializing_if = "Dropped::is_empty")]
        dropped: Dropped,
    },
    /// Starts an app that the release adds.
    StartApplication {
        /// The app.
        app: AppName,
        /// How it is started.
        start_type: StartType,
    },
    /// Loads an app without starting it.
    LoadApplication {
        /// The app.
        app: AppName,
    },
    /// Suspends all members.
    Suspend {
        /// The modules that make a process a member.
        modules: Vec<Member>,
    },
    /// Converts the states of a module's members.
    CodeChange {
        /// The module.
        module: ModuleName,
        /// The module's app.
        app: AppName,
        /// The app's version that wrote the states.
        from: Vsn,
        /// The app's version that reads the states.
        to: Vsn,
        /// Whether the newer code reads (up) or writes (down) the older format.
        mode: Mode,
        /// The kind of the conversion.
        change: MemberChange,
        /// The data for `change_code`, besides the state.
        extra: Value,
        /// A call is written before the conversion, so the conversion cannot run before the gate.
        inside: bool,
        /// Fields to drop from the result of `change_code_down`.
        #[serde(skip_serializing_if = "Dropped::is_empty")]
        dropped: Dropped,
    },
    /// Calls a function.
    Apply(Apply),
    /// Waits for other nodes.
    SyncNodes {
        /// The name of the synchronization point.
        id: Value,
        /// The nodes.
        with: SyncWith,
    },
    /// Stops an app and starts it in its new version. Its state is lost. A rollback starts the old
    /// version with a fresh state.
    RestartApplication {
        /// The app.
        app: AppName,
        /// How it is started.
        start_type: StartType,
    },
    /// The point of no return: all staged modules become current at once.
    Switch,
    /// Lets all members run again.
    Resume {
        /// The modules; their users are resumed.
        modules: Vec<ModuleName>,
    },
    /// Makes supervisors terminate the children that use the modules.
    Stop {
        /// The modules.
        modules: Vec<ModuleName>,
    },
    /// Restarts the children that were stopped.
    Start {
        /// The modules.
        modules: Vec<ModuleName>,
    },
    /// Stops an app that the release drops.
    StopApplication {
        /// The app.
        app: AppName,
    },
    /// Unloads a stopped app.
    UnloadApplication {
        /// The app.
        app: AppName,
    },
    /// Leaves a module without current code, and purges its old code with the purge methods of the
    /// step.
    Remove {
        /// The module.
        module: ModuleName,
        /// The library that had it.
        app: AppName,
        /// The library's version.
        vsn: Vsn,
        /// The purge methods that the author wrote.
        #[serde(flatten)]
        purge: PurgeWords,
    },
    /// Terminates the processes that still run old code of the modules. Only for purges that the
    /// author wrote: code that a load makes old is purged with the purge methods of the load.
    Purge {
        /// The modules.
        modules: Vec<ModuleName>,
    },
    /// Restarts the node into the new daemon before all other steps.
    RestartNewDaemon,
    /// Restarts the daemon after all other steps.
    RestartDaemon,
}

/// A module, and how its users are suspended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The module.
    pub module: ModuleName,
    /// The time limit for the suspension of each user.
    pub timeout: Timeout,
    /// The reason for the suspension.
    pub change: MemberChange,
}

/// What happens to suspended processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberChange {
    /// No `change_code` is called: new code reads the old state.
    Soft,
    /// Their states go through `change_code`.
    Advanced,
    /// The processes are supervisors: `init` is called again, children stay.
    Supervisor,
    /// The processes are terminated after the switch.
    Stop,
}

/// How a rollback treats a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// A rollback undoes the step.
    Undone,
    /// The step is not undone: the call names no undo, and none is known.
    NoUndo,
    /// The app runs again in its old version, without its state.
    StateLost,
    /// The step is not undone. Such steps come only after the switch.
    Irreversible,
    /// The step is undone until the switch. After the switch, the brutal purge terminates the
    /// processes that run old code, which cannot be undone.
    Kills,
    /// The step starts or calls something after the switch. If it fails, the node is downgraded.
    TakenBack,
    /// The node restarts.
    Restarts,
}

impl Action {
    /// Returns the name of the instruction.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::LoadObjectCode { .. } => "load_object_code",
            Self::Load { .. } => "load",
            Self::StartApplication { .. } => "start_application",
            Self::LoadApplication { .. } => "load_application",
            Self::Suspend { .. } => "suspend",
            Self::CodeChange { .. } => "code_change",
            Self::Apply(_) => "apply",
            Self::SyncNodes { .. } => "sync_nodes",
            Self::RestartApplication { .. } => "restart_application",
            Self::Switch => "switch",
            Self::Resume { .. } => "resume",
            Self::Stop { .. } => "stop",
            Self::Start { .. } => "start",
            Self::StopApplication { .. } => "stop_application",
            Self::UnloadApplication { .. } => "unload_application",
            Self::Remove { .. } => "remove",
            Self::Purge { .. } => "purge",
            Self::RestartNewDaemon => "restart_new_daemon",
            Self::RestartDaemon => "restart_daemon",
        }
    }

    /// Returns how a rollback treats the step.
    pub fn mark(&self) -> Mark {
        match self {
            Self::Apply(call) => call.mark(),
            Self::RestartApplication { .. } => Mark::StateLost,
            Self::RestartNewDaemon | Self::RestartDaemon => Mark::Restarts,
            Self::Start { .. } => Mark::TakenBack,
            Self::Load { purge, .. } if purge.is_brutal() => Mark::Kills,
            Self::Stop { .. }
            | Self::StopApplication { .. }
            | Self::UnloadApplication { .. }
            | Self::Remove { .. }
            | Self::Purge { .. } => Mark::Irreversible,
            _ => Mark::Undone,
        }
    }
}

impl Apply {
    pub(crate) fn mark(&self) -> Mark {
        match self.built_in() {
            Some(Ok(BuiltIn::RenameChild { .. })) => Mark::Undone,
            Some(Ok(built_in)) if built_in.ends() => Mark::Irreversible,
            Some(_) => Mark::TakenBack,
            None if self.undo.is_none() => Mark::NoUndo,
            None => Mark::Undone,
        }
    }
}

impl Step {
    pub(crate) fn new(action: Action, reason: Reason) -> Self {
        let mark = action.mark();
        Self { action, reason, mark, window: None, order: Order::default(), line: None }
    }
}

impl Script {
    /// Returns the index of the first switch.
    pub fn switch(&self) -> Option<usize> {
        self.steps.iter().position(|step| step.action == Action::Switch)
    }

    /// Returns whether the script loads the module.
    pub fn loads(&self, wanted: &ModuleName) -> bool {
        self.steps.iter().any(|step| matches!(&step.action, Action::Load { module, .. } if module == wanted))
    }

    /// Returns the dropped state fields, by module.
    pub fn dropped(&self) -> impl Iterator<Item = (&ModuleName, &Dropped)> {
        let dropped = self.steps.iter().filter_map(|step| match &step.action {
            Action::Load { module, dropped, .. } | Action::CodeChange { module, dropped, .. } => {
                Some((module, dropped))
            }
            _ => None,
        });
        dropped.filter(|(_, dropped)| !dropped.is_empty())
    }

    /// Returns the steps window by window. Most scripts have one window.
    pub fn windows(&self) -> impl Iterator<Item = &[Step]> {
        self.steps.chunk_by(|one, next| one.window == next.window)
    }
}
