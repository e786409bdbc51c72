//! The life cycle of a release: its statuses and the legal transitions between them.

use std::fmt;

use reld_plan::{AppName, Vsn};
use reld_trust::{Floor, Keys, Provenance};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::layout;

/// The known releases of a node, the last unpacked first.
///
/// At most one is [`Status::Current`] and at most one [`Status::Permanent`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusTable {
    /// The releases.
    #[serde(rename = "release", default)]
    pub releases: Vec<KnownRelease>,
    /// The floor of each name of releases.
    #[serde(rename = "floor", default, skip_serializing_if = "Vec::is_empty")]
    pub floors: Vec<Floor>,
    /// The keys that committed releases have brought and retired.
    #[serde(default, skip_serializing_if = "Keys::is_empty")]
    pub keys: Keys,
}

/// A known release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownRelease {
    /// Its name.
    pub name: AppName,
    /// Its version, which identifies it in actions.
    pub version: Vsn,
    /// Its status.
    pub status: Status,
    /// Its identity: the digest over the sorted list of (path, digest) of its files.
    pub identity: Digest,
    /// The release that ran when the node first moved to this release; `None` for the first booted
    /// release. Going back does not change this link, so the links lead back step by step and never
    /// form a cycle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Vsn>,
    /// Whether it ran and never was permanent. This exists only in memory: on disk such a release
    /// is unpacked, as a current one is.
    #[serde(skip)]
    pub tried: bool,
    /// Whether the node restarts into it on trial: it became permanent without having run as such,
    /// and has not booted since.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unconfirmed: bool,
    /// Its serial and its signatures.
    #[serde(default, skip_serializing_if = "Provenance::is_empty")]
    pub provenance: Provenance,
    /// Its apps.
    #[serde(rename = "app", default)]
    pub apps: Vec<KnownApp>,
}

// The signature that serde's `skip_serializing_if` requires.
fn is_false(value: &bool) -> bool {
    !value
}

/// One app of a known release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownApp {
    /// Its name.
    pub name: AppName,
    /// Its version.
    pub version: Vsn,
    /// Its folder, as a path below the root.
    pub dir: String,
}

/// The status of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The release is on disk and does not run.
    Unpacked,
    /// The release runs, but a restart does not boot it. This status exists only in memory. On disk
    /// the status is unpacked, or old if the release was permanent before, so any restart takes the
    /// node back to the permanent release.
    #[serde(skip)]
    Current,
    /// The node boots this release.
    Permanent,
    /// The release was current or permanent before.
    Old,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unpacked => "unpacked",
            Self::Current => "current",
            Self::Permanent => "permanent",
            Self::Old => "old",
        })
    }
}

/// An action on a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The release was unpacked. The action sets the status of the given record.
    Unpack(Box<KnownRelease>),
    /// The node was upgraded to the release.
    Install(Vsn),
    /// The node boots the release from now on.
    MakePermanent(Vsn),
    /// The node restarts into an old release.
    RebootOld(Vsn),
    /// The node restarts into any release, even one that never ran. OTP has no such action.
    RebootInto(Vsn),
    /// The release is removed.
    Remove(Vsn),
    /// The node restarts into the permanent release.
    Restart,
}

/// An illegal action. The names and codes are OTP's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `no_such_release`
    #[error("release {0} is not on this node")]
    NoSuchRelease(Vsn),
    /// `existing_release`
    #[error("release {0} is already on this node")]
    ExistingRelease(Vsn),
    /// `already_installed`
    #[error("release {0} is already running")]
    AlreadyInstalled(Vsn),
    /// `bad_status`
    #[error("release {vsn} is {status}, only {needed} is allowed here")]
    BadStatus {
        /// The release.
        vsn: Vsn,
        /// Its status.
        status: Status,
        /// The required status.
        needed: &'static str,
    },
    /// `permanent`
    #[error("release {0} is the one that this node boots; make another one permanent first")]
    Permanent(Vsn),
    /// `current`
    #[error("release {0} is running; install another one first")]
    Current(Vsn),
}

impl KnownRelease {
    /// Returns the folders with the files of the release, as paths below the root.
    pub(crate) fn folders(&self) -> Vec<String> {
        let apps = self.apps.iter().map(|app| app.dir.clone());
        apps.chain([layout::release_dir(&self.version)]).collect()
    }

    /// Returns whether the release is permanent on this node, or was before. The node may always go
    /// back to it.
    pub fn was_permanent(&self) -> bool {
        match self.status {
            Status::Permanent => true,
            Status::Old | Status::Current => !self.tried && !self.unconfirmed,
            Status::Unpacked => false,
        }
    }
}

