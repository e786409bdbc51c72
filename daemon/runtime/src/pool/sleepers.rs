//! Who of the pool sleeps, and how it is woken: no work is left lying while a worker sleeps that could do it.
//!
//! ```text
//!  worker                                 who brings work
//!  stands in the list                     makes the work findable
//!  ------------------- each passes a fence -------------------
//!  looks for work once more               looks whether anybody stands in the list
//!  parks, if there is none                takes one out of it, and unparks that
//! ```
//!
//! Of two who pass their fences the later one sees what the earlier one did before its own: the worker finds the work, or
//! is found itself. An unpark that comes before the park ends that at once. loom runs it (`sleepers/model.rs`).

use crate::words::sync::thread::{self, Thread};
use crate::words::sync::{AtomicUsize, Mutex, Ordering, fence};

/// The sleeping workers of a pool, and its watchdog, which sleeps when all of them do: an idle node wakes up for nothing.
#[derive(Default)]
pub(crate) struct Sleepers {
    list: Mutex<List>,
    /// How many workers stand in the list, readable without its lock.
    count: AtomicUsize,
}

#[derive(Default)]
struct List {
    workers: Vec<Thread>,
    watchdog: Option<Thread>,
}

impl Sleepers {
    /// Has the calling worker sleep until it is woken, unless `has_work` finds something first.
    pub(crate) fn sleep(&self, has_work: impl FnOnce() -> bool) {
        {
            let mut list = self.list.lock();
            list.workers.push(thread::current());
            self.changed(&list);
        }
        fence(Ordering::SeqCst);
        if !has_work() {
            thread::park();
        }
        let mut list = self.list.lock();
        list.workers.retain(|worker| worker.id() != thread::current().id());
        self.awoke(&mut list);
    }

    /// Wakes a worker, if one sleeps. For who has brought work.
    pub(crate) fn wake_one(&self) {
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut list = self.list.lock();
        if let Some(worker) = list.workers.pop() {
            self.changed(&list);
            worker.unpark();
        }
    }

    /// Wakes all workers and the watchdog. For who has told them to end.
    pub(crate) fn wake_all(&self) {
        let mut list = self.list.lock();
        let workers = std::mem::take(&mut list.workers);
        self.awoke(&mut list);
        workers.iter().for_each(Thread::unpark);
    }

    /// Says whether the calling watchdog may park: all workers that are awake, `awake` of them at most, sleep, and it is not
    /// to end. The next worker that wakes up unparks it.
    pub(crate) fn watchdog_sleeps(&self, awake: usize, is_to_end: impl FnOnce() -> bool) -> bool {
        let mut list = self.list.lock();
        let sleeps = list.workers.len() >= awake && !is_to_end();
        list.watchdog = sleeps.then(thread::current);
        sleeps
    }

    /// A worker is awake.
    fn awoke(&self, list: &mut List) {
        self.changed(list);
        if let Some(watchdog) = list.watchdog.take() {
            watchdog.unpark();
        }
    }

    fn changed(&self, list: &List) {
        self.count.store(list.workers.len(), Ordering::Relaxed);
    }
}

#[cfg(all(test, feature = "loom"))]
mod model;
