//! Answers to touch verbs.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::release::{Ended, Lingerer};

/// A process has replied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replied {
    /// The process.
    pub pid: String,
    /// The reply.
    pub reply: Value,
    /// The time inside the node from sending the request to the reply.
    pub took_us: u64,
}

/// A message was put into the mailbox of a process.
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

/// An event of the linked process: first `{"spawned": {"pid": "<9.1>"}}`, later `{"exited": {…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkEvent {
    /// The process has started.
    Spawned {
        /// The process.
        pid: String,
    },
    /// The process has exited. This is the last event.
    Exited {
        /// The process.
        pid: String,
        /// The exit reason of the process.
        reason: String,
    },
}

/// A part of a trace. The first part is `"began"`; each later part is a `{"told": {…}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceEvent {
    /// Tracing has begun.
    Began,
    /// A message was sent.
    Told(Told),
}

/// A message between processes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The time since the trace began.
    pub after_us: u64,
    /// The sender. Absent if it is not a process, but an operator or the node itself.
    pub from: Option<Party>,
    /// The receiver.
    pub to: Option<Party>,
    /// The kind: `call`, `cast`, `info`, `reply`, `exit`, `down`, `spawn`, or the name of a system
    /// message such as `suspend` or `change_code`.
    pub what: String,
    /// The message, or the exit reason as text. Null if there is neither.
    pub said: Value,
    /// The number of messages that were left out before this one, because the client did not read
    /// fast enough.
    #[serde(default)]
    pub lost: u64,
}

/// A process in a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The pid of the process.
    pub pid: String,
    /// The registered name, if the process still had one when this part was written.
    pub name: Option<String>,
}

/// A library was loaded, and its modules are current.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// The app.
    pub app: String,
    /// Its version.
    pub version: String,
    /// Its modules.
    pub modules: Vec<String>,
    /// The number of processes that were at rest and were converted to the new code at once.
    pub converted: u64,
    /// The processes that still run old code.
    pub lingering: Vec<Lingerer>,
    /// The processes that were killed because they could not continue with the new code.
    pub killed: Vec<Ended>,
    /// Descriptions of start arguments that the new code would refuse later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A process was suspended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspended {
    /// The process.
    pub pid: String,
}

/// A process was resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// The process.
    pub pid: String,
    /// The number of messages in its mailbox.
    pub queue: u64,
}

/// The state of a process was converted to the current code of its module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeChanged {
    /// The process.
    pub pid: String,
    /// The module.
    pub module: String,
    /// The version that the process runs now.
    pub version: String,
}

/// The old code of a module was purged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// The module.
    pub module: String,
    /// The processes that were killed. OTP returns `true` if there are any.
    pub killed: Vec<Ended>,
}

/// The result of a soft purge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoftPurged {
    /// The module.
    pub module: String,
    /// False if a process still runs the old code. Nothing was changed then.
    pub purged: bool,
    /// The processes that run the old code.
    pub lingering: Vec<Lingerer>,
}

/// An exit signal was sent; the process may handle it.
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
    /// The id of the child. Null under a `simple_one_for_one`.
    pub id: Value,
    /// The pid of the child. Absent if its init returned ignore.
    pub pid: Option<String>,
}

/// A child was terminated; its child spec is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildTerminated {
    /// The id of the child.
    pub id: Value,
}

/// The child spec of a child was deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildDeleted {
    /// The id of the child.
    pub id: Value,
}

/// An app was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppStarted {
    /// The app.
    pub app: String,
    /// The apps that were started, in start order. The requested app is the last one. Empty if it
    /// was already running.
    pub started: Vec<String>,
}

/// An app was stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppStopped {
    /// The app.
    pub app: String,
    /// The total time of prep_stop, the termination of the tree and stop.
    pub took_us: u64,
}
