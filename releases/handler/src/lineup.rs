//! A lineup: a release in which single apps may be replaced by other versions. OTP: `upgrade_app`,
//! `downgrade_app`.
//!
//! Replaced apps are for development only: the status table does not record them, a restart of the
//! node drops them, and the next installed release replaces them. Until then every plan starts from
//! the app that actually runs.

use std::collections::BTreeMap;
use std::path::Path;

use reld_plan::{AppDocs, AppName, Config, ReleaseApp, Vsn};
use reld_store::{Documents, Manifest, Platform, Store};
use serde::Serialize;

use crate::error::Error;
use crate::node::Library;

/// A single app from a tarball of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct SingleApp {
    /// The documents of the app.
    pub docs: AppDocs,
    /// The library of the app.
    pub library: Library,
}

/// The replacement of an app, done or planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplacedApp {
    /// The app.
    pub app: AppName,
    /// The version that ran before.
    pub from: Vsn,
    /// The new version.
    pub to: Vsn,
}

/// A release with replaced apps, and the node's own configuration. A way back therefore leads to
/// the configuration that was in force, even if the file was changed since.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lineup {
    pub(crate) vsn: Vsn,
    pub(crate) replaced: BTreeMap<AppName, SingleApp>,
    pub(crate) config: Config,
}

impl SingleApp {
    /// Unpacks the only app of a tarball below `place`. The folder has to exist as long as the app
    /// may run.
    ///
    /// # Errors
    /// [`Error::NotOneApp`] or [`Error::NoLibrary`], or the tarball is invalid, or the disk failed.
    pub fn unpack(tarball: &Path, platform: &Platform, place: &Path) -> Result<Self, Error> {
        let mut store = Store::open_fleeting(place)?;
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

/// Returns the library of an app; `None` if it has none.
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
    /// Returns the lineup of a release without replaced apps.
    pub(crate) const fn of(vsn: Vsn, config: Config) -> Self {
        Self { vsn, replaced: BTreeMap::new(), config }
    }

    /// Returns whether two lineups have the same code.
    pub(crate) fn is_same_code(&self, other: &Self) -> bool {
        (&self.vsn, &self.replaced) == (&other.vsn, &other.replaced)
    }

    /// Returns the lineup with another app replaced.
    pub(crate) fn with(&self, app: SingleApp) -> Self {
        let mut lineup = self.clone();
        lineup.replaced.insert(app.library.app.clone(), app);
        lineup
    }

    /// Reads the documents of the lineup.
    pub(crate) fn documents(&self, store: &Store) -> Result<Documents, reld_store::Error> {
        let mut documents = store.docs(&self.vsn)?;
        documents.config.node = self.config.clone();
        for app in self.replaced.values() {
            documents.release = documents.release.with_app(app.docs.clone())?;
        }
        Ok(documents)
    }
}
