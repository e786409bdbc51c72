//! The input from which a program is made, besides its script.

use std::collections::{BTreeMap, BTreeSet};

use reld_plan::{AppName, Behaviours, ModuleName, Release};

use crate::back::Back;
use crate::meeting::Seat;
use crate::node::{AppSpec, Library};

/// Facts that are not in the script: the modules of the old release, and the contents of the new
/// release.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Material {
    /// The modules of the old release.
    pub(crate) replaceable: BTreeSet<ModuleName>,
    /// The libraries of the new release.
    pub(crate) libraries: BTreeMap<AppName, Library>,
    /// The apps of the new release.
    pub(crate) apps: Vec<AppSpec>,
    /// The behaviours of the modules of the new release.
    pub(crate) behaviours: Behaviours,
    /// Whether earlier windows of the same upgrade were carried out.
    pub(crate) continues: bool,
    /// How states are converted back; `None` if no failure may need the way back.
    pub(crate) back: Option<Back>,
    /// The place of the node in its fleet, if it has one.
    pub(crate) seat: Option<Seat>,
}

impl Material {
    pub(crate) fn modules_of(release: &Release) -> BTreeSet<ModuleName> {
        release.apps().iter().flat_map(|app| app.modules().iter().cloned()).collect()
    }

    pub(crate) fn has_module(&self, module: &ModuleName) -> bool {
        let mut new = self.libraries.values().flat_map(|library| &library.modules);
        self.replaceable.contains(module) || new.any(|own| own == module)
    }

    pub(crate) fn has_app(&self, name: &AppName) -> bool {
        self.apps.iter().any(|app| app.name == *name)
    }
}
