//! Claims a folder as the root of a node. The folder must belong to reld, and only one daemon at a
//! time can hold it.
//!
//! | state of the folder | result |
//! |---|---|
//! | missing or empty | becomes a root; the mark is written first |
//! | has a mark with a format that this reld knows | is the root |
//! | has a mark with a newer format | is refused |
//! | has no mark, but a status table of reld | is the root of an early reld without marks; gets a mark |
//! | has other content | is refused, because a node would delete files that are not its own |
//!
//! The lock is on the folder itself, so there is no lock file that could be deleted. The lock is
//! held as long as any OS process has the daemon's descriptor of the folder open, including child
//! processes that an app forked.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::Error;
use crate::layout::{Root, names};
use crate::releases_file;

const MARK: &str = "reld.toml";

/// The format of roots that this reld makes: the layout and the form of the files.
const FORMAT: u32 = 1;

/// The content of the mark. Later formats may have more keys.
#[derive(Debug, Deserialize)]
struct Mark {
    format: u32,
}

/// The lock file of early daemons, which wrote no marks. Such a daemon may still run.
const FORMER_LOCK: &str = "reld.lock";

/// Names that an empty folder may contain: those of a fresh file system, of an interrupted claim,
/// and the default socket of a user without a folder for sockets, whose node may have another root.
const NOTHING: [&str; 3] = ["lost+found", "reld.toml.new", "reld.sock"];

/// The lock on a root, held until this value is dropped or the OS process ends.
#[derive(Debug)]
pub struct RootLock {
    // The open files hold the locks.
    _folder: File,
    _former: Option<File>,
}

impl Root {
    /// Claims the root for this process and creates missing folders.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process holds it, [`Error::NotARoot`], [`Error::NewerRoot`],
    /// [`Error::BadMark`], [`Error::NotAFolder`], and [`Error::Io`].
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

    /// Returns whether the root has its mark. Fails if the folder is not a root that this reld
    /// knows.
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

    /// Accepts a folder without a mark if it is empty or has a status table of reld.
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
            "# This folder is the root of a reld node, which deletes files here that it does not know.\n\
             format = {FORMAT}\n"
        );
        self.replace(&self.path().join(MARK), &text)
    }

    pub(crate) fn create(&self) -> Result<(), Error> {
        for folder in ["history", "lib", "releases", "run", "staging"] {
            let path = self.path().join(folder);
            self.create_dir(&path)?;
            own_folder(&path)?;
        }
        self.sync(self.path())
    }
}

/// Refuses links, because their targets do not belong to the root.
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

/// Returns the OS processes that hold the lock on a file. The kernel hides the descriptors of other
/// users, so their processes are missing.
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

/// Returns the entries of a folder in `/proc`; none if the OS process has ended or belongs to
/// another user.
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

    /// Creates files in a folder, claims it as a root, and checks the result.
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
            assert_eq!(
                fs::read_to_string(root.path().join(path)).unwrap(),
                *text,
                "the files must be unchanged"
            );
        }
    }

    #[test]
    fn only_an_empty_folder_or_a_known_root_is_claimed() {
        check(&[], None);
        check(&[("lost+found/x", "")], None);
        check(&[(MARK, "format = 1\nmore = 2\n"), ("anything", "")], None);
        check(&[(MARK, "format = 0\n")], None);
        check(&[("lib/libfoo.so", "theirs")], Some("contains lib"));
        check(&[(".hidden", "")], Some("contains .hidden"));
        check(&[("releases/RELEASES.toml", "theirs")], Some("contains releases"));
        check(&[(MARK, "format = 2\n")], Some("has format 2, but this reld knows formats up to 1"));
        check(&[(MARK, "")], Some("does not state the format"));
        check(&[(MARK, "format = \"new\"\n")], Some("does not state the format"));
    }

    #[test]
    fn an_interrupted_claim_can_be_completed() {
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
    fn a_root_without_a_mark_is_marked_unless_its_early_daemon_runs() {
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
        assert!(former.try_lock().is_err(), "the claim must hold the former lock too");
    }

    #[test]
    fn a_second_daemon_is_refused_with_the_process_that_holds_the_lock() {
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
            assert!(refused.contains(name) && refused.contains("is a link or not a folder"), "{refused}");
            assert!(outside.join("file").exists());
        }
    }
}
