//! Files of Unix sockets. Only sockets are ever replaced or removed.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// A socket file that this OS process has opened.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// The device number and the inode of the file.
    id: (u64, u64),
}

impl SocketFile {
    /// Listens at a path. A left-over socket file without a listener is replaced.
    ///
    /// # Errors
    /// The errors of the system; `AddrInUse` with a description if the path is in use.
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

    /// Removes the file, unless it was replaced by another socket. If the file cannot be removed,
    /// the next daemon replaces it.
    pub(crate) fn remove(self) -> io::Result<()> {
        match Self::of(&self.path) {
            Ok(found) if found.id == self.id => std::fs::remove_file(self.path),
            _ => Ok(()),
        }
    }
}

/// Checks that the path is a socket without a listener.
fn replaceable(path: &Path) -> io::Result<()> {
    let in_use = |why| Err(io::Error::new(io::ErrorKind::AddrInUse, why));
    if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
        return in_use("the path is not a socket; remove the file or choose another path");
    }
    match UnixStream::connect(path) {
        Ok(_) => in_use("another process listens there; stop it or choose another path"),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
    }
}
