//! A disk that a power cut may leave in any state that the store's syncs allow.
//!
//! It works like the machine's disk, and records every change and every sync. A power cut after any
//! of these events keeps all synced changes. Each unsynced change is kept, lost or torn,
//! independently of the others:
//!
//! | change | synced by | if torn, it leaves |
//! |---|---|---|
//! | bytes of a file | a sync of the file | half of them, or zeros |
//! | a created or deleted name | a sync of its folder | |
//! | a renamed file or folder | a sync of the target folder | a file under both names |
//! | all of these | a sync of the filesystem | |
//!
//! A folder is deleted name by name. After a cut, only files with a path from the top exist, so the
//! names of their folders must be kept too. Common journaling filesystems guarantee more: they keep
//! the order of changes to names.

mod medium;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use self::medium::{Change, Id, Medium, Name, Node, TOP};
pub(crate) use self::medium::{FATES, Fate, Found};
use super::{Disk, RealDisk};
use crate::room::Room;

#[derive(Debug, Clone)]
enum Event {
    Change(Change),
    /// A file, or the names in a folder, were synced.
    Synced(Id),
    AllSynced,
}

/// The syncs that a [`PowerDisk`] ignores, as if the store had omitted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forgets {
    Nothing,
    Files,
    Folders,
    Filesystem,
}

/// The recorded events of a disk, from which every power cut can be derived.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    before: Medium,
    events: Vec<Event>,
}

#[derive(Debug)]
struct Recorder {
    record: Record,
    /// The files and folders as programs see them, with all changes.
    seen: Medium,
    /// Open files by their inode numbers on the machine's disk.
    open: HashMap<u64, Id>,
}

/// The machine's disk with a record of its events.
#[derive(Debug)]
pub(crate) struct PowerDisk {
    top: PathBuf,
    forgets: Forgets,
    recorder: Mutex<Recorder>,
}

