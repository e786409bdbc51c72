//! What a process says of itself. OTP: `sys`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::process::{Process, ProcessStatus};

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
