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
    /// The callbacks of an app; its process is the application master.
    Application,
    /// A process without a behaviour: it keeps its version until it ends, and upgrades do not
    /// convert it.
    Task,
    /// A gen_statem.
    GenStatem,
    /// A gen_event manager; its handlers are below it in the tree.
    GenEvent,
    /// An event handler of a gen_event manager.
    EventHandler,
}

/// The slot of the code server that a process runs.
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
    /// Handles messages.
    Running,
    /// Suspended; messages stay in its mailbox.
    Suspended,
    /// The child spec has no process.
    NotStarted,
    /// The supervisor is trying to restart it.
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
    /// The process.
    pub pid: String,
    /// Its registered name.
    pub name: Option<String>,
    /// The behaviour of its module.
    pub behaviour: Behaviour,
    /// The app whose library holds its module.
    pub app: String,
    /// Its module.
    pub module: String,
    /// The version of the code it runs.
    pub version: String,
    /// Whether that code is current or old.
    pub code: CodeAge,
    /// The status.
    pub status: ProcessStatus,
    /// Its supervisor: registered name or pid; absent outside a tree.
    pub supervisor: Option<String>,
    /// Its child id; null outside a tree.
    pub id: Value,
    /// The number of messages in its mailbox.
    pub queue: u64,
    /// The limit of its mailbox; absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_max: Option<u64>,
    /// The number of messages dropped because of the limit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// The callback that is parked, or has been computing for more than 20 ms; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A callback under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// Its subject: a message with its sender, `init`, `terminate`. Absent while it computes, and
    /// for a task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The time that it has been parked or computing.
    pub for_ms: u64,
    /// The awaited events, such as `answer of <5.1>`, `time` or `port`; empty while it computes.
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
    /// The share of the time that it ran; 100 is one thread all the time. A waiting callback does
    /// not count as running.
    pub run_percent: f64,
}

/// One process in full. Fields that only the process itself can provide are empty while a callback
/// computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessDetails {
    /// The fields of the process list.
    #[serde(flatten)]
    pub process: Process,
    /// All its registered names.
    pub names: Vec<String>,
    /// Whether a callback is running or waiting.
    pub in_callback: bool,
    /// The stack of a callback that has been computing for long, innermost function first; or the
    /// system call that it waits in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<String>,
    /// The number of its callbacks inside old code: 0 or 1. Always 0 between callbacks.
    #[serde(default)]
    pub old_frames: u64,
    /// Whether it traps exits.
    pub traps_exits: bool,
    /// The pids of its links.
    pub links: Vec<String>,
    /// The pids that it monitors.
    pub monitors: Vec<String>,
    /// The pids that monitor it.
    pub monitored_by: Vec<String>,
    /// The messages in its mailbox, oldest first.
    pub mailbox: Vec<Letter>,
    /// The pids of callers with a pending reply.
    pub unanswered: Vec<String>,
    /// The pending timers that will send to it, in order of expiry.
    pub timers: Vec<PendingTimer>,
}

/// One message in a mailbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// The kind of message.
    pub kind: LetterKind,
    /// The sender, or the process that ended.
    pub from: String,
    /// The message, or the exit reason as text; null for requests of the daemon itself.
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
    /// A message of the node itself, about a port or table.
    Told,
}

/// A message that a timer will send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingTimer {
    /// The expiry, in microseconds since the start of the node.
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
