//! The environments of apps, and the node's own configuration.

use std::collections::BTreeMap;
use std::ops::Not;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `relctl env`: shows the environments of the apps, with the origin of each value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Env {
    /// Only this app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
}

/// `relctl env set|unset|reload`: changes the `config.toml` below the node's root, and notifies the
/// running apps with another environment. OTP: `application:set_env` and `config_change/3`.
///
/// The request is a transaction. If an app refuses the change, or the file cannot be written, the
/// file is as before, and each app has its previous environment. Changes that were made to the file
/// by hand take effect too, so an empty request reads the file anew.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetEnv {
    /// The values to set, by app and key. `null` is refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, Map<String, Value>>,
    /// The keys to remove from the file, by app. A key that is not in the file is ignored.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unset: BTreeMap<String, Vec<String>>,
    /// Whether the change is only checked and described.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub dry_run: bool,
    /// The time that each app has to take its new environment; absent: 5000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Whether to wait until the node is free. Otherwise the request is refused while an order is
    /// carried out or a release settles.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub wait: bool,
}
