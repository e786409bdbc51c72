//! The instruction set: high-level instructions, which an author writes in an appup, and low-level
//! instructions, which make up the handler's script.
//!
//! OTP: appup(4). Every instruction keeps OTP's name, meaning and defaults; the syntax is TOML, see
//! [`Appup`](crate::Appup). Data is a [`serde_json::Value`].

use serde::Serialize;
use serde_json::Value;

use crate::name::{AppName, ModuleName};
use crate::rel::StartType;
use crate::version::Vsn;

/// One instruction of an appup.
#[derive(Debug, Clone, PartialEq)]
pub enum Instruction {
    /// A high-level instruction, which is translated into low-level ones.
    High(HighLevel),
    /// A low-level instruction, which is copied.
    Low(LowLevel),
}

/// The instructions that name the goal; the planner finds the order and the mechanism.
#[derive(Debug, Clone, PartialEq)]
pub enum HighLevel {
    /// Suspends the users of a module, loads it, converts their states, resumes them.
    Update {
        /// The module to update.
        module: ModuleName,
        /// How the states change.
        change: Change,
        /// Which version's code converts the states; `None` is the default of `change`.
        mod_type: Option<ModType>,
        /// The time limit for the suspension of each process.
        timeout: Timeout,
        /// How to purge processes that run old code.
        purge: PurgeWords,
        /// Modules that must be loaded before this module in an upgrade, and after it in a
        /// downgrade.
        deps: Vec<ModuleName>,
    },
    /// Loads a module without suspending a process.
    LoadModule {
        /// The module to load.
        module: ModuleName,
        /// How to purge processes that run old code.
        purge: PurgeWords,
        /// See `Update`.
        deps: Vec<ModuleName>,
    },
    /// Loads a module that the source release does not have.
    AddModule {
        /// The module to add.
        module: ModuleName,
        /// See `Update`.
        deps: Vec<ModuleName>,
    },
    /// Removes a module that the target release does not have; terminates every process that still
    /// runs its code.
    DeleteModule {
        /// The module to delete.
        module: ModuleName,
        /// See `Update`.
        deps: Vec<ModuleName>,
    },
    /// Loads and starts an app.
    AddApplication {
        /// The app to add.
        app: AppName,
        /// How it is started.
        start_type: StartType,
    },
    /// Stops and removes an app.
    RemoveApplication {
        /// The app to remove.
        app: AppName,
    },
    /// Stops an app, changes its code and starts it again. Its state is lost.
    RestartApplication {
        /// The app to restart.
        app: AppName,
    },
}

/// The instructions that name the mechanism.
#[derive(Debug, Clone, PartialEq)]
pub enum LowLevel {
    /// Reads the code of modules; loads nothing yet.
    LoadObjectCode {
        /// The library's app.
        app: AppName,
        /// The library's version.
        vsn: Vsn,
        /// The modules to read from the library.
        modules: Vec<ModuleName>,
    },
    /// Ends the part of a script that may fail without consequences, in OTP's sense.
    PointOfNoReturn,
    /// Makes the code of a module current that `LoadObjectCode` has read.
    Load {
        /// The module to load.
        module: ModuleName,
        /// How to purge processes that run old code.
        purge: PurgeWords,
    },
    /// Makes the current code of a module old, which leaves the module without current code.
    Remove {
        /// The module to remove.
        module: ModuleName,
        /// How to purge processes that run old code.
        purge: PurgeWords,
    },
    /// Terminates the processes that run old code of modules and drops the code.
    Purge {
        /// The modules to purge.
        modules: Vec<ModuleName>,
    },
    /// Suspends the users of modules.
    Suspend {
        /// The modules, in the order of suspension.
        modules: Vec<Suspend>,
    },
    /// Resumes suspended users of modules.
    Resume {
        /// The modules, in the order of resumption.
        modules: Vec<ModuleName>,
    },
    /// Converts the states of suspended processes.
    CodeChange {
        /// The direction of the conversion.
        mode: Mode,
        /// The modules, in order.
        modules: Vec<CodeChange>,
    },
    /// Makes supervisors terminate the children that use modules.
    Stop {
        /// The modules; their users are stopped.
        modules: Vec<ModuleName>,
    },
    /// Restarts the children that `Stop` terminated.
    Start {
        /// The modules; their users are started.
        modules: Vec<ModuleName>,
    },
    /// Waits until other nodes have reached the same point.
    SyncNodes {
        /// The name of the synchronization point.
        id: Value,
        /// The nodes.
        with: SyncWith,
    },
    /// Calls a function.
    Apply(Apply),
    /// OTP: `apply application:start(App, Type)`, as generated for add_application and
    /// restart_application.
    StartApplication {
        /// The app to start.
        app: AppName,
        /// How it is started.
        start_type: StartType,
    },
    /// OTP: `apply application:load(App)`.
    LoadApplication {
        /// The app to load.
        app: AppName,
    },
    /// OTP: `apply application:stop(App)`.
    StopApplication {
        /// The app to stop.
        app: AppName,
    },
    /// OTP: `apply application:unload(App)`.
    UnloadApplication {
        /// The app to unload.
        app: AppName,
    },
    /// OTP: `restart_new_emulator`. Restarts into the new daemon before all other instructions.
    RestartNewDaemon,
    /// OTP: `restart_emulator`. Restarts after all other instructions.
    RestartDaemon,
}

