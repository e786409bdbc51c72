//! The loader thread.
//!
//! All libraries are opened and closed on one thread: the system's loader is then never entered twice at once, and a
//! constructor that hangs or binds something to its thread meets this one and not a worker. Requests wait in a bounded queue, and
//! whoever asks waits no longer than the deadline that it brings.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

use reld_runtime::contained;

use crate::error::{LoadError, Refusal};
use crate::interpose;
use crate::ledger::Heap;
use crate::library::{self, Library, OpenRequest};
use crate::private_copy;
use crate::unload::{Resident, Residents};

/// How many requests may wait. Upgrades run one at a time, so more than a few mean that the thread hangs.
const QUEUE_MAX: usize = 64;

/// When the thread works again after a panic, at the latest.
const AFTER_PANIC: Duration = Duration::from_secs(5);

/// Opens libraries, unmaps those that are purged, and knows which are mapped.
#[derive(Debug)]
pub struct Loader {
    jobs: Arc<SyncSender<Job>>,
    residents: Residents,
}

/// What the loader thread is to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// Open a library.
    Open(OpenRequest, SyncSender<Result<Library, Refusal>>),
    /// Unmap what was purged.
    Sweep,
}

impl Loader {
    /// Starts the loader thread with `run_dir` as the folder of the private copies, which it makes and empties.
    ///
    /// The folder must be this daemon's alone. `call` has each thread that runs code of libraries call
    /// [`flush`](crate::flush), soon and while it is inside none of them; it must not wait for that. The thread ends when
    /// the loader is dropped.
    ///
    /// Where the program was linked so that libraries pass the loader by (see [`Refusal::NotExported`]) it opens
    /// libraries and unmaps none.
    ///
    /// # Errors
    /// [`Refusal::Copy`] when the folder cannot be made, read or emptied; [`Refusal::LoaderGone`] when the system
    /// gives no thread.
    pub fn start(run_dir: &Path, call: impl Fn() + Send + 'static) -> Result<Self, LoadError> {
        let error = |refusal| LoadError::new(run_dir, refusal);
        let run_dir = private_copy::prepare(run_dir).map_err(error)?;
        let forbidden = interpose::verify().err().map(|refusal| refusal.to_string());
        if let Some(why) = &forbidden {
            tracing::error!(name: "code.interpose", why, "purged libraries will stay mapped");
        }
        let (jobs, queue) = mpsc::sync_channel(QUEUE_MAX);
        let jobs = Arc::new(jobs);
        let residents = Residents::new(Arc::downgrade(&jobs), forbidden);
        let registered = residents.clone();
        thread::Builder::new()
            .name("reld-loader".into())
            .spawn(move || {
                let open = |request| library::open(request, &run_dir, &registered);
                serve(&queue, open, || registered.sweep(&call));
            })
            .map_err(|_| error(Refusal::LoaderGone))?;
        Ok(Self { jobs, residents })
    }

    /// Opens a library and hands the daemon's table to it. Blocks the caller for at most `deadline`.
    ///
    /// # Errors
    /// Every [`Refusal`]; the error names `request.source`.
    pub fn open(&self, request: OpenRequest, deadline: Duration) -> Result<Library, LoadError> {
        let source = request.source.clone();
        self.ask(request, deadline).map_err(|refusal| LoadError::new(&source, refusal))
    }

    /// Lists the libraries that are in the address space, oldest first.
    pub fn residents(&self) -> Vec<Resident> {
        self.residents.list()
    }

    /// Returns what libraries had not freed when they left the address space, since the start.
    pub fn left(&self) -> Heap {
        self.residents.left()
    }

    /// Waits until every library that was purged is gone, or known to stay: a fraction of a second at most.
    pub fn settle(&self) {
        self.residents.settle();
    }

    fn ask(&self, request: OpenRequest, deadline: Duration) -> Result<Library, Refusal> {
        // Room for the answer, so that the loader never waits for an asker that has gone.
        let (answer, answered) = mpsc::sync_channel(1);
        self.jobs.try_send(Job::Open(request, answer)).map_err(|error| match error {
            TrySendError::Full(_) => Refusal::Deadline(Duration::ZERO),
            TrySendError::Disconnected(_) => Refusal::LoaderGone,
        })?;
        match answered.recv_timeout(deadline) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(Refusal::Deadline(deadline)),
            Err(RecvTimeoutError::Disconnected) => Err(Refusal::Panicked),
        }
    }
}

/// Opens what is asked for, and sweeps after each request and when a sweep wants to be repeated. A
/// panic ends the request that it happens in, and the thread serves the next.
fn serve(
    queue: &Receiver<Job>,
    open: impl Fn(OpenRequest) -> Result<Library, Refusal>,
    sweep: impl Fn() -> Option<Duration>,
) {
    let mut again = None;
    loop {
        let job = match again {
            Some(after) => queue.recv_timeout(after),
            None => queue.recv().map_err(RecvTimeoutError::from),
        };
        if matches!(job, Err(RecvTimeoutError::Disconnected)) {
            return;
        }
        let work = || {
            if let Ok(Job::Open(request, answer)) = job {
                // An asker whose deadline has passed takes no answer: the library is dropped, which
                // purges it.
                drop(answer.send(open(request)));
            }
            sweep()
        };
        again = contained(work).unwrap_or(Some(AFTER_PANIC));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn a_panic_ends_the_request_or_sweep_that_it_happens_in_and_the_thread_goes_on() {
        let (jobs, queue) = mpsc::sync_channel(QUEUE_MAX);
        let loader = Loader { jobs: Arc::new(jobs), residents: Residents::new(Weak::new(), None) };
        let open = |request: OpenRequest| -> Result<Library, Refusal> {
            assert!(request.app != "odd", "a bug in the loader");
            Err(Refusal::Open(request.app))
        };
        let sweeps = AtomicU64::new(0);
        let sweep = move || {
            assert_ne!(sweeps.fetch_add(1, Ordering::Relaxed), 0, "a bug in the first sweep");
            None
        };
        let served = thread::spawn(move || serve(&queue, open, sweep));
        let ask = |app: &str| {
            let request =
                OpenRequest { source: "a.so".into(), sha256: None, app: app.into(), version: "1.0.0".into() };
            loader.open(request, Duration::from_secs(60)).expect_err("nothing is opened here").refusal
        };
        assert!(matches!(ask("odd"), Refusal::Panicked));
        for _ in 0..2 {
            assert!(matches!(ask("even"), Refusal::Open(app) if app == "even"));
        }
        drop(loader);
        served.join().expect("it ends with the loader");
    }
}
