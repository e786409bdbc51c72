//! Every change of the disk, behind one value, so that a test can stop the store at any of them.

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

#[cfg(test)]
pub(crate) mod double {
    //! Disks that fail on purpose.

    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// How a [`FaultyDisk`] behaves from its fault on.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Fault {
        /// Only that step fails, as when the disk is full for a moment: what follows works.
        Once,
        /// Nothing works any more, as after `kill -9`.
        Dead,
    }

    /// The machine's disk, failing at its n-th step. It never waits for the medium: no test can see that.
    #[derive(Debug)]
    pub(crate) struct FaultyDisk {
        pub(crate) fault: Fault,
        pub(crate) at: usize,
        steps: AtomicUsize,
        room: Room,
    }

    impl FaultyDisk {
        pub(crate) fn new(fault: Fault, at: usize) -> Self {
            let room = Room { free: 1 << 40, total: 1 << 40 };
            Self { fault, at, steps: AtomicUsize::new(0), room }
        }

        /// Returns a disk that never fails, with so much room.
        pub(crate) fn with_room(room: Room) -> Self {
            Self { room, ..Self::sound() }
        }

        /// Returns a disk that never fails.
        pub(crate) fn sound() -> Self {
            Self::new(Fault::Once, usize::MAX)
        }

        fn step(&self) -> io::Result<()> {
            let step = self.steps.fetch_add(1, Ordering::Relaxed);
            let fails = match self.fault {
                Fault::Once => step == self.at,
                Fault::Dead => step >= self.at,
            };
            if fails { Err(io::Error::from_raw_os_error(nix::libc::ENOSPC)) } else { Ok(()) }
        }
    }

    impl Disk for FaultyDisk {
        fn create_dir(&self, path: &Path) -> io::Result<()> {
            self.step().and_then(|()| RealDisk.create_dir(path))
        }

        fn create(&self, path: &Path, mode: u32) -> io::Result<File> {
            self.step().and_then(|()| RealDisk.create(path, mode))
        }

        fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
            self.step().and_then(|()| RealDisk.write(file, bytes))
        }

        fn sync(&self, _: &Path) -> io::Result<()> {
            self.step()
        }

        fn sync_filesystem(&self, _: &Path) -> io::Result<()> {
            self.step()
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.step().and_then(|()| RealDisk.rename(from, to))
        }

        fn remove(&self, path: &Path) -> io::Result<()> {
            self.step().and_then(|()| RealDisk.remove(path))
        }

        fn room(&self, _: &Path) -> io::Result<Room> {
            Ok(self.room)
        }
    }
}
