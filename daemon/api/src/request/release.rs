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
    /// How long its parts may take.
    #[serde(default)]
    pub timeouts: Timeouts,
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
    /// How long its parts may take.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// `relctl downgrade [VSN]`: like [`Upgrade`], to the release that ran before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Downgrade {
    /// The release to go to, which must have run before; absent: the one from which the node came to the running one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether the release becomes permanent.
    #[serde(default)]
    pub end: End,
    /// How long its parts may take.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// How long the parts of an upgrade may take, in milliseconds. It is rolled back when one takes longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// For the processes concerned to come to rest; absent: what the appup says, else 1000. OTP: `suspend_timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend_ms: Option<u64>,
    /// For the conversion of each single state; absent: 5000. OTP: `code_change_timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_change_ms: Option<u64>,
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
