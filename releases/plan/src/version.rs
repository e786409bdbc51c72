//! Versions, and what an appup entry says about them.

use std::fmt;
use std::str::FromStr;

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

use crate::read::{self, Fault, Node};

/// Version of an app, of a release or of the daemon: a semantic version, written as a string everywhere.
///
/// Its order is never used to decide a direction: an appup says where one may go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vsn(Version);

impl Vsn {
    /// Returns the version `major.minor.patch`.
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self(Version::new(major, minor, patch))
    }

    /// Returns the semantic version inside.
    pub const fn as_semver(&self) -> &Version {
        &self.0
    }

    pub(crate) fn read(node: Node<'_>) -> Result<Self, Fault> {
        let text = read::string(node.clone())?;
        text.parse().map_err(|error: VsnError| Fault::at(&node, error.to_string()))
    }
}

/// The text is no semantic version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a version such as \"1.2.3\": {reason}")]
pub struct VsnError {
    text: String,
    reason: String,
}

impl FromStr for Vsn {
    type Err = VsnError;

    fn from_str(text: &str) -> Result<Self, VsnError> {
        let wrong = |reason: semver::Error| VsnError { text: text.to_owned(), reason: reason.to_string() };
        Version::parse(text).map(Self).map_err(wrong)
    }
}

impl fmt::Display for Vsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which versions an appup entry is for.
///
/// Unlike OTP, where the other form is a regular expression over the text, a range is a semver requirement: versions
/// are numbers here, and `1\.0|1` has surprised everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VsnMatch {
    /// This very version, build metadata included.
    Exact(Vsn),
    /// Every version that satisfies the requirement, in cargo's sense: `1.2` is `^1.2`, and a pre-release needs a
    /// requirement that names one.
    Requirement(VersionReq),
}

impl VsnMatch {
    /// Returns whether the entry is for this version.
    pub fn matches(&self, vsn: &Vsn) -> bool {
        match self {
            Self::Exact(exact) => exact == vsn,
            Self::Requirement(requirement) => requirement.matches(&vsn.0),
        }
    }

    pub(crate) fn read(node: Node<'_>) -> Result<Self, Fault> {
        let text = read::string(node.clone())?;
        text.parse().map_err(|error: VsnError| Fault::at(&node, error.to_string()))
    }
}

impl FromStr for VsnMatch {
    type Err = VsnError;

    fn from_str(text: &str) -> Result<Self, VsnError> {
        if let Ok(exact) = text.parse() {
            return Ok(Self::Exact(exact));
        }
        let wrong = |reason: semver::Error| VsnError { text: text.to_owned(), reason: reason.to_string() };
        VersionReq::parse(text).map(Self::Requirement).map_err(wrong)
    }
}

impl fmt::Display for VsnMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(vsn) => vsn.fmt(f),
            Self::Requirement(requirement) => requirement.fmt(f),
        }
    }
}
