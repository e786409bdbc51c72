//! Supervision trees.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::process::{Behaviour, CodeAge, ProcessStatus};
use crate::child_spec::{ChildSpec, ChildType};

/// Supervision trees, and the processes outside them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    /// The root supervisor of each running app, or the requested supervisor.
    pub roots: Vec<TreeNode>,
    /// The processes outside every tree; empty if one app or supervisor was requested.
    pub outside: Vec<TreeNode>,
}

/// One place in a supervision tree.
///
/// ```json
/// {"id": 10000, "pid": "<7.1>", "name": null, "behaviour": "gen_server", "root": false, "app": "counter",
///  "module": "counter", "version": "0.1.1", "code": "current", "status": "running", "children": [], "links": ["<9.1>"]}
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TreeNode {
    /// The child id; null for a root and outside a tree.
    pub id: Value,
    /// The pid; absent for a child that is not started or is restarting.
    pub pid: Option<String>,
    /// Its registered name.
    pub name: Option<String>,
    /// The behaviour; upgrades do not manage tasks.
    pub behaviour: Behaviour,
    /// Whether it is the root supervisor of its app.
    pub root: bool,
    /// The app whose library holds its module.
    pub app: String,
    /// Its module.
    pub module: String,
    /// The version of the code it runs; absent without a process.
    pub version: Option<String>,
    /// Whether that code is current or old; absent without a process.
    pub code: Option<CodeAge>,
    /// The status.
    pub status: ProcessStatus,
    /// The children, in start order; empty for a worker.
    pub children: Vec<Self>,
    /// The pids of its links, except its supervisor and its children.
    pub links: Vec<String>,
}

/// The children of a supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildList {
    /// The number of child specs; 1 for a `simple_one_for_one`.
    pub specs: u64,
    /// The number of running children.
    pub active: u64,
    /// The number of children that are supervisors.
    pub supervisors: u64,
    /// The number of other children.
    pub workers: u64,
    /// The children, the latest started first, as in OTP.
    pub children: Vec<ChildRow>,
}

/// A child of a supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildRow {
    /// Its id; null under a `simple_one_for_one`.
    pub id: Value,
    /// Its process, if it runs.
    pub pid: Option<String>,
    /// The status.
    pub status: ProcessStatus,
    /// `worker` or `supervisor`.
    #[serde(rename = "type")]
    pub kind: ChildType,
    /// The module of the child.
    pub module: String,
}

/// The child spec of a child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildSpecShown {
    /// Its supervisor.
    pub supervisor: String,
    /// Its spec, with all defaults filled in. The arguments of a temporary child are null, because
    /// they are not kept.
    pub spec: ChildSpec,
}
