//! The errors of a download.

use std::io;
use std::path::PathBuf;

use reld_error_codes::ErrorCode;

/// A tarball was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL has another scheme, or none.
    #[error("cannot fetch {url}: it must begin with https://, http:// or file:///")]
    Scheme {
        /// The URL.
        url: String,
    },
    /// The server does not give the file.
    #[error("cannot fetch {url}: the server answers {status}")]
    Status {
        /// The URL.
        url: String,
        /// The status.
        status: u16,
    },
    /// The certificate of the server is not accepted.
    #[error(
        "cannot fetch {url}: its certificate is not accepted ({why}); add its CA to the certificates of this machine, or name a file with the CA in SSL_CERT_FILE"
    )]
    Certificate {
        /// The URL.
        url: String,
        /// The reason.
        why: String,
    },
    /// The server did not answer, or only that a later attempt may succeed.
    #[error("cannot fetch {url}")]
    Silent {
        /// The URL.
        url: String,
        /// The fault.
        #[source]
        source: io::Error,
    },
    /// The connection broke, several times in a row without a new byte.
    #[error("cannot fetch {url} to its end: {held} bytes have arrived, and are kept for the next attempt")]
    Cut {
        /// The URL.
        url: String,
        /// The number of bytes that are kept.
        held: u64,
        /// The last fault.
        #[source]
        source: io::Error,
    },
    /// The caller has given the download up.
    #[error("cannot fetch {url} to its end: the order was given up; the arrived bytes are kept")]
    GivenUp {
        /// The URL.
        url: String,
    },
    /// Another order fetches the file.
    #[error("cannot fetch {url}: another order fetches it")]
    Busy {
        /// The URL.
        url: String,
    },
    /// The release has another identity than the expected one.
    #[error("cannot accept {url}: its release has the identity {found}, not {expected}")]
    OtherIdentity {
        /// The URL.
        url: String,
        /// The identity of the release.
        found: String,
        /// The expected identity.
        expected: String,
    },
    /// The operating system refused a file.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The fault.
        #[source]
        source: io::Error,
    },
    /// The store refuses the tarball.
    #[error(transparent)]
    Refused(#[from] reld_store::Error),
}

impl Error {
    /// Returns the code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Scheme { .. }
            | Self::Status { .. }
            | Self::Certificate { .. }
            | Self::Silent { .. }
            | Self::Cut { .. }
            | Self::GivenUp { .. } => ErrorCode::DownloadFailed,
            Self::Busy { .. } => ErrorCode::Busy,
            Self::OtherIdentity { .. } => ErrorCode::OtherIdentity,
            Self::Io { .. } => ErrorCode::Io,
            Self::Refused(error) => error.code(),
        }
    }

    /// Returns whether a later attempt may succeed without a change of the URL or the node.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Silent { .. } | Self::Cut { .. } | Self::GivenUp { .. } | Self::Busy { .. })
    }

    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