impl StatusTable {
    /// Returns the release of a version.
    pub fn get(&self, vsn: &Vsn) -> Option<&KnownRelease> {
        self.releases.iter().find(|release| release.version == *vsn)
    }

    /// Returns the release that the node boots.
    pub fn permanent(&self) -> Option<&KnownRelease> {
        self.with_status(Status::Permanent)
    }

    /// Returns the release that the node runs: the current one if there is one, else the permanent
    /// one.
    pub fn running(&self) -> Option<&KnownRelease> {
        self.with_status(Status::Current).or_else(|| self.permanent())
    }

    /// Returns the floor of a name of releases: the highest committed serial, 0 without one.
    pub fn floor(&self, name: &AppName) -> u64 {
        Floor::of(&self.floors, name)
    }

    /// Returns the release that ran before another one and is still known.
    pub fn previous(&self, vsn: &Vsn) -> Option<&Vsn> {
        self.get(vsn)?.previous.as_ref()
    }

    /// Returns whether the links to previous releases lead from one release to another.
    fn leads_back(&self, from: &Vsn, to: &Vsn) -> bool {
        std::iter::successors(self.previous(from), |vsn| self.previous(vsn)).any(|vsn| vsn == to)
    }

    /// Reports whether other content may take the place of a release. It must not run, must never
    /// have been permanent, and must not be the way back of the running release.
    pub(crate) fn is_replaceable(&self, vsn: &Vsn) -> bool {
        let is_way_back = self.running().is_some_and(|running| running.previous.as_ref() == Some(vsn));
        let is_idle = |release: &KnownRelease| release.status != Status::Current && !release.was_permanent();
        self.get(vsn).is_some_and(is_idle) && !is_way_back
    }

    /// Returns the table in its form on disk, without a current release.
    pub(crate) fn without_current(&self) -> Self {
        let mut table = self.clone();
        let is_current = |release: &KnownRelease| release.status == Status::Current;
        for release in table.releases.iter_mut().filter(|release| is_current(release) || release.tried) {
            if release.was_permanent() {
                release.status = Status::Old;
            } else {
                (release.status, release.previous, release.tried) = (Status::Unpacked, None, false);
            }
        }
        table
    }

    fn with_status(&self, status: Status) -> Option<&KnownRelease> {
        self.releases.iter().find(|release| release.status == status)
    }

    fn status(&self, vsn: &Vsn) -> Option<Status> {
        self.get(vsn).map(|release| release.status)
    }

    fn set(&mut self, vsn: &Vsn, status: Status) {
        for release in self.releases.iter_mut().filter(|release| release.version == *vsn) {
            release.status = status;
        }
    }

    fn set_tried(&mut self, vsn: &Vsn, tried: bool) {
        for release in self.releases.iter_mut().filter(|release| release.version == *vsn) {
            release.tried = tried;
        }
    }

    /// Records the running release as the previous one of `to`, unless the node goes back.
    fn record_previous(&mut self, to: &Vsn) {
        let Some(from) = self.running().map(|release| release.version.clone()) else { return };
        if from == *to || self.leads_back(&from, to) {
            return;
        }
        for release in self.releases.iter_mut().filter(|release| release.version == *to) {
            release.previous = Some(from.clone());
        }
    }

    /// Ends the trial of a restart.
    pub(crate) fn confirm(&mut self, vsn: &Vsn) {
        for release in self.releases.iter_mut().filter(|release| release.version == *vsn) {
            release.unconfirmed = false;
        }
    }

    /// Raises the floor to the serial of a committed release.
    pub(crate) fn raise_floor(&mut self, vsn: &Vsn) {
        let Some(release) = self.releases.iter().find(|release| release.version == *vsn) else { return };
        Floor::raise(&mut self.floors, &release.name, release.provenance.serial);
    }

    fn replace(&mut self, from: Status, to: Status) {
        for release in self.releases.iter_mut().filter(|release| release.status == from) {
            release.status = to;
        }
    }
}