/// How an update treats the states of processes.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Change {
    /// No conversion: processes are suspended and resumed around the load.
    #[default]
    Soft,
    /// Every state goes through `change_code`, with this value as `extra`.
    Advanced(Value),
    /// The module is the callback module of a supervisor: flags and child specs change, children
    /// stay.
    Supervisor,
}

/// Which version's code converts a state on the way down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ModType {
    /// In a downgrade, the version that is replaced converts the state, before the load.
    Dynamic,
    /// The loaded version converts the state, after the load, in both directions.
    Static,
}

/// The time limit for the suspension of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Timeout {
    /// The handler's default deadline.
    #[default]
    Default,
    /// No deadline.
    Infinity,
    /// Milliseconds, never 0.
    Ms(u64),
}

/// How processes that still run old code are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PurgeMethod {
    /// The processes keep running and are reported.
    Soft,
    /// The processes are terminated.
    Brutal,
}

/// The purge methods that the author wrote; `None` if a method is not written.
///
/// OTP's default is brutal, and a relup in OTP's form prints this default. Unlike OTP, an install
/// purges softly if no method is written, so no process is killed by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
pub struct PurgeWords {
    /// The method for code that is old before the upgrade begins.
    #[serde(rename = "pre_purge")]
    pub pre: Option<PurgeMethod>,
    /// The method for code that the upgrade makes old.
    #[serde(rename = "post_purge")]
    pub post: Option<PurgeMethod>,
}

impl PurgeWords {
    /// Both methods written as brutal.
    pub const BRUTAL: Self = Self { pre: Some(PurgeMethod::Brutal), post: Some(PurgeMethod::Brutal) };

    /// Returns whether one of the methods is brutal, so that an install terminates processes.
    pub(crate) fn is_brutal(self) -> bool {
        [self.pre, self.post].contains(&Some(PurgeMethod::Brutal))
    }
}

/// The direction of a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// From the older state to the newer one.
    #[default]
    Up,
    /// From the newer state to the older one.
    Down,
}

/// One module of a `suspend`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspend {
    /// The module; its users are suspended.
    pub module: ModuleName,
    /// The time limit for each user.
    pub timeout: Timeout,
}

/// One module of a `code_change`.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeChange {
    /// The module; the states of its users are converted.
    pub module: ModuleName,
    /// The data for `change_code`, besides the state.
    pub extra: Value,
}

/// A call of a module's function.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Apply {
    /// The module: one of an app, or the built-in `supervisor` or `application`.
    pub module: ModuleName,
    /// The function.
    pub function: String,
    /// Its arguments.
    pub args: Vec<Value>,
    /// The call that undoes this call in a rollback. OTP has no such undo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<Box<Self>>,
}

/// The nodes of a `sync_nodes`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncWith {
    /// The nodes with these names.
    Nodes(Vec<String>),
    /// The nodes that a call returns.
    From(Apply),
}

impl HighLevel {
    /// Returns the keyword of the instruction.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Update { .. } => "update",
            Self::LoadModule { .. } => "load_module",
            Self::AddModule { .. } => "add_module",
            Self::DeleteModule { .. } => "delete_module",
            Self::AddApplication { .. } => "add_application",
            Self::RemoveApplication { .. } => "remove_application",
            Self::RestartApplication { .. } => "restart_application",
        }
    }
}

impl LowLevel {
    /// Returns the keyword of the instruction.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::LoadObjectCode { .. } => "load_object_code",
            Self::PointOfNoReturn => "point_of_no_return",
            Self::Load { .. } => "load",
            Self::Remove { .. } => "remove",
            Self::Purge { .. } => "purge",
            Self::Suspend { .. } => "suspend",
            Self::Resume { .. } => "resume",
            Self::CodeChange { .. } => "code_change",
            Self::Stop { .. } => "stop",
            Self::Start { .. } => "start",
            Self::SyncNodes { .. } => "sync_nodes",
            Self::Apply(_) => "apply",
            Self::StartApplication { .. } => "start_application",
            Self::LoadApplication { .. } => "load_application",
            Self::StopApplication { .. } => "stop_application",
            Self::UnloadApplication { .. } => "unload_application",
            Self::RestartNewDaemon => "restart_new_daemon",
            Self::RestartDaemon => "restart_daemon",
        }
    }
}

impl Instruction {
    /// Returns the keyword of the instruction.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::High(high) => high.word(),
            Self::Low(low) => low.word(),
        }
    }
}

impl PurgeMethod {
    pub(crate) const WORDS: [(&'static str, Self); 2] = [("soft", Self::Soft), ("brutal", Self::Brutal)];

    /// Returns the word used in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::Brutal => "brutal",
        }
    }
}

impl ModType {
    pub(crate) const WORDS: [(&'static str, Self); 2] =
        [("dynamic", Self::Dynamic), ("static", Self::Static)];

    /// Returns the word used in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dynamic => "dynamic",
            Self::Static => "static",
        }
    }
}

impl Mode {
    pub(crate) const WORDS: [(&'static str, Self); 2] = [("up", Self::Up), ("down", Self::Down)];

    /// Returns the word used in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

impl Timeout {
    /// Returns the time as JSON: milliseconds or a word.
    pub fn to_value(self) -> Value {
        match self {
            Self::Default => Value::from("default"),
            Self::Infinity => Value::from("infinity"),
            Self::Ms(ms) => Value::from(ms),
        }
    }
}

impl Serialize for Timeout {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}
