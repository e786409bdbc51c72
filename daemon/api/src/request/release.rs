//! Release verbs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::is_default;

/// `relctl unpack FILE`: unpacks a release. The body is the tarball itself and not a path, because
/// the daemon may lack permission to read the client's files.
///
/// If the same content is unpacked again, damaged files on the node are repaired, and nothing else
/// changes. Different content under a known version is refused, unless `replace` allows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unpack {
    /// Whether the release replaces one of its version with other content that does not run and
    /// never was permanent, such as one that was rolled back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub replace: bool,
    /// Whether the release is accepted although a release with a higher serial was committed. Only
    /// root and the owner of the policy of signatures may set it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ignore_floor: bool,
    /// Whether the order is queued if it cannot begin at once. Otherwise it is refused. A queued
    /// order is dropped when its client disconnects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl keys`: returns the policy of signatures, the keys that may sign, and the floors.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {}

/// `relctl unpack URL`: fetches a tarball and unpacks it. The daemon fetches, so a client that is
/// gone, and a cut connection, lose nothing that has arrived.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// The URL: `https://`, `http://`, or `file:///` for a file that the daemon can read.
    pub url: String,
    /// The identity that the release must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// As in [`Unpack`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub replace: bool,
    /// As in [`Unpack`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub ignore_floor: bool,
    /// As in [`Unpack`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl check VSN`, and `--dry-run`: returns the steps of an install, and every obstacle that
/// can be found beforehand. OTP: `check_install_release`. Unlike OTP's, it runs no app code in the
/// node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The version of the target release, newer or older than the running one.
    pub version: String,
    /// Whether the running release may be replaced although it is not committed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub supersede: bool,
    /// The action for orphans.
    #[serde(default, skip_serializing_if = "is_default")]
    pub orphans: Orphans,
    /// Whether the install would switch the modules group by group.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group_windows: bool,
    /// Whether the release may have another name than the running one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rename: bool,
    /// Whether a release that cannot be converted back is accepted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub one_way: bool,
}

/// `relctl downgrade [VSN] --dry-run`: like [`Check`], for a release that ran before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckDowngrade {
    /// The release to go to, which must have run before; absent: the one that ran before the
    /// running one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
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
    /// The version of the target release.
    pub version: String,
    /// The time limits for parts of the install.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// The reactions to obstacles, and the grouping of the windows.
    #[serde(default, skip_serializing_if = "is_default")]
    pub policy: Policy,
    /// Whether the running release may be replaced although it is not committed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub supersede: bool,
    /// Whether the order is queued if it cannot begin at once. Otherwise it is refused. A queued
    /// order is dropped when its client disconnects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl commit [VSN]`: makes a release permanent. OTP: `make_permanent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The version of the release; absent: the running one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether the order is queued if it cannot begin at once. Otherwise it is refused. A queued
    /// order is dropped when its client disconnects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl remove VSN`: removes a release that is neither current nor permanent. Files that another
/// release uses are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    /// The version of the release.
    pub version: String,
    /// Whether the order is queued if it cannot begin at once. Otherwise it is refused. A queued
    /// order is dropped when its client disconnects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl prune --keep N`: removes old releases except the newest N. Four kinds of releases are
/// always kept: the running release, the permanent release, the releases that ran before these two,
/// and releases that never ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prune {
    /// The number of old releases to keep.
    pub keep: u64,
    /// Whether the order is queued if it cannot begin at once. Otherwise it is refused. A queued
    /// order is dropped when its client disconnects.
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

/// `relctl verify [VSN]`: compares the files of the releases with the manifests. It only reads, and
/// can run at the same time as any order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// The version of the release to verify; absent: all releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// `relctl reboot-old VSN`: makes an old release permanent and restarts the node into it. OTP:
/// `reboot_old_release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebootOld {
    /// The version of the release.
    pub version: String,
    /// Whether the order is queued if it cannot begin at once. Otherwise it is refused. A queued
    /// order is dropped when its client disconnects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl upgrade VSN`: checks and installs a release, and commits it unless `end` is
/// [`End::Current`]. If the node is idle, the release is booted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// The version of the target release. The running release is accepted and needs no upgrade.
    pub version: String,
    /// Whether the release becomes permanent at the end.
    #[serde(default)]
    pub end: End,
    /// The time limits for parts of the upgrade.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// The reactions to obstacles, and the grouping of the windows.
    #[serde(default, skip_serializing_if = "is_default")]
    pub policy: Policy,
    /// The checks before the release becomes permanent; only with [`End::Commit`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub settle: Settle,
    /// Whether the running release may be replaced although it is not committed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub supersede: bool,
    /// Whether the answer is sent as soon as the upgrade has begun. [`Attach`] can then follow the
    /// upgrade.
    #[serde(default, skip_serializing_if = "is_default")]
    pub detach: bool,
    /// Whether the upgrade is live or restarts the node.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// The name of the rollout that the order belongs to, for the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<String>,
    /// Whether the order is queued if it cannot begin at once. Otherwise it is refused. A queued
    /// order is dropped when its client disconnects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl downgrade [VSN]`: like [`Upgrade`], but to a release that ran before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Downgrade {
    /// The version of the target release, which must have run before; absent: the release that ran
    /// before the running one. It is required with `wait`, because another release may run when the
    /// order's turn comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether the release becomes permanent at the end.
    #[serde(default)]
    pub end: End,
    /// The time limits for parts of the downgrade.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// The reactions to obstacles, and the grouping of the windows.
    #[serde(default, skip_serializing_if = "is_default")]
    pub policy: Policy,
    /// The checks before the release becomes permanent; only with [`End::Commit`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub settle: Settle,
    /// Whether the running release may be replaced although it is not committed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub supersede: bool,
    /// Whether the answer is sent as soon as the downgrade has begun. [`Attach`] can then follow
    /// the downgrade.
    #[serde(default, skip_serializing_if = "is_default")]
    pub detach: bool,
    /// Live, or by a restart of the node.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// The name of the rollout that the order belongs to, for the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<String>,
    /// Whether the order is queued if it cannot begin at once. Otherwise it is refused. A queued
    /// order is dropped when its client disconnects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl upgrade --app APP DIR --dry-run`: returns the steps of [`UpgradeApp`]. Both requests
