//! How much may be written.
//!
//! A disk that is full keeps a node from noting what it boots, and its apps from their work. So a
//! release that would need the reserve is refused before anything of it is written ([`check`]). A
//! boot may use the reserve ([`check_boot`]): one that fails on a full disk, or on one that became
//! read-only, says nothing about its release.

use std::path::Path;

use crate::disk::Disk;
use crate::error::Error;
use crate::layout::Root;
use crate::manifest::Manifest;

/// The most that is kept free, in bytes. It is less on a small disk.
const RESERVE_MAX: u64 = 64 << 20;

/// What a boot writes beside copies of its libraries: tables, logs of apps, the history.
const SLACK: u64 = 1 << 20;

/// The room on a filesystem, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) free: u64,
    pub(crate) total: u64,
}

impl Room {
    /// Asks the filesystem of a folder.
    pub(crate) fn of(folder: &Path) -> std::io::Result<Self> {
        let found = nix::sys::statvfs::statvfs(folder)?;
        let block = found.fragment_size();
        let bytes = |blocks: u64| blocks.saturating_mul(block);
        Ok(Self { free: bytes(found.blocks_available()), total: bytes(found.blocks()) })
    }

    fn reserve(self) -> u64 {
        RESERVE_MAX.min(self.total / 20)
    }
}

/// Refuses to write so many bytes where they would leave less than the reserve.
///
/// # Errors
/// [`Error::TooFull`] and [`Error::Io`].
pub(crate) fn check(disk: &dyn Disk, folder: &Path, needed: u64) -> Result<(), Error> {
    let room = disk.room(folder).map_err(Error::io("ask for the room below", folder))?;
    // Some filesystems do not say how large they are.
    if room.total == 0 || room.free >= needed.saturating_add(room.reserve()) {
        return Ok(());
    }
    Err(Error::TooFull { folder: folder.to_owned(), needed, free: room.free, reserve: room.reserve() })
}

/// Checks that a boot of a release finds room. A manifest that cannot be read is the business of the boot.
///
/// # Errors
/// [`Error::NoRoom`]; [`Error::Io`] where nothing at all can be written.
pub(crate) fn check_boot(root: &Root, manifest: Option<&Manifest>) -> Result<(), Error> {
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
