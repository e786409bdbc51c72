//! What may happen to a release: the statuses and the legal moves between them.

use std::fmt;

use reld_plan::{AppName, Vsn};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::layout;

/// The releases that a node knows, newest unpacked first.
///
/// At most one is [`Status::Current`] and at most one [`Status::Permanent`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusTable {
    /// The releases.
    #[serde(rename = "release", default)]
    pub releases: Vec<KnownRelease>,
}

/// One release that a node knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownRelease {
    /// Its name.
    pub name: AppName,
    /// Its version, by which every action addresses it.
    pub version: Vsn,
    /// Where it stands in its life.
    pub status: Status,
    /// What it is: the digest over the sorted list of (path, digest) of its files.
    pub identity: Digest,
    /// The release that ran when the node first came to this one; `None` for the one that it booted first. Going back
    /// does not change it, so these lead back step by step and never in a circle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Vsn>,
    /// Its apps.
    #[serde(rename = "app", default)]
    pub apps: Vec<KnownApp>,
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

/// Where a release stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// On disk, not running.
    Unpacked,
    /// Running, but not what the node boots. Known in memory only: on disk it is unpacked, so that a restart,
    /// wanted or not, takes the node back to the permanent release.
    #[serde(skip)]
    Current,
    /// What the node boots.
    Permanent,
    /// Once current or permanent, replaced since.
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

/// What can be done to a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It was unpacked; its status is set by the action.
    Unpack(KnownRelease),
    /// The node was moved to it.
    Install(Vsn),
    /// The node shall boot it from now on.
    MakePermanent(Vsn),
    /// The node shall boot it again, at once.
    RebootOld(Vsn),
    /// The node shall boot it at once, whether it ever ran or not. OTP has no such thing.
    RebootInto(Vsn),
    /// It shall be forgotten.
    Remove(Vsn),
    /// The node restarts into the permanent release.
    Restart,
}

/// Why an action is not legal. The names are OTP's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `no_such_release`
    #[error("no_such_release: release {0} is not on this node")]
    NoSuchRelease(Vsn),
    /// `existing_release`
    #[error("existing_release: release {0} is on this node already")]
    ExistingRelease(Vsn),
    /// `already_installed`
    #[error("already_installed: release {0} runs already")]
    AlreadyInstalled(Vsn),
    /// `bad_status`
    #[error("bad_status: release {vsn} is {status}, only {needed} is allowed here")]
    BadStatus {
        /// The release.
        vsn: Vsn,
        /// Its status.
        status: Status,
        /// The status that it should have.
        needed: &'static str,
    },
    /// `permanent`
    #[error("permanent: release {0} is what this node boots; make another one permanent first")]
    Permanent(Vsn),
    /// `current`
    #[error("current: release {0} runs now; install another one first")]
    Current(Vsn),
}

