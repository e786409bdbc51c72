//! Spare threads for blocking work of apps. The work runs beside the pool, so that it holds up no
//! process.
//!
//! A thread is started when work waits and no thread is idle, up to [`MOST`] threads. A thread that
//! is idle for a while ends. Like the threads of the pool, these threads belong to the node:
//! library code is on them only while a piece of work runs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::words::code_server::Code;
use crate::words::contain::contained;
use crate::words::pid::Pid;

/// The maximum number of threads. More work has to wait.
const MOST: usize = 64;

/// How long an idle thread waits for more work.
const IDLE: Duration = Duration::from_secs(2);

/// Blocking work of an app, and the function to call afterwards.
pub(crate) struct Work {
    pub(crate) pid: Pid,
    /// The code that the work belongs to. The code stays in use until the work is done, even if the
    /// process ends first.
    pub(crate) code: Arc<Code>,
    pub(crate) run: Box<dyn FnOnce() + Send>,
    pub(crate) done: Box<dyn FnOnce() + Send>,
}

/// Blocking work that waits or runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocking {
    /// The process that submitted the work; it may have ended.
    pub pid: Pid,
    /// The module that the work's code belongs to.
    pub module: String,
    /// The version of that module.
    pub version: String,
    /// The time at which the work was submitted.
    pub since: Instant,
}

/// The spare threads of a node.
#[derive(Default)]
pub(crate) struct Spare {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(u64, Work)>,
    threads: usize,
    idle: usize,
    next: u64,
    /// The work that waits or runs, by number.
    under_way: Vec<(u64, Arc<Code>, Blocking)>,
}

impl Spare {
    /// Runs work on a spare thread, as soon as one is free.
    pub(crate) fn run(&self, work: Work) {
        let mut state = self.shared.state.lock();
        let number = state.next;
        state.next += 1;
        let module = &work.code.module;
        let blocking = Blocking {
            pid: work.pid,
            module: module.name().to_owned(),
            version: module.version().to_owned(),
            since: Instant::now(),
        };
        state.under_way.push((number, Arc::clone(&work.code), blocking));
        state.queue.push_back((number, work));
        if state.queue.len() <= state.idle {
            self.shared.more.notify_one();
        } else if state.threads < MOST {
            state.threads += 1;
            drop(state);
            self.add_thread();
        }
    }

    fn add_thread(&self) {
        let shared = Arc::clone(&self.shared);
        let spawned = thread::Builder::new().name("reld-spare".to_owned()).spawn(move || shared.serve());
        if let Err(error) = spawned {
            // The work stays queued for another thread. If there is no other thread, it waits until
            // a thread is started for later work.
            self.shared.state.lock().threads -= 1;
            tracing::error!(name: "blocking.spawn_failed", %error, "cannot start a thread for blocking work");
        }
    }

    /// Returns the processes with waiting or running work in that code.
    pub(crate) fn users(&self, code: &Arc<Code>) -> Vec<Pid> {
        let state = self.shared.state.lock();
        let of_it = state.under_way.iter().filter(|(_, of, _)| Arc::ptr_eq(of, code));
        of_it.map(|(_, _, blocking)| blocking.pid).collect()
    }

    /// Returns the work that waits or runs, oldest first.
    pub(crate) fn list(&self) -> Vec<Blocking> {
        self.shared.state.lock().under_way.iter().map(|(.., blocking)| blocking.clone()).collect()
    }
}

impl Shared {
    fn serve(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some((number, Work { code, run, done, .. })) = state.queue.pop_front() {
                drop(state);
                // A panic ends this piece of work only: it counts as done, and the thread goes on.
                let _ = contained(run);
                // The work is taken off the list before `done` is called: a notified process may
                // purge the code.
                self.state.lock().under_way.retain(|(under_way, ..)| *under_way != number);
                drop(code);
                let _ = contained(done);
                state = self.state.lock();
                continue;
            }
            state.idle += 1;
            let waited = self.more.wait_for(&mut state, IDLE);
            state.idle -= 1;
            if waited.timed_out() && state.queue.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}
