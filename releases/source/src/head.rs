//! The beginning of a tarball.

use std::path::Path;

use reld_store::{Head, head_of_stream};

use crate::body::NotOpened;
use crate::error::Error;
use crate::source::Source;

/// Reads the manifest of a tarball and its signatures. The rest is neither read nor verified.
///
/// # Errors
/// [`Error::Silent`], [`Error::Status`], [`Error::Io`], and the errors of the store.
pub fn head(source: &Source) -> Result<Head, Error> {
    let body = source.open(0, None).map_err(|error| match error {
        NotOpened::Passing(fault) => Error::Silent { url: source.to_string(), source: fault },
        NotOpened::Refused(error) => error,
    })?;
    Ok(head_of_stream(Path::new(&source.to_string()), body.content)?)
}
