//! The node itself.

use serde::{Deserialize, Serialize};

use crate::response::release::{Lingerer, ReleaseStatus};

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
