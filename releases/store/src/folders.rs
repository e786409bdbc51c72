//! Finds the folders of apps.

use std::fs;
use std::path::{Path, PathBuf};

use reld_plan::{App, Rel, RelApp};

use crate::error::Error;
use crate::{documents, layout};

/// The maximum depth of an `app.toml` below the folder of all apps, in folders.
const DEPTH_MAX: usize = 8;

/// An app folder: its path and its `app.toml`.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) app: App,
}

/// Returns the folders of the apps of a release, in its order.
///
/// # Errors
/// [`Error::NoApp`], [`Error::AppTwice`], a mistake in an `app.toml`, or the disk failed.
pub fn app_folders(apps: &Path, rel: &Rel) -> Result<Vec<(PathBuf, App)>, Error> {
    let folders = find(apps)?;
    let chosen = rel.apps.iter().map(|wanted| choose(apps, &folders, wanted));
    chosen.map(|folder| folder.map(|Folder { path, app }| (path, app))).collect()
}

/// Finds all app folders below `top`. Names and versions come from their `app.toml`, never from
/// folder names.
pub(crate) fn find(top: &Path) -> Result<Vec<Folder>, Error> {
    let mut found = Vec::new();
    let mut open = vec![(top.to_owned(), 0)];
    while let Some((path, depth)) = open.pop() {
        let document = path.join("app.toml");
        if document.is_file() {
            let app = App::parse(&document.to_string_lossy(), &documents::text_of(&document)?)?;
            found.push(Folder { path, app });
        } else if depth < DEPTH_MAX {
            open.extend(subfolders(&path)?.into_iter().map(|folder| (folder, depth + 1)));
        }
    }
    Ok(found)
}

/// Returns the subfolders of a folder, without links, hidden folders and cargo's `target`.
fn subfolders(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let is_searched = |name: &str| !name.starts_with('.') && name != "target";
    let names = layout::names(path)?.into_iter().filter(|name| name.to_str().is_some_and(is_searched));
    let is_folder = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    Ok(names.map(|name| path.join(name)).filter(is_folder).collect())
}

/// Chooses the one folder with the name and the version of an app.
pub(crate) fn choose(apps: &Path, folders: &[Folder], wanted: &RelApp) -> Result<Folder, Error> {
    let named = || folders.iter().filter(|folder| folder.app.name == wanted.name);
    let mut fitting = named().filter(|folder| folder.app.version == wanted.version);
    match (fitting.next(), fitting.next()) {
        (Some(folder), None) => Ok(folder.clone()),
        (Some(one), Some(other)) => Err(Error::AppTwice {
            name: wanted.name.clone(),
            version: wanted.version.clone(),
            folders: [one.path.clone(), other.path.clone()],
        }),
        (None, _) => Err(Error::NoApp {
            apps: apps.to_owned(),
            name: wanted.name.clone(),
            version: wanted.version.clone(),
            found: named().map(|folder| folder.app.version.clone()).collect(),
        }),
    }
}
