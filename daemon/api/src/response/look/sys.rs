//! Answers of processes to system messages. OTP: `sys`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::process::{Process, ProcessStatus};

/// The answers of a process to system messages. OTP: `sys:get_status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SysStatus {
    /// The fields of the process list.
    #[serde(flatten)]
    pub process: Process,
    /// Whether an operator has suspended the process.
    pub suspended: bool,
    /// Whether the process counts its messages.
    pub statistics: bool,
    /// The number of recent messages that the process keeps. Absent if it keeps none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_max: Option<u64>,
    /// The state of the process.
    pub state: Value,
}

/// The message counts of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStatistics {
    /// The process.
    pub pid: String,
    /// The counters. Absent if the process does not count.
    pub statistics: Option<MessageCounts>,
}

/// The messages of a process since the start of counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageCounts {
    /// The time since the start of counting.
    pub for_ms: u64,
    /// The number of handled messages.
    pub messages_in: u64,
    /// The number of sent messages, including replies.
    pub messages_out: u64,
}

/// The recent messages of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessLog {
    /// The process.
    pub pid: String,
    /// The messages, oldest first. Absent if the process keeps none.
    pub messages: Option<Vec<LoggedMessage>>,
}

/// A message that a process has kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoggedMessage {
    /// The age of the message.
    pub ago_ms: u64,
    /// The direction: `in` or `out`.
    pub way: String,
    /// The kind: `call`, `cast`, `info`, `exit`, `down`, `told` (a message of the node about a port
    /// or table), `timeout` or `reply`.
    pub what: String,
    /// The sender of an incoming message, or the receiver of an outgoing one.
    pub other: Option<String>,
    /// The message.
    pub message: Value,
}

/// The state of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessState {
    /// The process.
    pub pid: String,
    /// The registered name of the process.
    pub name: Option<String>,
    /// The module of the process.
    pub module: String,
    /// The version of the code that built the state.
    pub version: String,
    /// The status of the process.
    pub status: ProcessStatus,
    /// The state.
    pub state: Value,
}
