//! The history of the node's releases, one file for each upgrade, downgrade and boot.
//!
//! ```text
//! ROOT/history/
//!   000041.json   000042.json   the latest records; the daemon defines their content
//! ```
//!
//! A record is written before an order begins and completed when the order ends. After a crash, an
//! incomplete record therefore shows the interrupted order. Each write is atomic: a new file is
//! synced and renamed over the old file.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::error::Error;
use crate::layout::{Root, names};

const KEPT_MAX: usize = 100;

/// The file name extension of records.
const ENDING: &str = ".json";

/// The records of one root. Any OS process may read the records; only the daemon that holds the
/// root's lock may write them.
#[derive(Debug, Clone)]
pub struct History {
    root: Root,
}

impl History {
    pub(crate) const fn new(root: Root) -> Self {
        Self { root }
    }

    /// Begins a record with this text and returns its number. Deletes the oldest records beyond the
    /// last hundred.
    ///
    /// # Errors
    /// [`Error::Io`]; then there is no new record.
    pub fn begin(&self, text: &str) -> Result<u64, Error> {
        let known = self.numbers()?;
        let number = known.last().map_or(1, |last| last + 1);
        self.write(number, text)?;
        let surplus = (known.len() + 1).saturating_sub(KEPT_MAX);
        for old in &known[..surplus] {
            // The next call of `begin` repeats a failed deletion.
            let _ = self.root.disk().remove(&self.path(*old));
        }
        Ok(number)
    }

    /// Rewrites a record.
    ///
    /// # Errors
    /// [`Error::Io`]; then the old record is kept or, if only the last step failed, the new one is
    /// in place.
    pub fn write(&self, number: u64, text: &str) -> Result<(), Error> {
        self.root.replace(&self.path(number), text)
    }

    /// Returns the numbers of all records, the oldest first.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn numbers(&self) -> Result<Vec<u64>, Error> {
        let names = names(&self.root.history_dir())?;
        let number = |name: &std::ffi::OsString| name.to_str()?.strip_suffix(ENDING)?.parse().ok();
        let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Returns the text of a record; `None` if there is none with that number.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn read(&self, number: u64) -> Result<Option<String>, Error> {
        let path = self.path(number);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &path)(error)),
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.root.history_dir().join(format!("{number:06}{ENDING}"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::disk::double::{Fault, FaultyDisk};

    fn history() -> (tempfile::TempDir, History) {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        root.create().unwrap();
        (folder, History::new(root))
    }

    #[test]
    fn a_record_is_begun_completed_and_read() {
        let (_folder, history) = history();
        assert_eq!(history.begin("one").unwrap(), 1);
        assert_eq!(history.begin("two").unwrap(), 2);
        history.write(2, "two, done").unwrap();
        assert_eq!(history.numbers().unwrap(), [1, 2]);
        assert_eq!(history.read(2).unwrap().as_deref(), Some("two, done"));
        assert_eq!(history.read(4).unwrap(), None);
        assert_eq!(history.begin("three").unwrap(), 3);
    }

    #[test]
    fn the_last_hundred_are_kept() {
        let (_folder, history) = history();
        for _ in 0..KEPT_MAX + 5 {
            history.begin("one of many").unwrap();
        }
        let numbers = history.numbers().unwrap();
        assert_eq!((numbers.len(), numbers.first(), numbers.last()), (100, Some(&6), Some(&105)));
    }

    #[test]
    fn an_interrupted_begin_leaves_the_record_or_none_and_the_others_unchanged() {
        for fault in [Fault::Dead, Fault::Once] {
            for step in 0.. {
                let (folder, history) = history();
                for _ in 0..KEPT_MAX {
                    history.begin("an old one").unwrap();
                }
                let begun = History::new(Root::on(folder.path(), Arc::new(FaultyDisk::new(fault, step))))
                    .begin("new");
                let numbers = history.numbers().unwrap();
                let is_there = history.read(101).unwrap().as_deref() == Some("new");
                assert_eq!(is_there, numbers.last() == Some(&101), "{fault:?} at step {step}");
                assert!(begun.is_err() || is_there);
                assert!(numbers.len() >= KEPT_MAX, "{fault:?} at step {step}: {numbers:?}");
                assert_eq!(history.read(50).unwrap().as_deref(), Some("an old one"));
                // The next begin completes the cleanup.
                history.begin("the next").unwrap();
                assert_eq!(history.numbers().unwrap().len(), KEPT_MAX);
                if begun.is_ok() && numbers.len() == KEPT_MAX {
                    assert!(step > 3, "only {step} steps were seen");
                    break;
                }
            }
        }
    }

    #[test]
    fn an_interrupted_write_leaves_the_old_record_and_can_be_repeated() {
        for step in 0..3 {
            let (folder, history) = history();
            history.begin("under way").unwrap();
            let disk = Arc::new(FaultyDisk::new(Fault::Dead, step));
            let dying = History::new(Root::on(folder.path(), disk));
            dying.write(1, "done").unwrap_err();
            assert_eq!(history.read(1).unwrap().as_deref(), Some("under way"), "step {step}");
            assert_eq!(history.numbers().unwrap(), [1]);
            history.write(1, "done").unwrap();
            assert_eq!(history.read(1).unwrap().as_deref(), Some("done"));
        }
    }
}
