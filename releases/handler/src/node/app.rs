//! App specs, and the staging of a window.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reld_plan::{AppName, ModuleName, StartPhase, StartType, Vsn};
use serde_json::Value;

use super::library::Image;

/// An app as the node starts it. OTP: the application resource, with the effective environment.
#[derive(Debug, Clone, PartialEq)]
pub struct AppSpec {
    /// The name of the app.
    pub name: AppName,
    /// The version of the app.
    pub vsn: Vsn,
    /// The folder of the app.
    pub dir: PathBuf,
    /// The module with the application behaviour; `None` for a library app.
    pub start: Option<ModuleName>,
    /// The start type, which decides whether the end of the app ends the node.
    pub start_type: StartType,
    /// The apps it needs.
    pub applications: Vec<AppName>,
    /// The phases of its start.
    pub start_phases: Vec<StartPhase>,
    /// Its configuration: `app.toml`, overridden by the release's `config.toml`.
    pub env: serde_json::Map<String, Value>,
}

/// Everything that the switch makes current.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Staging {
    /// New code, by module.
    pub modules: BTreeMap<ModuleName, Image>,
    /// Modules without current code after the switch. Processes that run their code become
    /// lingerers.
    pub removals: Vec<ModuleName>,
    /// The modules of restarted apps, a subset of `modules`. Every start uses their new code from
    /// the staging on.
    pub at_once: Vec<ModuleName>,
    /// Whether earlier windows of the same upgrade were carried out. Then
    /// [`config_change`](super::Node::config_change) and [`crashes`](super::Node::crashes) cover
    /// all windows since the first.
    pub continues: bool,
    /// The apps of the new release. An app that is not listed keeps its spec until it is stopped.
    pub apps: Vec<AppSpec>,
}
