//! The order to change the node's own configuration, and its result.

use std::time::Duration;

use reld_plan::{AppName, ConfigEdit};
use serde_json::{Map, Value};

/// A change of the node's own configuration. Changes that were made to the file by hand take effect
/// with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Configure {
    /// The change of the file. Without one, the file is only read anew.
    pub edit: ConfigEdit,
    /// Whether the change is only checked and described.
    pub dry_run: bool,
    /// The time that each app has to take its new environment.
    pub limit: Duration,
}

/// The effects of a change of the configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Configured {
    /// Whether the file or an environment changes.
    pub changed: bool,
    /// The apps with another environment, in start order.
    pub apps: Vec<ChangedApp>,
    /// Remarks for the operator.
    pub warnings: Vec<String>,
}

/// An app with another environment. OTP: the arguments of `config_change`.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedApp {
    /// The app.
    pub app: AppName,
    /// Whether the app has a process that is notified. Otherwise its next start has the values.
    pub notified: bool,
    /// The keys with another value.
    pub changed: Map<String, Value>,
    /// The added keys.
    pub new: Map<String, Value>,
    /// The removed keys.
    pub removed: Vec<String>,
}
