//! Old releases that may go, and what goes with them.

use std::collections::BTreeSet;
use std::fs;

use reld_plan::Vsn;

use crate::error::Error;
use crate::layout::{self, Root};
use crate::lifecycle::{KnownApp, KnownRelease, Status, StatusTable};
use crate::verify;

/// A release that goes, or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The release.
    pub version: Vsn,
    /// Its apps that no other release uses, whose files go with it.
    pub apps: Vec<KnownApp>,
    /// How many bytes that sets free.
    pub bytes: u64,
}

impl StatusTable {
    /// Returns the old releases but for the `keep` newest, the newest first.
    ///
    /// The way back stays: neither what runs or is booted goes, nor what ran before it. A release that never ran was
    /// brought for an upgrade to come, and stays too.
    pub fn prunable(&self, keep: usize) -> Vec<&KnownRelease> {
        let ways = [self.running(), self.permanent()];
        let before: Vec<&Vsn> = ways.into_iter().flatten().filter_map(|way| way.previous.as_ref()).collect();
        let old = self.releases.iter().filter(|release| release.status == Status::Old);
        old.skip(keep).filter(|release| !before.contains(&&release.version)).collect()
    }
}

/// Returns what [`Store::prune`](crate::Store::prune) would remove. Reads only, so no lock is needed.
///
/// # Errors
/// [`Error::Io`].
pub fn removals(root: &Root, table: &StatusTable, keep: usize) -> Result<Vec<Removal>, Error> {
    let goes = table.prunable(keep);
    let stays = table.releases.iter().filter(|release| !goes.contains(release));
    let mut used: BTreeSet<&str> =
        stays.flat_map(|release| &release.apps).map(|app| app.dir.as_str()).collect();
    let mut removals = Vec::new();
    for release in goes {
        // What two of them share goes with the first.
        let apps: Vec<KnownApp> = release.apps.iter().filter(|app| used.insert(&app.dir)).cloned().collect();
        let mut bytes = size(root, &layout::release_dir(&release.version))?;
        for app in &apps {
            bytes += size(root, &app.dir)?;
        }
        removals.push(Removal { version: release.version.clone(), apps, bytes });
    }
    Ok(removals)
}

fn size(root: &Root, folder: &str) -> Result<u64, Error> {
    let mut bytes = 0;
    for path in verify::files(root.path(), folder)? {
        let path = root.path().join(path);
        bytes += fs::symlink_metadata(&path).map_err(Error::io("read", &path))?.len();
    }
    Ok(bytes)
}
