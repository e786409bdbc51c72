//! `boots.toml`: the number of consecutive failed boots of the permanent release, and the decision
//! which release boots next.
//!
//! An attempt is counted on disk before it begins, and the count is cleared when the release runs.
//! An attempt therefore also counts if the daemon dies during the boot.

use std::fs;

use reld_plan::Vsn;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::layout::Root;
use crate::lifecycle::StatusTable;

/// The number of failed attempts after which a permanent release gives way.
pub const ATTEMPTS_MAX: u32 = 3;

/// The record of the last boots.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boots {
    /// The release of the counted attempts; `None` if the last boot succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Vsn>,
    /// The number of attempts that began and did not succeed.
    #[serde(default)]
    pub failed: u32,
    /// The fallback of a trial boot: after a single failure, the counted release gives way to this
    /// release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_to: Option<Vsn>,
    /// The last release that gave way. A commit clears this record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gave_way: Option<GaveWay>,
}

/// A release that failed to boot too often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaveWay {
    /// The release.
    pub release: Vsn,
    /// The release that became permanent in its place.
    pub to: Vsn,
    /// The number of failed attempts.
    pub failed: u32,
}

/// The next boot of the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextBoot {
    /// There is no permanent release.
    Idle,
    /// The permanent release.
    Permanent(Vsn),
    /// The permanent release has failed too often, and another one becomes permanent first.
    GiveWay(GaveWay),
}

impl Boots {
    /// Decides the next boot.
    ///
    /// | failed attempts of the permanent release | it has a release to give way to | decision |
    /// |---|---|---|
    /// | fewer than three, or none if the boot is a trial | | boot it |
    /// | more | yes | make that one permanent |
    /// | more | no | boot it again |
    pub fn next(&self, table: &StatusTable) -> NextBoot {
        let Some(permanent) = table.permanent() else { return NextBoot::Idle };
        let vsn = &permanent.version;
        let failed = if self.release.as_ref() == Some(vsn) { self.failed } else { 0 };
        let is_trial = self.release.as_ref() == Some(vsn) && self.back_to.is_some();
        let attempts = if is_trial { 1 } else { ATTEMPTS_MAX };
        let to = self.back_to.as_ref().filter(|_| is_trial).or_else(|| table.previous(vsn));
        match to.filter(|to| failed >= attempts && table.get(to).is_some()) {
            Some(to) => NextBoot::GiveWay(GaveWay { release: vsn.clone(), to: to.clone(), failed }),
            None => NextBoot::Permanent(vsn.clone()),
        }
    }

    /// Returns the record for the beginning of a boot of release `vsn`.
    #[must_use]
    pub fn begun(&self, vsn: &Vsn) -> Self {
        let same = self.release.as_ref() == Some(vsn);
        Self {
            release: Some(vsn.clone()),
            failed: if same { self.failed + 1 } else { 1 },
            back_to: self.back_to.clone().filter(|_| same),
            gave_way: self.gave_way.clone(),
        }
    }

    /// Returns the record after an attempt was interrupted by a stop of the daemon: the attempt
    /// does not count.
    #[must_use]
    pub fn called_off(&self) -> Self {
        Self { failed: self.failed.saturating_sub(1), ..self.clone() }
    }

    /// Returns the record after a successful boot.
    #[must_use]
    pub fn succeeded(&self) -> Self {
        Self { gave_way: self.gave_way.clone(), ..Self::default() }
    }

    /// Returns the record at the time a release gives way. The failed attempts stay recorded until
    /// the other release is permanent.
    #[must_use]
    pub(crate) fn gives_way(&self, gave_way: GaveWay) -> Self {
        Self { gave_way: Some(gave_way), ..self.clone() }
    }

    /// Returns the record for a trial boot of a release, with `back_to` as its fallback.
    #[must_use]
    pub fn trial(&self, vsn: Vsn, back_to: Vsn) -> Self {
        Self { release: Some(vsn), failed: 0, back_to: Some(back_to), gave_way: self.gave_way.clone() }
    }

    /// Reads the record of a root. An unreadable file counts as empty, because it must not keep a
    /// node from booting.
    pub(crate) fn read(root: &Root) -> Self {
        let text = fs::read_to_string(root.boots_file()).unwrap_or_default();
        toml::from_str(&text).unwrap_or_default()
    }

