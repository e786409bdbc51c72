//! The pool: the node's own, replaceable threads, which run processes and jobs.
//!
//! A run queue carries the *numbers* of processes. Running a number twice is harmless, because the
//! second run finds the body taken. So a slow worker is easy to relieve: when it computes too long,
//! the watchdog offers the process in its LIFO slot to the other workers, and starts another worker
//! beside it. No thread is ever killed; the slow worker retires when its callback returns.
//!
//! App code runs, and app values are dropped, on these threads only. So each thread that app code
//! holds up can be replaced.

mod watchdog;
mod worker;

use std::cell::{Cell, OnceCell};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crossbeam_deque::{Injector, Steal, Stealer, Worker as Deque};
use parking_lot::RwLock;

use self::watchdog::{look, watch};
use self::worker::work;
use crate::pool::sleepers::Sleepers;
use crate::process::body::Body;
use crate::process::current::Cells;

/// Work on the pool that belongs to no process.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Runs the process with this number. Called on pool threads.
pub(crate) type Runner = Box<dyn Fn(u32) + Send + Sync>;

/// Reports a callback that computes for long: the number of its process, the time at which the
/// callback began, and the stack. Called on a thread of its own.
pub(crate) type Report = Box<dyn Fn(u32, Instant, &[String]) + Send + Sync>;

/// Puts the body of a held process back into its slot. Called by the watchdog.
pub(crate) type Unhold = Box<dyn Fn(Box<Body>) + Send + Sync>;

/// Returns the stack of a thread, given the thread's number in the operating system.
pub(crate) type Frames = fn(i32) -> Vec<String>;

/// A stuck callback: its worker was replaced, and it has not returned.
pub(crate) struct Computing {
    /// The slot of the process.
    pub(crate) at: u32,
    pub(crate) since: Instant,
    /// The stack at the time of the report, innermost function first.
    pub(crate) frames: Vec<String>,
}

/// How many processes a worker runs ahead of its queue, one after the other: from its LIFO slot, or
/// inside the run of another process. With two the round trip is nearly as short as without a
/// limit, and the order is nearly as fair as in a queue.
const AHEAD_BUDGET: u32 = 2;
/// How many processes a worker runs ahead of an empty queue, inside one run.
const INSIDE_MAX: u32 = 64;
/// After this many picks a worker takes from the injector first.
const INJECTOR_EVERY: u32 = 61;
/// How often the watchdog checks the workers.
const WATCH_EVERY: Duration = Duration::from_millis(5);
/// When a callback computes longer than this, its worker is replaced.
const COMPUTE_LIMIT: Duration = Duration::from_millis(20);
/// When a callback computes longer than this, it is reported.
const REPORT_AFTER: Duration = Duration::from_secs(1);
/// How many attempts are made to seize a process from a callback that keeps calling into the
/// daemon.
const SEIZE_ATTEMPTS: usize = 1_000;
/// How many times a worker looks for work before it sleeps.
const SPINS: u32 = 32;

/// The value for no process: numbers are stored plus one.
const EMPTY: u32 = 0;

/// The pool of a node.
pub(crate) struct Scheduler {
    shared: Arc<Shared>,
    width: usize,
}

struct Shared {
    run: OnceLock<Runner>,
    report: OnceLock<Report>,
    unhold: OnceLock<Unhold>,
    /// The function that a worker calls before it sleeps, and when it ends.
    rest: OnceLock<fn()>,
    frames: OnceLock<Frames>,
    /// The function that each worker runs once after [`Scheduler::call_workers`].
    errand: OnceLock<fn()>,
    injector: Injector<u32>,
    jobs: Injector<Job>,
    workers: RwLock<Vec<Arc<Worker>>>,
    sleepers: Sleepers,
    next_worker: AtomicU64,
    stopping: AtomicBool,
    /// How many messages were handled by workers that have ended.
    handled: AtomicU64,
    /// How often a callback computed longer than the limit.
    over_limit: AtomicU64,
}

