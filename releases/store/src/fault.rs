//! What can be wrong with a tarball, by name.

use std::io;

use reld_plan::{AppName, DocError, Vsn};

use crate::manifest::Abi;

/// What is wrong with a tarball.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is cut short, no gzip file or no tar archive.
    #[error("it is no complete gzip-compressed tar archive")]
    NotATarball(#[from] io::Error),
    /// Its first entry is not a manifest.
    #[error("its first entry is not manifest.toml; make tarballs with `relctl pack`")]
    NoManifest,
    /// Its manifest can not be read.
    #[error("its manifest.toml is damaged")]
    BadManifest(#[source] DocError),
    /// Its manifest can not be read, and is for a newer reld.
    #[error(
        "it needs reld {least} or newer, and this is reld {own}: its manifest.toml has more in it than that knows"
    )]
    NewerManifest {
        /// The least version.
        least: Vsn,
        /// The version of this reld.
        own: Vsn,
    },
    /// More comes than the files that its manifest lists can make.
    #[error("it goes on beyond the files of its manifest.toml, which make {max} bytes at most")]
    TooMuch {
        /// The bound.
        max: u64,
    },
    /// Something claims more room than is granted.
    #[error("it claims {size} bytes where at most {max} are taken")]
    TooLarge {
        /// The claim.
        size: u64,
        /// The bound.
        max: u64,
    },
    /// A path that would leave the root or lies where no release may write.
    #[error("it names the path {0:?}, which is not below lib/ or releases/")]
    UnsafePath(String),
    /// A path that no tarball has room for.
    #[error("it names the path {0:?}, which is longer than 256 bytes")]
    LongPath(String),
    /// A path that belongs to no app of the release and is not the release's own.
    #[error("it names {0}, which belongs to no app of the release")]
    Misplaced(String),
    /// The manifest's list is not sorted, or names a path twice.
    #[error("its manifest.toml lists {0} twice or out of order")]
    Unsorted(String),
    /// An entry that is not a plain file: link, device, folder, extension.
    #[error("its entry {path:?} is not a plain file (tar type {kind:?})")]
    NotAFile {
        /// The entry.
        path: String,
        /// Its type in the tar header.
        kind: char,
    },
    /// An entry that the manifest does not list as carried.
    #[error("its entry {0:?} is not listed in its manifest.toml")]
    Unlisted(String),
    /// An entry that comes twice.
    #[error("its entry {0:?} comes twice")]
    Twice(String),
    /// A listed file that does not come.
    #[error("{0} is listed in its manifest.toml and missing")]
    Missing(String),
    /// An entry of another size than listed.
    #[error("{path} has {found} bytes, its manifest.toml says {listed}")]
    OtherSize {
        /// The file.
        path: String,
        /// Its size.
        found: u64,
        /// Its listed size.
        listed: u64,
    },
    /// An entry of another content than listed.
    #[error("{0} has another SHA-256 digest than its manifest.toml says")]
    OtherDigest(String),
    /// Its manifest and its release go by two names.
    #[error("its manifest.toml says that it is a release of {manifest}, its release.toml of {release}")]
    OtherName {
        /// What the manifest says.
        manifest: AppName,
        /// What the release says.
        release: AppName,
    },
    /// Something follows the end of the archive.
    #[error("something follows its end")]
    Trailing,
    /// It was built for another machine.
    #[error("it was built for {target}, this node is {node}")]
    OtherTarget {
        /// Its target triple.
        target: String,
        /// The node's.
        node: String,
    },
    /// Its libraries speak another boundary.
    #[error("its libraries speak ABI {abi}, this node speaks {node}")]
    OtherAbi {
        /// Theirs.
        abi: Abi,
        /// The node's.
        node: Abi,
    },
    /// It needs a newer daemon.
    #[error("it needs reld {least} or newer, this node is reld {node}")]
    NeedsReld {
        /// The least version.
        least: Vsn,
        /// The node's version.
        node: Vsn,
    },
    /// The node has a release of this version, or an app of this version, with other content.
    #[error("{0} is on this node with other content; new content needs a new version")]
    OtherContent(String),
    /// A file is damaged on the node, and the tarball leaves it out.
    #[error("{0} is damaged on this node, and it does not carry that file; unpack one that does")]
    NotCarried(String),
    /// A file in a folder of the release is none of its files.
    #[error("{0} is on this node and belongs to no release; take it away, and unpack again")]
    Stray(String),
    /// A part that the tarball leaves out is not on the node.
    #[error("it does not carry {0}, and the node does not have it; pack it with that app")]
    NotHere(String),
}
