//! Touch verbs: they act on the running node. Code changes by hand make it dirty.

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
    /// How long the node waits for the reply; absent: 5000, as in OTP.
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

/// `relctl spawn MODULE JSON`: starts a process outside every tree, which no supervisor restarts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spawn {
    /// The module; its current code is used.
    pub module: String,
    /// The start arguments.
    #[serde(default)]
    pub args: Value,
}

/// `relctl spawn --link MODULE JSON`: like [`Spawn`], linked to the connection from its start.
///
/// The answer has two lines, one at the start and one at the exit of the process. A client that
/// disconnects before the second line sends the process an exit signal with reason `shutdown`, like
/// the end of a session in OTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpawnLink {
    /// The module; its current code is used.
    pub module: String,
    /// The start arguments.
    #[serde(default)]
    pub args: Value,
}

/// `relctl load DIR`: loads one app's library by hand. Its modules become current, the replaced
/// ones old. Refused with `not_purged` while a module has old code. Also refused if a process would
/// be killed because the new code does not take its state or a message in its mailbox. The body is
/// a release tarball with only that app.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Whether to skip that check of states and messages: processes that the new code does not take
    /// are killed, as in OTP.
    #[serde(default, skip_serializing_if = "is_default")]
    pub force: bool,
}

/// `relctl suspend PID|NAME`: suspends the process: it handles no messages until it is resumed.
/// OTP: `sys:suspend`.
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

/// `relctl sys replace-state PID|NAME JSON`: replaces the state of a process; its code decodes the
/// new one. OTP: `sys:replace_state`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplaceState {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// The state, in the form that `relctl state` prints.
    pub state: Value,
}

/// `relctl sys terminate PID|NAME`: terminates a process in order, suspended or not. OTP:
/// `sys:terminate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terminate {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// `normal`, `shutdown`, or any other text, which is an error.
    pub reason: String,
}

/// `relctl sys statistics PID|NAME --on|--off`: starts or stops the message counts of a process,
/// from 0. OTP: `sys:statistics`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountMessages {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// Whether the process counts.
    pub on: bool,
}

/// `relctl sys log PID|NAME --keep N|--off`: sets how many of its last messages a process keeps.
/// OTP: `sys:log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepLog {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// The number of messages; absent: none.
    #[serde(default)]
    pub max: Option<u32>,
}

/// `relctl trace [--proc PID|NAME]... [-- COMMAND]`: shows the messages between processes until the
/// client disconnects. Messages may be secret, so this is not a look verb. Only one trace can run
/// at a time; another one is refused. OTP: `erlang:trace`.
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
/// `change_code` of the module's current code. Refused unless the process is suspended. OTP:
/// `sys:change_code`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeCode {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// The module that the process runs.
    pub module: String,
    /// The version argument of `change_code`.
    pub from_version: String,
    /// The extra argument of `change_code`.
    #[serde(default)]
    pub extra: Value,
}

/// `relctl purge MODULE`: purges the old code and kills the processes that still run it. OTP:
/// `code:purge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purge {
    /// The module.
    pub module: String,
}

/// `relctl soft-purge MODULE`: purges the old code unless a process still runs it. OTP:
/// `code:soft_purge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftPurge {
    /// The module.
    pub module: String,
}

/// `relctl kill PID|NAME [REASON]`: sends an exit signal. OTP: `exit/2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// `kill` cannot be trapped; `shutdown` and `normal` have their OTP meanings; any other text is
    /// an error.
    #[serde(default = "kill")]
    pub reason: String,
}

fn kill() -> String {
    "kill".to_owned()
}

/// `relctl child start SUP SPEC`. OTP: `supervisor:start_child`.
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
    /// One more child of the supervisor's only spec, with these arguments instead of the spec's.
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

/// `relctl app start APP`: starts an app of the running release, after the apps it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppStart {
    /// The app.
    pub app: String,
}

/// `relctl app stop APP`: calls prep_stop, terminates the tree, calls stop. OTP:
/// `application:stop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppStop {
    /// The app.
    pub app: String,
}
