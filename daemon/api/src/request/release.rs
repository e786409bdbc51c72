//! Release verbs.

use serde::{Deserialize, Serialize};

/// `relctl unpack FILE`: takes a release in. The body is the tarball itself, so that file permissions never matter.
///
/// Taking the same content in again changes nothing; another content under a known version is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unpack {}

/// `relctl check VSN`, and `--dry-run`: says what an install would do, and every obstacle that is known beforehand.
/// OTP: `check_install_release`. Unlike OTP's, it runs no code of apps in the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The release to go to, newer or older than the running one.
    pub version: String,
}

/// `relctl install VSN`: makes an unpacked or old release the current one. OTP: `install_release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Install {
    /// The release to go to.
    pub version: String,
    /// How long the processes concerned may take to come to rest; absent: what the script says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend_timeout_ms: Option<u64>,
}

/// `relctl commit [VSN]`: makes a release permanent. OTP: `make_permanent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The release; absent: the one that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// `relctl remove VSN`: forgets a release that is neither current nor permanent, and deletes what only it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    /// The release.
    pub version: String,
}

/// `relctl reboot-old VSN`: makes an old release permanent and restarts the node into it. OTP: `reboot_old_release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebootOld {
    /// The release.
    pub version: String,
}

/// `relctl upgrade VSN`: check, install and, unless it is to stay uncommitted, commit. Boots a node that is idle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// The release to go to; asking for the one that runs is nothing to do.
    pub version: String,
    /// Whether the release becomes permanent.
    #[serde(default)]
    pub end: End,
    /// As in [`Install`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend_timeout_ms: Option<u64>,
}

/// `relctl downgrade [VSN]`: like [`Upgrade`], to the release that ran before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Downgrade {
    /// The release to go to; absent: the latest one with the status `old`, or `permanent` where the running one is
    /// `current`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether the release becomes permanent.
    #[serde(default)]
    pub end: End,
    /// As in [`Install`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend_timeout_ms: Option<u64>,
}

/// How an upgrade ends when it went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The release becomes permanent.
    #[default]
    Commit,
    /// The release stays current: a restart of the node goes back.
    Current,
}

/// `relctl releases`: lists the releases the node knows. OTP: `which_releases`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Releases {}
