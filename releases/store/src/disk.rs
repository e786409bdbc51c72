//! Puts all changes of the disk behind one trait, so that a test can stop the store at any change.

#[cfg(test)]
pub(crate) mod double;
#[cfg(test)]
pub(crate) mod power;

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::room::Room;

/// The steps by which the store changes the disk. Reads use `std::fs` directly.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Creates a folder and its parents.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Creates a file, which must not exist.
    fn create(&self, path: &Path, mode: u32) -> io::Result<File>;
    /// Writes all bytes.
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()>;
    /// Syncs one file, or the names in one folder, to the medium.
    fn sync(&self, path: &Path) -> io::Result<()>;
    /// Syncs the whole filesystem of `path` to the medium: one barrier for a whole staged release.
    fn sync_filesystem(&self, path: &Path) -> io::Result<()>;
    /// Renames a file or folder, replacing an existing file.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Deletes a file, a link (never its target) or a whole folder.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Returns the free space for a folder.
    fn room(&self, folder: &Path) -> io::Result<Room>;
}

const MODE_FOLDER: u32 = 0o755;

/// Creates a folder and its missing parents with this access mode. The mode is set explicitly,
/// because an app may change the umask of the OS process at any time.
///
/// # Errors
/// Errors of the file system.
pub fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    match fs::create_dir(path) {
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(path.parent().ok_or(error)?, mode)?;
            make_folder(path, mode)
        }
        Err(error) => {
            if path.is_dir() {
                Ok(())
            } else {
                Err(error)
            }
        }
    }
}

/// The machine's own disk.
#[derive(Debug)]
pub(crate) enum RealDisk {
    Durable,
    /// For files that need not outlive the daemon. They are never synced.
    Fleeting,
}

impl Disk for RealDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        make_folder(path, MODE_FOLDER)
    }

    fn create(&self, path: &Path, mode: u32) -> io::Result<File> {
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        Ok(file)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Durable => File::open(path)?.sync_all(),
            Self::Fleeting => Ok(()),
        }
    }

    fn sync_filesystem(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Durable => Ok(nix::unistd::syncfs(File::open(path)?)?),
            Self::Fleeting => Ok(()),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
    }

    fn room(&self, folder: &Path) -> io::Result<Room> {
        Room::of(folder)
    }
}
