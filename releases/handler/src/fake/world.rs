//! The observable state of a fake node.

use std::collections::{BTreeMap, BTreeSet};

use reld_plan::{AppName, ModuleName, Vsn};

use crate::node::{Image, OutsiderKind};
use crate::process::Pid;

/// The observable state of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct World {
    pub(crate) images: BTreeMap<Image, (AppName, Vsn)>,
    pub(crate) modules: BTreeMap<ModuleName, Slots>,
    pub(crate) staged: Option<StagedWorld>,
    pub(crate) apps: BTreeMap<AppName, (Vsn, serde_json::Map<String, serde_json::Value>)>,
    pub(crate) running_apps: BTreeSet<AppName>,
    pub(crate) processes: BTreeMap<Pid, Proc>,
    pub(crate) gate: BTreeSet<ModuleName>,
    /// The functions and built-in calls that were made and not undone.
    pub(crate) applied: Vec<String>,
}

/// The code of one module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Slots {
    pub(crate) current: Option<Image>,
    pub(crate) old: Option<Image>,
    pub(crate) condemned: Option<Image>,
}

/// The staged part of the world.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct StagedWorld {
    pub(super) modules: BTreeMap<ModuleName, Image>,
    pub(super) removals: Vec<ModuleName>,
    pub(super) at_once: Vec<ModuleName>,
    pub(super) apps: Vec<(AppName, Vsn, serde_json::Map<String, serde_json::Value>)>,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proc {
    pub(crate) module: ModuleName,
    pub(crate) app: AppName,
    pub(crate) image: Image,
    pub(crate) state: String,
    pub(crate) kind: Option<OutsiderKind>,
    pub(crate) is_held: bool,
    pub(crate) shadow: Option<(Image, String)>,
    pub(crate) mail: Vec<u32>,
    pub(crate) handled: Vec<u32>,
}

impl World {
    /// Returns the first module of an app version.
    pub(super) fn module_of(&self, app: &AppName, vsn: &Vsn) -> Option<ModuleName> {
        let is_its = |image: &Image| self.images[image] == (app.clone(), vsn.clone());
        let current = self.modules.iter().filter_map(|(module, slots)| Some((module, slots.current?)));
        let staged = self.staged.iter().flat_map(|staged| &staged.modules);
        let known = staged.map(|(module, image)| (module, *image)).chain(current);
        known.filter(|(_, image)| is_its(image)).map(|(module, _)| module.clone()).min()
    }

    pub(super) fn is_used(&self, image: Image) -> bool {
        let slots = self.modules.values();
        let staged = self.staged.iter().flat_map(|staged| staged.modules.values().copied());
        slots
            .flat_map(|slots| [slots.current, slots.old, slots.condemned])
            .flatten()
            .chain(staged)
            .chain(self.processes.values().map(|process| process.image))
            .any(|used| used == image)
    }

    pub(super) fn collect(&mut self) {
        let used: BTreeSet<Image> =
            self.images.keys().copied().filter(|image| self.is_used(*image)).collect();
        self.images.retain(|image, _| used.contains(image));
        self.modules.retain(|_, slots| *slots != Slots::default());
    }

    pub(super) fn flip(&mut self, module: &ModuleName, new: Option<Image>) {
        let slots = self.modules.entry(module.clone()).or_default();
        assert_eq!(slots.condemned, None, "the condemned code of {module} was never purged");
        let replaced = std::mem::replace(&mut slots.current, new);
        let before = std::mem::replace(&mut slots.old, replaced);
        // If the image in the old slot becomes current again, the slots are swapped.
        slots.condemned = before.filter(|image| Some(*image) != new);
    }
}

impl Proc {
    /// Handles the messages in the mailbox, which invalidates the shadow state.
    pub(super) fn serve(&mut self) {
        if !self.is_held && !self.mail.is_empty() {
            self.handled.append(&mut self.mail);
            self.shadow = None;
        }
    }
}
