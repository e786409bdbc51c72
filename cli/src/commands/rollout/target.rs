//! The release of a rollout, and the way in which a node gets it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use reld_api::{ErrorCode, ErrorReport};
use reld_fleet::rollout_name;
use reld_plan::Rollout;
use reld_source::{Source, head};
use reld_store::{Head, head_of_tarball};

use super::ssh::beside;
use crate::error::Failure;
use crate::input;

/// The release of a rollout.
#[derive(Debug)]
pub(super) struct Target {
    /// The name of the rollout, for the histories of the nodes. A rollout of the same content has
    /// the same name, so a later driver finds the work of an earlier one.
    pub(super) rollout: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) identity: String,
    pub(super) tarball: Tarball,
    /// The seconds for which each node watches the release.
    pub(super) settle: u64,
    pub(super) probe: Option<Probe>,
}

/// The tarball of the release.
#[derive(Debug)]
pub(super) enum Tarball {
    /// A file that is sent to each node.
    File(PathBuf),
    /// A URL from which each node fetches it.
    Url(String),
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
        let (tarball, head) = Tarball::read(document, &rollout.release)?;
        let manifest = head.manifest;
        let identity = manifest.identity().to_string();
        let (name, version) = (manifest.name.to_string(), manifest.version.to_string());
        Ok(Self {
            rollout: rollout_name(&name, &version, &identity),
            name,
            version,
            identity,
            tarball,
            settle: rollout.settle.as_secs(),
            probe: rollout.probe.as_deref().map(|text| Probe::of(document, text)).transpose()?,
        })
    }
}

impl Tarball {
    /// Reads the head. Of a URL nothing else is read: each node verifies the whole tarball against
    /// the identity of this head.
    pub(super) fn read(document: &Path, release: &str) -> Result<(Self, Head), Failure> {
        if let Some(url) = input::url(Path::new(release)) {
            let head = head(&Source::parse(url)?)?;
            return Ok((Self::Url(url.to_owned()), head));
        }
        let file = beside(document, release);
        let head = head_of_tarball(&file)?;
        Ok((Self::File(file), head))
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
