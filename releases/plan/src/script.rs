//! What the release handler carries out for one release upgrade: one window, in an order that can be taken back.
//!
//! ```text
//! restart_new_daemon                    only where the daemon's version changes
//! load_object_code*                     everything of loading that can fail
//! apply*                                those written before the point of no return; rename_child
//! restart_application*                  its state is lost; stops before the loads, starts after them
//! load*                                 staged, nobody sees them yet
//! start_application* load_application*  apps that the release adds, beside the old code
//! suspend                               all members at once
//! code_change* apply* sync_nodes*       in the order of the translation
//! SWITCH                                all staged code becomes current
//! apply*                                starts of children, unless something is written before them that comes later
//! resume                                all members at once
//! stop* start* remove* purge* apply*    what ends something; what starts children or apps; calls written behind that
//! restart_daemon
//! ```
//!
//! Unlike OTP, where a script suspends and resumes group by group and ends in a restart when something fails after its
//! point of no return: here the switch comes after everything that can fail. Who asks for OTP's windows gets a script of
//! several such parts, see [`Windows`](crate::Windows); the order above is that of each.

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
    /// The release that is left; `None` at boot.
    pub from: Option<Vsn>,
    /// The release gone to.
    pub to: Vsn,
    /// Whose appups were used: up = those of the release gone to, down = those of the release that is left.
    pub mode: Mode,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What a person should know before.
    pub warnings: Vec<Warning>,
}

/// One step of a script.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// What is done.
    #[serde(flatten)]
    pub action: Action,
    /// Who wants it.
    pub reason: Reason,
    /// Whether it can be taken back.
    pub mark: Mark,
    /// The window that it belongs to, counted from 1; `None` where the script is one window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// What of its author's order is not kept, and what comes of that.
    #[serde(flatten)]
    pub order: Order,
    /// The line of its window's part of the relup that asks for it.
    #[serde(skip)]
    pub(crate) line: Option<usize>,
}

/// Where a step stands: the steps that it has changed places with, each in a few words, and what comes of its place.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Order {
    /// It is written before these, and carried out after them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub written_before: Vec<String>,
    /// It is written behind these, and carried out before them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub written_behind: Vec<String>,
    /// It starts a child after the resume: until then others miss it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub child_missing: bool,
}

/// What a step does. The names are those of the instructions, see [`LowLevel`](crate::LowLevel).
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
        /// No instruction names it: it moves because its library is replaced.
        implied: bool,
        /// The purge words the author wrote. `pre` is brutal too where a `purge` was written before the load.
        #[serde(flatten)]
        purge: PurgeWords,
        /// What is left out of the states that no `change_code` converts.
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
    /// Makes an app known without starting it.
    LoadApplication {
        /// The app.
        app: AppName,
    },
    /// Brings all members to rest.
    Suspend {
        /// What makes a process a member.
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
        /// The app's version that is to read them.
        to: Vsn,
        /// Whether the newer code reads (up) or writes (down) the older form.
        mode: Mode,
        /// What is converted.
        change: MemberChange,
        /// Handed to `change_code`.
        extra: Value,
        /// An apply stands before it, so that it cannot be converted before the gate.
        inside: bool,
        /// What is left out of what `change_code_down` answers.
        #[serde(skip_serializing_if = "Dropped::is_empty")]
        dropped: Dropped,
    },
    /// Calls a function.
    Apply(Apply),
    /// Waits for other nodes.
    SyncNodes {
        /// Names the point.
        id: Value,
        /// The nodes.
        with: SyncWith,
    },
    /// Stops an app and starts it in its new version. Its state is lost, and a rollback starts the old version afresh.
    RestartApplication {
        /// The app.
        app: AppName,
        /// How it is started.
        start_type: StartType,
    },
    /// The point of no return: every staged module becomes current, at once.
    Switch,
    /// Lets all members run again.
    Resume {
        /// The modules whose users are resumed.
        modules: Vec<ModuleName>,
    },
    /// Lets supervisors terminate the children that use the modules.
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
    /// Forgets an app that was stopped.
    UnloadApplication {
        /// The app.
        app: AppName,
    },
    /// Leaves a module without current code and purges it as its words say.
    Remove {
        /// The module.
        module: ModuleName,
        /// The library that had it.
        app: AppName,
        /// The library's version.
        vsn: Vsn,
        /// The purge words the author wrote.
        #[serde(flatten)]
        purge: PurgeWords,
    },
    /// Ends what is still in old code of the modules. Only written ones: what a load leaves behind is purged as the load's
    /// own words say.
    Purge {
        /// The modules.
        modules: Vec<ModuleName>,
    },
    /// Restarts into the new daemon first.
    RestartNewDaemon,
    /// Restarts when all is done.
    RestartDaemon,
}

/// A module whose users are suspended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The module.
    pub module: ModuleName,
    /// How long each user may take to come to rest.
    pub timeout: Timeout,
    /// Why they are suspended.
    pub change: MemberChange,
}

/// What happens to suspended processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberChange {
    /// No `change_code`: new code reads the old state as it is.
    Soft,
    /// Their states go through `change_code`.
    Advanced,
    /// They are supervisors: `init` is asked again, children stay.
    Supervisor,
    /// They are terminated after the switch.
    Stop,
}

/// What a rollback can do about a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// It is undone.
    Undone,
    /// It is not: the call names no undo, and none is known.
    NoUndo,
    /// The app runs again, in its old version, without its state.
    StateLost,
    /// Nothing. Such steps come after the switch only.
    Irreversible,
    /// It is undone until the switch. Its brutal purge comes after that and ends whoever runs old code then, for good.
    Kills,
    /// It starts or calls something after the switch; where it fails, the node goes back by a downgrade.
    TakenBack,
    /// The node restarts.
    Restarts,
}

impl Action {
    /// Returns the instruction's own name.
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

    /// Returns what a rollback can do about the step.
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
    /// Returns the number of the first switch among the steps, counted from 0.
    pub fn switch(&self) -> Option<usize> {
        self.steps.iter().position(|step| step.action == Action::Switch)
    }

    /// Whether a module gets other code.
    pub fn loads(&self, wanted: &ModuleName) -> bool {
        self.steps.iter().any(|step| matches!(&step.action, Action::Load { module, .. } if module == wanted))
    }

    /// Returns what is left out of states, by module.
    pub fn dropped(&self) -> impl Iterator<Item = (&ModuleName, &Dropped)> {
        let dropped = self.steps.iter().filter_map(|step| match &step.action {
            Action::Load { module, dropped, .. } | Action::CodeChange { module, dropped, .. } => {
                Some((module, dropped))
            }
            _ => None,
        });
        dropped.filter(|(_, dropped)| !dropped.is_empty())
    }

    /// Returns the steps window by window. Most scripts have one.
    pub fn windows(&self) -> impl Iterator<Item = &[Step]> {
        self.steps.chunk_by(|one, next| one.window == next.window)
    }
}
