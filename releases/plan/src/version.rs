//! Versions, and the version patterns of appup entries.

use std::fmt;
use std::str::FromStr;

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

use crate::quote::Quoted;
use crate::read::{self, Fault, Node};

/// The maximum length of a version, in characters. Versions become part of file names.
const LENGTH_MAX: usize = 100;

/// The version of an app, a release or the daemon: a semantic version, written as a string
/// everywhere.
///
/// The order of versions never decides whether a move is an upgrade or a downgrade: the appups name
/// the possible targets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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

/// The text is not a semantic version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a version such as \"1.2.3\": {reason}")]
pub struct VsnError {
    text: String,
    reason: String,
}

impl VsnError {
    fn new(text: &str, reason: String) -> Self {
        Self { text: Quoted(text).to_string(), reason }
    }
}

impl FromStr for Vsn {
    type Err = VsnError;

    fn from_str(text: &str) -> Result<Self, VsnError> {
        if text.len() > LENGTH_MAX {
            return Err(VsnError::new(text, format!("it is longer than {LENGTH_MAX} characters")));
        }
        Version::parse(text).map(Self).map_err(|reason| VsnError::new(text, reason.to_string()))
    }
}

impl TryFrom<String> for Vsn {
    type Error = VsnError;

    fn try_from(text: String) -> Result<Self, VsnError> {
        text.parse()
    }
}

impl From<Vsn> for String {
    fn from(vsn: Vsn) -> Self {
        vsn.to_string()
    }
}

impl fmt::Display for Vsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The versions that an appup entry is for.
///
/// In OTP, an entry has an exact version or a regular expression over the version's text. Here, it
/// has an exact version or a semver requirement, because a regular expression such as `1\.0|1`
/// matches surprising versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VsnMatch {
    /// Exactly this version, including build metadata.
    Exact(Vsn),
    /// Every version that satisfies the requirement in Cargo's sense: `1.2` means `^1.2`, and a
    /// pre-release needs a requirement that names one.
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
        VersionReq::parse(text)
            .map(Self::Requirement)
            .map_err(|reason| VsnError::new(text, reason.to_string()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(versions: &str, fitting: &[&str], others: &[&str]) {
        let versions: VsnMatch = versions.parse().unwrap();
        let fits = |vsn: &&&str| versions.matches(&vsn.parse().unwrap());
        assert_eq!(fitting.iter().filter(fits).collect::<Vec<_>>(), fitting.iter().collect::<Vec<_>>());
        assert_eq!(others.iter().filter(fits).collect::<Vec<_>>(), [&""; 0]);
    }

    #[test]
    fn a_version_is_itself_and_a_requirement_is_cargos() {
        check("1.2.3", &["1.2.3"], &["1.2.4", "1.2.3-rc.1", "1.2.3+build"]);
        check("1.2.3+build", &["1.2.3+build"], &["1.2.3"]);
        check("=1.2.3", &["1.2.3", "1.2.3+build"], &["1.2.4"]);
        check("1.2", &["1.2.0", "1.9.0"], &["1.1.9", "2.0.0"]);
        check("~1.4", &["1.4.0", "1.4.9"], &["1.5.0"]);
        check(">=1.0.0, <1.2.0", &["1.0.0", "1.1.9"], &["1.2.0", "1.1.0-rc.1"]);
        check(">=1.1.0-rc.1, <1.2.0", &["1.1.0-rc.1", "1.1.0"], &["1.0.0"]);
        check("*", &["0.0.1", "9.9.9"], &["1.0.0-rc.1"]);
    }
}
