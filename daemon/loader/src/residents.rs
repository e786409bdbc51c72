//! The resident libraries, which were mapped and are not unmapped yet. Their records hold the
//! progress of unmapping, and the reasons why they stay.

mod record;

use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, MappedMutexGuard, Mutex, MutexGuard};

use crate::address_space::Maps;
use crate::block::UnloadFn;
use crate::evidence::{Obstacle, Outside};
use crate::image::Mapping;
use crate::interpose;
use crate::ledger::{Heap, Ledger};
use crate::loader_thread::LoaderThread;
use crate::routines::Destructors;
use crate::unload::{self, Leaving};

pub(crate) use self::record::Call;
pub use self::record::Resident;
use self::record::{GRACE, Inside, PASSING, Purged, Record};

/// The time limit for all destructors together at the end of the daemon.
const END: Duration = Duration::from_secs(2);

/// The minimum and the maximum pause between two attempts to unmap a library. The pause grows with
/// the time since the library was purged.
const RETRY: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(5)];

/// The libraries that were mapped and are not unmapped yet.
#[derive(Debug, Clone)]
pub(crate) struct Residents {
    shared: Arc<Shared>,
    /// Wakes the sweeper. After the loader is dropped it is dead, and no library is unmapped.
    wake: Weak<SyncSender<()>>,
    /// The reason why no library may be unmapped, if there is one.
    forbidden: Option<Arc<str>>,
}

#[derive(Debug, Default)]
struct Shared {
    mapped: Mutex<Vec<Record>>,
    /// The total memory that libraries had not freed when they were unmapped.
    left: Mutex<Heap>,
    swept: Condvar,
}

/// A guard. Until it is dropped, the loader counts as calling a library.
#[derive(Debug)]
pub(crate) struct LoaderCall {
    residents: Residents,
    path: PathBuf,
}

impl Drop for LoaderCall {
    fn drop(&mut self) {
        if let Some(mut record) = self.residents.record(&self.path) {
            record.inside = None;
        }
        self.residents.wake();
    }
}

impl Residents {
    pub(crate) fn new(wake: Weak<SyncSender<()>>, forbidden: Option<String>) -> Self {
        Self { shared: Arc::default(), wake, forbidden: forbidden.map(Arc::from) }
    }

    /// Adds a library that is about to be mapped.
    pub(crate) fn add(&self, app: &str, version: &str, path: &Path) {
        self.shared.mapped.lock().push(Record::new(app, version, path));
    }

    /// Records the address range of a library, before any code of the library runs. Also records
    /// the pointers into other libraries, because this library may save them.
    pub(crate) fn mapped(&self, path: &Path, mapping: &Mapping) {
        let outside = Outside::of(mapping);
        let mut mapped = self.shared.mapped.lock();
        let Some(at) = mapped.iter().position(|record| record.path == path) else { return };
        let newcomer = format!("{} {}", mapped[at].app, mapped[at].version);
        mapped.iter_mut().for_each(|record| record.note_newcomer(&newcomer));
        mapped[at].span = mapping.span().clone();
        mapped[at].outside = Some(outside);
    }

    /// Returns a pointer into this library that another library may have saved.
    pub(crate) fn seen(&self, path: &Path) -> Option<Obstacle> {
        self.record(path)?.seen.clone()
    }

    /// Removes a library that could not be mapped.
    pub(crate) fn never_mapped(&self, path: &Path) {
        self.shared.mapped.lock().retain(|record| record.path != path);
    }

    /// Records that the constructors of a library have run, and the destructors that will run at
    /// its end.
    pub(crate) fn begun(&self, path: &Path, destructors: Destructors) {
        if let Some(mut record) = self.record(path) {
            record.destructors = Some(destructors);
        }
    }

    /// Records that the calling thread is calling a library.
    pub(crate) fn call(&self, path: &Path, call: Call) -> LoaderCall {
        if let Some(mut record) = self.record(path) {
            record.inside = Some(Inside::new(call));
        }
        LoaderCall { residents: self.clone(), path: path.to_owned() }
    }

    /// Removes the destructors of a library from its record, and returns them to the calling
    /// thread, which must run them. They are returned only once.
    pub(crate) fn destructors(&self, path: &Path) -> Option<(Destructors, LoaderCall)> {
        let mut record = self.record(path)?;
        let destructors = record.destructors.take()?;
        record.inside = Some(Inside::new(Call::Destructors));
        Some((destructors, LoaderCall { residents: self.clone(), path: path.to_owned() }))
    }

    /// Returns whether the loader is calling a library.
    pub(crate) fn is_inside(&self, path: &Path) -> bool {
        self.record(path).is_some_and(|record| record.inside.is_some())
    }

    /// Records the counters of a library's allocations.
    pub(crate) fn counts(&self, path: &Path, ledger: Option<Ledger>) {
        if let Some(mut record) = self.record(path) {
            record.ledger = ledger;
        }
    }

    /// Records that the last [`Library`](crate::Library) handle of a library was dropped.
    pub(crate) fn condemned(&self, path: &Path) {
        if let Some(mut record) = self.record(path) {
            record.condemned = Some(Instant::now());
        }
    }

