//! Supervision trees.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::process::{Behaviour, CodeAge, ProcessStatus};
use crate::child_spec::{ChildSpec, ChildType};

/// The supervision trees, and the processes outside them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    /// The root supervisor of each running app, or only the requested supervisor.
    pub roots: Vec<TreeNode>,
    /// The processes outside every tree. Empty if an app or a supervisor was requested.
    pub outside: Vec<TreeNode>,
}

/// A node of a supervision tree.
///
/// ```json
/// {"id": 10000, "pid": "<7.1>", "name": null, "behaviour": "gen_server", "root": false, "app": "counter",
///  "module": "counter", "version": "0.1.1", "code": "current", "status": "running", "children": [], "links": ["<9.1>"]}
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TreeNode {
    /// The child id. Null for a root supervisor and for a process outside every tree.
    pub id: Value,
    /// The pid. Absent for a child that is not running or is being restarted.
    pub pid: Option<String>,
    /// The registered name.
    pub name: Option<String>,
    /// The behaviour of the module. Upgrades do not manage tasks.
    pub behaviour: Behaviour,
    /// Whether this is the root supervisor of its app.
    pub root: bool,
    /// The app whose library contains the module.
    pub app: String,
    /// Its module.
    pub module: String,
    /// The version of the code that the process runs. Absent if there is no process.
    pub version: Option<String>,
    /// Whether that code is current or old. Absent if there is no process.
    pub code: Option<CodeAge>,
    /// The status.
    pub status: ProcessStatus,
    /// The children, in start order. Empty for a worker.
    pub children: Vec<Self>,
    /// The pids of the linked processes, except the supervisor and the children.
    pub links: Vec<String>,
}

/// The children of a supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildList {
    /// The number of child specs. It is 1 for a `simple_one_for_one`.
    pub specs: u64,
    /// The number of running children.
    pub active: u64,
    /// The number of children that are supervisors.
    pub supervisors: u64,
    /// The number of other children.
    pub workers: u64,
    /// The children. As in OTP, the child that was started last comes first.
    pub children: Vec<ChildRow>,
}

/// A child of a supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildRow {
    /// The id of the child. Null under a `simple_one_for_one`.
    pub id: Value,
    /// The pid of the child, if it runs.
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
    /// The supervisor of the child.
    pub supervisor: String,
    /// The child spec, with all defaults filled in. The arguments of a temporary child are null,
    /// because the supervisor does not keep them.
    pub spec: ChildSpec,
}
