//! The node itself.

use serde::{Deserialize, Serialize};

use crate::response::release::{Lingerer, ReleaseStatus, is_zero};

/// The status of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The version of the daemon.
    pub reld: String,
    /// The id of the daemon's OS process.
    pub os_pid: u32,
    /// The executable that a restart of the daemon would start. Absent if the daemon runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<String>,
    /// The uptime.
    pub uptime_ms: u64,
    /// The running release. Absent if the node is idle.
    pub release: Option<RunningRelease>,
    /// The permanent release, which a restart would boot.
    pub permanent: Option<String>,
    /// The number of processes.
    pub processes: u64,
    /// Whether code was changed by hand since the node booted.
    pub dirty: bool,
    /// Whether stuck app code was given up and has not returned. Until the code returns, it
    /// occupies a thread and its library stays mapped.
    #[serde(default)]
    pub degraded: bool,
    /// Conditions that need the operator's attention.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// The fleet of the node, and its connection, in one sentence. Absent without a fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<String>,
    /// The upgrade under way.
    pub upgrade: Option<Progress>,
    /// The order under way, such as `unpack` or `upgrade to 1.1.0`. Settling does not count as an
    /// order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// The release that settles. It runs, and is watched before it is committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settling: Option<String>,
    /// The queued orders, the next one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<WaitingOrder>,
    /// The processes that run old code.
    pub lingering: Vec<Lingerer>,
    /// The apps that ended by themselves, because their root supervisor gave up or their process
    /// crashed.
    pub ended: Vec<EndedApp>,
    /// App code that does not return. Until it does, it occupies a thread and its library stays
    /// mapped.
    pub stuck: Vec<StuckCode>,
}

/// A queued order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingOrder {
    /// The order, such as `upgrade to 1.1.0`.
    pub order: String,
    /// The user who gave the order.
    pub uid: Option<u32>,
    /// The time for which the order has waited.
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
    /// The process of the callback or the conversion.
    pub pid: String,
    /// The registered name of the process.
    pub name: Option<String>,
    /// The module.
    pub module: String,
    /// The version of the code. For a conversion, it is the new version of the rolled-back upgrade.
    pub version: String,
    /// The app.
    #[serde(default)]
    pub app: String,
    /// Whether the code was given up. Its process then continues, or has ended, without it.
    #[serde(default)]
    pub detached: bool,
    /// The time for which the code has been running.
    pub for_ms: u64,
    /// The stack at the time of the report, innermost function first, or the system call that the
    /// code waited in. Empty for conversions, and if the stack is unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<String>,
}

/// The running release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningRelease {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `current` or `permanent`.
    pub status: ReleaseStatus,
    /// Its serial; 0 if it has none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub serial: u64,
    /// The highest committed serial of its name; 0 if there is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub floor: u64,
    /// The names of the keys with a valid signature when it was unpacked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signed_by: Vec<String>,
}

/// The progress of an upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The target release.
    pub to: String,
    /// The release that the node returns to, if the upgrade is being taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<String>,
    /// The number of the current step, from 1.
    pub step: usize,
    /// The number of steps of the script.
    pub of: usize,
    /// The current step as text.
    pub text: String,
    /// Up to eight of the processes that the upgrade waits for, because they have not come to rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<String>,
}
