//! Predicts the boot of a release to be installed. A release that a node reaches by a live upgrade
//! has never booted there.
//!
//! The planner decides whether the release would boot, from the documents and from the behaviours
//! in the tables of the libraries. This module collects that input, and turns the findings into
//! obstacles and warnings:
//!
//! | finding | consequence |
//! |---|---|
//! | an app that a boot could not start ([`BootError`](reld_plan::BootError)) | an obstacle |
//! | an app with an environment that the node cannot hand over | an obstacle |
//! | a step that does not fit the behaviour of its module ([`Script::misfits`]) | an obstacle |
//! | a difference between the running apps and those after a restart | a warning, one for each kind |
//! | a recorded child that could not be started | a warning |
//!
//! The way back from a failed upgrade skips this check, because its target has run before.

use std::collections::BTreeMap;

use reld_plan::{AppName, Behaviours, PackedRelease, PlanError, Release, Script};

use crate::error::Obstacle;
use crate::foresight::Foresight;
use crate::material::Material;
use crate::node::{Library, Node};

/// The old release, if there is one, and the new release.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends<'a> {
    pub(crate) left: Option<&'a PackedRelease>,
    pub(crate) to: &'a PackedRelease,
}

impl Ends<'_> {
    /// Returns whether the library belongs to a running app version.
    fn runs(&self, library: &Library) -> bool {
        let app = self.left.and_then(|left| left.release.app(&library.app));
        app.is_some_and(|app| *app.version() == library.vsn)
    }
}

/// The tables of a release's libraries.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) behaviours: Behaviours,
    /// Libraries that could not be loaded.
    pub(crate) refused: Vec<Obstacle>,
    /// Warnings about libraries that will stay mapped after they are replaced, each with the
    /// reason.
    pub(crate) stays: Vec<String>,
}

impl Tables {
    /// Reads the table of every library. For a library without a table, the record of the packer
    /// counts.
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

/// Plans the boot of the new release.
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

/// Returns the obstacles to the boot of a release.
pub(crate) fn not_bootable<N: Node>(node: &N, release: &Release, material: &Material) -> Vec<Obstacle> {
    let errors = release.boot_order(&material.behaviours).err().unwrap_or_default().into_iter();
    let refused = material.apps.iter().filter_map(|app| {
        let (reason, name, vsn) = (node.refuses_spec(app)?, app.name.clone(), app.vsn.clone());
        Some(Obstacle::Application { app: name, vsn, reason })
    });
    errors.map(PlanError::from).map(Obstacle::Plan).chain(refused).collect()
}
