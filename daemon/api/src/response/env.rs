//! The environments of apps, and changes of the node's own configuration.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The environments of the apps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnvList {
    /// The values, in the order of apps and keys.
    pub values: Vec<EnvValue>,
    /// The path of the node's own configuration. The file may be missing.
    pub file: String,
    /// The reason why the file differs from the values in force: it was changed by hand since, or
    /// is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
}

/// A value of an app's environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnvValue {
    /// The app.
    pub app: String,
    /// The key.
    pub key: String,
    /// The value in force.
    pub value: Value,
    /// The place where the value is set.
    pub origin: EnvOrigin,
}

/// The place where a value is set. A later one takes precedence, key by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvOrigin {
    /// `[env]` of the app's `app.toml`.
    App,
    /// The `config.toml` of the release.
    Release,
    /// The `config.toml` below the node's root.
    Node,
    /// `--env` of the daemon.
    CommandLine,
}

impl fmt::Display for EnvOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::App => "app.toml",
            Self::Release => "release",
            Self::Node => "node",
            Self::CommandLine => "command line",
        })
    }
}

/// A changed configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnvChanged {
    /// Whether the file or an environment changed, or would change with a dry run.
    pub changed: bool,
    /// The path of the node's own configuration.
    pub file: String,
    /// The apps with another environment.
    pub apps: Vec<ChangedEnv>,
    /// Remarks.
    pub warnings: Vec<String>,
}

/// The change of an app's environment: the arguments of its `config_change`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangedEnv {
    /// The app.
    pub app: String,
    /// Whether the app runs and is notified. Otherwise its next start has the values.
    pub notified: bool,
    /// The keys with another value.
    pub changed: Map<String, Value>,
    /// The added keys.
    pub new: Map<String, Value>,
    /// The removed keys.
    pub removed: Vec<String>,
}
