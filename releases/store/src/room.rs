//! The limits on disk space.
//!
//! On a full disk, a node cannot record its boots and its apps cannot work. Therefore some space
//! stays in reserve: an unpack that would need it is refused before anything is written
//! ([`check`]), but a boot may use it. If a boot fails and has too little space ([`check_boot`]),
//! the failure does not count: a boot that fails on a full or read-only disk proves nothing about
//! its release.

use std::path::Path;

use crate::disk::Disk;
use crate::error::Error;
use crate::layout::Root;
use crate::manifest::Manifest;

/// The maximum reserve, in bytes. It is smaller on a small disk.
const RESERVE_MAX: u64 = 64 << 20;

/// The space that a boot needs besides the copies of its libraries, for tables, logs of apps and
/// the history.
const SLACK: u64 = 1 << 20;

/// The space on a filesystem, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) free: u64,
    pub(crate) total: u64,
}

impl Room {
    /// Returns the space on the filesystem of a folder.
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

/// Refuses a write that would leave less than the reserve.
///
/// # Errors
/// [`Error::TooFull`] and [`Error::Io`].
pub(crate) fn check(disk: &dyn Disk, folder: &Path, needed: u64) -> Result<(), Error> {
    let room = disk.room(folder).map_err(Error::io("read the free space of", folder))?;
    // Some filesystems do not report their size.
    if room.total == 0 || room.free >= needed.saturating_add(room.reserve()) {
        return Ok(());
    }
    Err(Error::TooFull { folder: folder.to_owned(), needed, free: room.free, reserve: room.reserve() })
}

/// Checks that a boot of a release has enough space. The boot itself reports an unreadable
/// manifest.
///
/// # Errors
/// [`Error::NoRoom`]; [`Error::Io`] if nothing can be written.
pub(crate) fn check_boot(root: &Root, manifest: Option<&Manifest>) -> Result<(), Error> {
    let files = manifest.map(|manifest| manifest.files.as_slice()).unwrap_or_default();
    let libraries: u64 = files.iter().filter(|file| file.path.ends_with(".so")).map(|file| file.size).sum();
    let needed = libraries + SLACK;
    let path = root.path();
    let free = root.disk().room(path).map_err(Error::io("read the free space of", path))?.free;
    if free < needed {
        return Err(Error::NoRoom { root: path.to_owned(), free, needed });
    }
    // Only a write detects a read-only disk or a quota.
    let file = root.run_dir().join("room");
    root.disk().create_dir(&root.run_dir()).map_err(Error::io("create", &root.run_dir()))?;
    // A killed daemon may have left the file.
    let _ = root.disk().remove(&file);
    root.write(&file, "room")?;
    root.disk().remove(&file).map_err(Error::io("delete", &file))
}
