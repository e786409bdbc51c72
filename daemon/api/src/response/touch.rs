//! Answers to touch verbs.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::release::{Ended, Lingerer};

/// A process has replied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replied {
    /// The process.
    pub pid: String,
    /// What it said.
    pub reply: Value,
    /// From sending to reply, inside the node.
    pub took_us: u64,
}

/// A message is in the process's mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The process.
    pub pid: String,
}

/// A process has started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spawned {
    /// The process.
    pub pid: String,
}

/// What happens to a linked process: `{"spawned": {"pid": "<9.1>"}}`, later `{"exited": {…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkEvent {
    /// It has started.
    Spawned {
        /// The process.
        pid: String,
    },
    /// It has ended; nothing follows.
    Exited {
        /// The process.
        pid: String,
        /// Its exit reason.
        reason: String,
    },
}

/// What a trace shows: `"began"`, then `{"told": {…}}` again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceEvent {
    /// From now on everything is shown.
    Began,
    /// A process told another something.
    Told(Told),
}

/// One thing that a process told another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Since the trace began.
    pub after_us: u64,
    /// Who; absent for whoever is no process: an operator, the node itself.
    pub from: Option<Party>,
    /// Whom.
    pub to: Option<Party>,
    /// `call`, `cast`, `info`, `reply`, `exit`, `down`, `spawn`, or the name of a system message: `suspend`,
    /// `change_code` and others.
    pub what: String,
    /// The message, or the exit reason as text; null for what has none.
    pub said: Value,
    /// How many before it were not shown, because they came faster than they were read.
    #[serde(default)]
    pub lost: u64,
}

/// A process in a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Its pid.
    pub pid: String,
    /// Its registered name, if it still had one when this was written.
    pub name: Option<String>,
}

/// A library is loaded and its modules are current.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// The app.
    pub app: String,
    /// Its version.
    pub version: String,
    /// Its modules.
    pub modules: Vec<String>,
    /// Idle processes whose state moved to the new code at once.
    pub converted: u64,
    /// Who still runs the old code.
    pub lingering: Vec<Lingerer>,
    /// Who could not go on with the new code.
    pub killed: Vec<Ended>,
    /// What the new code would not take later on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A process takes no further messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspended {
    /// The process.
    pub pid: String,
}

/// A process takes messages again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// The process.
    pub pid: String,
    /// Messages that had come in meanwhile.
    pub queue: u64,
}

/// The current code of its module has taken a process's state over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeChanged {
    /// The process.
    pub pid: String,
    /// The module.
    pub module: String,
    /// The version it runs now.
    pub version: String,
}

/// The old slot of a module is free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// The module.
    pub module: String,
    /// Who was killed; OTP's answer `true` is "not empty".
    pub killed: Vec<Ended>,
}

/// Whether the old slot of a module is free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoftPurged {
    /// The module.
    pub module: String,
    /// False when somebody still runs old code; nothing was changed then.
    pub purged: bool,
    /// Who does.
    pub lingering: Vec<Lingerer>,
}

/// An exit signal is on its way; whether the process ends by it is up to the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitSent {
    /// The process.
    pub pid: String,
}

/// A system message was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SysDone {
    /// The process.
    pub pid: String,
}

/// A child has started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildStarted {
    /// Its id; null under `simple_one_for_one`.
    pub id: Value,
    /// The process; absent when its init answered ignore.
    pub pid: Option<String>,
}

/// A child has ended; its row stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildTerminated {
    /// Its id.
    pub id: Value,
}

/// The row of a child is gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildDeleted {
    /// Its id.
    pub id: Value,
}

/// An app runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppStarted {
    /// The app.
    pub app: String,
    /// Every app that was started for it, in order, itself last; empty when it ran already.
    pub started: Vec<String>,
}

/// An app has stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppStopped {
    /// The app.
    pub app: String,
    /// How long prep_stop, the end of the tree and stop took together.
    pub took_us: u64,
}
