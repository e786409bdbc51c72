//! The pool: own, replaceable threads that run processes and jobs.
//!
//! A run queue carries process *numbers*; running a number twice is harmless, since the second run finds the body
//! taken. That makes every rescue simple: the watchdog copies a number out of the slot of a worker that computes too
//! long, and starts another worker beside it. No thread is ever killed; the slow one retires when its callback
//! returns.
//!
//! App code runs, and app values drop, on these threads only, so that each of them can be replaced.

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
use crate::process::current::Current;

/// Work on the pool that belongs to no process.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Runs one process; called on pool threads.
pub(crate) type Runner = Box<dyn Fn(u32) + Send + Sync>;

/// Told of a process whose callback computes for long, since when and where; called on a thread made for it.
pub(crate) type Report = Box<dyn Fn(u32, Instant, &[String]) + Send + Sync>;

/// Names the functions that a thread is inside, by the system's number of the thread.
pub(crate) type Frames = fn(i32) -> Vec<String>;

/// A callback that was compensated and has not come back.
pub(crate) struct Computing {
    /// The place of its process.
    pub(crate) at: u32,
    pub(crate) since: Instant,
    /// Where it was when it was reported, the innermost function first.
    pub(crate) frames: Vec<String>,
}

/// How many times in a row a worker takes from its own slot. Three keeps the round trip of an unlimited slot and the
/// fairness of a queue.
const LIFO_BUDGET: u32 = 3;
/// Every so many picks a worker looks at what came from outside first.
const INJECTOR_EVERY: u32 = 61;
/// How often the watchdog looks.
const WATCH_EVERY: Duration = Duration::from_millis(5);
/// A callback that computes longer gets its worker compensated.
const COMPUTE_LIMIT: Duration = Duration::from_millis(20);
/// A callback that computes longer is reported.
const REPORT_AFTER: Duration = Duration::from_secs(1);
/// How often is tried to take a process out of a callback that keeps asking the daemon for something.
const TAKES: usize = 1_000;
/// Rounds of looking before a worker sleeps.
const SPINS: u32 = 32;

/// Nothing in a worker's slot. Numbers are stored plus one.
const EMPTY: u32 = 0;

/// The pool of a node.
pub(crate) struct Scheduler {
    shared: Arc<Shared>,
    width: usize,
}

struct Shared {
    run: OnceLock<Runner>,
    report: OnceLock<Report>,
    /// What a worker does before it sleeps, and when it ends.
    rest: OnceLock<fn()>,
    frames: OnceLock<Frames>,
    /// What a worker does when all are called.
    errand: OnceLock<fn()>,
    injector: Injector<u32>,
    jobs: Injector<Job>,
    workers: RwLock<Vec<Arc<Worker>>>,
    sleepers: Sleepers,
    next_worker: AtomicU64,
    stopping: AtomicBool,
    /// What workers that are gone have handled.
    handled: AtomicU64,
    /// How often a callback computed longer than the limit.
    over_limit: AtomicU64,
}

/// What others see of a worker.
struct Worker {
    id: u64,
    stealer: Stealer<u32>,
    /// The process made runnable last, plus one. Written by its owner; others only copy it.
    lifo: AtomicU32,
    /// Counts runs; odd while one is going on.
    runs: AtomicU64,
    /// Counts messages that were handled. Written by its owner.
    handled: AtomicU64,
    /// The process that it runs or ran last, plus one; empty for a job.
    at: AtomicU32,
    /// Set when another worker has taken its place.
    retired: AtomicBool,
    /// Set when the errand is to be run by this very thread.
    called: AtomicBool,
    /// To wake it by; set once it runs.
    thread: OnceLock<Thread>,
    /// The system's number of the thread; set once it runs.
    number: OnceLock<i32>,
    /// The process whose callback it runs, while it does.
    current: Arc<Current>,
    /// Whether the callback for which it was retired was reported.
    reported: AtomicBool,
    /// Where that callback was then.
    frames: OnceLock<Vec<String>>,
    /// Since when it is inside one callback, as the watchdog saw it; set when it is retired.
    since: OnceLock<Instant>,
}

thread_local! {
    static HERE: OnceCell<Here> = const { OnceCell::new() };
}

/// What a worker thread knows of itself.
struct Here {
    shared: Weak<Shared>,
    worker: Arc<Worker>,
    deque: Deque<u32>,
    picks: Cell<u32>,
    lifo_hits: Cell<u32>,
}

