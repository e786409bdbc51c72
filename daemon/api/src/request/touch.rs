//! Touch verbs. They act on the running node. The verbs that change code make the node dirty.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::is_default;
use crate::child_spec::ChildSpec;

/// `relctl call NAME|PID JSON`: sends a request to a process and waits for its reply. OTP:
/// `gen_server:call`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// The request, as the app defines it.
    pub request: Value,
    /// The time limit of the call; absent: 5000, as in OTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// `relctl cast NAME|PID JSON`: sends a message without a reply. OTP: `gen_server:cast`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cast {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// The message, as the app defines it.
    pub message: Value,
}

/// `relctl spawn MODULE JSON`: starts a process without a supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spawn {
    /// The module of the process. Its current code is used.
    pub module: String,
    /// The start arguments.
    #[serde(default)]
    pub args: Value,
}

/// `relctl spawn --link MODULE JSON`: like [`Spawn`], but the process is linked to the connection.
///
/// The answer has two lines: one when the process has started, and one when it has exited. If the
/// client disconnects before the second line, the process receives an exit signal with reason
/// `shutdown`, like a linked process when an OTP shell session ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpawnLink {
    /// The module of the process. Its current code is used.
    pub module: String,
    /// The start arguments.
    #[serde(default)]
    pub args: Value,
}

/// `relctl load DIR`: loads one app's library by hand. The body is a release tarball that contains
/// only this app. The app's modules become current, and the modules that they replace become old.
/// The request is refused with `not_purged` while a module has old code. It is also refused if a
/// process would have to be killed, because the new code does not accept its state or a message in
/// its mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Whether to skip the check of states and messages. Processes that the new code does not
    /// accept are then killed, as in OTP.
    #[serde(default, skip_serializing_if = "is_default")]
    pub force: bool,
    /// Whether the library is accepted although the node requires signatures. Only root and the
    /// owner of the policy of signatures may set it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unsigned: bool,
}

/// `relctl suspend PID|NAME`: suspends a process. It handles no messages until it is resumed. OTP:
/// `sys:suspend`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspend {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
}

/// `relctl resume PID|NAME`: undoes [`Suspend`]. OTP: `sys:resume`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
}

/// `relctl sys replace-state PID|NAME JSON`: replaces the state of a process. The code of the
/// process decodes the new state. OTP: `sys:replace_state`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplaceState {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// The new state, in the form that `relctl state` prints.
    pub state: Value,
}

/// `relctl sys terminate PID|NAME`: makes a process call its terminate and end, even if it is
/// suspended. OTP: `sys:terminate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terminate {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// The exit reason: `normal`, `shutdown`, or any other text, which counts as an error.
    pub reason: String,
}

/// `relctl sys statistics PID|NAME --on|--off`: starts or stops counting the messages of a process.
/// The counters start at 0. OTP: `sys:statistics`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountMessages {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// Whether the process counts.
    pub on: bool,
}

/// `relctl sys log PID|NAME --keep N|--off`: sets the number of recent messages that a process
/// keeps. OTP: `sys:log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepLog {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// The number of messages; absent: the process keeps none.
    #[serde(default)]
    pub max: Option<u32>,
}

/// `relctl trace [--proc PID|NAME]... [-- COMMAND]`: shows the messages between processes until the
/// client disconnects. Messages may be secret, so this is not a look verb. Only one trace can run
/// at a time; a second one is refused. OTP: `erlang:trace`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// The traced processes: pids, registered names or places in trees; empty: all processes.
    #[serde(default)]
    pub processes: Vec<String>,
    /// The traced kinds; empty: all kinds.
    #[serde(default)]
    pub kinds: Vec<TraceKind>,
}

/// A kind of traced message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceKind {
    /// A request that expects a reply.
    Call,
    /// The reply to a call.
    Reply,
    /// A request without a reply.
    Cast,
    /// Any other message.
    Info,
    /// An exit signal.
    Exit,
    /// The exit of a monitored process.
    Down,
    /// A new process.
    Spawn,
    /// A system message: suspend, resume, change_code and the like.
    Sys,
}

/// `relctl sys no-debug PID|NAME`: turns off the statistics and the message log of a process. OTP:
/// `sys:no_debug`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoDebug {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
}

/// `relctl change-code PID|NAME MODULE FROM_VSN [EXTRA]`: converts the state of a process with the
/// `change_code` of the module's current code. The request is refused unless the process is
/// suspended. OTP: `sys:change_code`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeCode {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// The module of the process.
    pub module: String,
    /// The version that is passed to `change_code`.
    pub from_version: String,
    /// The extra argument that is passed to `change_code`.
    #[serde(default)]
    pub extra: Value,
}

/// `relctl purge MODULE`: purges the old code of a module, and kills the processes that still run
/// it. OTP: `code:purge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purge {
    /// The module.
    pub module: String,
}

/// `relctl soft-purge MODULE`: purges the old code of a module, unless a process still runs it.
/// OTP: `code:soft_purge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftPurge {
    /// The module.
    pub module: String,
}

/// `relctl kill PID|NAME [REASON]`: sends an exit signal to a process. OTP: `exit/2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// The exit reason. `kill` cannot be trapped, `shutdown` and `normal` have their OTP meanings,
    /// and any other text counts as an error.
    #[serde(default = "kill")]
    pub reason: String,
}

fn kill() -> String {
    "kill".to_owned()
}

/// `relctl child start SUP SPEC`: starts a child of a supervisor. OTP: `supervisor:start_child`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildStart {
    /// The supervisor: a pid, a registered name or a place in a tree.
    pub supervisor: String,
    /// The new child.
    pub child: NewChild,
}

/// A new child: `{"spec": {…}}` or, for `simple_one_for_one`, `{"args": …}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewChild {
    /// A child with its own spec.
    Spec(ChildSpec),
    /// A further child of a `simple_one_for_one`, with these arguments instead of those in its
    /// spec.
    Args(Value),
}

/// `relctl child terminate SUP ID`: terminates a child and keeps its child spec. OTP:
/// `supervisor:terminate_child`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildTerminate {
    /// The supervisor: a pid, a registered name or a place in a tree.
    pub supervisor: String,
    /// The child's id; under `simple_one_for_one` its pid.
    pub id: Value,
}

/// `relctl child restart SUP ID`: restarts a terminated child. OTP: `supervisor:restart_child`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildRestart {
    /// The supervisor: a pid, a registered name or a place in a tree.
    pub supervisor: String,
    /// The child's id.
    pub id: Value,
}

/// `relctl child delete SUP ID`: deletes the child spec of a child that is not running. OTP:
/// `supervisor:delete_child`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildDelete {
    /// The supervisor: a pid, a registered name or a place in a tree.
    pub supervisor: String,
    /// The child's id.
    pub id: Value,
}

/// `relctl app start APP`: starts the apps that an app of the running release needs, then the app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppStart {
    /// The app.
    pub app: String,
}

/// `relctl app stop APP`: calls the app's prep_stop, terminates its tree, then calls its stop. OTP:
/// `application:stop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppStop {
    /// The app.
    pub app: String,
}
