//! The boot of what is to be installed: a release that a node went to live has never booted.
//!
//! Whether it would is decided by the planner, from the documents and from what the modules are by the libraries' own
//! tables. Here is gathered what it decides from:
//!
//! | found | then |
//! |---|---|
//! | an app that a boot could not start ([`BootError`](reld_plan::BootError)) | stops the install |
//! | an app whose environment the node cannot hand over | stops the install |
//! | a step that does not fit what its module is ([`Script::misfits`]) | stops the install |
//! | what a restart would make different of what runs | a warning, one for each kind |
//! | a child that could not be started, as far as it is recorded | a warning |
//!
//! The way back from an upgrade that failed is not held up: what it leads to has run.

use std::collections::BTreeMap;

use reld_plan::{AppName, Behaviours, PackedRelease, PlanError, Release, Script};

use crate::error::Obstacle;
use crate::foresight::Foresight;
use crate::material::Material;
use crate::node::{Library, Node};

/// The release that is left, where there is one, and the one gone to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends<'a> {
    pub(crate) left: Option<&'a PackedRelease>,
    pub(crate) to: &'a PackedRelease,
}

impl Ends<'_> {
    /// Says whether the library belongs to an app version that runs.
    fn runs(&self, library: &Library) -> bool {
        let app = self.left.and_then(|left| left.release.app(&library.app));
        app.is_some_and(|app| *app.version() == library.vsn)
    }
}

/// What the libraries of a release say.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) behaviours: Behaviours,
    /// Those that could not be loaded.
    pub(crate) refused: Vec<Obstacle>,
    /// Those that come and will stay mapped, each with why, as warnings.
    pub(crate) stays: Vec<String>,
}

impl Tables {
    /// Asks every library. Where one does not say what its modules are, what its packer recorded counts.
    pub(crate) fn of<N: Node>(node: &N, ends: Ends<'_>, libraries: &BTreeMap<AppName, Library>) -> Self {
        let mut tables = Self { behaviours: ends.to.behaviours(), ..Self::default() };
        for library in libraries.values() {
            match node.probe(library) {
                Ok(tried) => {
                    tables.behaviours.extend(tried.behaviours);
                    let stays = tried.stays.filter(|_| !ends.runs(library));
                    tables.stays.extend(
                        stays.map(|why| {
                            format!("app {} {} will stay mapped: {why}", library.app, library.vsn)
                        }),
                    );
                }
                Err(error) => tables.refused.push(Obstacle::Library(error)),
            }
        }
        tables
    }
}

/// Plans the boot of a release that a script leads to.
pub(crate) fn plan_boot<N: Node>(
    node: &N,
    ends: Ends<'_>,
    script: &Script,
    material: &Material,
) -> Foresight {
    let Ends { left, to } = ends;
    let behaviours = &material.behaviours;
    let now = left.map(PackedRelease::behaviours).unwrap_or_default();
    let misfits = script.misfits(&now, behaviours).into_iter().map(PlanError::from).map(Obstacle::Plan);
    let restarted = left.map(|left| {
        to.release.after_restart(&left.release, script, &node.which_applications().into_keys().collect())
    });
    let children = to.unfit_children().into_iter().chain(to.unnamed_children(script));
    let warnings = restarted.into_iter().flatten().chain(children);
    Foresight {
        obstacles: not_bootable(node, &to.release, material).into_iter().chain(misfits).collect(),
        warnings: warnings.map(|warning| warning.to_string()).collect(),
        ..Foresight::default()
    }
}

/// Returns what keeps a release from booting.
pub(crate) fn not_bootable<N: Node>(node: &N, release: &Release, material: &Material) -> Vec<Obstacle> {
    let errors = release.boot_order(&material.behaviours).err().unwrap_or_default().into_iter();
    let refused = material.apps.iter().filter_map(|app| {
        let (reason, name, vsn) = (node.refuses_spec(app)?, app.name.clone(), app.vsn.clone());
        Some(Obstacle::Application { app: name, vsn, reason })
    });
    errors.map(PlanError::from).map(Obstacle::Plan).chain(refused).collect()
}
