//! A worker: chooses the next process or job to run, and keeps the state that other threads see.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use super::{
    AHEAD_BUDGET, Computing, EMPTY, HERE, Here, INJECTOR_EVERY, INSIDE_MAX, Inside, SPINS, Shared,
    WATCH_EVERY, Worker, retry_steal,
};
use crate::process::current;
use crate::words::contain::contained;

impl Here {
    /// Puts a number into the LIFO slot. The number that it displaces is offered to other workers.
    /// The new number is not, because waking a thread costs more than most callbacks.
    pub(super) fn push(&self, number: u32, shared: &Shared) {
        let displaced = self.worker.lifo.load(Ordering::Relaxed);
        self.worker.lifo.store(number + 1, Ordering::Relaxed);
        if displaced != EMPTY {
            self.deque.push(displaced - 1);
            shared.sleepers.wake_one();
        }
    }

    fn take_lifo(&self) -> Option<u32> {
        let number = self.worker.lifo.load(Ordering::Relaxed);
        (number != EMPTY).then(|| {
            self.worker.lifo.store(EMPTY, Ordering::Relaxed);
            number - 1
        })
    }

    /// Moves a number from the LIFO slot to the queue, from which other workers steal.
    pub(super) fn offer(&self, number: u32, shared: &Shared) {
        if self.worker.lifo.load(Ordering::Relaxed) == number + 1 {
            self.worker.lifo.store(EMPTY, Ordering::Relaxed);
            self.deque.push(number);
            shared.sleepers.wake_one();
        }
    }

    /// Runs the process in the LIFO slot inside the run of another process. The watchdog sees two
    /// runs.
    ///
    /// A retired worker runs only the process for which it was retired, because another thread may
    /// seize that process from it. So `at` is written before `retired` is read, and the other
    /// thread reads them in the opposite order.
    pub(super) fn run_inside(&self, number: u32, shared: &Shared, run: impl FnOnce()) -> Inside {
        let worker = &self.worker;
        if worker.lifo.load(Ordering::Relaxed) != number + 1 || !self.may_run_inside(shared) {
            return Inside::Elsewhere;
        }
        let outer = worker.at.swap(number + 1, Ordering::SeqCst);
        if worker.retired.load(Ordering::SeqCst) {
            worker.at.store(outer, Ordering::SeqCst);
            return Inside::Elsewhere;
        }
        self.take_ahead();
        worker.begin_next_run();
        run();
        worker.at.store(outer, Ordering::SeqCst);
        worker.begin_next_run();
        if worker.retired.load(Ordering::SeqCst) {
            worker.at.store(EMPTY, Ordering::Relaxed);
            return Inside::Retired;
        }
        Inside::Done
    }

    fn may_run_inside(&self, shared: &Shared) -> bool {
        let ahead = self.ahead.get();
        let is_alone = || self.deque.is_empty() && shared.injector.is_empty();
        ahead < AHEAD_BUDGET || (ahead < INSIDE_MAX && is_alone())
    }

    /// Takes the number from the LIFO slot, to run it ahead of the queue.
    fn take_ahead(&self) -> Option<u32> {
        let taken = self.take_lifo();
        self.ahead.set(self.ahead.get() + u32::from(taken.is_some()));
        taken
    }

    fn next(&self, shared: &Shared) -> Option<u32> {
        let picks = self.picks.get().wrapping_add(1);
        self.picks.set(picks);
        if picks.is_multiple_of(INJECTOR_EVERY)
            && let Some(number) = retry_steal(|| shared.injector.steal())
        {
            self.ahead.set(0);
            return Some(number);
        }
        if self.ahead.get() < AHEAD_BUDGET
            && let Some(number) = self.take_ahead()
        {
            return Some(number);
        }
        self.ahead.set(0);
        // A worker steals from others only when it has no work of its own left.
        self.deque.pop().or_else(|| self.take_lifo()).or_else(|| shared.steal(&self.deque, self.worker.id))
    }

    /// Hands over to the injector all numbers of a worker that is about to end.
    fn give_up(&self, shared: &Shared) {
        while let Some(number) = self.take_lifo().or_else(|| self.deque.pop()) {
            shared.injector.push(number);
            shared.sleepers.wake_one();
        }
    }
}

/// Returns the number of the calling thread in the operating system.
fn system_number() -> Option<i32> {
    std::fs::read_link("/proc/thread-self").ok()?.file_name()?.to_str()?.parse().ok()
}

pub(super) fn work(shared: &Arc<Shared>, here: Here) {
    let worker = Arc::clone(&here.worker);
    worker.thread.get_or_init(thread::current);
    if let Some(number) = system_number() {
        worker.number.get_or_init(|| number);
    }
    current::run_in(&worker.cells);
    HERE.with(|cell| {
        let here = cell.get_or_init(|| here);
        // A panic ends only the job in which it happens; the worker goes on with the next job.
        while contained(|| work_on(shared, here)).is_err() {
            worker.note_panicked();
            // If the next job panics too, this pause leaves time for other threads.
            thread::sleep(WATCH_EVERY);
        }
        here.give_up(shared);
    });
    // The thread's own end would be too late: dropping the node drops app values, and their drops
    // may still use thread-locals of this thread.
    shared.rest();
    shared.handled.fetch_add(worker.handled.load(Ordering::Relaxed), Ordering::Relaxed);
    shared.remove_worker(worker.id);
}

/// Works until the worker is retired or the node stops.
fn work_on(shared: &Shared, here: &Here) {
    let worker = &here.worker;
    while !worker.retired.load(Ordering::Relaxed) && !shared.stopping.load(Ordering::Relaxed) {
        if worker.called.load(Ordering::Relaxed) && worker.called.swap(false, Ordering::Acquire) {
            worker.busy(EMPTY, || shared.errand.get().map_or((), |errand| errand()));
        }
        work_once(shared, here);
    }
}

