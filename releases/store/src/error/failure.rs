//! The cause of a failure to read a tarball.

use std::io;
use std::path::Path;

use super::Error;
use crate::fault::Fault;

/// The cause of a failure to read a tarball: the tarball or the node.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The tarball is invalid.
    Tarball(Fault),
    /// The node failed.
    Node(Error),
}

impl Failure {
    /// Returns a closure for `map_err` that names the tarball.
    pub(crate) fn of(path: &Path) -> impl FnOnce(Self) -> Error {
        move |failure| match failure {
            Self::Tarball(source) => Error::Tarball { path: path.to_owned(), source },
            Self::Node(error) => error,
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Tarball(fault)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Node(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Tarball(Fault::NotATarball(error))
    }
}
