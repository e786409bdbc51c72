//! Unmapping: what is mapped, what has to happen before it goes, and why it stays.
//!
//! *Purged* is a logical word: nothing of the daemon refers to a library any more. That is known here (the image's
//! count has come to nothing); whether its pages are gone is asked of the kernel and not of `dlclose`, whose answer
//! says nothing about it.
//!
//! ```text
//! in use --whoever opened it lets it go--> condemned --the last state or callback is dropped--> purged
//! purged: its unload function is called, once
//!         each of the daemon's threads runs the destructors that the library left with it
//!         no thread that it started runs, no thread holds anything of it, it handles no signal?
//!           no  -> it stays, says why, and is tried again
//!           yes -> dlclose; gone from the address space? else it stays for good
//! ```
//!
//! All of this is done on the loader thread. Other threads flush when the daemon has them called; one that is inside a
//! callback for long, or ends, does so then.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::address_space::Maps;
use crate::block::UnloadFn;
use crate::evidence::{self, Obstacle};
use crate::image::{Image, Mapping};
use crate::interpose;
use crate::ledger::{Heap, Ledger};
use crate::loader::Job;
use crate::output;

/// How long unmapping may take before the library is said to stay.
const GRACE: Duration = Duration::from_millis(100);

/// How often is tried again at least, and at most. In between the pauses grow with the age of what stays.
const RETRY: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(5)];

/// A library in the address space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    /// The app's name, as it was asked for.
    pub app: String,
    /// The app's version, as it was asked for.
    pub version: String,
    /// The path that it was mapped from; the file is gone once the library is purged.
    pub path: PathBuf,
    /// Bytes of address space mapped from that file; `None` where the kernel does not say.
    pub bytes: Option<u64>,
    /// Since when it is meant to leave: whoever opened it has let it go. `None` while it is wanted.
    pub condemned: Option<Instant>,
    /// Why it is still mapped, for people.
    pub reason: String,
    /// Threads that it started and that have not ended.
    pub threads: usize,
    /// What it has allocated and not freed; `None` where it does not count, and once it was closed.
    pub heap: Option<Heap>,
}

/// The libraries that were mapped and have not left.
#[derive(Debug, Clone)]
pub(crate) struct Residents {
    shared: Arc<Shared>,
    /// Wakes the loader thread; dead once the loader is dropped, and then nothing is unmapped any more.
    jobs: Weak<SyncSender<Job>>,
    /// Why nothing may be unmapped, if that is so.
    forbidden: Option<Arc<str>>,
}

#[derive(Debug, Default)]
struct Shared {
    mapped: Mutex<Vec<Record>>,
    /// What libraries had not freed when they left.
    left: Mutex<Heap>,
    swept: Condvar,
}

#[derive(Debug)]
struct Record {
    app: String,
    version: String,
    path: PathBuf,
    span: Range<usize>,
    ledger: Option<Ledger>,
    condemned: Option<Instant>,
    purged: Option<Purged>,
}

#[derive(Debug)]
struct Purged {
    since: Instant,
    /// What is to be done; `None` while the loader thread is at it, and when there is nothing more to do.
    todo: Option<Todo>,
    obstacle: Option<Obstacle>,
    is_told: bool,
}

impl Purged {
    /// Whether there is something to try.
    fn is_open(&self) -> bool {
        self.todo.is_some() && !self.obstacle.as_ref().is_some_and(Obstacle::is_final)
    }
}

#[derive(Debug)]
struct Todo {
    mapping: Mapping,
    /// `None` once it was called.
    unload: Option<UnloadFn>,
}

/// What is to be done with which library.
struct Task {
    path: PathBuf,
    ledger: Option<Ledger>,
    todo: Todo,
}

impl Residents {
    pub(crate) fn new(jobs: Weak<SyncSender<Job>>, forbidden: Option<String>) -> Self {
        Self { shared: Arc::default(), jobs, forbidden: forbidden.map(Arc::from) }
    }

