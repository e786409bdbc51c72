//! The private copies from which libraries are opened.
//!
//! The file of a release is never mapped itself, for two reasons. glibc identifies libraries by
//! path first, so a path that is used twice may return the old code without any error. A file that
//! shrinks while it is mapped ends the daemon with a SIGBUS. The name of a private copy contains a
//! number that this OS process never reuses. The copy is a new, read-only file that belongs to the
//! daemon.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Refusal;

const SUFFIX: &str = ".loaded.so";

/// The number of the next copy. There is one counter per OS process, like glibc's list of
/// libraries.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The file from which a library is opened. Dropping this value removes the file. Mappings of the
/// file stay valid.
#[derive(Debug)]
pub(crate) struct PrivateCopy {
    path: PathBuf,
}

impl PrivateCopy {
    /// Writes a copy in `folder`, which is an absolute path. The name of the copy contains
    /// `digest`, the digest of the source.
    pub(crate) fn write(folder: &Path, digest: &str, bytes: &[u8]) -> Result<Self, Refusal> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{number:06}-{}{SUFFIX}", &digest[..digest.len().min(16)]));
        match write_new(&path, bytes) {
            Ok(()) => Ok(Self { path }),
            Err(error) => Err(Refusal::Copy { copy: path, error }),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateCopy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a private copy");
        }
    }
}

/// Creates the folder of the copies, removes the copies of an earlier daemon, and returns its
/// absolute path.
pub(crate) fn prepare(folder: &Path) -> Result<PathBuf, Refusal> {
    sweep(folder).map_err(|error| Refusal::Copy { copy: folder.to_owned(), error })
}

fn sweep(folder: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(SUFFIX) {
            fs::remove_file(path)?;
        }
    }
    folder.canonicalize()
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?;
    // Set the mode explicitly, because an app may have changed the umask of the OS process.
    let private = Permissions::from_mode(0o400);
    file.set_permissions(private).and_then(|()| file.write_all(bytes)).inspect_err(|_| {
        // An error is ignored, because the caller gets the error of the write.
        let _ = fs::remove_file(path);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_never_get_the_same_path_twice() {
        let folder = tempfile::tempdir().unwrap();
        let first = PrivateCopy::write(folder.path(), "0123456789abcdef0123", b"code").unwrap();
        let used = first.path().to_owned();
        drop(first);
        assert!(!used.exists());
        let second = PrivateCopy::write(folder.path(), "0123456789abcdef0123", b"code").unwrap();
        assert_ne!(used, second.path());
        assert!(fs::metadata(second.path()).unwrap().permissions().readonly());
    }

    #[test]
    fn copies_of_an_earlier_daemon_are_removed_and_other_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (left, other) =
            (folder.path().join(format!("000007-ab{SUFFIX}")), folder.path().join("notes.txt"));
        fs::write(&left, "").unwrap();
        fs::write(&other, "").unwrap();
        prepare(folder.path()).unwrap();
        assert_eq!((left.exists(), other.exists()), (false, true));
    }
}
