//! Faults of tarballs.

use std::io;
use std::path::Path;

use reld_plan::{AppName, DocError, Vsn};

use crate::error::Error;
use crate::manifest::Abi;

/// A fault of a tarball.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file is cut short, or not a gzip-compressed tar archive.
    #[error("it is not a complete gzip-compressed tar archive")]
    NotATarball(#[from] io::Error),
    /// The first entry is not a manifest.
    #[error("its first entry is not manifest.toml; make tarballs with `relctl pack`")]
    NoManifest,
    /// The manifest cannot be parsed.
    #[error("its manifest.toml is damaged")]
    BadManifest(#[source] DocError),
    /// The manifest cannot be parsed, and is for a newer reld.
    #[error(
        "it needs reld {least} or newer, and this is reld {own}: its manifest.toml has keys that this reld does not know"
    )]
    NewerManifest {
        /// The minimum version.
        least: Vsn,
        /// The version of this reld.
        own: Vsn,
    },
    /// The tarball is longer than the files in its manifest allow.
    #[error("it is longer than the files in its manifest.toml allow, at most {max} bytes")]
    TooMuch {
        /// The limit.
        max: u64,
    },
    /// A size in the tarball exceeds a limit.
    #[error("it claims {size} bytes, but at most {max} are allowed")]
    TooLarge {
        /// The claimed size.
        size: u64,
        /// The limit.
        max: u64,
    },
    /// A path leaves the root or the folders of releases.
    #[error("it names the path {0:?}, which is not below lib/ or releases/")]
    UnsafePath(String),
    /// A path is too long for a tarball.
    #[error("it names the path {0:?}, which is longer than 256 bytes")]
    LongPath(String),
    /// A path is neither in a folder of an app of the release nor in the folder of the release.
    #[error("it names {0}, which belongs to no app of the release")]
    Misplaced(String),
    /// The manifest's list is not sorted, or lists a path twice.
    #[error("its manifest.toml lists {0} twice or out of order")]
    Unsorted(String),
    /// An entry is not a regular file: link, device, folder, extension.
    #[error("its entry {path:?} is not a regular file (tar type {kind:?})")]
    NotAFile {
        /// The entry.
        path: String,
        /// Its type in the tar header.
        kind: char,
    },
    /// The manifest does not list an entry, or lists it as left out of the tarball.
    #[error("its entry {0:?} is not listed in its manifest.toml")]
    Unlisted(String),
    /// An entry appears twice.
    #[error("its entry {0:?} appears twice")]
    Twice(String),
    /// A listed file is missing.
    #[error("{0} is listed in its manifest.toml but missing")]
    Missing(String),
    /// An entry has another size than listed.
    #[error("{path} has {found} bytes, but its manifest.toml lists {listed}")]
    OtherSize {
        /// The file.
        path: String,
        /// Its size.
        found: u64,
        /// Its listed size.
        listed: u64,
    },
    /// An entry has another content than listed.
    #[error("{0} has another SHA-256 digest than listed in its manifest.toml")]
    OtherDigest(String),
    /// The manifest and the `release.toml` have different names.
    #[error("its manifest.toml names the release {manifest}, but its release.toml names it {release}")]
    OtherName {
        /// The name in the manifest.
        manifest: AppName,
        /// The name in the `release.toml`.
        release: AppName,
    },
    /// The manifest and the `release.toml` have different serials.
    #[error("its manifest.toml has serial {manifest}, but its release.toml has {release}")]
    OtherSerial {
        /// The serial in the manifest.
        manifest: u64,
        /// The serial in the `release.toml`.
        release: u64,
    },
    /// Its signatures are not sufficient.
    #[error(transparent)]
    Untrusted(#[from] reld_trust::Fault),
    /// A later release of its name was committed.
    #[error(
        "it has serial {serial}, and this node has committed serial {floor} of {name}; `--ignore-floor` accepts it"
    )]
    OlderThanFloor {
        /// The name of the release.
        name: AppName,
        /// Its serial.
        serial: u64,
        /// The highest committed serial.
        floor: u64,
    },
    /// Data follows the end of the archive.
    #[error("data follows its end")]
    Trailing,
    /// The libraries were built for another machine.
    #[error("it was built for {target}, this node is {node}")]
    OtherTarget {
        /// The target triple of the libraries.
        target: String,
        /// The node's.
        node: String,
    },
    /// The libraries use another version of the ABI.
    #[error("its libraries speak ABI {abi}, this node speaks {node}")]
    OtherAbi {
        /// The ABI of the libraries.
        abi: Abi,
        /// The node's.
        node: Abi,
    },
    /// The release needs a newer daemon.
    #[error("it needs reld {least} or newer, this node is reld {node}")]
    NeedsReld {
        /// The minimum version.
        least: Vsn,
        /// The node's version.
        node: Vsn,
    },
    /// The node has a release of this version, or an app of this version, with other content.
    #[error("{0} is on this node with other content; new content needs a new version")]
    OtherContent(String),
    /// A file is damaged on the node, and the tarball leaves it out.
    #[error("{0} is damaged on this node, and the tarball does not contain that file; unpack one that does")]
    NotCarried(String),
    /// The tarball leaves out a file of its release, which no node can have.
    #[error("it leaves out {0}, but only files of apps may be left out")]
    LeftOut(String),
    /// A folder of the release contains a file that is not part of it.
    #[error("{0} is on this node but belongs to no release; remove it, and unpack again")]
    Stray(String),
    /// The tarball leaves out an app that is not on the node.
    #[error("it does not contain {0}, and the node does not have it either; pack it with that app")]
    NotHere(String),
}

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
