//! One reading of a tarball.

use std::io::{self, Read};

use crate::error::Error;

/// A reading of a tarball.
pub(crate) struct Body {
    /// The position of its first byte: the wanted one, or 0.
    pub(crate) from: u64,
    /// The mark of this version of the file; `None` if the source has none, so that a part of it
    /// cannot be continued.
    pub(crate) tag: Option<String>,
    pub(crate) content: Box<dyn Read>,
}

/// A reading did not begin.
pub(crate) enum NotOpened {
    /// A later attempt may succeed.
    Passing(io::Error),
    Refused(Error),
}
