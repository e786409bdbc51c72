//! Sleeping and waking in every interleaving that loom can generate. Run with
//! `--features loom --lib sleepers`.
//!
//! Work is as weakly ordered as possible: it is a number with relaxed accesses only. A lost wake
//! leaves a worker parked for ever, which loom reports as a deadlock.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

use super::Sleepers;

#[derive(Default)]
struct Pool {
    sleepers: Sleepers,
    /// How many pieces of work wait.
    work: AtomicUsize,
    done: AtomicUsize,
    stopping: AtomicBool,
}

impl Pool {
    fn bring(&self) {
        self.work.fetch_add(1, Ordering::Relaxed);
        self.sleepers.wake_one();
    }

    fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.sleepers.wake_all();
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn has_work(&self) -> bool {
        self.work.load(Ordering::Relaxed) > 0
    }

    fn take(&self) -> bool {
        let less = |work: usize| work.checked_sub(1);
        self.work.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// Acts as a worker until all workers together have done `all` pieces of work. The worker that
    /// does the last piece stops the others.
    fn work_until(&self, all: usize) {
        while !self.is_stopping() {
            if !self.take() {
                self.sleepers.sleep(|| self.has_work() || self.is_stopping());
            } else if self.done.fetch_add(1, Ordering::Relaxed) + 1 == all {
                self.stop();
            }
        }
    }
}

fn spawn(pool: &Arc<Pool>, work: impl FnOnce(&Pool) + 'static) -> thread::JoinHandle<()> {
    let pool = Arc::clone(pool);
    thread::spawn(move || work(&pool))
}

fn join(threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
}

/// Checks that all threads of the model end. The number of preemptions is bounded, because a run
/// without a bound takes minutes.
fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

#[test]
fn work_that_comes_while_a_worker_goes_to_sleep_is_done() {
    check(3, || {
        let pool = Arc::new(Pool::default());
        let worker = spawn(&pool, |pool| pool.work_until(2));
        pool.bring();
        pool.bring();
        join([worker]);
        assert_eq!(pool.done.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn of_two_producers_at_least_one_wakes_the_worker() {
    check(2, || {
        let pool = Arc::new(Pool::default());
        let worker = spawn(&pool, |pool| pool.work_until(2));
        let other = spawn(&pool, Pool::bring);
        pool.bring();
        join([worker, other]);
    });
}

#[test]
fn both_of_two_workers_wake_up_when_the_pool_stops() {
    check(2, || {
        let pool = Arc::new(Pool::default());
        let workers = [(); 2].map(|()| spawn(&pool, |pool| pool.work_until(1)));
        pool.bring();
        join(workers);
    });
}

#[test]
fn a_worker_that_wakes_up_wakes_the_watchdog() {
    check(2, || {
        let pool = Arc::new(Pool::default());
        let worker = spawn(&pool, |pool| pool.sleepers.sleep(|| pool.has_work()));
        let watchdog = spawn(&pool, |pool| {
            if pool.sleepers.watchdog_sleeps(1, || pool.is_stopping()) {
                thread::park();
            }
        });
        pool.bring();
        join([worker, watchdog]);
    });
}

#[test]
fn a_watchdog_that_no_worker_would_wake_ends_when_the_pool_stops() {
    check(2, || {
        let pool = Arc::new(Pool::default());
        let watchdog = spawn(&pool, |pool| {
            if pool.sleepers.watchdog_sleeps(0, || pool.is_stopping()) {
                thread::park();
            }
        });
        pool.stop();
        join([watchdog]);
    });
}