/// The part of a worker that other threads see.
struct Worker {
    id: u64,
    stealer: Stealer<u32>,
    /// The LIFO slot: the number of the process that was made runnable last, plus one. Only the
    /// owner writes it; other threads copy it.
    lifo: AtomicU32,
    /// Counts the starts and ends of runs: odd while the worker runs something.
    runs: AtomicU64,
    /// Counts handled messages. Only the owner writes it.
    handled: AtomicU64,
    /// The process that the worker runs or ran last, plus one; [`EMPTY`] for a job.
    at: AtomicU32,
    /// Set when another worker has taken the place of this one.
    retired: AtomicBool,
    /// Set when this worker has to run the errand.
    called: AtomicBool,
    /// The handle for unparking; set once the worker runs.
    thread: OnceLock<Thread>,
    /// The number of the thread in the operating system; set once the worker runs.
    number: OnceLock<i32>,
    /// Holds the bodies of the running process and of those that wait for it.
    cells: Arc<Cells>,
    /// Whether the callback for which the worker was retired has been reported.
    reported: AtomicBool,
    /// The stack of that callback at the time of the report.
    frames: OnceLock<Vec<String>>,
    /// The time at which the watchdog saw that callback begin; set when the worker is retired.
    since: OnceLock<Instant>,
}

/// The result of [`Scheduler::run_inside`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inside {
    /// The process waits in another queue, or is running.
    Elsewhere,
    /// The process had its turn.
    Done,
    /// The process had its turn, for which the worker was retired: it must not run the other
    /// process any further.
    Retired,
}

thread_local! {
    static HERE: OnceCell<Here> = const { OnceCell::new() };
}

/// The part of a worker that only its own thread uses.
struct Here {
    shared: Weak<Shared>,
    worker: Arc<Worker>,
    deque: Deque<u32>,
    picks: Cell<u32>,
    /// How many processes have run ahead of the queue since the last process from the queue.
    ahead: Cell<u32>,
}

impl Scheduler {
    /// Makes a pool of `width` workers. [`Scheduler::start`] starts them and the watchdog.
    pub(crate) fn new(width: usize) -> Self {
        let shared = Arc::new(Shared {
            run: OnceLock::new(),
            report: OnceLock::new(),
            unhold: OnceLock::new(),
            rest: OnceLock::new(),
            frames: OnceLock::new(),
            errand: OnceLock::new(),
            injector: Injector::new(),
            jobs: Injector::new(),
            workers: RwLock::new(Vec::new()),
            sleepers: Sleepers::default(),
            next_worker: AtomicU64::new(1),
            stopping: AtomicBool::new(false),
            handled: AtomicU64::new(0),
            over_limit: AtomicU64::new(0),
        });
        Self { shared, width }
    }

    /// Starts the workers. `run` runs a process, `report` is called for slow callbacks, `unhold`
    /// for processes that are held too long, and a worker calls `rest` before it sleeps.
    pub(crate) fn start(&self, run: Runner, report: Report, unhold: Unhold, rest: fn()) {
        if self.shared.run.set(run).is_err() {
            return;
        }
        self.shared.report.get_or_init(|| report);
        self.shared.unhold.get_or_init(|| unhold);
        self.shared.rest.get_or_init(|| rest);
        for _ in 0..self.width {
            self.shared.add_worker();
        }
        let shared = Arc::downgrade(&self.shared);
        spawn_thread("reld-watchdog", move || watch(&shared, look));
    }

