//! Answers to release verbs.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A release has been taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpacked {
    /// The release's name.
    pub name: String,
    /// The release's version, by which every other verb calls it.
    pub version: String,
    /// Its apps, as `counter-0.1.1`.
    pub apps: Vec<String>,
    /// False when exactly this release was there already.
    pub changed: bool,
    /// The files, below the root, that were damaged on the node and are as they should be now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repaired: Vec<String>,
}

/// What an install would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// The running release; absent on an idle node.
    pub from: Option<String>,
    /// The release asked for.
    pub to: String,
    /// False when it runs already.
    pub changed: bool,
    /// The script. Nothing has been executed.
    pub script: Vec<Step>,
    /// What to know before installing, such as lingerers or lost state; nothing that forbids it.
    pub warnings: Vec<String>,
}

/// One instruction of a script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Counts from 1.
    pub number: usize,
    /// The instruction as people read it.
    pub text: String,
    /// The instruction as the planner prints it as JSON.
    pub instruction: Value,
}

/// What an upgrade, a downgrade or an install did, from a node that compared before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// The release that ran before; absent when the node was idle. Of an app by itself its name and version, as
    /// `counter-0.1.0`.
    pub from: Option<String>,
    /// The release asked for, or the app.
    pub to: String,
    /// False when it ran already.
    pub changed: bool,
    /// Whether the release is permanent now.
    pub committed: bool,
    /// What was carried out.
    pub steps: Vec<StepRun>,
    /// How long all of it took, the check included.
    pub took_us: u64,
    /// How long processes stood still; of several windows, the longest.
    pub pauses: Pauses,
    /// What each window did, where the modules moved group by group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// Processes that ended meanwhile, by the upgrade or by themselves; without those that ended normally.
    pub killed: Vec<Ended>,
    /// Processes that were started or restarted meanwhile.
    pub restarted: Vec<Started>,
    /// How many calls to processes of changed modules timed out meanwhile.
    #[serde(default)]
    pub timeouts: u64,
    /// Processes that still run old code.
    pub lingering: Vec<Lingerer>,
    /// Modules whose old code could not be purged.
    pub unpurged: Vec<String>,
    /// What was left out of states on the way down, by module: places that only the newer version
    /// knows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<String, Vec<String>>,
    /// How the way back was tried before the switch; absent where nothing could need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// What was seen of the release before it was kept or taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
    /// What the way back did, where the release was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way_back: Option<Box<Self>>,
    /// What else to know.
    pub warnings: Vec<String>,
}

/// One window of an upgrade whose modules moved group by group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Counts from 1.
    pub window: usize,
    /// The modules that became current with it, or were to.
    pub modules: Vec<String>,
    /// Whether it was carried out. What was is taken back where a later one was not.
    pub outcome: Outcome,
    /// How long its processes stood still.
    pub pauses: Pauses,
    /// How many states it converted.
    pub converted: u64,
}

/// How the way back was tried before the switch. It says nothing of states that the new code makes
/// later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// How many states were carried back to the code that they came from.
    pub tried: u64,
    /// Those that were not.
    pub not_tried: Vec<NotTried>,
    /// How long it took, added up over all states.
    pub took_us: u64,
}

/// States whose way back was not tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotTried {
    /// How many.
    pub processes: u64,
    /// Why.
    pub why: String,
}

/// What was seen of a release before it was kept or taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// For how long, the probe included.
    pub took_us: u64,
    /// Who crashed.
    pub crashes: Vec<Ended>,
    /// What the probe said; absent where it was not asked.
    pub probe: Option<Probed>,
    /// Why the release was taken back; absent where it was kept.
    pub fault: Option<String>,
}

/// What a probe said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// Whether the release is good.
    pub passed: bool,
    /// The last lines that it wrote.
    pub output: Vec<String>,
}

/// How an upgrade ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The release asked for runs.
    Installed,
    /// Code and state are exactly as before; stands in the details of an error with exit code 4.
    RolledBack,
    /// The rollback failed as well; stands in the details of an error with exit code 5.
    NeedsRestart,
    /// The release ran, did badly, and the node went back; stands in the details of an error with exit code 4.
    TakenBack,
    /// The release was to be taken back, and the way back failed: it runs on, uncommitted.
    NotTakenBack,
    /// It has begun and has not ended.
    UnderWay,
    /// The daemon ended before the upgrade did.
    Interrupted,
    /// Nothing was done.
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

/// One step that was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRun {
    /// Counts from 1.
    pub number: usize,
    /// The instruction as people read it.
    pub text: String,
    /// How long it took.
    pub took_us: u64,
}

/// How long processes stood still, from the gate's raise to its fall.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pauses {
    /// How many processes were concerned.
    pub processes: u64,
    /// Half of them stood still for at most this.
    pub p50_us: u64,
    /// 99 % of them stood still for at most this.
    pub p99_us: u64,
    /// The longest of all.
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

/// A process that was started meanwhile, by its supervisor after an end or by request.
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
    /// How long its code has been old.
    pub since_ms: u64,
}

/// A release is permanent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// The release.
    pub version: String,
    /// False when it was permanent before.
    pub changed: bool,
    /// Who was killed because it still ran code that the script purges brutally.
    pub killed: Vec<Ended>,
    /// Who still runs old code.
    pub lingering: Vec<Lingerer>,
}

/// A release is forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The release.
    pub version: String,
    /// App versions whose files went with it, as `counter-0.1.1`.
    pub apps: Vec<String>,
}

/// Old releases are forgotten, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// The releases, latest first.
    pub releases: Vec<PrunedRelease>,
    /// How many bytes that sets free, all together.
    pub bytes: u64,
}

/// One release that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunedRelease {
    /// The release.
    pub version: String,
    /// App versions whose files go with it, as `counter-0.1.1`.
    pub apps: Vec<String>,
    /// How many bytes that sets free.
    pub bytes: u64,
}

/// How the files of releases are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The releases, latest first.
    pub releases: Vec<VerifiedRelease>,
    /// The order that was carried out meanwhile, where damage was found: it may be that order's work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
}

/// How the files of one release are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedRelease {
    /// The release's name.
    pub name: String,
    /// The release's version.
    pub version: String,
    /// How many files it has; 0 where its manifest is damaged.
    pub files: u64,
    /// Their size together.
    pub bytes: u64,
    /// Those that are not as they were unpacked.
    pub damage: Vec<DamagedFile>,
}

/// A file that is not as it was unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedFile {
    /// Where it is, below the root.
    pub path: String,
    /// What is wrong with it.
    pub harm: Harm,
    /// Why it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Harm {
    /// It is not there.
    Missing,
    /// It has another content, is no plain file, or is a program that cannot be run.
    Changed,
    /// No manifest lists it.
    Stray,
    /// The operating system does not let it be read.
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

/// The node restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebooting {
    /// The release into which it boots.
    pub version: String,
}

/// The releases that the node knows, latest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseList {
    /// One row each.
    pub releases: Vec<ReleaseRow>,
}

/// One release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseRow {
    /// The release's name.
    pub name: String,
    /// The release's version.
    pub version: String,
    /// Where it is in its life.
    pub status: ReleaseStatus,
    /// Its apps, as `counter-0.1.1`.
    pub apps: Vec<String>,
}

/// Where a release is in its life. The running one is the current one, else the permanent one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseStatus {
    /// On disk, never run since.
    Unpacked,
    /// Runs; a restart of the node leaves it.
    Current,
    /// A start of the node boots it.
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