impl Scheduler {
    /// Starts `width` workers and the watchdog. They run nothing until [`Scheduler::start`].
    pub(crate) fn new(width: usize) -> Self {
        let shared = Arc::new(Shared {
            run: OnceLock::new(),
            report: OnceLock::new(),
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

    /// Starts. `run` runs a process, `report` hears of slow ones, and a worker that has nothing to do calls `rest`.
    pub(crate) fn start(&self, run: Runner, report: Report, rest: fn()) {
        if self.shared.run.set(run).is_err() {
            return;
        }
        self.shared.report.get_or_init(|| report);
        self.shared.rest.get_or_init(|| rest);
        for _ in 0..self.width {
            self.shared.add_worker();
        }
        let shared = Arc::downgrade(&self.shared);
        spawn_thread("reld-watchdog", move || watch(&shared, look));
    }

    /// Has the workers end, each after what it runs now.
    pub(crate) fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.sleepers.wake_all();
    }

    /// Counts a message on the worker that handles it.
    pub(crate) fn note_handled(&self) {
        HERE.with(|here| {
            if let Some(here) = here.get() {
                let handled = &here.worker.handled;
                handled.store(handled.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            }
        });
    }

    /// Returns how many messages were handled.
    pub(crate) fn handled(&self) -> u64 {
        let workers = self.shared.workers.read();
        let now: u64 = workers.iter().map(|worker| worker.handled.load(Ordering::Relaxed)).sum();
        now + self.shared.handled.load(Ordering::Relaxed)
    }

    /// Returns how often a callback computed longer than the limit.
    pub(crate) fn over_limit(&self) -> u64 {
        self.shared.over_limit.load(Ordering::Relaxed)
    }

    /// Makes a process run. On a worker it goes into that worker's slot, else to the injector.
    pub(crate) fn schedule(&self, number: u32) {
        self.push(number, |here| here.push(number, &self.shared));
    }

    /// Makes a process run behind everything that waits on this worker.
    pub(crate) fn schedule_last(&self, number: u32) {
        self.push(number, |here| {
            here.deque.push(number);
            self.shared.sleepers.wake_one();
        });
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

    /// Runs a job on some worker, soon.
    pub(crate) fn job(&self, job: Job) {
        self.shared.jobs.push(job);
        self.shared.sleepers.wake_one();
    }

    /// Sets what each worker does when all are called. The first word counts.
    pub(crate) fn on_call(&self, errand: fn()) {
        self.shared.errand.get_or_init(|| errand);
    }

    /// Has each worker run the errand once, when it next is inside no process. One that retires meanwhile does not.
    pub(crate) fn call_workers(&self) {
        for worker in self.shared.workers.read().iter() {
            worker.called.store(true, Ordering::Release);
            if let Some(thread) = worker.thread.get() {
                thread.unpark();
            }
        }
    }

    /// Returns how many workers the pool aims at.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Sets who names the functions that a thread is inside. The first word counts.
    pub(crate) fn on_frames(&self, frames: Frames) {
        self.shared.frames.get_or_init(|| frames);
    }

    /// Returns the callbacks that were compensated and have not come back.
    pub(crate) fn stuck(&self) -> Vec<Computing> {
        self.shared.workers.read().iter().filter_map(|worker| worker.stuck()).collect()
    }

    /// Says since when a process computes that was compensated and has not come back.
    pub(crate) fn computes_since(&self, number: u32) -> Option<Instant> {
        self.stuck().into_iter().find_map(|stuck| (stuck.at == number).then_some(stuck.since))
    }

    /// Looks where a process computes that was compensated and has not come back.
    pub(crate) fn look_at(&self, number: u32) -> Vec<String> {
        let workers = self.shared.workers.read().clone();
        let worker = workers.iter().find(|worker| worker.stuck().is_some_and(|stuck| stuck.at == number));
        worker.map(|worker| self.shared.frames_of(worker)).unwrap_or_default()
    }

    /// Returns the places of the processes that run at this moment.
    pub(crate) fn running(&self) -> Vec<u32> {
        let workers = self.shared.workers.read();
        let running = workers.iter().filter(|worker| worker.running().is_some());
        let at = running.map(|worker| worker.at.load(Ordering::Relaxed));
        at.filter(|at| *at != EMPTY).map(|at| at - 1).collect()
    }

    /// Takes a process out of a callback whose worker was retired for it, and says since when that computes. The worker
    /// is the process's no more; when the callback returns it finds nothing and ends.
    ///
    /// `lives` says whether it is still this process that has the place. Asked once the worker is found: what is retired
    /// runs nothing else any more, so it cannot have been another's then.
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
        // It is away for moments while the callback asks the daemon for something.
        let body = (0..TAKES).find_map(|_| {
            worker.current.seize().or_else(|| {
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
            current: Arc::default(),
            reported: AtomicBool::new(false),
            frames: OnceLock::new(),
        });
        self.workers.write().push(Arc::clone(&worker));
        let here = Here {
            shared: Arc::downgrade(self),
            worker,
            deque,
            picks: Cell::new(0),
            lifo_hits: Cell::new(0),
        };
        let shared = Arc::clone(self);
        spawn_thread(&format!("reld-pool-{}", here.worker.id), move || work(&shared, here));
    }

    fn remove_worker(&self, id: u64) {
        self.workers.write().retain(|w| w.id != id);
    }

    /// Says whether the watchdog may sleep until a worker awakes.
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
    fn tell(&self, worker: &Worker, run: u64, since: Instant) {
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
        settle(|| self.injector.steal_batch_and_pop(own)).or_else(|| {
            self.workers.read().iter().filter(|w| w.id != id).find_map(|w| settle(|| w.stealer.steal()))
        })
    }
}

/// Repeats a steal that met another thief.
fn settle<T>(mut steal: impl FnMut() -> Steal<T>) -> Option<T> {
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
        tracing::error!(name: "pool.spawn_failed", %error, thread = name, "the system gives no more threads");
    }
}
