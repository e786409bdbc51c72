//! Release verbs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::is_default;

/// `relctl unpack FILE`: unpacks a release. The body is the tarball itself, so that file
/// permissions never matter.
///
/// Unpacking the same content again repairs damaged files on the node and changes nothing else.
/// Different content under a known version is refused.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unpack {
    /// Whether to queue if the order cannot begin at once; refused otherwise. The order leaves the
    /// queue when its client disconnects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl check VSN`, and `--dry-run`: returns the steps of an install, and every obstacle that is
/// known beforehand. OTP: `check_install_release`. Unlike OTP's, it runs no app code in the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The release to go to, newer or older than the running one.
    pub version: String,
    /// Whether the running release may be left although it is not committed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub supersede: bool,
    /// The action for orphans.
    #[serde(default, skip_serializing_if = "is_default")]
    pub orphans: Orphans,
    /// Whether the modules would switch group by group.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group_windows: bool,
    /// Whether the release may have another name than the running one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rename: bool,
    /// Whether a release without a way back is accepted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub one_way: bool,
}

/// `relctl install VSN`: makes an unpacked or old release the current one. OTP: `install_release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Install {
    /// The release to go to.
    pub version: String,
    /// The time limits of its parts.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// The reaction to obstacles, and how much moves at once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub policy: Policy,
    /// Whether the running release may be left although it is not committed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub supersede: bool,
    /// Whether to queue if the order cannot begin at once; refused otherwise. The order leaves the
    /// queue when its client disconnects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl commit [VSN]`: makes a release permanent. OTP: `make_permanent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The release; absent: the running one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether to queue if the order cannot begin at once; refused otherwise. The order leaves the
    /// queue when its client disconnects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl remove VSN`: removes a release that is neither current nor permanent, with the files
/// that no other release uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    /// The release.
    pub version: String,
    /// Whether to queue if the order cannot begin at once; refused otherwise. The order leaves the
    /// queue when its client disconnects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl prune --keep N`: removes old releases except the newest. The running and the permanent
/// release, the releases that ran before these two, and releases that never ran are always kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prune {
    /// The number of old releases to keep.
    pub keep: u64,
    /// Whether to queue if the order cannot begin at once; refused otherwise. The order leaves the
    /// queue when its client disconnects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl prune --keep N --dry-run`: returns the releases that [`Prune`] would remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckPrune {
    /// The number of old releases to keep.
    pub keep: u64,
}

/// `relctl verify [VSN]`: compares every file of the releases with their manifests. It only reads,
/// and can run beside any order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// Only this release; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// `relctl reboot-old VSN`: makes an old release permanent and restarts the node into it. OTP:
/// `reboot_old_release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebootOld {
    /// The release.
    pub version: String,
    /// Whether to queue if the order cannot begin at once; refused otherwise. The order leaves the
    /// queue when its client disconnects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl upgrade VSN`: checks and installs a release and, unless it is to stay uncommitted,
/// commits it. Boots an idle node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// The release to go to; the running one needs no upgrade.
    pub version: String,
    /// Whether the release becomes permanent.
    #[serde(default)]
    pub end: End,
    /// The time limits of its parts.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// The reaction to obstacles, and how much moves at once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub policy: Policy,
    /// The checks before the release becomes permanent; only with [`End::Commit`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub settle: Settle,
    /// Whether the running release may be left although it is not committed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub supersede: bool,
    /// Whether the answer comes as soon as the upgrade has begun. [`Attach`] follows the upgrade
    /// then.
    #[serde(default, skip_serializing_if = "is_default")]
    pub detach: bool,
    /// Live, or by a restart of the node.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// Whether to queue if the order cannot begin at once; refused otherwise. The order leaves the
    /// queue when its client disconnects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl downgrade [VSN]`: like [`Upgrade`], to a release that ran before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Downgrade {
    /// The release to go to, which must have run before; absent: the one that ran before the
    /// running one. Required with `wait`, because the running release may change until the order's
    /// turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether the release becomes permanent.
    #[serde(default)]
    pub end: End,
    /// The time limits of its parts.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// The reaction to obstacles, and how much moves at once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub policy: Policy,
    /// The checks before the release becomes permanent; only with [`End::Commit`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub settle: Settle,
    /// Whether the running release may be left although it is not committed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub supersede: bool,
    /// Whether the answer comes as soon as the upgrade has begun. [`Attach`] follows the upgrade
    /// then.
    #[serde(default, skip_serializing_if = "is_default")]
    pub detach: bool,
    /// Whether to queue if the order cannot begin at once; refused otherwise. The order leaves the
    /// queue when its client disconnects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl upgrade --app APP DIR --dry-run`: returns the steps of [`UpgradeApp`]. The body is the
