//! Apps.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The apps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppList {
    /// The apps, in start order.
    pub apps: Vec<App>,
}

/// One app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct App {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The status.
    pub status: AppStatus,
    /// The exit reason, if the app has ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The start type in the release: `permanent`, `transient`, `temporary`, `load` or `none`.
    #[serde(rename = "type")]
    pub start_type: String,
    /// Its modules.
    pub modules: Vec<String>,
    /// The number of processes that run modules of the app.
    pub processes: u64,
    /// The environment of the app.
    pub env: BTreeMap<String, Value>,
}

/// The status of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppStatus {
    /// The app is loaded, but was not started, or was stopped.
    Loaded,
    /// The app runs.
    Running,
    /// The app was started and has ended by itself.
    Ended,
}

impl fmt::Display for AppStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Loaded => "loaded",
            Self::Running => "running",
            Self::Ended => "ended",
        })
    }
}
