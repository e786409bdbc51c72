//! Release verbs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::is_default;

/// `relctl unpack FILE`: takes a release in. The body is the tarball itself, so that file permissions never matter.
///
/// Taking the same content in again repairs the files that are damaged on the node, and changes nothing else; another
/// content under a known version is refused.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unpack {
    /// Whether it waits for its turn where it cannot begin at once; refused otherwise. It leaves the queue with its client.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl check VSN`, and `--dry-run`: says what an install would do, and every obstacle that is known beforehand.
/// OTP: `check_install_release`. Unlike OTP's, it runs no code of apps in the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The release to go to, newer or older than the running one.
    pub version: String,
    /// Whether it may go on from a release that is not committed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub supersede: bool,
    /// What would be done about orphans.
    #[serde(default, skip_serializing_if = "is_default")]
    pub orphans: Orphans,
    /// Whether it would move group by group.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group_windows: bool,
    /// Whether it may be a release of another name than the one that runs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rename: bool,
    /// Whether it would go without a way back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub one_way: bool,
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
    /// What is done about processes that stand in the way, and how much moves at once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub policy: Policy,
    /// Whether it may go on from a release that is not committed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub supersede: bool,
    /// Whether it waits for its turn where it cannot begin at once; refused otherwise. It leaves the queue with its client.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl commit [VSN]`: makes a release permanent. OTP: `make_permanent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The release; absent: the one that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether it waits for its turn where it cannot begin at once; refused otherwise. It leaves the queue with its client.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl remove VSN`: forgets a release that is neither current nor permanent, and deletes what only it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    /// The release.
    pub version: String,
    /// Whether it waits for its turn where it cannot begin at once; refused otherwise. It leaves the queue with its client.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl prune --keep N`: removes old releases but for the newest. What runs, what is booted, what ran before these, and
/// what never ran stays in any case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prune {
    /// How many old releases stay.
    pub keep: u64,
    /// Whether it waits for its turn where it cannot begin at once; refused otherwise. It leaves the queue with its client.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl prune --keep N --dry-run`: says what [`Prune`] would remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckPrune {
    /// How many old releases stay.
    pub keep: u64,
}

/// `relctl verify [VSN]`: compares every file of the releases with their manifests. It looks only, beside any order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// Only this release; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// `relctl reboot-old VSN`: makes an old release permanent and restarts the node into it. OTP: `reboot_old_release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebootOld {
    /// The release.
    pub version: String,
    /// Whether it waits for its turn where it cannot begin at once; refused otherwise. It leaves the queue with its client.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
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
    /// What is done about processes that stand in the way, and how much moves at once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub policy: Policy,
    /// What is watched before the release becomes permanent; only with [`End::Commit`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub settle: Settle,
    /// Whether it may go on from a release that is not committed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub supersede: bool,
    /// Whether the answer comes as soon as the upgrade has begun. [`Attach`] follows it then.
    #[serde(default, skip_serializing_if = "is_default")]
    pub detach: bool,
    /// Live, or by a restart of the node.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// Whether it waits for its turn where it cannot begin at once; refused otherwise. It leaves the queue with its client.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl downgrade [VSN]`: like [`Upgrade`], to the release that ran before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Downgrade {
    /// The release to go to, which must have run before; absent: the one from which the node came to the running one.
    /// One that waits names it: what ran before is not known until its turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether the release becomes permanent.
    #[serde(default)]
    pub end: End,
    /// How long its parts may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// What is done about processes that stand in the way, and how much moves at once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub policy: Policy,
    /// What is watched before the release becomes permanent; only with [`End::Commit`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub settle: Settle,
    /// Whether it may go on from a release that is not committed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub supersede: bool,
    /// Whether the answer comes as soon as the upgrade has begun. [`Attach`] follows it then.
    #[serde(default, skip_serializing_if = "is_default")]
    pub detach: bool,
    /// Whether it waits for its turn where it cannot begin at once; refused otherwise. It leaves the queue with its client.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
}

/// `relctl upgrade --app APP DIR --dry-run`: says what [`UpgradeApp`] would do. The body is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckApp {}

/// `relctl upgrade --app APP DIR`: moves one app of the running release to another version, up or down, and leaves the
/// node dirty: no status table knows of it, and a restart forgets it. OTP: `upgrade_app`, `downgrade_app`. The body is a
/// release tarball with just that app.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpgradeApp {
    /// Whether it waits for its turn where it cannot begin at once; refused otherwise. It leaves the queue with its client.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait: bool,
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

/// What is done about processes that stand in the way of an upgrade, and how much of it moves at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// About processes outside every supervision tree that use a module which changes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub orphans: Orphans,
    /// About processes of updated modules that do not come to rest in time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unrest: Unrest,
    /// About processes that crash in new code, between two windows or while the release settles.
    #[serde(default, skip_serializing_if = "is_default")]
    pub crashes: Crashes,
    /// Whether the modules move group by group, each group in a window of its own, as in OTP. What a window has done is
    /// then taken back by a down-conversion where a later one fails. Default: everything moves in one window, or nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group_windows: bool,
    /// Whether it may be a release of another name than the one that runs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rename: bool,
    /// Whether it goes without a way back. Default: where the release is watched, or a step after
    /// the switch can fail, the way back of each state is tried before, and one that has none stops
    /// the install.
    #[serde(default, skip_serializing_if = "is_default")]
    pub one_way: bool,
}

/// What is done about behaviour processes outside every supervision tree that use a module which changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orphans {
    /// The upgrade is refused.
    #[default]
    Refuse,
    /// They are ended, right after the switch.
    Kill,
    /// They are converted like others.
    Include,
    /// They are left alone: their next message meets new code with a state of the old. OTP does this.
    Ignore,
}

/// What is done about a process of an updated module that does not come to rest in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unrest {
    /// The upgrade is rolled back.
    #[default]
    Abort,
    /// It is ended, right after the switch.
    Kill,
    /// It goes on in old code, and moves when its callback returns.
    Leave,
}

/// What is done about a process of the release that crashes in new code before the release is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crashes {
    /// The first one takes the release back.
    #[default]
    Abort,
    /// It is told, and its supervisor acts as always. OTP does this.
    Ignore,
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

/// What is watched between an install and its commit. A release that does badly is taken back by a downgrade.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    /// For how long crashes of the release's processes are watched; [`Crashes`] says what one means.
    #[serde(default)]
    pub window_ms: u64,
    /// What is asked when that time is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
}

/// A command that says whether a release is good, by its exit code.
///
/// The daemon runs it with `sh -c`, as its own user, in a process group of its own, with `RELD_SOCKET`, `RELD_FROM` and
/// `RELD_TO` in its environment. `RELD_FROM` is empty where the node was idle. An order whose command begins with a
/// program that the daemon does not find is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The command. With a script, only the name that people read.
    pub command: String,
    /// The program itself, which the daemon runs without arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,
    /// How long it may take. The whole group is killed then, and the release is taken back.
    pub timeout_ms: u64,
}

/// A program of the client's, for a daemon that may not read the client's files. Base64 text on the wire.
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

/// How the node comes to a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// While everything runs.
    #[default]
    Live,
    /// All apps are stopped in order and the node boots the release. One that does not boot at once gives way to the
    /// release before. No appup is needed; an idle node boots live.
    Restart,
}

/// `relctl history [NUMBER]`: tells what happened to the releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// Only this entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
}

/// `relctl attach`: follows the upgrade under way to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attach {}

/// `relctl abort`: has the upgrade under way taken back, and answers when that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Abort {}
