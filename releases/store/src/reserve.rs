//! How much may be written: what is free on the disk, but for a reserve.
//!
//! A disk that is full keeps a node from noting what it boots, and its apps from their work. So a
//! release that would need the reserve is refused before anything of it is written.

use std::path::Path;

use crate::disk::Disk;
use crate::error::Error;

/// The most that is kept free, in bytes. It is less on a small disk.
const RESERVE_MAX: u64 = 64 << 20;

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
