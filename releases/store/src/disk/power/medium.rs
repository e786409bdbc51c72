//! The files and folders on a medium, and the effect of a power cut on changes.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::disk::{MODE_FOLDER, make_folder};

/// The id of a file or folder, in order of creation.
pub(super) type Id = usize;

/// The top folder. Changes below it are recorded.
pub(super) const TOP: Id = 0;

#[derive(Debug, Clone)]
pub(super) enum Node {
    Folder(BTreeMap<OsString, Id>),
    File { bytes: Vec<u8>, mode: u32 },
    Link(PathBuf),
}

/// A name in a folder.
pub(super) type Name = (Id, OsString);

#[derive(Debug, Clone)]
pub(super) enum Change {
    /// A name is created or deleted.
    Names { name: Name, node: Option<Id> },
    /// A file or folder is renamed.
    Moves { from: Name, to: Name, node: Id },
    /// A file grows.
    Grows { file: Id, bytes: Vec<u8> },
}

/// The effect of a power cut on an unsynced change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept,
    Lost,
    Half,
    Zeros,
}

pub(crate) const FATES: [Fate; 4] = [Fate::Kept, Fate::Lost, Fate::Half, Fate::Zeros];

/// The content of the disk after a power cut: each path with its file or folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Found(BTreeMap<PathBuf, Item>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Item {
    Folder,
    File { bytes: Vec<u8>, mode: u32 },
    Link(PathBuf),
}

/// All files and folders, with or without a name.
#[derive(Debug, Clone)]
pub(super) struct Medium(pub(super) Vec<Node>);

impl Medium {
    /// Adds the files and folders that only `other` has, without content and without names.
    pub(super) fn extend_empty(&mut self, other: &Self) {
        let empty = |node: &Node| match node {
            Node::Folder(_) => Node::Folder(BTreeMap::new()),
            Node::File { mode, .. } => Node::File { bytes: Vec::new(), mode: *mode },
            Node::Link(to) => Node::Link(to.clone()),
        };
        self.0.extend(other.0.iter().skip(self.0.len()).map(empty));
    }

    pub(super) fn add(&mut self, node: Node) -> Id {
        self.0.push(node);
        self.0.len() - 1
    }

    pub(super) fn names(&mut self, folder: Id) -> &mut BTreeMap<OsString, Id> {
        match &mut self.0[folder] {
            Node::Folder(names) => names,
            other => panic!("{other:?} is no folder"),
        }
    }

    pub(super) fn child(&self, folder: Id, name: &OsStr) -> Option<Id> {
        match &self.0[folder] {
            Node::Folder(names) => names.get(name).copied(),
            _ => None,
        }
    }

    pub(super) fn find(&self, path: &Path) -> Option<Id> {
        path.iter().try_fold(TOP, |folder, name| self.child(folder, name))
    }

    pub(super) fn name(&self, path: &Path) -> Name {
        let folder = self.find(path.parent().expect("a path below the top")).expect("its folder is there");
        (folder, path.file_name().expect("a path has a name").to_owned())
    }

    pub(super) fn scan(&mut self, path: &Path) -> Id {
        let metadata = fs::symlink_metadata(path).unwrap();
        if metadata.is_symlink() {
            return self.add(Node::Link(fs::read_link(path).unwrap()));
        }
        if metadata.is_file() {
            let mode = metadata.permissions().mode() & 0o777;
            return self.add(Node::File { bytes: fs::read(path).unwrap(), mode });
        }
        let folder = self.add(Node::Folder(BTreeMap::new()));
        for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
            let node = self.scan(&entry.path());
            self.names(folder).insert(entry.file_name(), node);
        }
        folder
    }

    pub(super) fn apply(&mut self, change: &Change, fate: Fate) {
        match (change, fate) {
            (_, Fate::Lost) => {}
            (Change::Names { name, node: Some(node) }, _) => {
                self.names(name.0).insert(name.1.clone(), *node);
            }
            (Change::Names { name, node: None }, _) => {
                self.names(name.0).remove(&name.1);
            }
            (Change::Moves { from, to, node }, fate) => {
                let is_file = !matches!(self.0[*node], Node::Folder(_));
                let is_there = self.child(from.0, &from.1) == Some(*node);
                if is_there && !(is_file && fate == Fate::Half) {
                    self.names(from.0).remove(&from.1);
                }
                self.names(to.0).insert(to.1.clone(), *node);
            }
            (Change::Grows { file, bytes }, fate) => {
                let Node::File { bytes: content, .. } = &mut self.0[*file] else { return };
                match fate {
                    Fate::Half => content.extend(&bytes[..bytes.len() / 2]),
                    Fate::Zeros => content.extend(bytes.iter().map(|_| 0)),
                    Fate::Kept | Fate::Lost => content.extend(bytes),
                }
            }
        }
    }

    pub(super) fn found(&self) -> Found {
        let mut found = Found::default();
        self.find_below(TOP, Path::new(""), &mut found.0);
        found
    }

    fn find_below(&self, id: Id, path: &Path, found: &mut BTreeMap<PathBuf, Item>) {
        let item = match &self.0[id] {
            Node::File { bytes, mode } => Item::File { bytes: bytes.clone(), mode: *mode },
            Node::Link(to) => Item::Link(to.clone()),
            Node::Folder(names) => {
                names.iter().for_each(|(name, id)| self.find_below(*id, &path.join(name), found));
                Item::Folder
            }
        };
        found.insert(path.to_owned(), item);
    }
}

impl Found {
    /// Writes the files and folders to a real folder, which must be empty.
    pub(crate) fn write_to(&self, top: &Path) {
        for (path, item) in &self.0 {
            let path = top.join(path);
            match item {
                Item::Folder => make_folder(&path, MODE_FOLDER).unwrap(),
                Item::Link(to) => symlink(to, &path).unwrap(),
                Item::File { bytes, mode } => {
                    fs::write(&path, bytes).unwrap();
                    fs::set_permissions(&path, Permissions::from_mode(*mode)).unwrap();
                }
            }
        }
    }
}
