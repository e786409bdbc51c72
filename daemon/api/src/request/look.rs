//! Look verbs. They change nothing and run no code of apps, but for [`State`], which asks for the state's bytes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `relctl status`: how the node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {}

/// `relctl tree`: the supervision trees. Refused for an unknown supervisor, or a worker in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    /// Only this app's tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Only the part below this supervisor: a pid, a registered name or a place in a tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<String>,
}

/// `relctl ps`: every process, in a tree or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Processes {}

/// `relctl top`: who keeps the node busy. The node looks for a while who runs, and answers then. OTP: `etop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Top {
    /// What comes first; absent: who ran longest.
    #[serde(default)]
    pub sort: TopSort,
    /// So many processes; absent: 20.
    #[serde(default = "twenty")]
    pub count: usize,
    /// For how long the node looks; absent: 1000, at most 10000.
    #[serde(default = "a_second")]
    pub for_ms: u64,
}

/// What comes first in [`Top`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopSort {
    /// Who ran longest meanwhile.
    #[default]
    Run,
    /// Who has the longest mailbox.
    Mailbox,
}

fn twenty() -> usize {
    20
}

fn a_second() -> u64 {
    1000
}

/// `relctl sys status PID|NAME`: what system messages tell about a process. OTP: `sys:get_status`.
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

/// `relctl apps`: the apps that are loaded, and those of them that run. OTP: `loaded_applications`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apps {}

/// `relctl code [MODULE]`: current and old version of each module, who still runs old code, and what stays mapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Only this module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
}

/// `relctl ports`: the sockets of apps. OTP: `inet:i`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {}

/// `relctl tables`: the shared tables. OTP: `ets:i`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tables {}

/// `relctl state PID|NAME`: the state of a process, between two of its callbacks. OTP: `sys:get_state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// A pid, a registered name or a place in a tree.
    pub process: String,
}

/// `relctl sys statistics PID|NAME`: what a process has counted. OTP: `sys:statistics(_, get)`.
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

/// `relctl child spec SUP ID`: how a child is started, restarted and stopped. OTP: `supervisor:get_childspec`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChildSpecOf {
    /// The supervisor: a pid, a registered name or a place in a tree.
    pub supervisor: String,
    /// The child's id, as JSON text: a query has no other form for any value. Under `simple_one_for_one` its pid.
    #[serde(with = "json_text")]
    pub id: Value,
}

/// `relctl child list SUP`: the children of a supervisor. OTP: `supervisor:which_children`, `count_children`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Children {
    /// The supervisor: a pid, a registered name or a place in a tree.
    pub supervisor: String,
}

/// `relctl events`: what happens from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// What happened after the event with this id as well, as far as the daemon keeps it; 0: all that it keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

/// `relctl logs`: the last lines of the log, as far as the daemon keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// Only lines that this app has printed or logged, or that are about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// So many, the newest; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<usize>,
}

/// `relctl logs --follow`: the last lines of the log, and those that come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowLogs {
    /// Only lines that this app has printed or logged, or that are about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// So many of those that are there, the newest; absent: none.
    #[serde(default)]
    pub lines: usize,
}

/// A JSON value as its text.
mod json_text {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use serde_json::Value;

    pub(super) fn serialize<S: Serializer>(value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text)
            .map_err(|fault| de::Error::custom(format_args!("the id {text:?} is no JSON: {fault}")))
    }
}
