//! The release to install: its documents, its files, and the decision whether the node trusts it.

use std::path::PathBuf;

use reld_plan::{ReleaseApp, StartType};
use reld_store::{Documents, Error as StoreError, Manifest, Store};

use crate::error::Obstacle;
use crate::lineup::{Lineup, library};
use crate::material::Material;
use crate::node::AppSpec;
use crate::options::InstallOptions;

/// The release to install.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) documents: Documents,
    pub(crate) material: Material,
    /// Warnings about its signatures and its serial.
    pub(crate) warnings: Vec<String>,
}

/// Reads the release to install, and verifies every byte of it. Verifies its signatures too, unless
/// the node [goes back](InstallOptions::goes_back) to it.
pub(crate) fn candidate(
    store: &Store,
    lineup: &Lineup,
    options: InstallOptions,
) -> Result<Candidate, Vec<Obstacle>> {
    let admitted = match options {
        InstallOptions { goes_back: true, .. } => {
            store.verify(&lineup.vsn).map(|manifest| (manifest, Vec::new()))
        }
        InstallOptions { as_new: true, .. } => store.admit_as_new(&lineup.vsn),
        _ => store.admit(&lineup.vsn),
    };
    let admitted = admitted.map_err(files);
    let documents = lineup.documents(store).map_err(files);
    let ((manifest, warnings), documents) = match (admitted, documents) {
        (Ok(admitted), Ok(documents)) => (admitted, documents),
        (admitted, documents) => return Err(admitted.err().into_iter().chain(documents.err()).collect()),
    };
    let material = material(store, &manifest, &documents, lineup);
    Ok(Candidate { documents, material, warnings })
}

/// Returns the obstacle for an error of the store.
pub(crate) fn files(error: StoreError) -> Obstacle {
    match error {
        StoreError::Refused(refusal) => Obstacle::Refused(refusal),
        StoreError::Release(error) => Obstacle::Plan(*error),
        error @ (StoreError::Policy(_) | StoreError::Untrusted { .. } | StoreError::ByHand) => {
            Obstacle::Distrust { code: error.code(), why: chain(&error) }
        }
        error => Obstacle::Files(chain(&error)),
    }
}

/// Returns an error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn material(store: &Store, manifest: &Manifest, documents: &Documents, lineup: &Lineup) -> Material {
    let new = &documents.release;
    let replaced = |app: &ReleaseApp| lineup.replaced.get(app.name()).map(|single| single.library.clone());
    let libraries =
        new.apps().iter().filter_map(|app| replaced(app).or_else(|| library(store, manifest, app)));
    let dir = |app: &ReleaseApp| match replaced(app) {
        Some(library) => library.dir,
        None => store.root().app_dir(app.name(), app.version()),
    };
    let specs = new.start_order().filter(|app| app.start_type != StartType::None);
    Material {
        libraries: libraries.map(|library| (library.app.clone(), library)).collect(),
        apps: specs.map(|app| spec(dir(app), documents, app)).collect(),
        ..Material::default()
    }
}

pub(crate) fn spec(dir: PathBuf, documents: &Documents, app: &ReleaseApp) -> AppSpec {
    let doc = &app.docs.app;
    AppSpec {
        name: doc.name.clone(),
        vsn: doc.version.clone(),
        dir,
        start: doc.start.clone(),
        start_type: documents.release.boot_type(app),
        applications: documents.release.needs(app).into_iter().cloned().collect(),
        start_phases: doc.start_phases.clone(),
        env: documents.config.environment(doc),
    }
}
