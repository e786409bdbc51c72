//! The old releases that a prune removes, and their apps.

use std::collections::BTreeSet;
use std::fs;

use reld_plan::Vsn;

use crate::error::Error;
use crate::layout::{self, Root};
use crate::lifecycle::{KnownApp, KnownRelease, Status, StatusTable};
use crate::verify;

/// A release that was or would be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The release.
    pub version: Vsn,
    /// The apps that only this release uses, which are removed with it.
    pub apps: Vec<KnownApp>,
    /// The number of freed bytes.
    pub bytes: u64,
}

impl StatusTable {
    /// Returns the old releases except the `keep` newest, the newest first.
    ///
    /// The running release, the permanent release and the releases that ran before these two are
    /// kept, so that the node can go back. A release that never ran is kept for a future upgrade.
    pub fn prunable(&self, keep: usize) -> Vec<&KnownRelease> {
        let ways = [self.running(), self.permanent()];
        let before: Vec<&Vsn> = ways.into_iter().flatten().filter_map(|way| way.previous.as_ref()).collect();
        let old = self.releases.iter().filter(|release| release.status == Status::Old);
        old.skip(keep).filter(|release| !before.contains(&&release.version)).collect()
    }
}

/// Returns the releases that [`Store::prune`](crate::Store::prune) would remove. No lock is needed,
/// because this only reads.
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
        // An app that several removed releases share counts for the first of them.
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
