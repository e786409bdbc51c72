//! The release of a rollout, and the way in which a node gets it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use reld_api::{ErrorCode, ErrorReport};
use reld_plan::Rollout;
use reld_store::head_of_tarball;

use super::ssh::beside;
use crate::error::Failure;

/// The number of digits of the identity in the name of a rollout.
const DIGITS: usize = 8;

/// The release of a rollout.
#[derive(Debug)]
pub(super) struct Target {
    /// The name of the rollout, for the histories of the nodes. A rollout of the same content has
    /// the same name, so a later driver finds the work of an earlier one.
    pub(super) rollout: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) identity: String,
    pub(super) tarball: PathBuf,
    /// The seconds for which each node watches the release.
    pub(super) settle: u64,
    pub(super) probe: Option<Probe>,
}

/// The program that accepts the release on a node.
#[derive(Debug)]
pub(super) enum Probe {
    /// A file that is sent.
    File(PathBuf),
    /// A command there.
    Command(String),
}

impl Target {
    /// Reads the head of the tarball.
    pub(super) fn of(document: &Path, rollout: &Rollout) -> Result<Self, Failure> {
        let tarball = beside(document, &rollout.release);
        let manifest = head_of_tarball(&tarball)?.manifest;
        let identity = manifest.identity().to_string();
        let (name, version) = (manifest.name.to_string(), manifest.version.to_string());
        Ok(Self {
            rollout: format!("{name}-{version}-{}", &identity[..DIGITS]),
            name,
            version,
            identity,
            tarball,
            settle: rollout.settle.as_secs(),
            probe: rollout.probe.as_deref().map(|text| Probe::of(document, text)).transpose()?,
        })
    }
}

impl Probe {
    fn of(document: &Path, text: &str) -> Result<Self, Failure> {
        let file = beside(document, text);
        let Some(facts) = file.metadata().ok().filter(std::fs::Metadata::is_file) else {
            return Ok(Self::Command(text.to_owned()));
        };
        if facts.permissions().mode() & 0o111 == 0 {
            let why = format!("cannot use the probe {}: it is not executable", file.display());
            let refused = ErrorReport::refused(ErrorCode::Probe, why);
            return Err(refused.with_hint(format!("`chmod +x {}`", file.display())).into());
        }
        Ok(Self::File(file))
    }
}
