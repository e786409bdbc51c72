//! Whether the disk takes what a boot writes.
//!
//! A boot that fails on a full disk, or on one that became read-only, says nothing about its release. So the disk is
//! asked itself, before a boot and after one that failed.

use crate::error::Error;
use crate::layout::Root;
use crate::manifest::Manifest;

/// What a boot writes beside copies of its libraries: tables, logs of apps, the history.
const SLACK: u64 = 1 << 20;

/// Checks that a boot of a release finds room. A manifest that cannot be read is the business of the boot.
///
/// # Errors
/// [`Error::NoRoom`]; [`Error::Io`] where nothing at all can be written.
pub(crate) fn check(root: &Root, manifest: Option<&Manifest>) -> Result<(), Error> {
    let files = manifest.map(|manifest| manifest.files.as_slice()).unwrap_or_default();
    let libraries: u64 = files.iter().filter(|file| file.path.ends_with(".so")).map(|file| file.size).sum();
    let needed = libraries + SLACK;
    let path = root.path();
    let free = root.disk().room(path).map_err(Error::io("look at the disk of", path))?.free;
    if free < needed {
        return Err(Error::NoRoom { root: path.to_owned(), free, needed });
    }
    // A disk that is read-only, or a limit of the user's, shows only when something is written.
    let file = root.run_dir().join("room");
    root.disk().create_dir(&root.run_dir()).map_err(Error::io("make", &root.run_dir()))?;
    // A daemon that was killed may have left it.
    let _ = root.disk().remove(&file);
    root.write(&file, "room")?;
    root.disk().remove(&file).map_err(Error::io("delete", &file))
}
