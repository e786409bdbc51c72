//! Comparing what is on disk with what a manifest says.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::error::Error;
use crate::layout::{self, Root};
use crate::lifecycle::KnownRelease;
use crate::manifest::{FileEntry, MANIFEST, Manifest};

/// Returns the manifest of a known release after comparing every file of the release with it.
///
/// # Errors
/// [`Error::Tampered`] with the first file that differs, is missing or is too many; [`Error::Io`].
pub(crate) fn verify(root: &Root, release: &KnownRelease) -> Result<Manifest, Error> {
    let manifest = manifest(root, release)?;
    let apps = release.apps.iter().map(|app| app.dir.clone());
    for folder in apps.chain([layout::release_dir(&release.version)]) {
        if let Some(path) = difference(root, &folder, &manifest)? {
            return Err(Error::Tampered { vsn: release.version.clone(), path });
        }
    }
    Ok(manifest)
}

/// Returns the manifest of a known release, which must be the one that the status table recorded.
pub(crate) fn manifest(root: &Root, release: &KnownRelease) -> Result<Manifest, Error> {
    let path = root.manifest_file(&release.version);
    let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    match Manifest::parse(&text) {
        Ok(manifest) if manifest.identity() == release.identity => Ok(manifest),
        _ => Err(Error::Tampered { vsn: release.version.clone(), path }),
    }
}

/// Returns the first file in which a folder below the root differs from the manifest, if there is one.
pub(crate) fn difference(root: &Root, folder: &str, manifest: &Manifest) -> Result<Option<PathBuf>, Error> {
    let mut listed: BTreeMap<&str, &FileEntry> =
        manifest.files_below(folder).map(|file| (file.path.as_str(), file)).collect();
    for path in files(root.path(), folder)? {
        let full = root.path().join(&path);
        let is_same = match listed.remove(path.as_str()) {
            Some(file) => has_content(&full, file)?,
            // A manifest does not list itself.
            None => path == format!("{folder}/{MANIFEST}"),
        };
        if !is_same {
            return Ok(Some(full));
        }
    }
    Ok(listed.into_keys().next().map(|missing| root.path().join(missing)))
}

fn has_content(path: &Path, file: &FileEntry) -> Result<bool, Error> {
    let metadata = fs::symlink_metadata(path).map_err(Error::io("read", path))?;
    if !metadata.is_file() || metadata.len() != file.size {
        return Ok(false);
    }
    let (_, digest) = Digest::of_file(path).map_err(Error::io("read", path))?;
    Ok(digest == file.sha256)
}

/// Returns the paths, below `top`, of everything in a folder that is not a folder itself; sorted within a folder.
pub(crate) fn files(top: &Path, folder: &str) -> Result<Vec<String>, Error> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let full = top.join(&folder);
        for name in layout::names(&full)? {
            let name = name.into_string().map_err(|name| Error::NotPackable { path: full.join(name) })?;
            let path = format!("{folder}/{name}");
            let metadata =
                fs::symlink_metadata(top.join(&path)).map_err(Error::io("read", &top.join(&path)))?;
            if metadata.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    Ok(files)
}
