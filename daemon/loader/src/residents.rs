//! The libraries that were mapped and have not left: what they do, why they stay, and how far each
//! is on its way out.

mod record;

use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, MappedMutexGuard, Mutex, MutexGuard};

use crate::address_space::Maps;
use crate::block::UnloadFn;
use crate::evidence::{Obstacle, Outside};
use crate::hand::Hand;
use crate::image::Mapping;
use crate::interpose;
use crate::ledger::{Heap, Ledger};
use crate::routines::Finale;
use crate::unload::{self, Leaving};

pub(crate) use self::record::Call;
pub use self::record::Resident;
use self::record::{GRACE, Inside, PASSING, Purged, Record};

/// How long all destructors together may take at the end of the daemon.
const END: Duration = Duration::from_secs(2);

/// How often is tried again at least, and at most. In between the pauses grow with the age of what
/// stays.
const RETRY: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(5)];

/// The libraries that were mapped and have not left.
#[derive(Debug, Clone)]
pub(crate) struct Residents {
    shared: Arc<Shared>,
    /// Wakes the sweeper; dead once the loader is dropped, and then nothing is unmapped any more.
    wake: Weak<SyncSender<()>>,
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

/// The loader calls a library until this is dropped.
#[derive(Debug)]
pub(crate) struct Inward {
    residents: Residents,
    path: PathBuf,
}

impl Drop for Inward {
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

    /// Takes note of a library that is about to be mapped.
    pub(crate) fn add(&self, app: &str, version: &str, path: &Path) {
        self.shared.mapped.lock().push(Record::new(app, version, path));
    }

    /// Takes note of where it is, before any of its code runs. What points into others it may keep.
    pub(crate) fn mapped(&self, path: &Path, mapping: &Mapping) {
        let outside = Outside::of(mapping);
        let mut mapped = self.shared.mapped.lock();
        let Some(at) = mapped.iter().position(|record| record.path == path) else { return };
        let newcomer = format!("{} {}", mapped[at].app, mapped[at].version);
        mapped.iter_mut().for_each(|record| record.is_seen_by(&newcomer));
        mapped[at].span = mapping.span().clone();
        mapped[at].outside = Some(outside);
    }

    /// Returns why a library stays into which another one may have something point.
    pub(crate) fn seen(&self, path: &Path) -> Option<Obstacle> {
        self.record(path)?.seen.clone()
    }

    /// Forgets one that the system did not map.
    pub(crate) fn never_mapped(&self, path: &Path) {
        self.shared.mapped.lock().retain(|record| record.path != path);
    }

    /// Takes note that the constructors of a library have run, and of what is to run at its end.
    pub(crate) fn begun(&self, path: &Path, finale: Finale) {
        if let Some(mut record) = self.record(path) {
            record.finale = Some(finale);
        }
    }

    /// Takes note that the calling thread calls a library.
    pub(crate) fn call(&self, path: &Path, call: Call) -> Inward {
        if let Some(mut record) = self.record(path) {
            record.inside = Some(Inside::new(call));
        }
        Inward { residents: self.clone(), path: path.to_owned() }
    }

    /// Gives the end of a library away, which the calling thread is about to run. There is none
    /// twice.
    pub(crate) fn finale(&self, path: &Path) -> Option<(Finale, Inward)> {
        let mut record = self.record(path)?;
        let finale = record.finale.take()?;
        record.inside = Some(Inside::new(Call::Destructors));
        Some((finale, Inward { residents: self.clone(), path: path.to_owned() }))
    }

    /// Whether the loader is calling a library.
    pub(crate) fn is_inside(&self, path: &Path) -> bool {
        self.record(path).is_some_and(|record| record.inside.is_some())
    }

    /// Takes note of where a library counts what it allocates.
    pub(crate) fn counts(&self, path: &Path, ledger: Option<Ledger>) {
        if let Some(mut record) = self.record(path) {
            record.ledger = ledger;
        }
    }

