//! Answers to release verbs.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::meeting::Meeting;
use super::trial::Trial;

/// A release was unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpacked {
    /// The release's name.
    pub name: String,
    /// The release's version. All other verbs name the release by it.
    pub version: String,
    /// The apps of the release, such as `counter-0.1.1`.
    pub apps: Vec<String>,
    /// False if exactly this release was unpacked before.
    pub changed: bool,
    /// Whether the release replaced one with other content.
    #[serde(default)]
    pub replaced: bool,
    /// The files that were repaired, as paths relative to the root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repaired: Vec<String>,
    /// The names of the keys with a valid signature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signed_by: Vec<String>,
    /// Warnings about the signatures and the serial.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The steps that an install would take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// The running release. Absent if the node is idle.
    pub from: Option<String>,
    /// The requested release.
    pub to: String,
    /// False if that release is already running.
    pub changed: bool,
    /// The script, which was not executed.
    pub script: Vec<Step>,
    /// Warnings, such as lingerers or lost state. They do not prevent the install.
    pub warnings: Vec<String>,
}

/// One instruction of a script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The number of the step, from 1.
    pub number: usize,
    /// The instruction as text.
    pub text: String,
    /// The instruction in the JSON form of the planner.
    pub instruction: Value,
}

/// The result of an upgrade, a downgrade or an install. The node compares its processes before and
/// after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The outcome.
    pub outcome: Outcome,
    /// The previous release. Absent if the node was idle. For an upgrade of a single app, this is
    /// the app's name and previous version, such as `counter-0.1.0`.
    pub from: Option<String>,
    /// The requested release or app.
    pub to: String,
    /// The names of the keys that have signed the release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signed_by: Vec<String>,
    /// False if it was running already.
    pub changed: bool,
    /// Whether the release is permanent now.
    pub committed: bool,
    /// The steps that were executed.
    pub steps: Vec<StepRun>,
    /// The total time, including the check.
    pub took_us: u64,
    /// How long processes were paused. With several windows, `processes` is the total, and the
    /// durations are those of the window with the longest pause.
    pub pauses: Pauses,
    /// The windows, if the modules switched group by group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// The meetings with the other nodes of the fleet, one per window at most. OTP: `sync_nodes`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meetings: Vec<Meeting>,
    /// The processes that ended during the upgrade, except those with a normal exit. The upgrade
    /// killed some of them; others ended by themselves.
    pub killed: Vec<Ended>,
    /// The processes that were started or restarted during the upgrade.
    pub restarted: Vec<Started>,
    /// The number of calls to processes of changed modules that timed out during the upgrade.
    #[serde(default)]
    pub timeouts: u64,
    /// The processes that still run old code.
    pub lingering: Vec<Lingerer>,
    /// The modules with old code that could not be purged.
    pub unpurged: Vec<String>,
    /// The fields that a downgrade dropped from states, by module. The older version does not have
    /// these fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<String, Vec<String>>,
    /// The trial conversion of new states back to the previous version, before the switch. Absent
    /// if no later step could have required a conversion back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// The checks of the release before it was committed or taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
    /// The report of the downgrade that took the release back, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way_back: Option<Box<Self>>,
    /// Further warnings.
    pub warnings: Vec<String>,
}

/// One window of an upgrade that switches group by group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The number, from 1.
    pub window: usize,
    /// The modules that became current in this window, or would have become current.
    pub modules: Vec<String>,
    /// The outcome of the window. If a later window fails, a completed window is taken back.
    pub outcome: Outcome,
    /// How long processes were paused.
    pub pauses: Pauses,
    /// The number of states that were converted.
    pub converted: u64,
}

/// The checks of a release before it was committed or taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The duration of the checks, including the probe.
    pub took_us: u64,
    /// The processes that crashed.
    pub crashes: Vec<Ended>,
    /// The result of the probe. Absent if the probe did not run.
    pub probe: Option<Probed>,
    /// The reason for taking the release back. Absent if it was committed.
    pub fault: Option<String>,
}

/// The result of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// Whether the probe accepted the release.
    pub passed: bool,
    /// The last lines of the probe's output.
    pub output: Vec<String>,
}

/// The outcome of an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The requested release runs.
    Installed,
    /// A step failed and was rolled back. Code and states are as before. Reported in the details of
    /// an error with exit code 4.
    RolledBack,
    /// A step failed and so did the rollback; the node restarts. Reported in the details of an
    /// error with exit code 5.
    NeedsRestart,
    /// The release ran, but failed its checks or was aborted, and the node returned to the previous
    /// release. Reported in the details of an error with exit code 4.
    TakenBack,
    /// The release failed its checks or was aborted, but the downgrade failed as well. The release
    /// keeps running, uncommitted.
    NotTakenBack,
    /// The upgrade has begun and has not ended.
    UnderWay,
    /// The daemon ended before the upgrade did.
    Interrupted,
    /// The upgrade was refused, and nothing was changed.
    Refused,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Installed => "installed",
            Self::RolledBack => "rolled back",
            Self::NeedsRestart => "needs restart",
            Self::TakenBack => "taken back",
            Self::NotTakenBack => "not taken back",
            Self::UnderWay => "under way",
            Self::Interrupted => "interrupted",
            Self::Refused => "refused",
        })
    }
}

