//! The answer about the keys of a node.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::ErrorReport;

/// The policy of signatures, and its effects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyList {
    /// The file with the policy.
    pub policy: String,
    /// The error, if the policy cannot be read. The node then accepts no new release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<ErrorReport>,
    /// The consequence of insufficient signatures: `signed` (a refusal), `warn` or `off`; `unknown`
    /// if the policy cannot be read.
    pub require: String,
    /// The number of keys that have to sign a release; 0 if the policy cannot be read.
    pub threshold: u64,
    /// The keys that may sign. If the policy cannot be read, only those of releases.
    pub keys: Vec<KeyRow>,
    /// The numbers of the keys that releases have retired.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<String>,
    /// The highest committed serial of each name of releases.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub floors: BTreeMap<String, u64>,
}

/// A key that may sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// Its name.
    pub name: String,
    /// Its number, as minisign prints it.
    pub id: String,
    /// The names of the releases that it may sign; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The last serial that it may sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<u64>,
    /// The version of the release that has brought it. Absent for a key of the administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brought_by: Option<String>,
}