    /// Records that the daemon has no more references into a library. May be called on any thread,
    /// so it only wakes the sweeper.
    pub(crate) fn purged(&self, path: &Path, mapping: Mapping, unload: Option<UnloadFn>) {
        let obstacle = self.forbidden.clone().map(Obstacle::Forbidden);
        let leaving = obstacle.is_none().then(|| Leaving::new(mapping, unload));
        let purged = Purged { since: Instant::now(), leaving, obstacle, is_reported: false };
        if let Some(mut record) = self.record(path) {
            record.condemned.get_or_insert(purged.since);
            record.purged = Some(purged);
        }
        self.shared.swept.notify_all();
        self.wake();
    }

    /// Lists the libraries that the kernel still has mapped, oldest first.
    pub(crate) fn list(&self) -> Vec<Resident> {
        let residents: Vec<Resident> = self.shared.mapped.lock().iter().map(Record::shown).collect();
        let Ok(maps) = Maps::now() else { return residents };
        let seen = residents.into_iter().map(|r| Resident { bytes: Some(maps.bytes(&r.path)), ..r });
        seen.filter(|resident| resident.bytes != Some(0) || resident.stuck.is_some()).collect()
    }

    /// Returns the total memory that libraries had not freed when they were unmapped.
    pub(crate) fn left(&self) -> Heap {
        *self.shared.left.lock()
    }

    /// Waits until every condemned library is unmapped, or is known to stay.
    pub(crate) fn settle(&self) {
        let deadline = Instant::now() + 2 * GRACE;
        let mut mapped = self.shared.mapped.lock();
        while mapped.iter().any(Record::is_released) {
            // [`Residents::purged`] sends the notification when the last reference into a library
            // is dropped.
            if self.shared.swept.wait_for(&mut mapped, PASSING).timed_out() {
                break;
            }
        }
        while mapped.iter().any(Record::is_leaving) {
            if self.shared.swept.wait_until(&mut mapped, deadline).timed_out() {
                return;
            }
        }
    }

    /// Unmaps the libraries that can be unmapped. Returns the pause until the next attempt, or
    /// `None` if no further attempt is needed. `call` makes all threads that run code of libraries
    /// call [`flush`](crate::flush) soon. `[sweeper]`
    pub(crate) fn sweep(&self, loader_thread: &LoaderThread, call: &dyn Fn()) -> Option<Duration> {
        let mut is_held = false;
        for (path, ledger, leaving) in self.leaving() {
            let result = leaving.go_on(&path, ledger, loader_thread, self);
            is_held |= matches!(result, Err((_, Obstacle::Holders(_))));
            self.put_back(&path, result);
        }
        self.shared.swept.notify_all();
        if is_held {
            call();
            // If no thread can be started, the next sweep tries again.
            let _ = loader_thread.run(interpose::flush);
        }
        let mapped = self.shared.mapped.lock();
        let open =
            mapped.iter().filter_map(|record| record.purged.as_ref().filter(|purged| purged.is_open()));
        open.map(|purged| (purged.since.elapsed() / 2).clamp(RETRY[0], RETRY[1])).min()
    }

    /// Runs the destructors of all libraries that are still mapped, newest first. Call this at the
    /// end of the daemon. Libraries with running threads, or with a call that has not returned, are
    /// skipped.
    pub(crate) fn finish(&self, loader_thread: &LoaderThread) {
        let deadline = Instant::now() + END;
        let paths: Vec<PathBuf> = {
            let mapped = self.shared.mapped.lock();
            let rests = |record: &&Record| record.inside.is_none() && interpose::threads(&record.span) == 0;
            mapped.iter().rev().filter(rests).map(|record| record.path.clone()).collect()
        };
        for path in paths {
            let left = deadline.saturating_duration_since(Instant::now());
            let done = unload::end(&path, loader_thread, self).map(|job| job.wait(left));
            if !matches!(done, Ok(Ok(()))) {
                tracing::warn!(name: "code.end", path = %path.display(), "the destructors of a library have not returned");
            }
        }
    }

    /// Takes the libraries to work on out of their records, so that no lock is held while foreign
    /// code runs.
    fn leaving(&self) -> Vec<(PathBuf, Option<Ledger>, Leaving)> {
        self.shared.mapped.lock().iter_mut().filter_map(Record::take_leaving).collect()
    }

    fn put_back(&self, path: &Path, result: Result<Heap, (Option<Leaving>, Obstacle)>) {
        let mut mapped = self.shared.mapped.lock();
        let Some(at) = mapped.iter().position(|record| record.path == path) else { return };
        match result {
            Ok(left) => {
                let Record { app, version, .. } = mapped.remove(at);
                let mut all = self.shared.left.lock();
                *all = *all + left;
                tracing::info!(
                    name: "code.unmapped", app, version, left_blocks = left.blocks, left_bytes = left.bytes,
                    "a purged library left the address space"
                );
            }
            Err((leaving, obstacle)) => mapped[at].stays(leaving, obstacle),
        }
    }

    fn record(&self, path: &Path) -> Option<MappedMutexGuard<'_, Record>> {
        let mapped = self.shared.mapped.lock();
        MutexGuard::try_map(mapped, |mapped| mapped.iter_mut().find(|record| record.path == path)).ok()
    }

    fn wake(&self) {
        if let Some(wake) = self.wake.upgrade() {
            // If the channel is full, the sweeper will wake anyway.
            let _ = wake.try_send(());
        }
    }
}
