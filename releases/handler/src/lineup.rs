//! What a node runs: a release, in which apps may have been replaced one by one. OTP: `upgrade_app`, `downgrade_app`.
//!
//! A replaced app is for development: it is in no status table, a restart of the node forgets it, and the next release
//! that is installed replaces it. Until then every plan begins with the app that really runs.

use std::collections::BTreeMap;
use std::path::Path;

use reld_plan::{AppDocs, AppName, ReleaseApp, Vsn};
use reld_store::{Documents, Manifest, Platform, Store};
use serde::Serialize;

use crate::error::Error;
use crate::node::Library;

/// An app by itself, out of a tarball of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct SingleApp {
    /// Its documents.
    pub docs: AppDocs,
    /// Its library.
    pub library: Library,
}

/// An app that was replaced, or was to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplacedApp {
    /// The app.
    pub app: AppName,
    /// The version that ran before.
    pub from: Vsn,
    /// The version asked for.
    pub to: Vsn,
}

/// What a node runs, or is to run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lineup {
    pub(crate) vsn: Vsn,
    pub(crate) replaced: BTreeMap<AppName, SingleApp>,
}

impl SingleApp {
    /// Takes the one app out of a tarball. Its files are laid out below `place`, which has to stay for as long as the
    /// app may run.
    ///
    /// # Errors
    /// [`Error::NotOneApp`]; what is wrong with the tarball; the disk failed.
    pub fn unpack(tarball: &Path, platform: &Platform, place: &Path) -> Result<Self, Error> {
        let mut store = Store::open(place)?;
        let release = store.unpack(tarball, platform)?.release;
        let [app] = release.apps.as_slice() else { return Err(Error::NotOneApp(release.apps.len())) };
        let (manifest, documents) = (store.manifest(&release.version)?, store.docs(&release.version)?);
        let found = documents.release.app(&app.name);
        let library = found.and_then(|found| library(&store, &manifest, found));
        match (found, library) {
            (Some(found), Some(library)) => Ok(Self { docs: found.docs.clone(), library }),
            _ => Err(Error::NoLibrary { app: app.name.clone(), vsn: app.version.clone() }),
        }
    }
}

/// Returns the library of an app; `None` for an app without one.
pub(crate) fn library(store: &Store, manifest: &Manifest, app: &ReleaseApp) -> Option<Library> {
    let (name, vsn) = (app.name(), app.version());
    let file = store.root().library(name, vsn);
    let below_root = file.strip_prefix(store.root().path()).ok()?.to_str()?;
    Some(Library {
        app: name.clone(),
        vsn: vsn.clone(),
        dir: store.root().app_dir(name, vsn),
        sha256: manifest.file(below_root)?.sha256.to_string(),
        modules: app.modules().to_vec(),
        file,
    })
}

impl Lineup {
    /// Returns a release as it was packed.
    pub(crate) const fn of(vsn: Vsn) -> Self {
        Self { vsn, replaced: BTreeMap::new() }
    }

    /// Returns the same with one app more replaced.
    pub(crate) fn with(&self, app: SingleApp) -> Self {
        let mut lineup = self.clone();
        lineup.replaced.insert(app.library.app.clone(), app);
        lineup
    }

    /// Reads its documents.
    pub(crate) fn documents(&self, store: &Store) -> Result<Documents, reld_store::Error> {
        let mut documents = store.docs(&self.vsn)?;
        for app in self.replaced.values() {
            documents.release = documents.release.with_app(app.docs.clone())?;
            // What the packer recorded is about the version that was replaced.
            documents.schemas.remove(&app.docs.app.name);
        }
        Ok(documents)
    }
}
