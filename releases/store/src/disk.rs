//! Every change of the disk, behind one value, so that a test can stop the store at any of them.

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

/// The steps by which the store changes the disk. Reading needs no such fence and uses `std::fs`.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Makes a folder and those above it.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes a file that must not be there yet.
    fn create(&self, path: &Path, mode: u32) -> io::Result<File>;
    /// Writes all bytes.
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()>;
    /// Brings one file, or the names in one folder, to the medium.
    fn sync(&self, path: &Path) -> io::Result<()>;
    /// Brings everything on the filesystem below `path` to the medium: one barrier for a whole staged release.
    fn sync_filesystem(&self, path: &Path) -> io::Result<()>;
    /// Gives a file or folder another name, replacing a file of that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Deletes a file, a link (never what it points to) or a whole folder.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Returns the room that is left for a folder.
    fn room(&self, folder: &Path) -> io::Result<Room>;
}

/// Access mode of a folder.
const MODE_FOLDER: u32 = 0o755;

/// Makes a folder, and those above it that are missing, with this access mode: the umask is the process's, and an app may
/// change it at any time.
///
/// # Errors
/// Those of the file system.
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
pub(crate) struct RealDisk;

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
        File::open(path)?.sync_all()
    }

    fn sync_filesystem(&self, path: &Path) -> io::Result<()> {
        Ok(nix::unistd::syncfs(File::open(path)?)?)
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
