//! Answers to look verbs.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::request::{ChildSpec, ChildType};

use super::release::{Lingerer, ReleaseStatus};

/// How the node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Version of the daemon.
    pub reld: String,
    /// Process id of the daemon in the operating system.
    pub os_pid: u32,
    /// How long it has been up.
    pub uptime_ms: u64,
    /// The release that runs; absent on an idle node.
    pub release: Option<RunningRelease>,
    /// The release that a restart would boot.
    pub permanent: Option<String>,
    /// How many processes there are.
    pub processes: u64,
    /// Whether code was changed by hand since the node booted.
    pub dirty: bool,
    /// Whether app code was given up that has not returned: a thread and its library are lost until it does.
    #[serde(default)]
    pub degraded: bool,
    /// What somebody should look after.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// The upgrade that is under way.
    pub upgrade: Option<Progress>,
    /// The order that is carried out, such as `unpack` or `upgrade to 1.1.0`. A release that settles is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// The release that settles: it runs, and is watched before it is committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settling: Option<String>,
    /// The orders that wait for their turn, the next one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<WaitingOrder>,
    /// Who runs old code.
    pub lingering: Vec<Lingerer>,
    /// Apps that ended by themselves: their root supervisor gave up, or their process crashed.
    pub ended: Vec<EndedApp>,
    /// App code that does not return. It keeps a thread and its library until it does.
    pub stuck: Vec<StuckCode>,
}

/// An order that waits for its turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingOrder {
    /// What it is, such as `upgrade to 1.1.0`.
    pub order: String,
    /// The user who gave it.
    pub uid: Option<u32>,
    /// For how long it has waited.
    pub waits_ms: u64,
}

/// An app that ended by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedApp {
    /// The app.
    pub app: String,
    /// Its version.
    pub version: String,
    /// The exit reason.
    pub reason: String,
}

/// App code that does not return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StuckCode {
    /// The process whose callback or conversion it is, or was.
    pub pid: String,
    /// Its registered name.
    pub name: Option<String>,
    /// The module.
    pub module: String,
    /// The version of the code; that of an upgrade which was rolled back, if it is a conversion.
    pub version: String,
    /// The app.
    #[serde(default)]
    pub app: String,
    /// Whether it was given up: its process goes on, or has ended, without it.
    #[serde(default)]
    pub detached: bool,
    /// For how long.
    pub for_ms: u64,
    /// The functions that it was inside when that was reported, the innermost first; or the system call that it waited in.
    /// Empty where that is not known, and for conversions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<String>,
}

/// The release that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningRelease {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `current` or `permanent`.
    pub status: ReleaseStatus,
}

/// How far an upgrade is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Where it goes.
    pub to: String,
    /// The release that it goes back to, since it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<String>,
    /// The step under way, counted from 1.
    pub step: usize,
    /// How many steps the script has.
    pub of: usize,
    /// That step as people read it.
    pub text: String,
    /// The processes that it waits for, which have not come to rest; the first few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<String>,
}

/// Supervision trees, and the processes outside them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    /// The root supervisor of each running app, or the one supervisor asked for.
    pub roots: Vec<TreeNode>,
    /// Processes outside every tree; empty where one app or supervisor was asked for.
    pub outside: Vec<TreeNode>,
}

/// One place in a supervision tree.
///
/// ```json
/// {"id": 10000, "pid": "<7.1>", "name": null, "behaviour": "gen_server", "root": false, "app": "counter",
///  "module": "counter", "version": "0.1.1", "code": "current", "status": "running", "children": [], "links": ["<9.1>"]}
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TreeNode {
    /// The child id; null for a root and outside a tree.
    pub id: Value,
    /// Absent for a child that is not started or restarting.
    pub pid: Option<String>,
    /// Its registered name.
    pub name: Option<String>,
    /// Supervisor, worker of which kind, or a task, which no upgrade manages.
    pub behaviour: Behaviour,
    /// Whether it is the root supervisor of its app.
    pub root: bool,
    /// The app whose library holds its module.
    pub app: String,
    /// Its module.
    pub module: String,
    /// The version of the code it runs; absent where no process runs.
    pub version: Option<String>,
    /// Whether that code is current or old; absent where no process runs.
    pub code: Option<CodeAge>,
    /// What it does.
    pub status: ProcessStatus,
    /// In the order in which they were started; empty for a worker.
    pub children: Vec<Self>,
    /// Pids it is linked to, other than its supervisor and its children.
    pub links: Vec<String>,
}

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

/// The children of a supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildList {
    /// How many specs there are; 1 for a `simple_one_for_one`.
    pub specs: u64,
    /// How many children run.
    pub active: u64,
    /// How many children are supervisors.
    pub supervisors: u64,
    /// How many are not.
    pub workers: u64,
    /// The latest started first, as in OTP.
    pub children: Vec<ChildRow>,
}

/// A child of a supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildRow {
    /// Its id; null under a `simple_one_for_one`.
    pub id: Value,
    /// Its process, if it runs.
    pub pid: Option<String>,
    /// What it does.
    pub status: ProcessStatus,
    /// `worker` or `supervisor`.
    #[serde(rename = "type")]
    pub kind: ChildType,
    /// The module that runs in it.
    pub module: String,
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

/// What system messages tell about a process. OTP: `sys:get_status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SysStatus {
    /// What the list of processes says about it.
    #[serde(flatten)]
    pub process: Process,
    /// Whether it was suspended by hand.
    pub suspended: bool,
    /// Whether it counts its messages.
    pub statistics: bool,
    /// How many of its last messages it keeps; absent when it keeps none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_max: Option<u64>,
    /// Its state.
    pub state: Value,
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

