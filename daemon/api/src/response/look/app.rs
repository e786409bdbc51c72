//! Apps.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The apps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppList {
    /// In the order in which they were started.
    pub apps: Vec<App>,
}

/// One app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct App {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does.
    pub status: AppStatus,
    /// Why it ended, where it did so by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its start type in the release: `permanent`, `transient`, `temporary`, `load` or `none`.
    #[serde(rename = "type")]
    pub start_type: String,
    /// Its modules.
    pub modules: Vec<String>,
    /// How many processes run its modules.
    pub processes: u64,
    /// Its environment.
    pub env: BTreeMap<String, Value>,
}

/// What an app does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppStatus {
    /// Its code is there; it was not started, or was stopped.
    Loaded,
    /// It was started.
    Running,
    /// It was started and ended by itself.
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
