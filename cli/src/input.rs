//! Files that a command reads, where `-` stands for stdin.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::Failure;

/// Reports whether a file of the command line is stdin. The path `./-` is a file of that name.
pub(crate) fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// Returns a file of the command line that is a URL. The path `./a://b` is a file of that name.
pub(crate) fn url(file: &Path) -> Option<&str> {
    file.to_str().filter(|file| file.contains("://") && !file.starts_with(['.', '/']))
}

/// Returns stdin.
///
/// # Errors
/// A usage error if it is a terminal; it is closed.
pub(crate) fn stdin() -> Result<File, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        let refused = Failure::usage("cannot read a tarball or a document from a terminal");
        return Err(refused.or_hint("redirect stdin from a file or a pipe, or name a file"));
    }
    let descriptor = stdin.as_fd().try_clone_to_owned();
    Ok(descriptor.map_err(|fault| Failure::io("read", "stdin", &fault))?.into())
}

/// A file that can be read more than once. Stdin cannot, so its content is stored in a temporary
/// folder, which is removed on drop.
#[derive(Debug)]
pub(crate) struct Input {
    path: PathBuf,
    _stored: Option<TempDir>,
}

impl Input {
    /// Makes an input of a file of the command line.
    ///
    /// # Errors
    /// Stdin is a terminal, or cannot be stored.
    pub(crate) fn of(file: &Path) -> Result<Self, Failure> {
        if !is_stdin(file) {
            return Ok(Self { path: file.to_owned(), _stored: None });
        }
        let mut stdin = stdin()?;
        let unstored = |fault: io::Error| Failure::io("store", "stdin in a temporary folder", &fault);
        let folder = TempDir::with_prefix("relctl-").map_err(unstored)?;
        let path = folder.path().join("stdin");
        File::create(&path).and_then(|mut copy| io::copy(&mut stdin, &mut copy)).map_err(unstored)?;
        Ok(Self { path, _stored: Some(folder) })
    }

    /// Makes inputs of two files, of which one may be stdin.
    ///
    /// # Errors
    /// As [`Input::of`], and a usage error if both are stdin.
    pub(crate) fn pair(one: &Path, other: &Path) -> Result<[Self; 2], Failure> {
        if is_stdin(one) && is_stdin(other) {
            return Err(
                Failure::usage("cannot read both releases from stdin").or_hint("name one of the files")
            );
        }
        Ok([Self::of(one)?, Self::of(other)?])
    }

    /// Returns the path to read.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
