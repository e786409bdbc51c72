//! Apps, and what becomes current with them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reld_plan::{AppName, ModuleName, StartPhase, StartType, Vsn};
use serde_json::Value;

use super::library::Image;

/// An app as the node starts it. OTP: the application resource, with the environment that is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct AppSpec {
    /// Its name.
    pub name: AppName,
    /// Its version.
    pub vsn: Vsn,
    /// Its folder.
    pub dir: PathBuf,
    /// The module with the application behaviour; `None` for a library app.
    pub start: Option<ModuleName>,
    /// What its end means to the node.
    pub start_type: StartType,
    /// The apps it needs.
    pub applications: Vec<AppName>,
    /// The phases of its start.
    pub start_phases: Vec<StartPhase>,
    /// Its configuration: `app.toml`, overridden by the release's `config.toml`.
    pub env: serde_json::Map<String, Value>,
}

/// Everything that becomes current at the switch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Staging {
    /// New code, by module.
    pub modules: BTreeMap<ModuleName, Image>,
    /// Modules that will have no current code. Processes that run it become lingerers.
    pub removals: Vec<ModuleName>,
    /// Of `modules` those that every start takes from now on: the modules of apps that are restarted.
    pub at_once: Vec<ModuleName>,
    /// Windows of the same upgrade were carried out already: [`config_change`](super::Node::config_change) tells what changed
    /// since the first, and [`crashes`](super::Node::crashes) who crashed.
    pub continues: bool,
    /// The apps of the release gone to. One that is not among them keeps its spec until it is stopped.
    pub apps: Vec<AppSpec>,
}
