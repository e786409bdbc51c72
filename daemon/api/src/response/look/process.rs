//! Processes, in lists and in detail.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The behaviour of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// A gen_server.
    GenServer,
    /// A supervisor.
    Supervisor,
    /// The callbacks of an app. Its process is the application master.
    Application,
    /// A process without a behaviour. It keeps its version until it ends, and upgrades do not
    /// convert it.
    Task,
    /// A gen_statem.
    GenStatem,
    /// A gen_event manager. Its handlers are below it in the tree.
    GenEvent,
    /// An event handler of a gen_event manager.
    EventHandler,
}

/// The age of the code that a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodeAge {
    /// The current code.
    Current,
    /// The old code.
    Old,
}

/// The status of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessStatus {
    /// The process handles messages.
    Running,
    /// The process is suspended. Messages stay in its mailbox.
    Suspended,
    /// The child is not running. Only its child spec exists.
    NotStarted,
    /// The supervisor is trying to restart the child.
    Restarting,
}

/// All processes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessList {
    /// The processes, ordered by pid.
    pub processes: Vec<Process>,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// The pid.
    pub pid: String,
    /// The registered name.
    pub name: Option<String>,
    /// The behaviour of the process's module.
    pub behaviour: Behaviour,
    /// The app whose library contains the module.
    pub app: String,
    /// The module of the process.
    pub module: String,
    /// The version of the code that the process runs.
    pub version: String,
    /// Whether that code is current or old.
    pub code: CodeAge,
    /// The status of the process.
    pub status: ProcessStatus,
    /// The supervisor, as a registered name or a pid. Absent outside a tree.
    pub supervisor: Option<String>,
    /// The child id. Null outside a tree.
    pub id: Value,
    /// The number of messages in the mailbox.
    pub queue: u64,
    /// The limit of the mailbox. Absent if there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_max: Option<u64>,
    /// The number of messages that were dropped because of the limit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// The callback under way. Absent unless it waits, or has been computing for more than 20 ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A callback under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// The event that the callback handles: a message with its sender, `init` or `terminate`.
    /// Absent while the callback computes, and for a task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The time for which the callback has been waiting or computing.
    pub for_ms: u64,
    /// The events that the callback waits for, such as `answer of <5.1>`, `time` or `port`. Empty
    /// while it computes.
    pub waits_for: Vec<String>,
}

/// The busiest processes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopList {
    /// The duration of the measurement.
    pub for_ms: u64,
    /// The number of processes on the node.
    pub of: u64,
    /// The processes, sorted as requested.
    pub processes: Vec<TopProcess>,
}

/// A process with its running time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopProcess {
    /// The fields of the process list.
    #[serde(flatten)]
    pub process: Process,
    /// The share of the measurement in which the process ran. 100 is one thread all the time. A
    /// waiting callback does not count as running.
    pub run_percent: f64,
}

/// One process in full. The fields that only the process itself can provide are empty while its
/// callback computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessDetails {
    /// The fields of the process list.
    #[serde(flatten)]
    pub process: Process,
    /// All registered names of the process.
    pub names: Vec<String>,
    /// Whether the process is inside a callback, which runs or waits.
    pub in_callback: bool,
    /// The stack of a callback that has been computing for long, innermost function first, or the
    /// system call that the callback waits in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<String>,
    /// 1 if the process is inside a callback of old code, otherwise 0. OTP counts stack frames
    /// instead.
    #[serde(default)]
    pub old_frames: u64,
    /// Whether the process traps exits.
    pub traps_exits: bool,
    /// The pids of the linked processes.
    pub links: Vec<String>,
    /// The pids of the processes that this process monitors.
    pub monitors: Vec<String>,
    /// The pids of the processes that monitor this process.
    pub monitored_by: Vec<String>,
    /// The messages in its mailbox, oldest first.
    pub mailbox: Vec<Letter>,
    /// The pids of the callers that still wait for a reply.
    pub unanswered: Vec<String>,
    /// The timers that will send a message to the process, in order of expiry.
    pub timers: Vec<PendingTimer>,
}

/// One message in a mailbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// The kind of message.
    pub kind: LetterKind,
    /// The sender. For an exit or a down, it is the process that ended.
    pub from: String,
    /// The message, or the exit reason as text. Null for requests of the daemon itself.
    pub body: Value,
}

/// The kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterKind {
    /// A gen_server call.
    Call,
    /// A gen_server cast.
    Cast,
    /// Any other message.
    Info,
    /// An exit signal of a linked process.
    Exit,
    /// The end of a monitored process.
    Down,
    /// A message of the node itself about a port or a table.
    Told,
}

/// A message that a timer will send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingTimer {
    /// The time of expiry, in microseconds since the start of the node.
    pub at_us: u64,
    /// The message.
    pub message: Value,
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::GenServer => "gen_server",
            Self::Supervisor => "supervisor",
            Self::Application => "application",
            Self::Task => "task",
            Self::GenStatem => "gen_statem",
            Self::GenEvent => "gen_event",
            Self::EventHandler => "event_handler",
        })
    }
}

impl fmt::Display for CodeAge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Current => "current",
            Self::Old => "old",
        })
    }
}

impl fmt::Display for ProcessStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Suspended => "suspended",
            Self::NotStarted => "not started",
            Self::Restarting => "restarting",
        })
    }
}

impl fmt::Display for LetterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Call => "call",
            Self::Cast => "cast",
            Self::Info => "info",
            Self::Exit => "exit",
            Self::Down => "down",
            Self::Told => "told",
        })
    }
}