/// Returns the table after an action, or a refusal.
///
/// Each row is a status, each column the new status of a release when the action names it:
///
/// | status | unpack | install | make_permanent | reboot_old | reboot_into | remove | restart |
/// |---|---|---|---|---|---|---|---|
/// | (none) | unpacked | `no_such_release` | `no_such_release` | `no_such_release` | `no_such_release` | `no_such_release` | |
/// | unpacked | `existing_release` | current | `bad_status` | `bad_status` | permanent | (none) | unpacked |
/// | current | `existing_release` | `already_installed` | permanent | `bad_status` | permanent | `current` | unpacked; old if it was permanent before |
/// | permanent, runs | `existing_release` | `already_installed` | permanent | `bad_status` | permanent | `permanent` | permanent |
/// | permanent, beside a current | `existing_release` | permanent | permanent | `bad_status` | permanent | `permanent` | permanent |
/// | old | `existing_release` | current | `bad_status` | permanent | permanent | (none) | old |
///
/// An action can also make another release old. If a release becomes current, or the permanent
/// release is installed again, the former current release becomes old. If a release becomes
/// permanent, the former permanent release becomes old. After the two reboots the release is on
/// trial until it has booted: a release that does not boot was never permanent.
///
/// OTP has the same table, with two exceptions. Unlike in OTP, the current release cannot be
/// removed, because the node would then run an unknown release. And installing the permanent
/// release while it runs is `already_installed` here, while OTP looks for a script from a version
/// to itself and returns `no_matching_relup`.
///
/// # Errors
/// The refusal in the table.
pub fn next(table: &StatusTable, action: &Action) -> Result<StatusTable, Refusal> {
    let mut next = table.clone();
    match action {
        Action::Unpack(release) => unpack(&mut next, release)?,
        Action::Install(vsn) => install(&mut next, vsn)?,
        Action::MakePermanent(vsn) => make_permanent(&mut next, vsn)?,
        Action::RebootOld(vsn) => reboot_old(&mut next, vsn)?,
        Action::RebootInto(vsn) => reboot_into(&mut next, vsn)?,
        Action::Remove(vsn) => remove(&mut next, vsn)?,
        Action::Restart => next = table.without_current(),
    }
    Ok(next)
}

fn unpack(table: &mut StatusTable, release: &KnownRelease) -> Result<(), Refusal> {
    if table.get(&release.version).is_some() {
        return Err(Refusal::ExistingRelease(release.version.clone()));
    }
    table.releases.insert(0, KnownRelease { status: Status::Unpacked, ..release.clone() });
    Ok(())
}

fn install(table: &mut StatusTable, vsn: &Vsn) -> Result<(), Refusal> {
    if table.running().is_some_and(|running| running.version == *vsn) {
        return Err(Refusal::AlreadyInstalled(vsn.clone()));
    }
    let status = known(table, vsn)?;
    table.record_previous(vsn);
    table.replace(Status::Current, Status::Old);
    if status != Status::Permanent {
        table.set(vsn, Status::Current);
    }
    if status == Status::Unpacked {
        table.set_tried(vsn, true);
    }
    Ok(())
}

fn make_permanent(table: &mut StatusTable, vsn: &Vsn) -> Result<(), Refusal> {
    match known(table, vsn)? {
        Status::Permanent => {
            table.confirm(vsn);
            Ok(())
        }
        Status::Current => {
            boot(table, vsn);
            table.confirm(vsn);
            Ok(())
        }
        status => Err(Refusal::BadStatus { vsn: vsn.clone(), status, needed: "current" }),
    }
}

fn reboot_old(table: &mut StatusTable, vsn: &Vsn) -> Result<(), Refusal> {
    match known(table, vsn)? {
        Status::Old => {
            restart_into(table, vsn);
            Ok(())
        }
        status => Err(Refusal::BadStatus { vsn: vsn.clone(), status, needed: "old" }),
    }
}

fn reboot_into(table: &mut StatusTable, vsn: &Vsn) -> Result<(), Refusal> {
    known(table, vsn)?;
    restart_into(table, vsn);
    Ok(())
}

/// Makes a release permanent for the next boot, on trial unless it was permanent before.
fn restart_into(table: &mut StatusTable, vsn: &Vsn) {
    table.record_previous(vsn);
    for release in table.releases.iter_mut().filter(|release| release.version == *vsn) {
        release.unconfirmed |= !release.was_permanent();
    }
    boot(table, vsn);
}

fn remove(table: &mut StatusTable, vsn: &Vsn) -> Result<(), Refusal> {
    match known(table, vsn)? {
        Status::Permanent => Err(Refusal::Permanent(vsn.clone())),
        Status::Current => Err(Refusal::Current(vsn.clone())),
        Status::Unpacked | Status::Old => {
            let before = table.previous(vsn).cloned();
            table.releases.retain(|release| release.version != *vsn);
            for release in table.releases.iter_mut().filter(|release| release.previous.as_ref() == Some(vsn))
            {
                release.previous.clone_from(&before);
            }
            Ok(())
        }
    }
}

fn boot(table: &mut StatusTable, vsn: &Vsn) {
    table.replace(Status::Permanent, Status::Old);
    table.set(vsn, Status::Permanent);
    table.set_tried(vsn, false);
}

fn known(table: &StatusTable, vsn: &Vsn) -> Result<Status, Refusal> {
    table.status(vsn).ok_or_else(|| Refusal::NoSuchRelease(vsn.clone()))
}

#[cfg(test)]
mod tests;