    pub(crate) fn add(&self, image: &Image) {
        self.shared.mapped.lock().push(Record {
            app: image.app.clone(),
            version: image.version.clone(),
            path: image.path(),
            span: image.mapping.span().clone(),
            ledger: None,
            condemned: None,
            purged: None,
        });
    }

    /// Takes note of where a library counts what it allocates.
    pub(crate) fn counts(&self, path: &Path, ledger: Option<Ledger>) {
        if let Some(record) = self.shared.mapped.lock().iter_mut().find(|record| record.path == path) {
            record.ledger = ledger;
        }
    }

    /// Takes note that whoever opened a library has let it go.
    pub(crate) fn condemned(&self, path: &Path) {
        if let Some(record) = self.shared.mapped.lock().iter_mut().find(|record| record.path == path) {
            record.condemned = Some(Instant::now());
        }
    }

    /// Takes note that nothing refers to a library any more. Called on any thread, so it only wakes the loader's.
    pub(crate) fn purged(&self, path: &Path, mapping: Mapping, unload: Option<UnloadFn>) {
        let obstacle = self.forbidden.clone().map(Obstacle::Forbidden);
        let todo = obstacle.is_none().then_some(Todo { mapping, unload });
        let purged = Purged { since: Instant::now(), todo, obstacle, is_told: false };
        if let Some(record) = self.shared.mapped.lock().iter_mut().find(|record| record.path == path) {
            record.condemned.get_or_insert(purged.since);
            record.purged = Some(purged);
        }
        if let Some(jobs) = self.jobs.upgrade() {
            // A queue that is full wakes the thread as well.
            let _ = jobs.try_send(Job::Sweep);
        }
    }

    /// Lists what the kernel still has mapped, oldest first.
    pub(crate) fn list(&self) -> Vec<Resident> {
        let residents: Vec<Resident> = self.shared.mapped.lock().iter().map(resident).collect();
        let Ok(maps) = Maps::now() else { return residents };
        let seen = residents.into_iter().map(|r| Resident { bytes: Some(maps.bytes(&r.path)), ..r });
        seen.filter(|resident| resident.bytes != Some(0)).collect()
    }

    /// Returns what libraries had not freed when they left the address space, since the start.
    pub(crate) fn left(&self) -> Heap {
        *self.shared.left.lock()
    }

    /// Waits until every purged library is gone or known to stay.
    pub(crate) fn settle(&self) {
        let deadline = Instant::now() + 2 * GRACE;
        let mut mapped = self.shared.mapped.lock();
        while mapped.iter().any(Record::is_leaving) {
            if self.shared.swept.wait_until(&mut mapped, deadline).timed_out() {
                return;
            }
        }
    }

    /// Unmaps what can go, and says after which time to try again; never if nothing is left to try. `call` has all
    /// threads of the daemon that run code of libraries flush, soon. `[loader thread]`
    pub(crate) fn sweep(&self, call: &dyn Fn()) -> Option<Duration> {
        let mut is_held = false;
        for Task { path, ledger, todo } in self.todo() {
            let result = attempt(todo, ledger, &path);
            is_held |= matches!(result, Err((_, Obstacle::Holders(_))));
            self.put_back(&path, result);
        }
        self.shared.swept.notify_all();
        if is_held {
            call();
        }
        let mapped = self.shared.mapped.lock();
        let open =
            mapped.iter().filter_map(|record| record.purged.as_ref().filter(|purged| purged.is_open()));
        open.map(|purged| (purged.since.elapsed() / 2).clamp(RETRY[0], RETRY[1])).min()
    }

    /// Takes what is to be done, so that no lock is held while foreign code runs.
    fn todo(&self) -> Vec<Task> {
        self.shared.mapped.lock().iter_mut().filter_map(Record::take_todo).collect()
    }

