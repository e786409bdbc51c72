//! Processes, in lists and one by one.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What kind of process a module makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// Callbacks and a state.
    GenServer,
    /// Starts, restarts and stops children.
    Supervisor,
    /// The callbacks of an app; its process is the app's master.
    Application,
    /// A home-brewed process: it stays on its version until it ends, and upgrades pass it by.
    Task,
    /// A state machine.
    GenStatem,
    /// Hands events to its handlers, which are below it in the tree.
    GenEvent,
    /// Handles events.
    EventHandler,
}

/// Which slot of the code server a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodeAge {
    /// The current one.
    Current,
    /// The old one.
    Old,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessStatus {
    /// It takes messages.
    Running,
    /// It was suspended and keeps its mail.
    Suspended,
    /// Its row has no process.
    NotStarted,
    /// Its supervisor tries to start it again.
    Restarting,
}

/// Every process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessList {
    /// By pid.
    pub processes: Vec<Process>,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// The process.
    pub pid: String,
    /// Its registered name.
    pub name: Option<String>,
    /// What kind it is.
    pub behaviour: Behaviour,
    /// The app whose library holds its module.
    pub app: String,
    /// Its module.
    pub module: String,
    /// The version of the code it runs.
    pub version: String,
    /// Whether that code is current or old.
    pub code: CodeAge,
    /// What it does.
    pub status: ProcessStatus,
    /// Its supervisor: registered name or pid; absent outside a tree.
    pub supervisor: Option<String>,
    /// Its child id; null outside a tree.
    pub id: Value,
    /// Messages that wait in its mailbox.
    pub queue: u64,
    /// How many may wait; absent where nobody asked for a bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_max: Option<u64>,
    /// Messages that were dropped because so many waited.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// The callback that is parked, or computes for longer than 20 ms; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A callback under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// What it is about: a message and who sent it, `init`, `terminate`. Absent while it computes, and for a task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// For how long it is parked, or computes.
    pub for_ms: u64,
    /// What it waits for, such as `answer of <5.1>`, `time` or `port`; empty while it computes.
    pub waits_for: Vec<String>,
}

/// Who keeps the node busy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopList {
    /// For how long the node has looked.
    pub for_ms: u64,
    /// How many processes there are.
    pub of: u64,
    /// As they were asked for.
    pub processes: Vec<TopProcess>,
}

/// One process and how long it ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopProcess {
    /// What the list of processes says about it.
    #[serde(flatten)]
    pub process: Process,
    /// For which part of the time it ran; 100 is one thread all the time. A callback that waits does not run.
    pub run_percent: f64,
}

/// One process in full. What only the process itself knows is empty while a callback computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessDetails {
    /// What the list of processes says about it.
    #[serde(flatten)]
    pub process: Process,
    /// All its registered names.
    pub names: Vec<String>,
    /// Whether a callback runs at this moment, or waits for something.
    pub in_callback: bool,
    /// The functions that a callback is inside at this moment which has computed for long, the innermost first; or the system
    /// call that it waits in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<String>,
    /// How many callbacks of it are inside old code: 0 or 1. One that rests is in none.
    #[serde(default)]
    pub old_frames: u64,
    /// Whether it traps exits.
    pub traps_exits: bool,
    /// Pids it is linked to.
    pub links: Vec<String>,
    /// Pids it monitors.
    pub monitors: Vec<String>,
    /// Pids that monitor it.
    pub monitored_by: Vec<String>,
    /// Messages that wait, oldest first.
    pub mailbox: Vec<Letter>,
    /// Pids whose calls it has taken and not answered yet.
    pub unanswered: Vec<String>,
    /// What will be sent to it, in the order of firing.
    pub timers: Vec<PendingTimer>,
}

/// One message in a mailbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// What kind it is.
    pub kind: LetterKind,
    /// Who sent it, or ended.
    pub from: String,
    /// The message, or the exit reason as text; null for requests of the daemon itself.
    pub body: Value,
}

/// What kind of message waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterKind {
    /// Wants an answer.
    Call,
    /// Wants none.
    Cast,
    /// Neither.
    Info,
    /// A linked process ended.
    Exit,
    /// A monitored process ended.
    Down,
    /// From the node itself: of ports and tables.
    Told,
}

/// A message that is not sent yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingTimer {
    /// When, in microseconds since the node was started.
    pub at_us: u64,
    /// What.
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
