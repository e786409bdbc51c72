//! Supervision trees.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::process::{Behaviour, CodeAge, ProcessStatus};
use crate::child_spec::{ChildSpec, ChildType};

/// Supervision trees, and the processes outside them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forest {
    /// The root supervisor of each running app, or the one supervisor asked for.
    pub roots: Vec<TreeNode>,
    /// Processes outside every tree; empty where one app or supervisor was asked for.
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
    /// Absent for a child that is not started or restarting.
    pub pid: Option<String>,
    /// Its registered name.
    pub name: Option<String>,
    /// Supervisor, worker of which kind, or a task, which no upgrade manages.
    pub behaviour: Behaviour,
    /// Whether it is the root supervisor of its app.
    pub root: bool,
    /// The app whose library holds its module.
    pub app: String,
    /// Its module.
    pub module: String,
    /// The version of the code it runs; absent where no process runs.
    pub version: Option<String>,
    /// Whether that code is current or old; absent where no process runs.
    pub code: Option<CodeAge>,
    /// What it does.
    pub status: ProcessStatus,
    /// In the order in which they were started; empty for a worker.
    pub children: Vec<Self>,
    /// Pids it is linked to, other than its supervisor and its children.
    pub links: Vec<String>,
}

/// The children of a supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildList {
    /// How many specs there are; 1 for a `simple_one_for_one`.
    pub specs: u64,
    /// How many children run.
    pub active: u64,
    /// How many children are supervisors.
    pub supervisors: u64,
    /// How many are not.
    pub workers: u64,
    /// The latest started first, as in OTP.
    pub children: Vec<ChildRow>,
}

/// A child of a supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildRow {
    /// Its id; null under a `simple_one_for_one`.
    pub id: Value,
    /// Its process, if it runs.
    pub pid: Option<String>,
    /// What it does.
    pub status: ProcessStatus,
    /// `worker` or `supervisor`.
    #[serde(rename = "type")]
    pub kind: ChildType,
    /// The module that runs in it.
    pub module: String,
}

/// How a child is started, restarted and stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChildSpecShown {
    /// Its supervisor.
    pub supervisor: String,
    /// Its spec, with all defaults filled in. The arguments of a temporary child are null: they are not kept.
    pub spec: ChildSpec,
}
