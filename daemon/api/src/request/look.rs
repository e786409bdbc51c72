//! Look verbs. They change nothing. They run no app code, except that [`State`] runs the code that
//! serializes a state.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `relctl status`: the status of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {}

/// `relctl tree`: the supervision trees. The request is refused if `supervisor` is unknown or is
/// not a supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    /// The app whose tree is wanted; absent: all apps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The supervisor whose tree is wanted: a pid, a registered name or a place in a tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<String>,
}

/// `relctl ps`: all processes, in supervision trees and outside them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Processes {}

/// `relctl top`: the busiest processes. The node measures for the given time, then answers. OTP:
/// `etop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Top {
    /// The sort order; absent: by running time.
    #[serde(default)]
    pub sort: TopSort,
    /// The maximum number of processes; absent: 20.
    #[serde(default = "twenty")]
    pub count: usize,
    /// The duration of the measurement; absent: 1000, at most 10000.
    #[serde(default = "a_second")]
    pub for_ms: u64,
}

/// The sort order of [`Top`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopSort {
    /// By running time during the measurement.
    #[default]
    Run,
    /// By the length of the mailbox.
    Mailbox,
}

fn twenty() -> usize {
    20
}

fn a_second() -> u64 {
    1000
}

/// `relctl sys status PID|NAME`: the answers of a process to system messages. OTP:
/// `sys:get_status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SysStatus {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
}

/// `relctl proc PID|NAME`: one process in full. OTP: `process_info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
}

/// `relctl apps`: the loaded apps, running or not. OTP: `loaded_applications`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apps {}

/// `relctl code [MODULE]`: the current and old version of each module, the processes that run old
/// code, and the libraries that stay mapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// The module to list; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
}

/// `relctl ports`: the sockets that apps hold. OTP: `inet:i`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {}

/// `relctl tables`: the shared tables. OTP: `ets:i`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tables {}

/// `relctl state PID|NAME`: the state of a process, between two of its callbacks. OTP:
/// `sys:get_state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
}

/// `relctl sys statistics PID|NAME`: the message counts of a process. OTP: `sys:statistics(_,
/// get)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statistics {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
}

/// `relctl sys log PID|NAME`: the last messages of a process. OTP: `sys:log(_, get)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageLog {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
}

/// `relctl child spec SUP ID`: how a child is started, restarted and stopped. OTP:
/// `supervisor:get_childspec`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildSpecOf {
    /// The supervisor: a pid, a registered name or a place in a tree.
    pub supervisor: String,
    /// The child's id, as JSON text, because a query cannot hold other JSON values. For a child of
    /// a `simple_one_for_one` it is the pid.
    #[serde(with = "json_text")]
    pub id: Value,
}

/// `relctl child list SUP`: the children of a supervisor. OTP: `supervisor:which_children`,
/// `count_children`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Children {
    /// The supervisor: a pid, a registered name or a place in a tree.
    pub supervisor: String,
}

/// `relctl events`: a stream of the node's events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// The id of the last known event. The stream starts after it, as far as the daemon has kept
    /// events. With 0 it starts with the oldest kept event; without an id, with the next new event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

/// `relctl logs`: the log, as far back as the daemon keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// Limits the answer to lines that this app has printed or logged, or that are about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The number of lines, counted from the newest; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<usize>,
}

/// `relctl logs --follow`: the last lines of the log, followed by new lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowLogs {
    /// Limits the answer to lines that this app has printed or logged, or that are about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The number of old lines, counted from the newest; absent: none.
    #[serde(default)]
    pub lines: usize,
}

/// Serializes a JSON value as its text.
mod json_text {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use serde_json::Value;

    pub(super) fn serialize<S: Serializer>(value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text)
            .map_err(|fault| de::Error::custom(format_args!("the id {text:?} is not JSON: {fault}")))
    }
}