    /// Writes the record, or deletes the file if the record is empty.
    pub(crate) fn write(&self, root: &Root) -> Result<(), Error> {
        let path = root.boots_file();
        if *self == Self::default() {
            return root.delete(&path);
        }
        let text = toml::to_string(self).expect("counts and versions fit into a document");
        root.replace(&path, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::lifecycle::{KnownRelease, Status};

    fn vsn(minor: u64) -> Vsn {
        Vsn::new(1, minor, 0)
    }

    /// 1.1.0 is permanent and came after 1.0.0; 1.2.0 ran as well.
    fn table() -> StatusTable {
        let release = |minor, status, previous: Option<u64>| KnownRelease {
            name: "shop".parse().unwrap(),
            version: vsn(minor),
            status,
            identity: Digest::of(&minor.to_be_bytes()),
            previous: previous.map(vsn),
            tried: false,
            unconfirmed: false,
            provenance: Default::default(),
            apps: vec![],
        };
        let releases = vec![
            release(2, Status::Old, None),
            release(1, Status::Permanent, Some(0)),
            release(0, Status::Old, None),
        ];
        StatusTable { releases, ..StatusTable::default() }
    }

    fn gives_way(to: u64, failed: u32) -> NextBoot {
        NextBoot::GiveWay(GaveWay { release: vsn(1), to: vsn(to), failed })
    }

    #[test]
    fn after_three_failed_attempts_the_previous_release_takes_over() {
        let mut boots = Boots::default();
        for _ in 0..ATTEMPTS_MAX {
            assert_eq!(boots.next(&table()), NextBoot::Permanent(vsn(1)));
            boots = boots.begun(&vsn(1));
        }
        assert_eq!(boots.next(&table()), gives_way(0, 3));
        assert_eq!(boots.called_off().next(&table()), NextBoot::Permanent(vsn(1)));
        assert_eq!(boots.succeeded().next(&table()), NextBoot::Permanent(vsn(1)));
        // The count of another release starts from zero.
        let mut other = table();
        (other.releases[0].status, other.releases[1].status) = (Status::Permanent, Status::Old);
        assert_eq!(boots.next(&other), NextBoot::Permanent(vsn(2)));
        assert_eq!(boots.begun(&vsn(2)).failed, 1);
    }

    #[test]
    fn without_a_previous_release_the_boot_is_retried() {
        let boots = Boots { release: Some(vsn(1)), failed: 9, ..Boots::default() };
        let mut table = table();
        table.releases[1].previous = None;
        assert_eq!(boots.next(&table), NextBoot::Permanent(vsn(1)));
        assert_eq!(boots.next(&StatusTable::default()), NextBoot::Idle);
    }

    #[test]
    fn a_trial_fails_once_and_gives_way_to_the_release_that_ran() {
        let boots = Boots::default().trial(vsn(1), vsn(2));
        assert_eq!(boots.next(&table()), NextBoot::Permanent(vsn(1)));
        assert_eq!(boots.begun(&vsn(1)).next(&table()), gives_way(2, 1));
        // If the status table was not written after the trial, another release boots and the trial
        // is dropped.
        assert_eq!(boots.begun(&vsn(0)), Boots { release: Some(vsn(0)), failed: 1, ..Boots::default() });
    }

    #[test]
    fn the_record_round_trips_and_a_damaged_file_counts_as_empty() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        assert_eq!(Boots::read(&root), Boots::default());
        let gave_way = GaveWay { release: vsn(1), to: vsn(0), failed: 3 };
        let boots = Boots::default().gives_way(gave_way).begun(&vsn(0));
        boots.write(&root).unwrap();
        assert_eq!(Boots::read(&root), boots);
        fs::write(root.boots_file(), "release = ").unwrap();
        assert_eq!(Boots::read(&root), Boots::default());
        Boots::default().write(&root).unwrap();
        assert!(!root.boots_file().exists());
    }

    #[test]
    fn a_write_interrupted_at_any_step_leaves_the_old_or_the_new_record() {
        use std::sync::Arc;

        use crate::disk::double::{Fault, FaultyDisk};

        let (before, after) =
            (Boots::default().begun(&vsn(0)), Boots::default().begun(&vsn(0)).begun(&vsn(0)));
        for fault in [Fault::Dead, Fault::Once] {
            for note in [&after, &Boots::default()] {
                for step in 0.. {
                    let folder = tempfile::tempdir().unwrap();
                    let root = Root::new(folder.path());
                    before.write(&root).unwrap();
                    let faulty = Root::on(folder.path(), Arc::new(FaultyDisk::new(fault, step)));
                    let written = note.write(&faulty);
                    let found = Boots::read(&root);
                    assert!(found == before || found == *note, "{fault:?} at step {step}: {found:?}");
                    if written.is_ok() {
                        assert_eq!(found, *note);
                        break;
                    }
                    note.write(&root).unwrap();
                    assert_eq!(Boots::read(&root), *note);
                }
            }
        }
    }
}