    /// Ends the workers. A worker that runs something ends after that.
    pub(crate) fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.sleepers.wake_all();
    }

    /// Counts messages on the worker that handles them.
    pub(crate) fn note_handled(&self, messages: usize) {
        HERE.with(|here| {
            if let Some(here) = here.get() {
                let handled = &here.worker.handled;
                handled.store(handled.load(Ordering::Relaxed) + messages as u64, Ordering::Relaxed);
            }
        });
    }

    /// Returns how many messages were handled so far.
    pub(crate) fn handled(&self) -> u64 {
        let workers = self.shared.workers.read();
        let now: u64 = workers.iter().map(|worker| worker.handled.load(Ordering::Relaxed)).sum();
        now + self.shared.handled.load(Ordering::Relaxed)
    }

    /// Returns how often a callback computed longer than the limit.
    pub(crate) fn over_limit(&self) -> u64 {
        self.shared.over_limit.load(Ordering::Relaxed)
    }

    /// Makes a process run. If the caller is a worker thread, the number goes into that worker's
    /// LIFO slot, otherwise to the injector.
    pub(crate) fn schedule(&self, number: u32) {
        self.push(number, |here| here.push(number, &self.shared));
    }

    /// Makes a process run after everything that already waits on this worker.
    pub(crate) fn schedule_last(&self, number: u32) {
        self.push(number, |here| {
            here.deque.push(number);
            self.shared.sleepers.wake_one();
        });
    }

    /// Lets another worker take this process from the calling worker's LIFO slot, because the
    /// calling process keeps sending to it.
    pub(crate) fn offer(&self, number: u32) {
        HERE.with(|here| {
            if let Some(here) = here.get() {
                here.offer(number, &self.shared);
            }
        });
    }

    /// Runs the process in the calling worker's LIFO slot inside the run of another process, if it
    /// is the process with this number.
    pub(crate) fn run_inside(&self, number: u32, run: impl FnOnce()) -> Inside {
        HERE.with(|here| {
            here.get().map_or(Inside::Elsewhere, |here| here.run_inside(number, &self.shared, run))
        })
    }

    fn push(&self, number: u32, local: impl FnOnce(&Here)) {
        HERE.with(|here| match here.get() {
            Some(here) if std::ptr::eq(here.shared.as_ptr(), Arc::as_ptr(&self.shared)) => local(here),
            _ => {
                self.shared.injector.push(number);
                self.shared.sleepers.wake_one();
            }
        });
    }

    /// Runs a job on a worker, soon.
    pub(crate) fn job(&self, job: Job) {
        self.shared.jobs.push(job);
        self.shared.sleepers.wake_one();
    }

    /// Sets the function that [`Scheduler::call_workers`] makes each worker run. Only the first
    /// call has an effect.
    pub(crate) fn on_call(&self, errand: fn()) {
        self.shared.errand.get_or_init(|| errand);
    }

    /// Makes each worker run the errand once, as soon as no process runs on it. A worker that
    /// retires meanwhile skips the errand.
    pub(crate) fn call_workers(&self) {
        for worker in self.shared.workers.read().iter() {
            worker.called.store(true, Ordering::Release);
            if let Some(thread) = worker.thread.get() {
                thread.unpark();
            }
        }
    }

    /// Returns how many workers the pool has when none is stuck.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Sets the function that returns the stack of a thread. Only the first call has an effect.
    pub(crate) fn on_frames(&self, frames: Frames) {
        self.shared.frames.get_or_init(|| frames);
    }

    /// Returns the stuck callbacks.
    pub(crate) fn stuck(&self) -> Vec<Computing> {
        self.shared.workers.read().iter().filter_map(|worker| worker.stuck()).collect()
    }

    /// Returns the time at which the stuck callback of a process began; `None` if no callback is
    /// stuck.
    pub(crate) fn computes_since(&self, number: u32) -> Option<Instant> {
        self.stuck().into_iter().find_map(|stuck| (stuck.at == number).then_some(stuck.since))
    }

    /// Samples the stack of the stuck callback of a process.
    pub(crate) fn look_at(&self, number: u32) -> Vec<String> {
        let workers = self.shared.workers.read().clone();
        let worker = workers.iter().find(|worker| worker.stuck().is_some_and(|stuck| stuck.at == number));
        worker.map(|worker| self.shared.frames_of(worker)).unwrap_or_default()
    }

    /// Returns the slots of the processes that run at this moment.
    pub(crate) fn running(&self) -> Vec<u32> {
        let workers = self.shared.workers.read();
        let running = workers.iter().filter(|worker| worker.running().is_some());
        let at = running.map(|worker| worker.at.load(Ordering::Relaxed));
        at.filter(|at| *at != EMPTY).map(|at| at - 1).collect()
    }

    /// Seizes the body of a process with a stuck callback, for which the worker was retired. When
    /// the callback returns, the worker finds no body and ends.
    ///
    /// `lives` returns whether the slot still belongs to this process. It is called after the
    /// worker is found: a retired worker starts no other process, so the callback on it is then a
    /// callback of this process.
    pub(crate) fn take_stuck(
        &self,
        number: u32,
        lives: impl FnOnce() -> bool,
    ) -> Option<(Box<Body>, Computing)> {
        let workers = self.shared.workers.read();
        let (worker, stuck) = workers
            .iter()
            .filter_map(|worker| Some((worker, worker.stuck()?)))
            .find(|(_, stuck)| stuck.at == number)?;
        if !lives() {
            return None;
        }
        // The body is out of its cell for moments while the callback calls into the daemon.
        let body = (0..SEIZE_ATTEMPTS).find_map(|_| {
            worker.cells.seize().or_else(|| {
                thread::yield_now();
                None
            })
        })?;
        worker.at.store(EMPTY, Ordering::Relaxed);
        Some((body, stuck))
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn add_worker(self: &Arc<Self>) {
        let here = self.new_worker();
        self.workers.write().push(Arc::clone(&here.worker));
        let shared = Arc::clone(self);
        spawn_thread(&format!("reld-pool-{}", here.worker.id), move || work(&shared, here));
    }

    fn new_worker(self: &Arc<Self>) -> Here {
        let deque = Deque::new_fifo();
        let worker = Arc::new(Worker {
            id: self.next_worker.fetch_add(1, Ordering::Relaxed),
            stealer: deque.stealer(),
            lifo: AtomicU32::new(EMPTY),
            runs: AtomicU64::new(0),
            handled: AtomicU64::new(0),
            at: AtomicU32::new(EMPTY),
            since: OnceLock::new(),
            retired: AtomicBool::new(false),
            called: AtomicBool::new(false),
            thread: OnceLock::new(),
            number: OnceLock::new(),
            cells: Arc::default(),
            reported: AtomicBool::new(false),
            frames: OnceLock::new(),
        });
        let shared = Arc::downgrade(self);
        Here { shared, worker, deque, picks: Cell::new(0), ahead: Cell::new(0) }
    }

    fn remove_worker(&self, id: u64) {
        self.workers.write().retain(|w| w.id != id);
    }

    /// Returns whether the watchdog may sleep until a worker wakes up.
    fn watchdog_sleeps(&self) -> bool {
        let awake = self.workers.read().iter().filter(|worker| worker.is_watched()).count();
        self.sleepers.watchdog_sleeps(awake, || self.stopping.load(Ordering::Acquire))
    }

    fn rest(&self) {
        if let Some(rest) = self.rest.get() {
            rest();
        }
    }

    fn sleep(&self, here: &Here) {
        self.rest();
        self.sleepers.sleep(|| self.has_work(here) || self.stopping.load(Ordering::Acquire));
    }

    fn frames_of(&self, worker: &Worker) -> Vec<String> {
        let frames = self.frames.get().zip(worker.number.get());
        frames.map(|(frames, number)| frames(*number)).unwrap_or_default()
    }

    /// Reports a callback that computes for long, unless it has returned meanwhile.
    fn report_slow(&self, worker: &Worker, run: u64, since: Instant) {
        let frames = worker.frames.get_or_init(|| self.frames_of(worker));
        let at = worker.at.load(Ordering::Relaxed);
        if let Some(report) = self.report.get()
            && at != EMPTY
            && worker.running() == Some(run)
        {
            report(at - 1, since, frames);
        }
    }

    fn has_work(&self, here: &Here) -> bool {
        !self.injector.is_empty()
            || !self.jobs.is_empty()
            || !here.deque.is_empty()
            || here.worker.lifo.load(Ordering::Relaxed) != EMPTY
            || here.worker.called.load(Ordering::Acquire)
            || self.workers.read().iter().any(|w| !w.stealer.is_empty())
    }

    fn steal(&self, own: &Deque<u32>, id: u64) -> Option<u32> {
        retry_steal(|| self.injector.steal_batch_and_pop(own)).or_else(|| {
            self.workers.read().iter().filter(|w| w.id != id).find_map(|w| retry_steal(|| w.stealer.steal()))
        })
    }
}

/// Repeats a steal that has lost a race.
fn retry_steal<T>(mut steal: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match steal() {
            Steal::Success(item) => return Some(item),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}

fn spawn_thread(name: &str, body: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(body) {
        tracing::error!(name: "pool.spawn_failed", %error, thread = name, "cannot start a thread of the pool");
    }
}
