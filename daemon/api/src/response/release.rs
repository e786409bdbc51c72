//! Answers to release verbs.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A release was unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpacked {
    /// The release's name.
    pub name: String,
    /// The release's version, which identifies it in all other verbs.
    pub version: String,
    /// Its apps, such as `counter-0.1.1`.
    pub apps: Vec<String>,
    /// False if exactly this release was already unpacked.
    pub changed: bool,
    /// The repaired files, as paths below the root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repaired: Vec<String>,
}

/// The steps that an install would take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// The running release; absent on an idle node.
    pub from: Option<String>,
    /// The requested release.
    pub to: String,
    /// False if that release is already running.
    pub changed: bool,
    /// The script, which was not executed.
    pub script: Vec<Step>,
    /// Warnings before the install, such as lingerers or lost state; none of them forbids it.
    pub warnings: Vec<String>,
}

/// One instruction of a script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The number, from 1.
    pub number: usize,
    /// The instruction as text.
    pub text: String,
    /// The instruction as the planner's JSON.
    pub instruction: Value,
}

/// The result of an upgrade, a downgrade or an install. The node compares its processes before and
/// after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The outcome.
    pub outcome: Outcome,
    /// The previous release; absent if the node was idle. For an upgrade of a single app, its name
    /// and version, such as `counter-0.1.0`.
    pub from: Option<String>,
    /// The requested release or app.
    pub to: String,
    /// False if it was already running.
    pub changed: bool,
    /// Whether the release is permanent now.
    pub committed: bool,
    /// The executed steps.
    pub steps: Vec<StepRun>,
    /// The total time, including the check.
    pub took_us: u64,
    /// The pauses of processes; of several windows, the longest.
    pub pauses: Pauses,
    /// The windows, if the modules switched group by group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// The processes that ended during the upgrade, killed by it or by themselves, except normal
    /// exits.
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
    /// The places dropped from states in a downgrade, by module: only the newer version has them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<String, Vec<String>>,
    /// The trial of the way back before the switch; absent if no step could have needed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// The checks of the release before it was committed or taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
    /// The report of the way back, if the release was taken back.
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
    /// The modules that it made, or should have made, current.
    pub modules: Vec<String>,
    /// The outcome of the window. A completed window is taken back if a later one fails.
    pub outcome: Outcome,
    /// The pauses of its processes.
    pub pauses: Pauses,
    /// The number of converted states.
    pub converted: u64,
}

/// The trial of the way back before the switch. It does not cover states that the new code produces
/// later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The number of states that were converted back to their original code.
    pub tried: u64,
    /// The states without a trial.
    pub not_tried: Vec<NotTried>,
    /// The total time over all states.
    pub took_us: u64,
}

/// States without a trial of their way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotTried {
    /// Their number.
    pub processes: u64,
    /// The reason.
    pub why: String,
}

/// The checks of a release before it was committed or taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Their duration, including the probe.
    pub took_us: u64,
    /// The crashed processes.
    pub crashes: Vec<Ended>,
    /// The result of the probe; absent if it did not run.
    pub probe: Option<Probed>,
    /// Why the release was taken back; absent if it was committed.
    pub fault: Option<String>,
}

/// The result of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// Whether it accepted the release.
    pub passed: bool,
    /// The last lines of its output.
    pub output: Vec<String>,
}

/// The outcome of an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The requested release runs.
    Installed,
    /// Code and state are exactly as before; in the details of an error with exit code 4.
    RolledBack,
    /// The rollback failed as well; in the details of an error with exit code 5.
    NeedsRestart,
    /// The release ran, failed its checks or was aborted, and the node went back; in the details of
    /// an error with exit code 4.
    TakenBack,
    /// The release should have been taken back, but the way back failed: it keeps running,
    /// uncommitted.
    NotTakenBack,
    /// The upgrade has begun and has not ended.
    UnderWay,
    /// The daemon ended before the upgrade.
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
    /// The number, from 1.
    pub number: usize,
    /// The instruction as text.
    pub text: String,
    /// The duration.
    pub took_us: u64,
}

/// The pauses of processes, from the closing of the gate to its opening.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pauses {
    /// The number of paused processes.
    pub processes: u64,
    /// The median of their pauses.
    pub p50_us: u64,
    /// The 99th percentile of their pauses.
    pub p99_us: u64,
    /// The longest pause.
    pub max_us: u64,
}

/// A process that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The process.
    pub pid: String,
    /// Its registered name.
    pub name: Option<String>,
    /// Its module.
    pub module: String,
    /// Its exit reason.
    pub reason: String,
}

/// A process started during the upgrade, by its supervisor after an exit or by request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The process.
    pub pid: String,
    /// Its registered name.
    pub name: Option<String>,
    /// Its module.
    pub module: String,
}

/// A process that still runs old code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lingerer {
    /// The process.
    pub pid: String,
    /// Its registered name.
    pub name: Option<String>,
    /// Its supervisor: registered name or pid; absent outside a tree.
    pub supervisor: Option<String>,
    /// The module.
    pub module: String,
    /// The old version that it runs.
    pub version: String,
    /// The time since its code became old.
    pub since_ms: u64,
}

/// A release is permanent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// The release.
    pub version: String,
    /// False if it was already permanent.
    pub changed: bool,
    /// The processes that were killed because they still ran code that the script purges brutally.
    pub killed: Vec<Ended>,
    /// The processes that still run old code.
    pub lingering: Vec<Lingerer>,
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
    /// The total number of freed bytes.
    pub bytes: u64,
}

/// A removed release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunedRelease {
    /// The release.
    pub version: String,
    /// The app versions that are removed with it, such as `counter-0.1.1`.
    pub apps: Vec<String>,
    /// The number of freed bytes.
    pub bytes: u64,
}

/// The state of the releases' files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The releases, latest first.
    pub releases: Vec<VerifiedRelease>,
    /// The order that ran at the same time, if damage was found: the order may be its cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
}

/// The state of a release's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedRelease {
    /// The release's name.
    pub name: String,
    /// The release's version.
    pub version: String,
    /// The number of its files; 0 if its manifest is damaged.
    pub files: u64,
    /// The total size of its files.
    pub bytes: u64,
    /// The damaged files.
    pub damage: Vec<DamagedFile>,
}

/// A file that differs from its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedFile {
    /// The path below the root.
    pub path: String,
    /// The kind of damage.
    pub harm: Harm,
    /// Why the file cannot be read.
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
    /// The release that it boots.
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
    /// Its status.
    pub status: ReleaseStatus,
    /// Its apps, such as `counter-0.1.1`.
    pub apps: Vec<String>,
}

/// The status of a release. The running release is the current one, or else the permanent one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseStatus {
    /// On disk, and has not run since it was unpacked.
    Unpacked,
    /// Running, but a restart of the node does not boot it.
    Current,
    /// Booted at every start of the node.
    Permanent,
    /// Ran before.
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
