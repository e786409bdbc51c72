//! Taking a folder for the root of a node: only one that is ours, and for one daemon at a time.
//!
//! | the folder | it |
//! |---|---|
//! | is missing, or empty | becomes a root: the mark comes before all else |
//! | has the mark of a format that this reld knows | is the root |
//! | has the mark of a newer format | is refused |
//! | has no mark, but a status table of reld's | is the root of a reld that made no marks: it is marked |
//! | has anything else | is refused: its files belong to others, and would be deleted |
//!
//! The lock is on the folder itself: no file can be deleted that would be the lock. It is held for as long as anything
//! has the folder open that the daemon had: a child that an app forked as well.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::Error;
use crate::layout::{Root, names};
use crate::releases_file;

/// The mark of a root.
const MARK: &str = "reld.toml";

/// The format of roots that this reld makes: what lies where, and what the files look like.
const FORMAT: u32 = 1;

/// What the mark says. More may stand there in a later format.
#[derive(Debug, Deserialize)]
struct Mark {
    format: u32,
}

/// What daemons without marks had locked. One may still run.
const FORMER_LOCK: &str = "reld.lock";

/// What a fresh file system has, and what an interrupted claim leaves.
const NOTHING: [&str; 2] = ["lost+found", "reld.toml.new"];

/// The right to change a root; ends when it is dropped, or with the process.
#[derive(Debug)]
pub struct RootLock {
    // Holding the open files is holding the locks.
    _folder: File,
    _former: Option<File>,
}

impl Root {
    /// Takes the root for this process: makes what is missing.
    ///
    /// # Errors
    /// [`Error::Locked`] where another process has it, [`Error::NotARoot`], [`Error::NewerRoot`], [`Error::BadMark`],
    /// [`Error::NotAFolder`], and [`Error::Io`].
    pub fn claim(&self) -> Result<RootLock, Error> {
        self.create_dir(self.path())?;
        let lock = RootLock { _folder: lock(self.path(), self.path())?, _former: self.former_lock()? };
        if !self.is_marked()? {
            self.mark()?;
        }
        self.create()?;
        Ok(lock)
    }

    fn former_lock(&self) -> Result<Option<File>, Error> {
        let path = self.path().join(FORMER_LOCK);
        if is_file(&path) { lock(self.path(), &path).map(Some) } else { Ok(None) }
    }

    /// Says whether the root has its mark; an error where the folder is none of ours.
    fn is_marked(&self) -> Result<bool, Error> {
        let path = self.path().join(MARK);
        match fs::read_to_string(&path) {
            Ok(text) => match toml::from_str(&text) {
                Ok(Mark { format }) if format <= FORMAT => Ok(true),
                Ok(Mark { format }) => {
                    Err(Error::NewerRoot { root: self.path().to_owned(), format, known: FORMAT })
                }
                Err(source) => Err(Error::BadMark { path, known: FORMAT, source: Box::new(source) }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.unmarked().map(|()| false),
            Err(error) => Err(Error::io("read", &path)(error)),
        }
    }

    /// A folder without a mark is taken where it is empty, or a root all the same.
    fn unmarked(&self) -> Result<(), Error> {
        let is_foreign = |name: &&std::ffi::OsString| !NOTHING.map(OsStr::new).contains(&name.as_os_str());
        let names = names(self.path())?;
        match names.iter().find(is_foreign) {
            Some(foreign) if !releases_file::is_ours(self) => {
                Err(Error::NotARoot { root: self.path().to_owned(), foreign: PathBuf::from(foreign) })
            }
            _ => Ok(()),
        }
    }

    fn mark(&self) -> Result<(), Error> {
        let text = format!(
            "# This folder is the root of a reld node, which deletes here what it does not know.\n\
             format = {FORMAT}\n"
        );
        self.replace(&self.path().join(MARK), &text)
    }

    /// Makes the folders that are not there yet.
    pub(crate) fn create(&self) -> Result<(), Error> {
        for folder in ["history", "lib", "releases", "run", "staging"] {
            let path = self.path().join(folder);
            self.create_dir(&path)?;
            own_folder(&path)?;
        }
        self.sync(self.path())
    }
}

/// What lies behind a link is not ours.
pub(crate) fn own_folder(path: &Path) -> Result<(), Error> {
    let found = fs::symlink_metadata(path).map_err(Error::io("read", path))?;
    if found.is_dir() { Ok(()) } else { Err(Error::NotAFolder { path: path.to_owned() }) }
}

fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

fn lock(root: &Path, path: &Path) -> Result<File, Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { root: root.to_owned(), holders: holders(path) }),
        Err(TryLockError::Error(source)) => Err(Error::io("lock", path)(source)),
    }
}

