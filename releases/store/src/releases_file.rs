//! `RELEASES.toml`: the status table on disk.
//!
//! It is rewritten as a whole: a new file beside it, brought to the medium, renamed over it, and the folder brought
//! to the medium too. Whenever the machine stops, the table is the one before or the one after.
//! (OTP rewrites `RELEASES` in place.)

use std::collections::BTreeSet;
use std::fs;
use std::io;

use crate::error::Error;
use crate::layout::{self, Root};
use crate::lifecycle::{Status, StatusTable};

/// Reads the status table of a root; `None` where nothing was ever unpacked.
///
/// # Errors
/// [`Error::NoStatusTable`] where the root holds releases and no table; [`Error::BadStatusTable`] and
/// [`Error::ImpossibleStatusTable`] where somebody changed it into what the store never writes.
pub(crate) fn read(root: &Root) -> Result<Option<StatusTable>, Error> {
    let path = root.releases_file();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return missing(root).map(|()| None),
        Err(e) => return Err(Error::io("read", &path)(e)),
    };
    let table: StatusTable = toml::from_str(&text)
        .map_err(|source| Error::BadStatusTable { path: path.clone(), source: Box::new(source) })?;
    match impossible(&table) {
        Some(what) => Err(Error::ImpossibleStatusTable { path, what }),
        None => Ok(Some(table)),
    }
}

/// Writes the status table, in which nothing is current any more.
///
/// # Errors
/// [`Error::Io`]; the table on disk is then the one before or, where only the last step failed, the new one.
pub(crate) fn write(root: &Root, table: &StatusTable) -> Result<(), Error> {
    let path = root.releases_file();
    let new = path.with_extension("toml.new");
    if new.exists() {
        root.disk().remove(&new).map_err(Error::io("delete", &new))?;
    }
    let text = toml::to_string(&table.without_current()).expect("a status table has only strings and tables");
    root.write(&new, &text)?;
    root.sync(&new)?;
    root.rename(&new, &path)?;
    root.sync(&root.path().join("releases"))
}

/// The table is written before the first folder comes, so that a missing one beside folders was taken away. It is
/// refused since sweeping by an empty table would delete every release.
fn missing(root: &Root) -> Result<(), Error> {
    for folder in ["lib", "releases"].map(|name| root.path().join(name)) {
        if layout::names(&folder)?.into_iter().any(|name| folder.join(name).is_dir()) {
            return Err(Error::NoStatusTable { path: root.releases_file() });
        }
    }
    Ok(())
}

fn impossible(table: &StatusTable) -> Option<&'static str> {
    let permanent = table.releases.iter().filter(|release| release.status == Status::Permanent).count();
    if permanent > 1 {
        return Some("two permanent releases");
    }
    let versions: BTreeSet<_> = table.releases.iter().map(|release| &release.version).collect();
    (versions.len() < table.releases.len()).then_some("one version twice")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;
    use crate::lifecycle::{KnownApp, KnownRelease};

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
            apps: vec![app],
        }
    }

    #[track_caller]
    fn check_damaged(text: &str, expected: &str) {
        let (_folder, root) = root();
        fs::write(root.releases_file(), text).unwrap();
        let error = read(&root).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }

    #[test]
    fn the_table_is_read_as_it_was_written_but_for_the_current_release() {
        let (_folder, root) = root();
        let releases = [("3.0.0", Status::Current), ("2.0.0", Status::Permanent), ("1.0.0", Status::Old)];
        let mut table = StatusTable { releases: releases.map(|(v, s)| release(v, s)).to_vec() };
        write(&root, &table).unwrap();
        table.releases[0].status = Status::Unpacked;
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
    fn a_table_that_the_store_never_writes_is_an_error() {
        let text = |releases: &[KnownRelease]| {
            toml::to_string(&StatusTable { releases: releases.to_vec() }).unwrap()
        };
        let one = text(&[release("1.0.0", Status::Permanent)]);
        check_damaged(&one.replace("permanent", "current"), "is damaged");
        check_damaged(&one.replace("status", "state"), "is damaged");
        check_damaged("[[release]", "is damaged");
        let two = [release("1.0.0", Status::Permanent), release("2.0.0", Status::Permanent)];
        check_damaged(&text(&two), "two permanent releases");
        check_damaged(
            &text(&[release("1.0.0", Status::Old), release("1.0.0", Status::Old)]),
            "one version twice",
        );
    }
}
