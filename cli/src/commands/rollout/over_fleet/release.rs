//! The release of a rollout over a fleet.

use std::path::Path;

use super::super::target::Tarball;
use crate::error::Failure;

/// A release, and the URL from which nodes get it that do not have it.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) source: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) identity: String,
}

impl Release {
    /// Reads the head of the tarball. Nodes verify the whole one against its identity.
    pub(super) fn of(document: &Path, release: &str) -> Result<Self, Failure> {
        let (tarball, head) = Tarball::read(document, release)?;
        let source = match tarball {
            Tarball::Url(url) => url,
            Tarball::File(file) => {
                let file = std::path::absolute(&file)
                    .map_err(|fault| Failure::io("find", file.display(), &fault))?;
                format!("file://{}", file.display())
            }
        };
        let manifest = head.manifest;
        Ok(Self {
            source,
            name: manifest.name.to_string(),
            version: manifest.version.to_string(),
            identity: manifest.identity().to_string(),
        })
    }
}