fn work_once(shared: &Shared, here: &Here) {
    for _ in 0..SPINS {
        if here.worker.called.load(Ordering::Relaxed) {
            return;
        }
        // Jobs share the pool with processes: in some rounds a job comes first.
        let job_first = here.picks.get().is_multiple_of(INJECTOR_EVERY);
        if job_first && run_job(shared, here) {
            here.picks.set(here.picks.get().wrapping_add(1));
            return;
        }
        if let Some(number) = here.next(shared) {
            return here.worker.busy(number + 1, || shared.run.get().map_or((), |run| run(number)));
        }
        if run_job(shared, here) {
            return;
        }
        std::hint::spin_loop();
    }
    shared.sleep(here);
}

fn run_job(shared: &Shared, here: &Here) -> bool {
    match retry_steal(|| shared.jobs.steal()) {
        Some(job) => {
            here.worker.busy(EMPTY, job);
            true
        }
        None => false,
    }
}

impl Worker {
    /// Runs work so that the watchdog sees it.
    fn busy(&self, at: u32, work: impl FnOnce()) {
        self.at.store(at, Ordering::Relaxed);
        let runs = self.runs.load(Ordering::Relaxed);
        self.runs.store(runs + 1, Ordering::Relaxed);
        work();
        self.runs.store(self.runs.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Makes the watchdog see a new run from here on.
    fn begin_next_run(&self) {
        self.runs.store(self.runs.load(Ordering::Relaxed) + 2, Ordering::Relaxed);
    }

    /// Records that a panic has ended the present run.
    pub(super) fn note_panicked(&self) {
        if self.running().is_some() {
            self.runs.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the stuck callback for which the worker was replaced, if there is one.
    pub(super) fn stuck(&self) -> Option<Computing> {
        let since = *self.since.get()?;
        let at = self.at.load(Ordering::SeqCst);
        let frames = || self.frames.get().cloned().unwrap_or_default();
        (at != EMPTY).then(|| Computing { at: at - 1, since, frames: frames() })
    }

    /// Returns whether the watchdog still has to watch this worker.
    pub(super) fn is_watched(&self) -> bool {
        !self.retired.load(Ordering::Relaxed) || !self.reported.load(Ordering::Relaxed)
    }

    pub(super) fn running(&self) -> Option<u64> {
        let runs = self.runs.load(Ordering::Relaxed);
        (!runs.is_multiple_of(2)).then_some(runs)
    }
}

#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
mod tests {
    use crossbeam_deque::Steal;

    use super::super::Scheduler;
    use super::*;

    #[test]
    fn a_number_that_is_offered_leaves_the_lifo_slot_and_can_be_stolen() {
        let shared = Scheduler::new(1).shared.clone();
        let here = shared.new_worker();
        here.push(7, &shared);
        here.offer(8, &shared);
        assert_eq!(here.worker.stealer.steal(), Steal::Empty, "7 is not offered, and 8 is not there");
        here.offer(7, &shared);
        assert_eq!(here.worker.stealer.steal(), Steal::Success(7));
        assert_eq!(here.take_lifo(), None);
    }

    #[test]
    fn a_worker_runs_few_processes_ahead_of_its_queue() {
        let shared = Scheduler::new(1).shared.clone();
        let run_inside = |here: &Here| {
            let again = || {
                here.push(7, &shared);
                here.run_inside(7, &shared, || ()) == Inside::Done
            };
            std::iter::repeat_with(again).take_while(|ran| *ran).count()
        };
        let alone = shared.new_worker();
        assert_eq!(run_inside(&alone), INSIDE_MAX as usize);
        let busy = shared.new_worker();
        busy.deque.push(8);
        assert_eq!(run_inside(&busy), AHEAD_BUDGET as usize);
        assert_eq!(busy.next(&shared), Some(8), "the budget of both ways is used up");
        assert_eq!(busy.take_lifo(), Some(7));
        busy.deque.push(8);
        busy.push(7, &shared);
        assert_eq!(busy.next(&shared), Some(7));
        assert_eq!(run_inside(&busy), AHEAD_BUDGET as usize - 1);
        shared.injector.push(9);
        assert_eq!(run_inside(&shared.new_worker()), AHEAD_BUDGET as usize);
    }

    #[test]
    fn a_retired_worker_runs_no_process_inside_another_run() {
        let shared = Scheduler::new(1).shared.clone();
        let here = shared.new_worker();
        let worker = &here.worker;
        worker.at.store(4 + 1, Ordering::Relaxed);
        let run_inside = |number| {
            worker.lifo.store(7 + 1, Ordering::Relaxed);
            let mut seen = EMPTY;
            let inside = here.run_inside(number, &shared, || seen = worker.at.load(Ordering::Relaxed));
            (inside, seen, worker.at.load(Ordering::Relaxed))
        };
        assert_eq!(run_inside(8), (Inside::Elsewhere, EMPTY, 5));
        assert_eq!(run_inside(7), (Inside::Done, 8, 5));
        let retires = || {
            worker.lifo.store(7 + 1, Ordering::Relaxed);
            here.run_inside(7, &shared, || worker.retired.store(true, Ordering::Relaxed))
        };
        assert_eq!(retires(), Inside::Retired);
        worker.at.store(5, Ordering::Relaxed);
        assert_eq!(run_inside(7), (Inside::Elsewhere, EMPTY, 5));
        assert_eq!(here.take_lifo(), Some(7), "it stays in its slot");
    }
}
