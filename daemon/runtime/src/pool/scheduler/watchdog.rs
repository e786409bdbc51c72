//! The watchdog: replaces and reports workers that compute too long.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Instant;

use super::{COMPUTE_LIMIT, EMPTY, REPORT_AFTER, Shared, WATCH_EVERY, spawn_thread};
use crate::words::contain::contained;

/// The runs that the watchdog has seen: the worker, the number of the run, and the time at which
/// the watchdog saw it first.
type Seen = Vec<(u64, u64, Instant)>;

/// Watches for workers that compute too long. Processes that such a worker holds go back into their
/// slots, and the process in its LIFO slot is offered to other workers. After the limit another
/// worker takes its place.
pub(super) fn watch(shared: &Weak<Shared>, look: impl Fn(&Arc<Shared>, &Seen) -> Seen) {
    let mut seen = Seen::new();
    while let Some(shared) = shared.upgrade().filter(|shared| !shared.stopping.load(Ordering::Acquire)) {
        // After a panic, the times of all runs count from now.
        seen = contained(|| look(&shared, &seen)).unwrap_or_default();
        let sleeps = shared.watchdog_sleeps();
        drop(shared);
        if sleeps {
            thread::park();
        }
        thread::sleep(WATCH_EVERY);
    }
}

pub(super) fn look(shared: &Arc<Shared>, seen: &Seen) -> Seen {
    let now = Instant::now();
    let workers = shared.workers.read().clone();
    let mut running = Vec::new();
    for worker in workers {
        let Some(run) = worker.running() else { continue };
        let since =
            seen.iter().find(|(id, r, _)| (*id, *r) == (worker.id, run)).map_or(now, |&(_, _, since)| since);
        running.push((worker.id, run, since));
        if since == now {
            continue;
        }
        if let Some(unhold) = shared.unhold.get() {
            worker.cells.held.iter().filter_map(|held| held.seize()).for_each(unhold);
        }
        let trapped = worker.lifo.load(Ordering::Relaxed);
        if trapped != EMPTY {
            shared.injector.push(trapped - 1);
            shared.sleepers.wake_one();
        }
        if now.duration_since(since) >= COMPUTE_LIMIT && !worker.retired.swap(true, Ordering::SeqCst) {
            worker.since.get_or_init(|| since);
            shared.over_limit.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(name: "pool.compensate", worker = worker.id, "a callback computes for long; starting another worker");
            shared.add_worker();
        }
        if now.duration_since(since) >= REPORT_AFTER && !worker.reported.swap(true, Ordering::Relaxed) {
            // A report reads files. It gets a thread of its own, so that the watchdog stays free
            // for other workers.
            let shared = Arc::clone(shared);
            spawn_thread("reld-report", move || shared.report_slow(&worker, run, since));
        }
    }
    running
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::super::Scheduler;
    use super::*;

    #[test]
    fn a_watchdog_whose_look_panics_looks_again() {
        let scheduler = Scheduler::new(1);
        scheduler.start(Box::new(|_| ()), Box::new(|_, _, _| ()), Box::new(|_| ()), || ());
        let (looked, looks) = mpsc::channel();
        let shared = Arc::downgrade(&scheduler.shared);
        let begin = Instant::now();
        let dog = thread::spawn(move || {
            watch(&shared, |_, seen| {
                looked.send(seen.len()).unwrap_or(());
                assert!(seen.is_empty(), "a bug in a look");
                vec![(1, 1, begin)]
            });
        });
        // A running job keeps the watchdog awake.
        let (end, ends) = mpsc::channel::<()>();
        scheduler.job(Box::new(move || ends.recv().unwrap_or(())));
        let looked = [(); 4].map(|()| looks.recv_timeout(Duration::from_secs(10)));
        assert_eq!(looked, [Ok(0), Ok(1), Ok(0), Ok(1)]);
        drop((end, scheduler));
        dog.join().expect("the watchdog ends with the pool");
    }
}