/// Returns the processes that hold the lock on a file now, by what the kernel shows of their descriptors: those of
/// other users are not among them.
fn holders(path: &Path) -> Vec<String> {
    let Ok(path) = path.canonicalize() else { return Vec::new() };
    let holds = |process: &Path| {
        entries(&process.join("fd")).into_iter().any(|descriptor| {
            let Some(number) = descriptor.file_name() else { return false };
            fs::read_link(&descriptor).is_ok_and(|to| to == path)
                && fs::read_to_string(process.join("fdinfo").join(number))
                    .is_ok_and(|info| info.contains("\nlock:"))
        })
    };
    let name = |process: PathBuf| {
        let id = process.file_name()?.to_str()?.parse::<u32>().ok()?;
        let name = holds(&process).then(|| fs::read_to_string(process.join("comm")).unwrap_or_default())?;
        Some(format!("process {id} ({})", name.trim_end()))
    };
    entries(Path::new("/proc")).into_iter().filter_map(name).collect()
}

/// Returns what is in a folder of the kernel's; nothing where the process has ended or is another user's.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(folder).into_iter().flatten();
    read.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn root() -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path().join("not/yet/there"));
        (folder, root)
    }

    /// Makes files in a folder, by their paths, and says what becomes of it as a root.
    #[track_caller]
    fn check(files: &[(&str, &str)], refused: Option<&str>) {
        let (_folder, root) = root();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        match (root.claim(), refused) {
            (Ok(_), None) => assert!(root.path().join(MARK).is_file()),
            (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{error}"),
            (claimed, refused) => panic!("{files:?}: {claimed:?}, not {refused:?}"),
        }
        for (path, text) in files {
            assert_eq!(fs::read_to_string(root.path().join(path)).unwrap(), *text, "nothing is touched");
        }
    }

    #[test]
    fn only_an_empty_folder_and_one_of_ours_becomes_a_root() {
        check(&[], None);
        check(&[("lost+found/x", "")], None);
        check(&[(MARK, "format = 1\nmore = 2\n"), ("anything", "")], None);
        check(&[(MARK, "format = 0\n")], None);
        check(&[("lib/libfoo.so", "theirs")], Some("holds lib"));
        check(&[(".hidden", "")], Some("holds .hidden"));
        check(&[("releases/RELEASES.toml", "theirs")], Some("holds releases"));
        check(&[(MARK, "format = 2\n")], Some("has format 2, and this reld knows formats up to 1"));
        check(&[(MARK, "")], Some("does not say the format"));
        check(&[(MARK, "format = \"new\"\n")], Some("does not say the format"));
    }

    #[test]
    fn an_interrupted_claim_goes_on() {
        let (_folder, root) = root();
        fs::create_dir_all(root.path()).unwrap();
        fs::write(root.path().join("reld.toml.new"), "form").unwrap();
        drop(root.claim().unwrap());
        assert_eq!(
            names(root.path()).unwrap(),
            ["history", "lib", "reld.toml", "releases", "run", "staging"]
        );
    }

    #[test]
    fn a_root_of_a_reld_without_marks_is_marked_unless_that_one_runs() {
        let (_folder, root) = root();
        drop(root.claim().unwrap());
        releases_file::write(&root, &crate::lifecycle::StatusTable::default()).unwrap();
        fs::remove_file(root.path().join(MARK)).unwrap();
        let former = File::create(root.path().join(FORMER_LOCK)).unwrap();
        former.try_lock().unwrap();
        assert!(matches!(root.claim(), Err(Error::Locked { .. })));
        assert!(!root.path().join(MARK).exists());
        drop(former);
        let _lock = root.claim().unwrap();
        assert!(root.path().join(MARK).exists());
        let former = File::open(root.path().join(FORMER_LOCK)).unwrap();
        assert!(former.try_lock().is_err(), "it does not start meanwhile");
    }

    #[test]
    fn a_second_daemon_is_refused_with_whoever_holds_the_folder() {
        let (_folder, root) = root();
        let lock = root.claim().unwrap();
        let refused = root.claim().unwrap_err().to_string();
        assert!(refused.contains(&format!("in use by process {} (", std::process::id())), "{refused}");
        drop(lock);
        root.claim().unwrap();
    }

    #[test]
    fn a_folder_of_a_root_that_is_a_link_is_refused() {
        for name in ["history", "lib", "releases", "run", "staging"] {
            let (folder, root) = root();
            drop(root.claim().unwrap());
            fs::remove_dir(root.path().join(name)).unwrap();
            let outside = folder.path().join("outside");
            fs::create_dir(&outside).unwrap();
            fs::write(outside.join("file"), "kept").unwrap();
            symlink(&outside, root.path().join(name)).unwrap();
            let refused = root.claim().unwrap_err().to_string();
            assert!(refused.contains(name) && refused.contains("is a link, or no folder"), "{refused}");
            assert!(outside.join("file").exists());
        }
    }
}
