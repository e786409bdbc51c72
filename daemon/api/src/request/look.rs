//! Look verbs. They change nothing and run no app code, except [`State`], which serializes the
//! state.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `relctl status`: the status of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {}

/// `relctl tree`: the supervision trees. Refused for an unknown supervisor, or a worker in its
/// place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    /// Only this app's tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Only the tree below this supervisor: a pid, a registered name or a place in a tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<String>,
}

/// `relctl ps`: all processes, inside and outside the trees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Processes {}

/// `relctl top`: the busiest processes. The node measures for a while, then answers. OTP: `etop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Top {
    /// The sort order; absent: by running time.
    #[serde(default)]
    pub sort: TopSort,
    /// The maximum number of processes; absent: 20.
    #[serde(default = "twenty")]
    pub count: usize,
    /// How long the node measures; absent: 1000, at most 10000.
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

/// `relctl code [MODULE]`: the current and old version of each module, the processes in old code,
/// and the libraries that stay mapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Only this module.
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
    /// The child's id, as JSON text, because a query cannot hold other JSON values. Under
    /// `simple_one_for_one` its pid.
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

/// `relctl events`: the events from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Starts after the event with this id, as far back as the daemon keeps events; 0: with all
    /// kept events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

/// `relctl logs`: the log, as far back as the daemon keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// Only lines printed or logged by this app, or about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The number of lines, the newest ones; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<usize>,
}

/// `relctl logs --follow`: the last lines of the log, then the new ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowLogs {
    /// Only lines printed or logged by this app, or about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The number of old lines, the newest ones; absent: none.
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