    fn put_back(&self, path: &Path, result: Result<Heap, (Option<Todo>, Obstacle)>) {
        let mut mapped = self.shared.mapped.lock();
        let Some(at) = mapped.iter().position(|record| record.path == path) else { return };
        match result {
            Ok(left) => {
                let Record { app, version, .. } = mapped.remove(at);
                let mut all = self.shared.left.lock();
                *all = *all + left;
                tracing::debug!(
                    name: "code.unmapped", app, version, left_blocks = left.blocks, left_bytes = left.bytes,
                    "a purged library left the address space"
                );
            }
            Err((todo, obstacle)) => mapped[at].stays(todo, obstacle),
        }
    }
}

impl Record {
    fn take_todo(&mut self) -> Option<Task> {
        let todo = self.purged.as_mut().filter(|purged| purged.is_open())?.todo.take()?;
        Some(Task { path: self.path.clone(), ledger: self.ledger, todo })
    }

    fn heap(&self) -> Option<Heap> {
        let is_mapped = self.purged.as_ref().is_none_or(|purged| purged.todo.is_some());
        let ledger = self.ledger.filter(|_| is_mapped)?;
        // SAFETY: the image has the mapping, or what is to be done has, which is only taken under this record's lock.
        Some(unsafe { ledger.read() })
    }

    /// Whether it may be gone in a moment.
    fn is_leaving(&self) -> bool {
        self.purged.as_ref().is_some_and(|purged| {
            !purged.obstacle.as_ref().is_some_and(Obstacle::is_final) && purged.since.elapsed() < GRACE
        })
    }

    fn stays(&mut self, todo: Option<Todo>, obstacle: Obstacle) {
        let Some(purged) = &mut self.purged else { return };
        if purged.since.elapsed() >= GRACE && !std::mem::replace(&mut purged.is_told, true) {
            let Self { app, version, .. } = self;
            tracing::warn!(name: "code.stays", app, version, %obstacle, "a purged library stays mapped");
        }
        purged.todo = todo;
        purged.obstacle = Some(obstacle);
    }
}

fn resident(record: &Record) -> Resident {
    let reason = match &record.purged {
        None if record.condemned.is_some() => "code of it still runs, or a value of it is held".to_owned(),
        None => "in use".to_owned(),
        Some(Purged { obstacle: Some(obstacle), .. }) => obstacle.to_string(),
        Some(Purged { obstacle: None, .. }) => "it is being unmapped".to_owned(),
    };
    Resident {
        app: record.app.clone(),
        version: record.version.clone(),
        path: record.path.clone(),
        bytes: None,
        condemned: record.condemned,
        reason,
        threads: interpose::threads(&record.span),
        heap: record.heap(),
    }
}

/// Tries to unmap a library that nothing refers to, and says what it had not freed. `[loader thread]`
fn attempt(mut todo: Todo, ledger: Option<Ledger>, path: &Path) -> Result<Heap, (Option<Todo>, Obstacle)> {
    if let Some(unload) = todo.unload.take() {
        let _visit = output::visit(todo.mapping.span().start);
        // SAFETY: the library is mapped, its load function was called, and this is once.
        unsafe { unload() }
    }
    interpose::condemn(todo.mapping.span());
    interpose::flush();
    match evidence::against(&todo.mapping) {
        Some(obstacle) => Err((Some(todo), obstacle)),
        None => {
            // SAFETY: the mapping is still here.
            let left = ledger.map(|ledger| unsafe { ledger.read() }).unwrap_or_default();
            close(todo.mapping, path).map(|()| left).map_err(|obstacle| (None, obstacle))
        }
    }
}

fn close(mapping: Mapping, path: &Path) -> Result<(), Obstacle> {
    let span = mapping.span().clone();
    interpose::closing(&span, || {
        let visit = output::visit(span.start);
        // SAFETY: the image's count came to nothing, and no thread or signal can come inside (`evidence.rs`).
        let closed = unsafe { mapping.close() };
        drop(visit);
        let is_gone = Maps::now().is_ok_and(|maps| maps.bytes(path) == 0);
        (if is_gone { Ok(()) } else { Err(Obstacle::Pinned(closed.err())) }, is_gone)
    })
}