/// The sockets of apps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortList {
    /// In the order in which they were opened.
    pub ports: Vec<Port>,
}

/// A socket of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its number.
    pub port: u64,
    /// The process that owns it.
    pub owner: String,
    /// Its own address; empty while it connects.
    pub local: String,
    /// The other end; absent for a listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Bytes that came in and were not read.
    pub unread: u64,
    /// Bytes that were written and not sent.
    pub unsent: u64,
}

/// The shared tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableList {
    /// In the order in which they were created.
    pub tables: Vec<Table>,
}

/// A shared table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its number.
    pub table: u64,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `set` or `ordered_set`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `public`, `protected` or `private`.
    pub access: String,
    /// The process that owns it.
    pub owner: String,
    /// The process that gets it next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heir: Option<String>,
    /// How many rows it has.
    pub rows: u64,
    /// How many bytes its keys and values have.
    pub bytes: u64,
}

/// The apps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppList {
    /// In the order in which they were started.
    pub apps: Vec<App>,
}

/// One app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct App {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does.
    pub status: AppStatus,
    /// Why it ended, where it did so by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its start type in the release: `permanent`, `transient`, `temporary`, `load` or `none`.
    #[serde(rename = "type")]
    pub start_type: String,
    /// Its modules.
    pub modules: Vec<String>,
    /// How many processes run its modules.
    pub processes: u64,
    /// Its environment.
    pub env: BTreeMap<String, Value>,
}

/// What an app does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppStatus {
    /// Its code is there; it was not started, or was stopped.
    Loaded,
    /// It was started.
    Running,
    /// It was started and ended by itself.
    Ended,
}

/// The code server's table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeTable {
    /// By module.
    pub modules: Vec<Module>,
    /// The libraries that are mapped into the daemon.
    #[serde(default)]
    pub libraries: Vec<Library>,
    /// Libraries that are meant to leave, yet stay mapped into the daemon.
    pub residents: Vec<Resident>,
}

/// One module and its two slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// The module.
    pub module: String,
    /// The app whose library holds it.
    pub app: String,
    /// The current version; absent for a module that was deleted while its old code is still there.
    pub current: Option<String>,
    /// How many processes run the current version.
    pub current_processes: u64,
    /// The old version and who still runs it.
    pub old: Option<OldCode>,
}

/// The old slot of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldCode {
    /// The old version.
    pub version: String,
    /// Who still runs it.
    pub lingering: Vec<Lingerer>,
}

/// A library that is mapped, and what it has of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Library {
    /// The app.
    pub app: String,
    /// The version.
    pub version: String,
    /// Whether it is meant to leave; then it is among the residents, with the reason why it has not.
    pub is_leaving: bool,
    /// How much address space it takes.
    pub bytes: u64,
    /// What it has allocated and not freed; null where it does not count.
    pub heap: Option<Heap>,
    /// Threads that it started itself and that run.
    pub threads: u64,
    /// Processes whose states it has built.
    pub processes: u64,
    /// Those of them that wait inside a callback: each has a future of the library.
    pub waiting: u64,
    /// Sockets of these processes.
    pub ports: u64,
    /// Timers that will send to these processes.
    pub timers: u64,
    /// Work of it that waits for a thread or runs on one, for it blocks.
    pub blocking: u64,
    /// How many of its processes have ended, by the kind of their reason.
    pub exits: BTreeMap<String, u64>,
}

/// Memory that was allocated and not freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heap {
    /// Blocks.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A library that is mapped though no slot has its modules any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resident {
    /// The app.
    pub app: String,
    /// The version.
    pub version: String,
    /// How much address space it takes.
    pub bytes: u64,
    /// Why it stays.
    pub reason: String,
    /// For how long it has stayed since it was purged.
    #[serde(default)]
    pub for_ms: u64,
}

/// How a child is started, restarted and stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildSpecShown {
    /// Its supervisor.
    pub supervisor: String,
    /// Its spec, with all defaults filled in. The arguments of a temporary child are null: they are not kept.
    pub spec: ChildSpec,
}

/// What a process has counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStatistics {
    /// The process.
    pub pid: String,
    /// Its figures; absent while it does not count.
    pub statistics: Option<MessageCounts>,
}

/// Messages of a process since it counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageCounts {
    /// Since when.
    pub for_ms: u64,
    /// Taken.
    pub messages_in: u64,
    /// Sent, replies included.
    pub messages_out: u64,
}

/// The last messages of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessLog {
    /// The process.
    pub pid: String,
    /// The oldest first; absent while it keeps none.
    pub messages: Option<Vec<LoggedMessage>>,
}

/// One message of such a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoggedMessage {
    /// How long ago.
    pub ago_ms: u64,
    /// `in` or `out`.
    pub way: String,
    /// `call`, `cast`, `info`, `exit`, `down`, `told` (by the node: of ports and tables), `timeout` or `reply`.
    pub what: String,
    /// The other process.
    pub other: Option<String>,
    /// The message.
    pub message: Value,
}

/// The state of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessState {
    /// The process.
    pub pid: String,
    /// Its registered name.
    pub name: Option<String>,
    /// Its module.
    pub module: String,
    /// The version of the code that built the state.
    pub version: String,
    /// What the process does.
    pub status: ProcessStatus,
    /// The state.
    pub state: Value,
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

impl fmt::Display for AppStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Loaded => "loaded",
            Self::Running => "running",
            Self::Ended => "ended",
        })
    }
}
