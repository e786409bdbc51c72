//! Touch verbs: they reach into the running node. Changes of code by hand mark it dirty.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::is_default;
use crate::child_spec::ChildSpec;

/// `relctl call NAME|PID JSON`: sends a request to a process and waits for its reply. OTP: `gen_server:call`.
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

/// `relctl cast NAME|PID JSON`: sends a message that is not answered. OTP: `gen_server:cast`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cast {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// The message, as the app defines it.
    pub message: Value,
}

/// `relctl spawn MODULE JSON`: starts a process outside every tree. Nobody restarts it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spawn {
    /// The module whose current code it starts with.
    pub module: String,
    /// The start arguments.
    #[serde(default)]
    pub args: Value,
}

/// `relctl spawn --link MODULE JSON`: like [`Spawn`], linked to the connection from its first moment.
///
/// Answered by two lines, one when it has started and one when it has ended. Who hangs up before the second sends the
/// process an exit with reason `shutdown`, as a session that ends does in OTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpawnLink {
    /// The module whose current code it starts with.
    pub module: String,
    /// The start arguments.
    #[serde(default)]
    pub args: Value,
}

/// `relctl load DIR`: loads one app's library by hand; its modules become current, the replaced ones old. Refused with
/// `not_purged` while a module has old code, and where a process would end since the new code does not take its state or
/// a message that waits. The body is a release tarball with just that app.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Whether the new code is not asked before: processes that it does not take are killed, as in OTP.
    #[serde(default, skip_serializing_if = "is_default")]
    pub force: bool,
}

/// `relctl suspend PID|NAME`: the process takes no further message until it is resumed. OTP: `sys:suspend`.
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

/// `relctl sys replace-state PID|NAME JSON`: gives a process another state, which its code reads. OTP: `sys:replace_state`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplaceState {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// The state, as `relctl state` shows it.
    pub state: Value,
}

/// `relctl sys terminate PID|NAME`: ends a process in order, suspended or not. OTP: `sys:terminate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terminate {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// `normal`, `shutdown`, or any other text, which is an error.
    pub reason: String,
}

/// `relctl sys statistics PID|NAME --on|--off`: has a process count its messages, from 0, or not. OTP: `sys:statistics`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountMessages {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// Whether it counts.
    pub on: bool,
}

/// `relctl sys log PID|NAME --keep N|--off`: has a process keep its last messages, or none. OTP: `sys:log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepLog {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// How many; absent: none.
    #[serde(default)]
    pub max: Option<u32>,
}

/// `relctl trace [--proc PID|NAME]... [-- COMMAND]`: what processes tell each other, until the client hangs up. Messages
/// may be secret, so this is no looking. Refused while somebody else traces. OTP: `erlang:trace`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// Pids, registered names or places in trees of whom to watch; all processes when there are none.
    #[serde(default)]
    pub processes: Vec<String>,
    /// What to watch; everything when there is none.
    #[serde(default)]
    pub kinds: Vec<TraceKind>,
}

/// A kind of what is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceKind {
    /// A request that wants a reply.
    Call,
    /// That reply.
    Reply,
    /// A request that wants none.
    Cast,
    /// Any other message.
    Info,
    /// An exit signal.
    Exit,
    /// The end of a monitored process.
    Down,
    /// A new process.
    Spawn,
    /// A system message: suspend, resume, change_code and the like.
    Sys,
}

/// `relctl sys no-debug PID|NAME`: turns statistics and log of a process off. OTP: `sys:no_debug`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoDebug {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
}

/// `relctl change-code PID|NAME MODULE FROM_VSN [EXTRA]`: has the current code of the module take the process's state
/// over. Refused unless the process is suspended. OTP: `sys:change_code`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeCode {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
    /// The module that the process runs.
    pub module: String,
    /// The version that the module's `change_code` is told.
    pub from_version: String,
    /// What else it is told.
    #[serde(default)]
    pub extra: Value,
}

/// `relctl purge MODULE`: frees the old slot and kills who still runs old code. OTP: `code:purge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purge {
    /// The module.
    pub module: String,
}

/// `relctl soft-purge MODULE`: frees the old slot unless somebody still runs old code. OTP: `code:soft_purge`.
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
    /// `kill` cannot be trapped; `shutdown` and `normal` mean what they mean in OTP; any other text is an error.
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
    /// What to start.
    pub child: NewChild,
}

/// What a supervisor is to start: `{"spec": {…}}` or, for `simple_one_for_one`, `{"args": …}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewChild {
    /// A child of its own.
    Spec(ChildSpec),
    /// One more child of the supervisor's only spec, with these arguments in place of the spec's.
    Args(Value),
}

/// `relctl child terminate SUP ID`: ends a child and keeps its row. OTP: `supervisor:terminate_child`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildTerminate {
    /// The supervisor: a pid, a registered name or a place in a tree.
    pub supervisor: String,
    /// The child's id; under `simple_one_for_one` its pid.
    pub id: Value,
}

/// `relctl child restart SUP ID`: starts a child again whose row has no process. OTP: `supervisor:restart_child`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildRestart {
    /// The supervisor: a pid, a registered name or a place in a tree.
    pub supervisor: String,
    /// The child's id.
    pub id: Value,
}

/// `relctl child delete SUP ID`: removes the row of a child that does not run. OTP: `supervisor:delete_child`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildDelete {
    /// The supervisor: a pid, a registered name or a place in a tree.
    pub supervisor: String,
    /// The child's id.
    pub id: Value,
}

/// `relctl app start APP`: starts an app that the running release holds, and the apps it needs first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppStart {
    /// The app.
    pub app: String,
}

/// `relctl app stop APP`: prep_stop, the tree's end, stop. OTP: `application:stop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppStop {
    /// The app.
    pub app: String,
}