/// have the same body.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckApp {
    /// As in [`UpgradeApp`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub unsigned: bool,
}

/// `relctl upgrade --app APP DIR`: switches one app of the running release to another version,
/// newer or older. The body is a release tarball that contains only this app. The node becomes
/// dirty: the status table does not record the change, and a restart discards it. OTP:
/// `upgrade_app`, `downgrade_app`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpgradeApp {
    /// Whether the app is accepted although the node requires signatures. Only root and the owner
    /// of the policy of signatures may set it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unsigned: bool,
    /// Whether the order is queued if it cannot begin at once. Otherwise it is refused. A queued
    /// order is dropped when its client disconnects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// The time limits for parts of an upgrade, in milliseconds. If a limit is exceeded, the upgrade is
/// rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// The time limit for the affected processes to come to rest; absent: the value in the appup,
    /// or else 1000. OTP: `suspend_timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend_ms: Option<u64>,
    /// The time limit for the conversion of each state; absent: 5000. OTP: `code_change_timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_change_ms: Option<u64>,
}

/// The reactions of an upgrade to obstacles, and the grouping of its windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The action for orphans: processes outside every supervision tree that use a changed module.
    #[serde(default, skip_serializing_if = "is_default")]
    pub orphans: Orphans,
    /// The action for processes of updated modules that do not come to rest in time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unrest: Unrest,
    /// The action for processes that crash in new code before the commit: between two windows, or
    /// while the release settles.
    #[serde(default, skip_serializing_if = "is_default")]
    pub crashes: Crashes,
    /// Whether each group of modules switches in a window of its own, as in OTP. If a later window
    /// fails, the earlier ones are reverted by a downgrade. By default there is one window for all
    /// modules, so the switch happens completely or not at all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group_windows: bool,
    /// Whether the release may have another name than the running one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rename: bool,
    /// Whether a release that cannot be converted back is accepted. By default, if the release
    /// settles or a step after the switch can fail, each new state is converted back before the
    /// switch as a trial. A state that cannot be converted back stops the install.
    #[serde(default, skip_serializing_if = "is_default")]
    pub one_way: bool,
}

/// The action for orphans: behaviour processes outside every supervision tree that use a changed
/// module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orphans {
    /// The upgrade is refused if there are orphans.
    #[default]
    Refuse,
    /// The orphans are killed right after the switch.
    Kill,
    /// The orphans are converted like all other processes.
    Include,
    /// The orphans are left alone. Their next message is handled by new code with an old state, as
    /// in OTP.
    Ignore,
}

/// The action for a process of an updated module that does not come to rest in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unrest {
    /// The upgrade is rolled back.
    #[default]
    Abort,
    /// The process is killed right after the switch.
    Kill,
    /// The process continues in old code, and is converted when its callback returns.
    Leave,
}

/// The action for a process of the release that crashes in new code before the release is
/// committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crashes {
    /// The first crash makes the node take the release back.
    #[default]
    Abort,
    /// The crash is reported, and the supervisor acts as usual, as in OTP.
    Ignore,
}

/// The status of the release at the end of a successful upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The release becomes permanent.
    #[default]
    Commit,
    /// The release stays current. A restart of the node returns to the permanent release.
    Current,
}

/// `relctl releases`: lists the releases on the node. OTP: `which_releases`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Releases {}

/// The checks between an install and its commit. A release that fails the checks is taken back by a
/// downgrade.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    /// The time for which crashes of the release's processes are watched. [`Crashes`] defines the
    /// reaction.
    #[serde(default)]
    pub window_ms: u64,
    /// The command that runs at the end of that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
}

/// A command that accepts or rejects a release by its exit code.
///
/// The daemon runs the command with `sh -c`, as the daemon's user, in a process group of its own.
/// The environment contains `RELD_SOCKET`, `RELD_FROM` and `RELD_TO`. `RELD_FROM` is empty if the
/// node was idle. If the daemon cannot find the program at the start of the command, the order is
/// refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The command. If there is a script, this is only its display name.
    pub command: String,
    /// A program that the daemon runs without arguments, instead of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,
    /// The time limit. When it expires, the whole process group is killed, and the release is taken
    /// back.
    pub timeout_ms: u64,
}

/// A program that the client sends, because the daemon may lack permission to read the client's
/// files. In JSON it is base64 text.
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

/// The way in which the node gets to a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The release is installed while everything runs.
    #[default]
    Live,
    /// All apps are stopped in order, and the node boots the release. If the first boot fails, the
    /// previous release is booted. No appup is needed. An idle node boots the release without a
    /// restart.
    Restart,
}

/// `relctl history [NUMBER]`: the history of upgrades, downgrades and restarts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// The number of the wanted entry; absent: all entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Limits the answer to the entries of this rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<String>,
}

/// `relctl attach`: follows the upgrade under way until it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attach {}

/// `relctl abort`: aborts the upgrade under way, and answers when the upgrade is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Abort {}