impl KnownRelease {
    /// Returns the folders with its files, as paths below the root.
    pub(crate) fn folders(&self) -> Vec<String> {
        let apps = self.apps.iter().map(|app| app.dir.clone());
        apps.chain([layout::release_dir(&self.version)]).collect()
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

    /// Returns the release that the node runs: the current one if there is one, else the permanent one.
    pub fn running(&self) -> Option<&KnownRelease> {
        self.with_status(Status::Current).or_else(|| self.permanent())
    }

    /// Returns the release that ran before another one and is still here.
    pub fn previous(&self, vsn: &Vsn) -> Option<&Vsn> {
        self.get(vsn)?.previous.as_ref()
    }

    /// Says whether the way back from one release leads over another.
    fn leads_back(&self, from: &Vsn, to: &Vsn) -> bool {
        std::iter::successors(self.previous(from), |vsn| self.previous(vsn)).any(|vsn| vsn == to)
    }

    /// Returns the table as it is written: nothing in it is current.
    pub(crate) fn without_current(&self) -> Self {
        let mut table = self.clone();
        for release in table.releases.iter_mut().filter(|release| release.status == Status::Current) {
            (release.status, release.previous) = (Status::Unpacked, None);
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

    /// Notes where the node came from, unless it went back.
    fn came(&mut self, to: &Vsn) {
        let Some(from) = self.running().map(|release| release.version.clone()) else { return };
        if from == *to || self.leads_back(&from, to) {
            return;
        }
        for release in self.releases.iter_mut().filter(|release| release.version == *to) {
            release.previous = Some(from.clone());
        }
    }

    fn replace(&mut self, from: Status, to: Status) {
        for release in self.releases.iter_mut().filter(|release| release.status == from) {
            release.status = to;
        }
    }
}

/// Returns the table after an action, or why the action is not legal.
///
/// Each row is a status, each column what becomes of a release of that status when the action names it:
///
/// | status | unpack | install | make_permanent | reboot_old | reboot_into | remove | restart |
/// |---|---|---|---|---|---|---|---|
/// | (none) | unpacked | `no_such_release` | `no_such_release` | `no_such_release` | `no_such_release` | `no_such_release` | |
/// | unpacked | `existing_release` | current | `bad_status` | `bad_status` | permanent | (none) | unpacked |
/// | current | `existing_release` | `already_installed` | permanent | `bad_status` | permanent | `current` | unpacked |
/// | permanent, runs | `existing_release` | `already_installed` | permanent | `bad_status` | permanent | `permanent` | permanent |
/// | permanent, beside a current | `existing_release` | permanent | permanent | `bad_status` | permanent | `permanent` | permanent |
/// | old | `existing_release` | current | `bad_status` | permanent | permanent | (none) | old |
///
/// The others give way: a release that becomes current, or a permanent one that is installed again, makes the
/// former current one old; one that becomes permanent makes the former permanent one old.
///
/// OTP: the same, but for two moves. Unlike OTP, the current release can not be removed, since the node would then
/// run what no one knows; and installing the permanent release while it runs is `already_installed` here where OTP
/// looks for a script from a version to itself and answers `no_matching_relup`.
///
/// # Errors
/// The refusal that the table shows.
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
    table.came(vsn);
    table.replace(Status::Current, Status::Old);
    if status != Status::Permanent {
        table.set(vsn, Status::Current);
    }
    Ok(())
}

fn make_permanent(table: &mut StatusTable, vsn: &Vsn) -> Result<(), Refusal> {
    match known(table, vsn)? {
        Status::Permanent => Ok(()),
        Status::Current => {
            boot(table, vsn);
            Ok(())
        }
        status => Err(Refusal::BadStatus { vsn: vsn.clone(), status, needed: "current" }),
    }
}

fn reboot_old(table: &mut StatusTable, vsn: &Vsn) -> Result<(), Refusal> {
    match known(table, vsn)? {
        Status::Old => {
            table.came(vsn);
            boot(table, vsn);
            Ok(())
        }
        status => Err(Refusal::BadStatus { vsn: vsn.clone(), status, needed: "old" }),
    }
}

fn reboot_into(table: &mut StatusTable, vsn: &Vsn) -> Result<(), Refusal> {
    known(table, vsn)?;
    table.came(vsn);
    boot(table, vsn);
    Ok(())
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
}

fn known(table: &StatusTable, vsn: &Vsn) -> Result<Status, Refusal> {
    table.status(vsn).ok_or_else(|| Refusal::NoSuchRelease(vsn.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vsn(minor: u32) -> Vsn {
        format!("1.{minor}.0").parse().unwrap()
    }

    fn release(minor: u32, status: Status) -> KnownRelease {
        KnownRelease {
            name: "shop".parse().unwrap(),
            version: vsn(minor),
            status,
            identity: Digest::of(&minor.to_be_bytes()),
            previous: None,
            apps: vec![],
        }
    }

    /// Reads a table such as `2 unpacked, 1 permanent`: 2 is release 1.2.0.
    fn table(text: &str) -> StatusTable {
        let entry = |part: &str| {
            let (minor, status) = part.split_once(' ').unwrap();
            let status = [Status::Unpacked, Status::Current, Status::Permanent, Status::Old]
                .into_iter()
                .find(|known| known.to_string() == status)
                .unwrap();
            release(minor.parse().unwrap(), status)
        };
        StatusTable { releases: text.split(", ").filter(|part| !part.is_empty()).map(entry).collect() }
    }

    fn print(table: &StatusTable) -> String {
        let entries: Vec<String> = table
            .releases
            .iter()
            .map(|release| {
                let minor = (0..9).find(|minor| vsn(*minor) == release.version).unwrap();
                format!("{minor} {}", release.status)
            })
            .collect();
        entries.join(", ")
    }

    /// The answer is the next table, or the first word of the refusal.
    #[track_caller]
    fn check(before: &str, action: Action, expected: &str) {
        let answer = match next(&table(before), &action) {
            Ok(after) => print(&after),
            Err(refusal) => refusal.to_string().split(':').next().unwrap().to_owned(),
        };
        assert_eq!(answer, expected, "{action:?} in {before}");
    }

    #[test]
    fn unpack_adds_a_version_once_and_first() {
        let unpack = || Action::Unpack(release(1, Status::Old));
        check("", unpack(), "1 unpacked");
        check("2 current, 0 permanent", unpack(), "1 unpacked, 2 current, 0 permanent");
        for status in ["unpacked", "current", "permanent", "old"] {
            check(&format!("1 {status}"), unpack(), "existing_release");
        }
    }

    #[test]
    fn install_makes_current_what_does_not_run() {
        let install = || Action::Install(vsn(1));
        check("", install(), "no_such_release");
        check("1 unpacked", install(), "1 current");
        check("1 unpacked, 0 permanent", install(), "1 current, 0 permanent");
        check("2 current, 1 unpacked, 0 permanent", install(), "2 old, 1 current, 0 permanent");
        check("1 current, 0 permanent", install(), "already_installed");
        check("1 permanent", install(), "already_installed");
        check("2 current, 1 permanent", install(), "2 old, 1 permanent");
        check("2 permanent, 1 old", install(), "2 permanent, 1 current");
        check("3 current, 2 permanent, 1 old", install(), "3 old, 2 permanent, 1 current");
    }

    #[test]
    fn make_permanent_takes_what_runs() {
        let make_permanent = || Action::MakePermanent(vsn(1));
        check("", make_permanent(), "no_such_release");
        check("1 unpacked", make_permanent(), "bad_status");
        check("1 current", make_permanent(), "1 permanent");
        check("1 current, 0 permanent", make_permanent(), "1 permanent, 0 old");
        check("1 permanent, 0 old", make_permanent(), "1 permanent, 0 old");
        check("2 current, 1 permanent", make_permanent(), "2 current, 1 permanent");
        check("2 permanent, 1 old", make_permanent(), "bad_status");
    }

    #[test]
    fn reboot_old_takes_old_releases_only() {
        let reboot_old = || Action::RebootOld(vsn(1));
        check("", reboot_old(), "no_such_release");
        check("1 unpacked", reboot_old(), "bad_status");
        check("1 current, 0 permanent", reboot_old(), "bad_status");
        check("1 permanent", reboot_old(), "bad_status");
        check("2 permanent, 1 old", reboot_old(), "2 old, 1 permanent");
        check("3 current, 2 permanent, 1 old", reboot_old(), "3 current, 2 old, 1 permanent");
    }

    #[test]
    fn reboot_into_takes_every_release_that_is_here() {
        let reboot_into = || Action::RebootInto(vsn(1));
        check("", reboot_into(), "no_such_release");
        check("1 unpacked", reboot_into(), "1 permanent");
        check("1 unpacked, 0 permanent", reboot_into(), "1 permanent, 0 old");
        check("1 current, 0 permanent", reboot_into(), "1 permanent, 0 old");
        check("2 current, 1 permanent", reboot_into(), "2 current, 1 permanent");
        check("2 permanent, 1 old", reboot_into(), "2 old, 1 permanent");
        let to = |minor| [Action::Install(vsn(minor)), Action::MakePermanent(vsn(minor))];
        assert_eq!(came(&[&to(1)[..], &[Action::RebootInto(vsn(2))]].concat()), "3 2<1 1");
        let into_current = [&to(1)[..], &[Action::Install(vsn(2)), Action::RebootInto(vsn(2))]].concat();
        assert_eq!(came(&into_current), "3 2<1 1");
    }

    #[test]
    fn remove_spares_what_runs_and_what_boots() {
        let remove = || Action::Remove(vsn(1));
        check("", remove(), "no_such_release");
        check("1 unpacked, 0 permanent", remove(), "0 permanent");
        check("1 current, 0 permanent", remove(), "current");
        check("1 permanent", remove(), "permanent");
        check("2 current, 1 permanent", remove(), "permanent");
        check("2 permanent, 1 old", remove(), "2 permanent");
    }

    /// Carries moves out and returns where each release came from: `2<1 1` for 1.2.0 that came from 1.1.0.
    #[track_caller]
    fn came(moves: &[Action]) -> String {
        let mut now = table("3 unpacked, 2 unpacked, 1 unpacked");
        for action in moves {
            now = next(&now, action).unwrap();
        }
        let minor = |vsn: &Vsn| vsn.to_string()[2..3].to_owned();
        let one = |release: &KnownRelease| match &release.previous {
            Some(previous) => format!("{}<{}", minor(&release.version), minor(previous)),
            None => minor(&release.version),
        };
        now.releases.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_way_back_is_the_way_by_which_the_node_came() {
        let to = |minor| [Action::Install(vsn(minor)), Action::MakePermanent(vsn(minor))];
        let road = |minors: &[u32]| minors.iter().flat_map(|minor| to(*minor)).collect::<Vec<_>>();
        assert_eq!(came(&road(&[1])), "3 2 1");
        assert_eq!(came(&road(&[1, 2, 3])), "3<2 2<1 1");
        // Back and up again: nothing is forgotten, and back from 1 there is nothing.
        assert_eq!(came(&road(&[1, 2, 3, 2, 1])), "3<2 2<1 1");
        assert_eq!(came(&road(&[1, 2, 1, 3])), "3<1 2<1 1");
        assert_eq!(came(&road(&[1, 3, 1, 2, 3])), "3<2 2<1 1");
        let mut removed = road(&[1, 2, 3]);
        removed.push(Action::Remove(vsn(2)));
        assert_eq!(came(&removed), "3<1 1");
        let mut rebooted = road(&[1, 2, 3]);
        rebooted.push(Action::RebootOld(vsn(1)));
        assert_eq!(came(&rebooted), "3<2 2<1 1");
    }

    #[test]
    fn a_restart_takes_the_node_back_to_the_permanent_release() {
        check("", Action::Restart, "");
        check(
            "3 unpacked, 2 current, 1 permanent, 0 old",
            Action::Restart,
            "3 unpacked, 2 unpacked, 1 permanent, 0 old",
        );
    }

    #[test]
    fn the_running_release_is_the_current_one_or_else_the_permanent_one() {
        let running = |text: &str| table(text).running().map(|release| release.version.clone());
        assert_eq!(running("2 unpacked, 1 old"), None);
        assert_eq!(running("2 unpacked, 1 permanent"), Some(vsn(1)));
        assert_eq!(running("2 current, 1 permanent"), Some(vsn(2)));
    }

    #[test]
    fn no_road_of_three_moves_leads_to_two_current_or_two_permanent_releases() {
        let mut tables = vec![table("3 unpacked, 2 unpacked, 1 permanent, 0 old")];
        for _ in 0..3 {
            tables = tables.iter().flat_map(moves).collect();
        }
        let count =
            |table: &StatusTable, status| table.releases.iter().filter(|r| r.status == status).count();
        for table in &tables {
            for release in &table.releases {
                assert!(!table.leads_back(&release.version, &release.version), "{table:?}");
            }
            assert!(
                count(table, Status::Current) <= 1 && count(table, Status::Permanent) == 1,
                "{}",
                print(table)
            );
        }
        assert!(tables.len() > 100);
    }

    fn moves(table: &StatusTable) -> Vec<StatusTable> {
        let all = [Action::Install, Action::MakePermanent, Action::RebootOld, Action::Remove];
        let actions = (0..4).flat_map(|minor| all.map(|action| action(vsn(minor))));
        actions.chain([Action::Restart]).filter_map(|action| next(table, &action).ok()).collect()
    }
}
