//! The protocol that parks and wakes the workers of a pool: no work stays undone while a worker
//! sleeps that could do it.
//!
//! ```text
//!  worker                                 producer of work
//!  adds itself to the list                makes the work findable
//!  ------------------- each passes a fence -------------------
//!  looks for work once more               checks whether the list has a worker
//!  parks if there is none                 takes a worker off the list and unparks it
//! ```
//!
//! The thread that passes its fence later sees everything that the other thread did before its own
//! fence. So either the worker finds the work or the producer finds the worker. If the unpark comes
//! before the park, the park returns at once. loom checks this (`sleepers/model.rs`).

use crate::words::sync::thread::{self, Thread};
use crate::words::sync::{AtomicUsize, Mutex, Ordering, fence};

/// The sleeping workers of a pool, and its watchdog. The watchdog sleeps while all workers sleep,
/// so that no thread of an idle node wakes up.
#[derive(Default)]
pub(crate) struct Sleepers {
    list: Mutex<List>,
    /// The number of workers in the list. It can be read without the list's lock.
    count: AtomicUsize,
}

#[derive(Default)]
struct List {
    workers: Vec<Thread>,
    watchdog: Option<Thread>,
}

impl Sleepers {
    /// Parks the calling worker until it is woken, unless `has_work` returns true first.
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

    /// Wakes a worker, if one sleeps. Call it after new work can be found.
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

    /// Wakes all workers and the watchdog. Call it after the stop flag is set.
    pub(crate) fn wake_all(&self) {
        let mut list = self.list.lock();
        let workers = std::mem::take(&mut list.workers);
        self.awoke(&mut list);
        workers.iter().for_each(Thread::unpark);
    }

    /// Returns whether the calling watchdog may park. It may if at least `awake` workers sleep,
    /// which is the number of workers to watch, and the pool is not about to end. The next worker
    /// that wakes up unparks the watchdog.
    pub(crate) fn watchdog_sleeps(&self, awake: usize, is_to_end: impl FnOnce() -> bool) -> bool {
        let mut list = self.list.lock();
        let sleeps = list.workers.len() >= awake && !is_to_end();
        list.watchdog = sleeps.then(thread::current);
        sleeps
    }

    /// Updates the count after a worker woke up, and unparks the watchdog.
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