/// same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckApp {}

/// `relctl upgrade --app APP DIR`: switches one app of the running release to another version, up
/// or down. The node becomes dirty: the status table does not record the change, and a restart
/// discards it. OTP: `upgrade_app`, `downgrade_app`. The body is a release tarball with only that
/// app.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpgradeApp {
    /// Whether to queue if the order cannot begin at once; refused otherwise. The order leaves the
    /// queue when its client disconnects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// The time limits of the parts of an upgrade, in milliseconds. If one is exceeded, the upgrade is
/// rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// For the affected processes to come to rest; absent: the appup's value, else 1000. OTP:
    /// `suspend_timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend_ms: Option<u64>,
    /// For the conversion of each state; absent: 5000. OTP: `code_change_timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_change_ms: Option<u64>,
}

/// The reaction to obstacles of an upgrade, and how much of it moves at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The action for orphans: processes outside every supervision tree that use a changed module.
    #[serde(default, skip_serializing_if = "is_default")]
    pub orphans: Orphans,
    /// The action for processes of updated modules that do not come to rest in time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unrest: Unrest,
    /// The action for processes that crash in new code, between two windows or while the release
    /// settles.
    #[serde(default, skip_serializing_if = "is_default")]
    pub crashes: Crashes,
    /// Whether the modules switch group by group, each group in a window of its own, as in OTP. If
    /// a later window fails, the earlier ones are reverted by a down-conversion. Default: one
    /// window for everything, which happens completely or not at all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group_windows: bool,
    /// Whether the release may have another name than the running one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rename: bool,
    /// Whether a release without a way back is accepted. Default: if the release settles, or a step
    /// after the switch can fail, the way back of each state is tried before the switch, and a
    /// state without one stops the install.
    #[serde(default, skip_serializing_if = "is_default")]
    pub one_way: bool,
}

/// The action for orphans: behaviour processes outside every supervision tree that use a changed
/// module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orphans {
    /// The upgrade is refused.
    #[default]
    Refuse,
    /// They are killed, right after the switch.
    Kill,
    /// They are converted like all other processes.
    Include,
    /// They are left alone: their next message meets new code with an old state. OTP does this.
    Ignore,
}

/// The action for a process of an updated module that does not come to rest in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unrest {
    /// The upgrade is rolled back.
    #[default]
    Abort,
    /// It is killed, right after the switch.
    Kill,
    /// It continues in old code, and is converted when its callback returns.
    Leave,
}

/// The action for a process of the release that crashes in new code before the release is
/// committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crashes {
    /// The release is taken back at the first crash.
    #[default]
    Abort,
    /// The crash is reported, and the supervisor acts as usual. OTP does this.
    Ignore,
}

/// The end of a successful upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The release becomes permanent.
    #[default]
    Commit,
    /// The release stays current: a restart of the node goes back.
    Current,
}

/// `relctl releases`: lists the releases on the node. OTP: `which_releases`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Releases {}

/// The checks between an install and its commit. A release that fails them is taken back by a
/// downgrade.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    /// How long crashes of the release's processes are watched; [`Crashes`] defines the reaction.
    #[serde(default)]
    pub window_ms: u64,
    /// The command that runs after that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
}

/// A command that accepts or rejects a release by its exit code.
///
/// The daemon runs it with `sh -c`, as its own user, in its own process group, with `RELD_SOCKET`,
/// `RELD_FROM` and `RELD_TO` in its environment. `RELD_FROM` is empty if the node was idle. The
/// order is refused if the command begins with a program that the daemon does not find.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The command. With a script, only its display name.
    pub command: String,
    /// The program itself, which the daemon runs without arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,
    /// The time limit. After it the whole process group is killed, and the release is taken back.
    pub timeout_ms: u64,
}

/// A program sent by the client, for a daemon that may not read the client's files. Base64 text in
/// JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Script(pub Vec<u8>);

impl From<Script> for String {
    fn from(script: Script) -> Self {
        BASE64.encode(script.0)
    }
}

impl TryFrom<String> for Script {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        BASE64.decode(text).map(Self)
    }
}

/// How the node gets to a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// While everything runs.
    #[default]
    Live,
    /// All apps are stopped in order and the node boots the release. If it does not boot at once,
    /// the previous release is booted. No appup is needed. An idle node boots live.
    Restart,
}

/// `relctl history [NUMBER]`: the history of upgrades, downgrades and restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// Only this entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

/// `relctl attach`: follows the upgrade under way until it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attach {}

/// `relctl abort`: aborts and undoes the upgrade under way, and answers when that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Abort {}