    /// Takes note that whoever opened a library has let it go.
    pub(crate) fn condemned(&self, path: &Path) {
        if let Some(mut record) = self.record(path) {
            record.condemned = Some(Instant::now());
        }
    }

    /// Takes note that nothing refers to a library any more. Called on any thread, so it only wakes
    /// the sweeper.
    pub(crate) fn purged(&self, path: &Path, mapping: Mapping, unload: Option<UnloadFn>) {
        let obstacle = self.forbidden.clone().map(Obstacle::Forbidden);
        let leaving = obstacle.is_none().then(|| Leaving::new(mapping, unload));
        let purged = Purged { since: Instant::now(), leaving, obstacle, is_told: false };
        if let Some(mut record) = self.record(path) {
            record.condemned.get_or_insert(purged.since);
            record.purged = Some(purged);
        }
        self.shared.swept.notify_all();
        self.wake();
    }

    /// Lists what the kernel still has mapped, oldest first.
    pub(crate) fn list(&self) -> Vec<Resident> {
        let residents: Vec<Resident> = self.shared.mapped.lock().iter().map(Record::shown).collect();
        let Ok(maps) = Maps::now() else { return residents };
        let seen = residents.into_iter().map(|r| Resident { bytes: Some(maps.bytes(&r.path)), ..r });
        seen.filter(|resident| resident.bytes != Some(0) || resident.stuck.is_some()).collect()
    }

    /// Returns what libraries had not freed when they left the address space, since the start.
    pub(crate) fn left(&self) -> Heap {
        *self.shared.left.lock()
    }

    /// Waits until every condemned library is gone or known to stay.
    pub(crate) fn settle(&self) {
        let deadline = Instant::now() + 2 * GRACE;
        let mut mapped = self.shared.mapped.lock();
        while mapped.iter().any(Record::is_released) {
            // Its last holder gives notice.
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

    /// Unmaps what can go, and says after which time to try again; never if nothing is left to try.
    /// `call` has all threads of the daemon that run code of libraries flush, soon. `[sweeper]`
    pub(crate) fn sweep(&self, hand: &Hand, call: &dyn Fn()) -> Option<Duration> {
        let mut is_held = false;
        for (path, ledger, leaving) in self.leaving() {
            let result = leaving.go_on(&path, ledger, hand, self);
            is_held |= matches!(result, Err((_, Obstacle::Holders(_))));
            self.put_back(&path, result);
        }
        self.shared.swept.notify_all();
        if is_held {
            call();
            // Without a thread it is tried again.
            let _ = hand.run(interpose::flush);
        }
        let mapped = self.shared.mapped.lock();
        let open =
            mapped.iter().filter_map(|record| record.purged.as_ref().filter(|purged| purged.is_open()));
        open.map(|purged| (purged.since.elapsed() / 2).clamp(RETRY[0], RETRY[1])).min()
    }

    /// Runs the destructors of all libraries that are still mapped, the newest first: the end of
    /// the daemon. Those are left out that have threads, or code that does not return.
    pub(crate) fn finish(&self, hand: &Hand) {
        let deadline = Instant::now() + END;
        let paths: Vec<PathBuf> = {
            let mapped = self.shared.mapped.lock();
            let rests = |record: &&Record| record.inside.is_none() && interpose::threads(&record.span) == 0;
            mapped.iter().rev().filter(rests).map(|record| record.path.clone()).collect()
        };
        for path in paths {
            let left = deadline.saturating_duration_since(Instant::now());
            let done = unload::end(&path, hand, self).map(|errand| errand.wait(left));
            if !matches!(done, Ok(Ok(()))) {
                tracing::warn!(name: "code.end", path = %path.display(), "its destructors have not returned");
            }
        }
    }

    /// Takes what is to be done, so that no lock is held while foreign code runs.
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
            // One that is to be woken already needs no more.
            let _ = wake.try_send(());
        }
    }
}
