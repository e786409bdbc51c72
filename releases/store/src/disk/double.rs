//! Disks that fail on purpose.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// The behaviour of a [`FaultyDisk`] from its fault on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Only the n-th step fails, as if the disk was full for a moment.
    Once,
    /// All later steps fail too, as after `kill -9`.
    Dead,
}

/// The machine's disk, which fails at its n-th step. Syncs do nothing, because no test can observe
/// them.
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

    /// Returns a disk that never fails and reports this free space.
    pub(crate) fn with_room(room: Room) -> Self {
        Self { room, ..Self::sound() }
    }

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
        self.step().and_then(|()| RealDisk::Durable.create_dir(path))
    }

    fn create(&self, path: &Path, mode: u32) -> io::Result<File> {
        self.step().and_then(|()| RealDisk::Durable.create(path, mode))
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        self.step().and_then(|()| RealDisk::Durable.write(file, bytes))
    }

    fn sync(&self, _: &Path) -> io::Result<()> {
        self.step()
    }

    fn sync_filesystem(&self, _: &Path) -> io::Result<()> {
        self.step()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step().and_then(|()| RealDisk::Durable.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step().and_then(|()| RealDisk::Durable.remove(path))
    }

    fn room(&self, _: &Path) -> io::Result<Room> {
        Ok(self.room)
    }
}
