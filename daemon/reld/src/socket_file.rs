//! Unix sockets by their files: only a socket is ever replaced or removed.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// The file of a socket that this daemon has opened.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

impl SocketFile {
    /// Listens at a path. A socket that is left there, where nothing answers, is replaced.
    ///
    /// # Errors
    /// Those of the system; `AddrInUse` where something else is there, with a word on what that is.
    pub(crate) fn listen(path: &Path) -> io::Result<(UnixListener, Self)> {
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                replaceable(path)?;
                std::fs::remove_file(path)?;
                UnixListener::bind(path)
            }
            bound => bound,
        }?;
        Ok((listener, Self::of(path)?))
    }

    fn of(path: &Path) -> io::Result<Self> {
        let found = std::fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), id: (found.dev(), found.ino()) })
    }

    /// Removes it, unless another one is there by now. The next daemon replaces one that stays.
    pub(crate) fn remove(self) -> io::Result<()> {
        match Self::of(&self.path) {
            Ok(found) if found.id == self.id => std::fs::remove_file(self.path),
            _ => Ok(()),
        }
    }
}

/// An error unless a socket is there that nothing listens at.
fn replaceable(path: &Path) -> io::Result<()> {
    let in_use = |why| Err(io::Error::new(io::ErrorKind::AddrInUse, why));
    if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
        return in_use("something that is no socket lies there; remove it or choose another path");
    }
    match UnixStream::connect(path) {
        Ok(_) => in_use("another process answers there; stop it or choose another path"),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
    }
}