impl PowerDisk {
    /// Records the changes below `top`. The content that exists now counts as synced.
    pub(crate) fn below(top: &Path, forgets: Forgets) -> Self {
        let mut medium = Medium(vec![Node::Folder(BTreeMap::new())]);
        for entry in fs::read_dir(top).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                let node = medium.scan(&entry.path());
                medium.names(TOP).insert(entry.file_name(), node);
            }
        }
        let record = Record { before: medium.clone(), events: Vec::new() };
        let recorder = Recorder { record, seen: medium, open: HashMap::new() };
        Self { top: top.to_owned(), forgets, recorder: Mutex::new(recorder) }
    }

    /// Returns the events so far.
    pub(crate) fn record(&self) -> Record {
        self.with(|recorder| {
            let mut record = recorder.record.clone();
            record.before.extend_empty(&recorder.seen);
            record
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Recorder) -> T) -> T {
        work(&mut self.recorder.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Records an event at a path below the top.
    fn note<T>(&self, path: &Path, work: impl FnOnce(&mut Recorder, &Path) -> T) -> T {
        let path = path.strip_prefix(&self.top).expect("all is below the top");
        self.with(|recorder| work(recorder, path))
    }
}

impl Recorder {
    fn change(&mut self, change: Change) {
        self.seen.apply(&change, Fate::Kept);
        self.record.events.push(Event::Change(change));
    }

    fn make(&mut self, name: Name, node: Node) -> Id {
        let id = self.seen.add(node);
        self.change(Change::Names { name, node: Some(id) });
        id
    }

    fn make_folder(&mut self, path: &Path) {
        path.iter().fold(TOP, |folder, name| match self.seen.child(folder, name) {
            Some(id) => id,
            None => self.make((folder, name.to_owned()), Node::Folder(BTreeMap::new())),
        });
    }

    fn remove(&mut self, name: Name) {
        let Some(id) = self.seen.child(name.0, &name.1) else { return };
        if let Node::Folder(names) = &self.seen.0[id] {
            let names: Vec<_> = names.keys().cloned().collect();
            names.into_iter().for_each(|name| self.remove((id, name)));
        }
        self.change(Change::Names { name, node: None });
    }
}

impl Disk for PowerDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk::Durable.create_dir(path)?;
        self.note(path, Recorder::make_folder);
        Ok(())
    }

    fn create(&self, path: &Path, mode: u32) -> io::Result<File> {
        let file = RealDisk::Durable.create(path, mode)?;
        let number = file.metadata()?.ino();
        self.note(path, |recorder, path| {
            let id = recorder.make(recorder.seen.name(path), Node::File { bytes: Vec::new(), mode });
            recorder.open.insert(number, id);
        });
        Ok(file)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        RealDisk::Durable.write(file, bytes)?;
        let number = file.metadata()?.ino();
        self.with(|recorder| {
            let file = recorder.open[&number];
            recorder.change(Change::Grows { file, bytes: bytes.to_vec() });
        });
        Ok(())
    }

    // The machine's disk is not synced, because no test can observe that.
    fn sync(&self, path: &Path) -> io::Result<()> {
        let kind = if path.is_dir() { Forgets::Folders } else { Forgets::Files };
        if self.forgets != kind {
            self.note(path, |recorder, path| {
                let id = recorder.seen.find(path).expect("synced paths exist");
                recorder.record.events.push(Event::Synced(id));
            });
        }
        Ok(())
    }

    fn sync_filesystem(&self, _: &Path) -> io::Result<()> {
        if self.forgets != Forgets::Filesystem {
            self.with(|recorder| recorder.record.events.push(Event::AllSynced));
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk::Durable.rename(from, to)?;
        let from = self.note(from, |recorder, from| recorder.seen.name(from));
        self.note(to, |recorder, to| {
            let to = recorder.seen.name(to);
            let node = recorder.seen.child(from.0, &from.1).expect("renamed paths exist");
            recorder.change(Change::Moves { from, to, node });
        });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk::Durable.remove(path)?;
        self.note(path, |recorder, path| recorder.remove(recorder.seen.name(path)));
        Ok(())
    }

    fn room(&self, _: &Path) -> io::Result<Room> {
        Ok(Room { free: 1 << 40, total: 1 << 40 })
    }
}

impl Record {
    /// Returns the number of changes and syncs.
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Returns the number of changes before the `at`-th event that no sync before that event has
    /// covered.
    pub(crate) fn pending(&self, at: usize) -> usize {
        self.changes(at).filter(|(is_pending, _)| *is_pending).count()
    }

    /// Cuts the power before the `at`-th event; `fates` lists the fates of the pending changes, in
    /// order.
    pub(crate) fn cut(&self, at: usize, fates: &[Fate]) -> Found {
        let mut medium = self.before.clone();
        let mut fates = fates.iter();
        for (is_pending, change) in self.changes(at) {
            let fate = if is_pending { *fates.next().expect("a fate for each") } else { Fate::Kept };
            medium.apply(change, fate);
        }
        medium.found()
    }

    /// Returns the changes before the `at`-th event. The flag of a change is true if no sync before
    /// that event has covered it.
    fn changes(&self, at: usize) -> impl Iterator<Item = (bool, &Change)> {
        let events = &self.events[..at];
        events.iter().enumerate().filter_map(move |(place, event)| match event {
            Event::Change(change) => Some((!events[place..].iter().any(|later| later.keeps(change)), change)),
            Event::Synced(_) | Event::AllSynced => None,
        })
    }
}

impl Event {
    /// Returns whether this event syncs an earlier change.
    fn keeps(&self, change: &Change) -> bool {
        let needed = match change {
            Change::Names { name, .. } => name.0,
            Change::Moves { to, .. } => to.0,
            Change::Grows { file, .. } => *file,
        };
        match self {
            Self::Synced(id) => *id == needed,
            Self::AllSynced => true,
            Self::Change(_) => false,
        }
    }
}

mod tests {
    use super::*;

    /// Returns the content of a replaced file after a cut at the end, for each fate.
    fn written(syncs: &[&str]) -> [String; 4] {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join("home").join(name);
        fs::create_dir(path("")).unwrap();
        fs::write(path("file"), "old").unwrap();
        let disk = PowerDisk::below(folder.path(), Forgets::Nothing);
        let mut new = disk.create(&path("new"), 0o644).unwrap();
        disk.write(&mut new, b"what is new").unwrap();
        if syncs.contains(&"file") {
            disk.sync(&path("new")).unwrap();
        }
        disk.rename(&path("new"), &path("file")).unwrap();
        if syncs.contains(&"folder") {
            disk.sync(&path("")).unwrap();
        }
        let record = disk.record();
        let content = |fate| {
            let fates = vec![fate; record.pending(record.len())];
            let found = tempfile::tempdir().unwrap();
            record.cut(record.len(), &fates).write_to(found.path());
            fs::read_to_string(found.path().join("home/file")).unwrap()
        };
        FATES.map(content)
    }

    #[test]
    fn a_cut_keeps_synced_changes_and_any_subset_of_the_rest() {
        let (new, zeros) = ("what is new", "\0".repeat(11));
        // In the order of FATES.
        assert_eq!(written(&["file", "folder"]), [new; 4]);
        assert_eq!(written(&["file"]), [new, "old", new, new]);
        assert_eq!(written(&["folder"]), [new, "", "what ", &zeros]);
        assert_eq!(written(&[]), [new, "old", "what ", &zeros]);
    }
}
