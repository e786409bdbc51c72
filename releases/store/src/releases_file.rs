//! `RELEASES.toml`: the status table on disk.
//!
//! Each write replaces the whole file: a new file is synced, renamed over the old one, and the
//! folder is synced too. Whenever the machine stops, the old or the new table is in place. (OTP
//! rewrites `RELEASES` in place.)
//!
//! The first line is the digest of the other lines. A change by another program is therefore found
//! when the daemon starts, and not only when an operator needs to go back to a release with a wrong
//! record.

use std::fs;
use std::io;

use crate::digest::Digest;
use crate::error::Error;
use crate::layout::{self, Root};
use crate::lifecycle::StatusTable;

/// The text before the digest.
const HEAD: &str = "# sha256 of what follows: ";

/// Reads the status table of a root; `None` if nothing was ever unpacked.
///
/// # Errors
/// [`Error::NoStatusTable`] if the root contains releases but no table,
/// [`Error::ChangedStatusTable`] if the table was changed after it was written, and
/// [`Error::BadStatusTable`] if another version of reld wrote it.
pub(crate) fn read(root: &Root) -> Result<Option<StatusTable>, Error> {
    let path = root.releases_file();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return missing(root).map(|()| None),
        Err(e) => return Err(Error::io("read", &path)(e)),
    };
    let Some((_, table)) = text.split_once('\n').filter(|(_, table)| text == signed(table)) else {
        return Err(Error::ChangedStatusTable { path });
    };
    toml::from_str(table).map(Some).map_err(|source| Error::BadStatusTable { path, source: Box::new(source) })
}

fn signed(table: &str) -> String {
    format!("{HEAD}{}\n{table}", Digest::of(table.as_bytes()))
}

/// Writes the status table, without the current status.
///
/// # Errors
/// [`Error::Io`]; then the old table is kept or, if only the last step failed, the new table is in
/// place.
pub(crate) fn write(root: &Root, table: &StatusTable) -> Result<(), Error> {
    let text = toml::to_string(&table.without_current()).expect("a status table has only strings and tables");
    root.replace(&root.releases_file(), &signed(&text))
}

/// Reports whether a root has a status table written by reld.
pub(crate) fn is_ours(root: &Root) -> bool {
    fs::read_to_string(root.releases_file()).is_ok_and(|text| text.starts_with(HEAD))
}

/// Checks a root without a table. The table is written before the first folder of an app or a
/// release is created, so if such folders exist, the table was deleted. Such a root is refused,
/// because a sweep with an empty table would delete every release.
fn missing(root: &Root) -> Result<(), Error> {
    for folder in ["lib", "releases"].map(|name| root.path().join(name)) {
        if layout::names(&folder)?.into_iter().any(|name| folder.join(name).is_dir()) {
            return Err(Error::NoStatusTable { path: root.releases_file() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{KnownApp, KnownRelease, Status};

    fn root() -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        root.create().unwrap();
        (folder, root)
    }

    fn release(version: &str, status: Status) -> KnownRelease {
        let app = KnownApp {
            name: "counter".parse().unwrap(),
            version: "0.1.0".parse().unwrap(),
            dir: "lib/counter-0.1.0".to_owned(),
        };
        KnownRelease {
            name: "shop".parse().unwrap(),
            version: version.parse().unwrap(),
            status,
            identity: Digest::of(version.as_bytes()),
            previous: None,
            tried: status == Status::Current,
            unconfirmed: false,
            provenance: Default::default(),
            apps: vec![app],
        }
    }

    fn table(releases: Vec<KnownRelease>) -> StatusTable {
        StatusTable { releases, ..StatusTable::default() }
    }

    #[test]
    fn the_table_round_trips_except_for_the_current_status() {
        let (_folder, root) = root();
        let releases = [("3.0.0", Status::Current), ("2.0.0", Status::Permanent), ("1.0.0", Status::Old)];
        let mut table = table(releases.map(|(v, s)| release(v, s)).to_vec());
        write(&root, &table).unwrap();
        (table.releases[0].status, table.releases[0].tried) = (Status::Unpacked, false);
        assert_eq!(read(&root).unwrap(), Some(table));
    }

    #[test]
    fn an_empty_root_has_no_table() {
        let (_folder, root) = root();
        fs::write(root.path().join("releases/RELEASES.toml.new"), "half").unwrap();
        assert_eq!(read(&root).unwrap(), None);
    }

    #[test]
    fn a_missing_table_beside_releases_or_apps_is_an_error() {
        for folder in ["releases/1.0.0", "lib/counter-0.1.0"] {
            let (_folder, root) = root();
            fs::create_dir(root.path().join(folder)).unwrap();
            assert!(matches!(read(&root), Err(Error::NoStatusTable { .. })), "{folder}");
        }
    }

    #[test]
    fn a_table_changed_by_another_program_is_an_error() {
        let (_folder, root) = root();
        write(&root, &table(vec![release("1.0.0", Status::Permanent)])).unwrap();
        let sound = fs::read_to_string(root.releases_file()).unwrap();
        let (_, table) = sound.split_once('\n').unwrap();
        let changed = [
            sound.replace("permanent", "old"),
            sound.replace("1.0.0", "1.0.1"),
            format!("{sound}\n"),
            sound[..sound.len() / 2].to_owned(),
            table.to_owned(),
            String::new(),
        ];
        for text in changed {
            fs::write(root.releases_file(), &text).unwrap();
            assert!(matches!(read(&root), Err(Error::ChangedStatusTable { .. })), "{text}");
        }
    }

    #[test]
    fn a_table_of_another_reld_is_an_error() {
        let (_folder, root) = root();
        fs::write(root.releases_file(), signed("format = 2\n")).unwrap();
        assert!(matches!(read(&root), Err(Error::BadStatusTable { .. })));
    }
}
