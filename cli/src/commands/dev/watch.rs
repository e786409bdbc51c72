//! Watches the folders of the sources.
//!
//! Each folder is watched by itself, because a recursive watch would include `target`, with
//! thousands of folders that change in every build.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{CreateKind, ModifyKind, RenameMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, channel};

use super::sources::is_ignored;
use crate::error::Failure;

/// The maximum number of events that wait.
const EVENTS_MAX: usize = 256;

/// A watch of folders with all their subfolders, except ignored ones.
#[derive(Debug)]
pub(super) struct Watch {
    tops: BTreeSet<PathBuf>,
    watcher: RecommendedWatcher,
    events: Receiver<notify::Result<notify::Event>>,
    /// Whether an event found the queue full.
    is_lossy: Arc<AtomicBool>,
}

#[derive(Debug)]
pub(super) enum Changed {
    Files(Vec<PathBuf>),
    /// Events were lost, so any file may have changed.
    Unknown,
}

impl Watch {
    /// Watches the folder `top`, and the folder of the release without its subfolders.
    pub(super) fn start(top: &Path, release: &Path) -> Result<Self, Failure> {
        let (sender, events) = channel(EVENTS_MAX);
        let is_lossy = Arc::new(AtomicBool::new(false));
        let lossy = Arc::clone(&is_lossy);
        // The watcher's thread must not wait, because adding a watch waits for this thread.
        let pass = move |event| {
            if let Err(TrySendError::Full(_)) = sender.try_send(event) {
                lossy.store(true, Ordering::Relaxed);
            }
        };
        let watcher = notify::recommended_watcher(pass).map_err(|error| failure(top, &error))?;
        let mut watch = Self { tops: BTreeSet::new(), watcher, events, is_lossy };
        watch.extend(top.to_owned())?;
        let folder = release.parent().unwrap_or(top);
        watch.watcher.watch(folder, RecursiveMode::NonRecursive).map_err(|error| failure(folder, &error))?;
        Ok(watch)
    }

    /// Watches another folder.
    pub(super) fn extend(&mut self, top: PathBuf) -> Result<(), Failure> {
        if self.tops.contains(&top) {
            return Ok(());
        }
        self.add(&top)?;
        self.tops.insert(top);
        Ok(())
    }

    /// Waits for changes.
    pub(super) async fn changed(&mut self) -> Result<Changed, Failure> {
        loop {
            let event = self.events.recv().await.expect("the watcher keeps the sender");
            let event = event.map_err(|error| failure(Path::new("the apps"), &error))?;
            if self.is_lossy.swap(false, Ordering::Relaxed) || event.need_rescan() {
                for top in self.tops.clone() {
                    self.add(&top)?;
                }
                return Ok(Changed::Unknown);
            }
            if matches!(event.kind, EventKind::Access(_)) {
                continue;
            }
            if comes(event.kind) {
                for path in event.paths.iter().filter(|path| !is_left_out(path)) {
                    self.add(path)?;
                }
            }
            return Ok(Changed::Files(event.paths));
        }
    }

    /// Watches a folder and its subfolders. A file, a link or a folder that is gone is skipped.
    fn add(&mut self, path: &Path) -> Result<(), Failure> {
        let mut open = vec![path.to_owned()];
        while let Some(folder) = open.pop() {
            if !fs::symlink_metadata(&folder).is_ok_and(|facts| facts.is_dir()) {
                continue;
            }
            match self.watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Err(error) if !is_gone(&error) => return Err(failure(&folder, &error)),
                _ => {}
            }
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            open.extend(entries.map(|entry| entry.path()).filter(|path| !is_left_out(path)));
        }
        Ok(())
    }
}

/// Returns whether an event may bring a new folder.
fn comes(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Create(CreateKind::Folder | CreateKind::Any)
            | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both | RenameMode::Any))
    )
}

fn is_left_out(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_str().is_none_or(is_ignored))
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(fault) => fault.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

fn failure(path: &Path, error: &notify::Error) -> Failure {
    let fault = match &error.kind {
        notify::ErrorKind::MaxFilesWatch => io::Error::other("the limit of watched folders is reached"),
        _ => io::Error::other(error.to_string()),
    };
    let failure = Failure::io("watch", path.display(), &fault);
    match error.kind {
        notify::ErrorKind::MaxFilesWatch => failure.or_hint("raise it: `sysctl fs.inotify.max_user_watches`"),
        _ => failure,
    }
}
