//! What a program is made from beside its script.

use std::collections::{BTreeMap, BTreeSet};

use reld_plan::{AppName, Behaviours, ModuleName, Release};

use crate::back::Back;
use crate::node::{AppSpec, Library};

/// What a script does not say: the release that is left, and what the files of the release gone to say.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Material {
    /// The modules of the release that is left.
    pub(crate) replaceable: BTreeSet<ModuleName>,
    /// The libraries of the release gone to.
    pub(crate) libraries: BTreeMap<AppName, Library>,
    /// The apps of the release gone to.
    pub(crate) apps: Vec<AppSpec>,
    /// What the modules of the release gone to are.
    pub(crate) behaviours: Behaviours,
    /// Windows of the same upgrade were carried out already.
    pub(crate) continues: bool,
    /// How states go back, where something may need that.
    pub(crate) back: Option<Back>,
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
