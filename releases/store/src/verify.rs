//! Comparing what is on disk with what a manifest says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, iter, thread};

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
    let folders: Vec<String> = apps.chain([layout::release_dir(&release.version)]).collect();
    if let Some(path) = difference(root, &folders, &manifest)? {
        return Err(Error::Tampered { vsn: release.version.clone(), path });
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

/// Returns the first file in which folders below the root differ from the manifest, if there is one: one that is missing or
/// too many before one that has another content.
pub(crate) fn difference(
    root: &Root,
    folders: &[impl AsRef<str>],
    manifest: &Manifest,
) -> Result<Option<PathBuf>, Error> {
    let mut there = Vec::new();
    for folder in folders.iter().map(AsRef::as_ref) {
        let mut listed: BTreeMap<&str, &FileEntry> =
            manifest.files_below(folder).map(|file| (file.path.as_str(), file)).collect();
        for path in files(root.path(), folder)? {
            let full = root.path().join(&path);
            match listed.remove(path.as_str()) {
                Some(file) => there.push((full, file)),
                // A manifest does not list itself.
                None if path == format!("{folder}/{MANIFEST}") => {}
                None => return Ok(Some(full)),
            }
        }
        if let Some(missing) = listed.into_keys().next() {
            return Ok(Some(root.path().join(missing)));
        }
    }
    first_changed(&there)
}

/// Returns the first file whose content is not what is listed. Several are read at once: with few processes that is most of
/// what an install does.
fn first_changed(files: &[(PathBuf, &FileEntry)]) -> Result<Option<PathBuf>, Error> {
    let next = AtomicUsize::new(0);
    // Whoever finds one stops; those before it are with others, who look to their end.
    let compare = || {
        iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed))
            .map_while(|at| files.get(at).map(|(path, file)| (at, path, has_content(path, file))))
            .find(|(_, _, same)| !matches!(same, Ok(true)))
    };
    let others = thread::available_parallelism().map_or(1, usize::from).min(files.len()).saturating_sub(1);
    let found = thread::scope(|scope| {
        // Where there is no thread to be had, this one reads all.
        let others: Vec<_> =
            (0..others).filter_map(|_| thread::Builder::new().spawn_scoped(scope, compare).ok()).collect();
        let own = compare();
        let join = |other: thread::ScopedJoinHandle<'_, _>| {
            other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        others.into_iter().filter_map(join).chain(own).min_by_key(|(at, ..)| *at)
    });
    match found {
        Some((_, path, Ok(_))) => Ok(Some(path.clone())),
        Some((.., Err(error))) => Err(error),
        None => Ok(None),
    }
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
            let name = name.into_string().map_err(|name| {
                let why = "its name is not UTF-8; rename it".to_owned();
                Error::NotPackable { path: full.join(name), why }
            })?;
            let path = format!("{folder}/{name}");
            let metadata =
                fs::symlink_metadata(top.join(&path)).map_err(Error::io("read", &top.join(&path)))?;
            if metadata.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    Ok(files)
}