/// An executed step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRun {
    /// The number of the step in the script, from 1. A step of the script can have several parts.
    pub number: usize,
    /// The part as text.
    pub text: String,
    /// Its duration.
    pub took_us: u64,
}

/// How long processes were paused. A pause lasts from the closing of the gate to its opening.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pauses {
    /// The number of paused processes.
    pub processes: u64,
    /// The median of the pauses.
    pub p50_us: u64,
    /// The 99th percentile of the pauses.
    pub p99_us: u64,
    /// The longest pause.
    pub max_us: u64,
}

/// A process that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The process.
    pub pid: String,
    /// The registered name of the process.
    pub name: Option<String>,
    /// The module of the process.
    pub module: String,
    /// The exit reason of the process.
    pub reason: String,
}

/// A process that was started during the upgrade, by request or by a supervisor after an exit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The process.
    pub pid: String,
    /// The registered name of the process.
    pub name: Option<String>,
    /// The module of the process.
    pub module: String,
}

/// A process that still runs old code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lingerer {
    /// The process.
    pub pid: String,
    /// The registered name of the process.
    pub name: Option<String>,
    /// The supervisor, as a registered name or a pid. Absent outside a tree.
    pub supervisor: Option<String>,
    /// The module.
    pub module: String,
    /// The old version that the process runs.
    pub version: String,
    /// The time since that version became old.
    pub since_ms: u64,
}

/// A release is permanent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// The release.
    pub version: String,
    /// False if it was already permanent.
    pub changed: bool,
    /// The processes that were killed because they still ran old code with the purge mode brutal.
    pub killed: Vec<Ended>,
    /// The processes that still run old code.
    pub lingering: Vec<Lingerer>,
    /// Warnings about the keys that the release brings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A release was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The release.
    pub version: String,
    /// The app versions that were removed with it, such as `counter-0.1.1`.
    pub apps: Vec<String>,
}

/// Old releases that were or would be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// The releases, latest first.
    pub releases: Vec<PrunedRelease>,
    /// The number of bytes that are freed in total.
    pub bytes: u64,
}

/// A removed release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunedRelease {
    /// The release.
    pub version: String,
    /// The app versions that are removed with it, such as `counter-0.1.1`.
    pub apps: Vec<String>,
    /// The number of bytes that are freed.
    pub bytes: u64,
}

/// The state of the files of some releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The releases, latest first.
    pub releases: Vec<VerifiedRelease>,
    /// The order that ran during the verification. Absent if no damage was found. The order may be
    /// the cause of the damage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
}

/// The state of one release's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedRelease {
    /// The release's name.
    pub name: String,
    /// The release's version.
    pub version: String,
    /// The number of the release's files. It is 0 if the manifest is damaged.
    pub files: u64,
    /// The total size of the files.
    pub bytes: u64,
    /// The damaged files.
    pub damage: Vec<DamagedFile>,
}

/// A file that differs from its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedFile {
    /// The path relative to the root.
    pub path: String,
    /// The kind of damage.
    pub harm: Harm,
    /// The reason why the file cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// The kind of damage of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Harm {
    /// The file does not exist.
    Missing,
    /// The file has other content, is not a regular file, or is a program without execute
    /// permission.
    Changed,
    /// The file is in no manifest.
    Stray,
    /// The operating system cannot read the file.
    Unreadable,
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Missing => "missing",
            Self::Changed => "changed",
            Self::Stray => "stray",
            Self::Unreadable => "unreadable",
        })
    }
}

/// The node is restarting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebooting {
    /// The release that the node boots.
    pub version: String,
}

/// The releases on the node, latest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseList {
    /// The releases.
    pub releases: Vec<ReleaseRow>,
}

/// One release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRow {
    /// The release's name.
    pub name: String,
    /// The release's version.
    pub version: String,
    /// The status of the release.
    pub status: ReleaseStatus,
    /// The serial of the release; 0 if it has none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub serial: u64,
    /// The names of the keys with a valid signature when the release was unpacked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signed_by: Vec<String>,
    /// The digest of its list of files. Two releases with one identity have the same content.
    #[serde(default)]
    pub identity: String,
    /// The apps of the release, such as `counter-0.1.1`.
    pub apps: Vec<String>,
}

// The signature that serde's `skip_serializing_if` requires.
pub(crate) fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// The status of a release. The running release is the current one; if none is current, it is the
/// permanent one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseStatus {
    /// The release is on disk and has not run since it was unpacked.
    Unpacked,
    /// The release runs, but a restart of the node does not boot it.
    Current,
    /// The node boots this release.
    Permanent,
    /// The release was current or permanent before.
    Old,
}

impl fmt::Display for ReleaseStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unpacked => "unpacked",
            Self::Current => "current",
            Self::Permanent => "permanent",
            Self::Old => "old",
        })
    }
}
