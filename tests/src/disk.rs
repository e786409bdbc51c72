//! A small disk that tests fill up.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::has;

/// A mounted disk of 96 MB. Dropping this value unmounts it.
#[derive(Debug)]
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Mounts a disk, or returns `None` where mounting is not permitted.
    pub fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mounts = || {
            let mut mount = Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", "size=96m", "tmpfs"]).arg(folder.path());
            mount.status().is_ok_and(|status| status.success())
        };
        has("mount", mounts).then_some(Self(folder))
    }

    /// Returns the mount point.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills the disk to the last byte, and returns the file to delete.
    pub fn fill(&self) -> PathBuf {
        let path = self.path().join("fill");
        let mut file = File::create(&path).expect("the disk has space");
        // A failed write has used the space that was left.
        while file.write_all(&[0; 1 << 20]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
