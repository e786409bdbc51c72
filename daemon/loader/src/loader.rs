//! Opens libraries, and unmaps those that are purged.
//!
//! | thread | work |
//! |---|---|
//! | the caller | waits for the loader thread, up to its deadline |
//! | the loader thread (`loader_thread.rs`) | opens libraries; runs their constructors, load and unload functions, and destructors |
//! | the sweeper | decides which purged libraries can be unmapped, and closes them; runs no code of a library |
//!
//! Only one thread at a time is in `dlopen` or `dlclose`. A constructor that hangs, or binds a
//! value to its thread, affects neither the workers nor the sweeper.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use reld_runtime::contained;

use crate::error::{LoadError, Refusal};
use crate::interpose;
use crate::ledger::Heap;
use crate::library::{self, Library, OpenRequest};
use crate::loader_thread::LoaderThread;
use crate::private_copy;
use crate::residents::{Resident, Residents};

/// The maximum pause of the sweeper after a panic.
const AFTER_PANIC: Duration = Duration::from_secs(5);

/// The interval in which a waiting caller checks whether the library is still wanted.
const LOOK: Duration = Duration::from_millis(20);

/// Opens libraries, unmaps purged libraries, and lists the mapped libraries.
#[derive(Debug)]
pub struct Loader {
    loader_thread: Arc<LoaderThread>,
    run_dir: PathBuf,
    residents: Residents,
    /// Dropping this ends the sweeper.
    _wake: Arc<SyncSender<()>>,
}

impl Loader {
    /// Starts the loader. `run_dir` is the folder of the private copies, which the loader creates
    /// and empties; no other daemon may use it.
    ///
    /// `call` must make each thread that runs code of libraries call [`flush`](crate::flush) soon,
    /// outside any library, and must not wait for the threads to do so. The threads of the loader
    /// end when it is dropped.
    ///
    /// If the program was linked without the exports that libraries need (see
    /// [`Refusal::NotExported`]), the loader opens libraries but never unmaps one.
    ///
    /// # Errors
    /// [`Refusal::Copy`] if the folder cannot be created, read or emptied; [`Refusal::NoThread`] if
    /// no thread can be started.
    pub fn start(run_dir: &Path, call: impl Fn() + Send + 'static) -> Result<Self, LoadError> {
        let error = |refusal| LoadError::new(run_dir, refusal);
        let run_dir = private_copy::prepare(run_dir).map_err(error)?;
        let forbidden = interpose::verify().err().map(|refusal| refusal.to_string());
        if let Some(why) = &forbidden {
            tracing::error!(name: "code.interpose", why, "purged libraries will stay mapped");
        }
        // All other threads call this when they start.
        interpose::hook_thread();
        // The channel has room for one message, because waking the sweeper twice has the same
        // effect as waking it once.
        let (wake, woken) = mpsc::sync_channel(1);
        let (wake, loader_thread) = (Arc::new(wake), Arc::new(LoaderThread::default()));
        let residents = Residents::new(Arc::downgrade(&wake), forbidden);
        let (swept, its_loader_thread) = (residents.clone(), Arc::clone(&loader_thread));
        thread::Builder::new()
            .name("reld-sweeper".into())
            .spawn(move || sweep(&woken, || swept.sweep(&its_loader_thread, &call)))
            .map_err(|cause| error(Refusal::NoThread(cause)))?;
        Ok(Self { loader_thread, run_dir, residents, _wake: wake })
    }

    /// Opens a library, and passes the daemon's table to it. Blocks the caller until `deadline`
    /// expires at most.
    ///
    /// # Errors
    /// Every [`Refusal`]. The error names `request.source`.
    pub fn open(&self, request: OpenRequest, deadline: Duration) -> Result<Library, LoadError> {
        self.open_unless(request, deadline, || None)
    }

    /// Opens a library like [`open`](Self::open). Stops waiting when `given_up` returns a reason
    /// why the library is no longer wanted.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_unless(
        &self,
        request: OpenRequest,
        deadline: Duration,
        given_up: impl Fn() -> Option<String>,
    ) -> Result<Library, LoadError> {
        let source = request.source.clone();
        self.ask(request, deadline, given_up).map_err(|refusal| LoadError::new(&source, refusal))
    }

    /// Lists the libraries in the address space, oldest first.
    pub fn residents(&self) -> Vec<Resident> {
        self.residents.list()
    }

    /// Returns the total memory that libraries had not freed when they were unmapped.
    pub fn left(&self) -> Heap {
        self.residents.left()
    }

    /// Waits until every purged library is unmapped, or is known to stay. Waits for a fraction of a
    /// second at most.
    pub fn settle(&self) {
        self.residents.settle();
    }

    /// Runs the destructors of the libraries that are still mapped. Call this at the end of the
    /// daemon, when no other code of libraries runs. Waits for a few seconds at most.
    pub fn finish(&self) {
        self.residents.finish(&self.loader_thread);
    }

    /// Runs work on the loader thread. If a library is opened after the deadline, it is dropped,
    /// which purges it.
    fn ask(
        &self,
        request: OpenRequest,
        deadline: Duration,
        given_up: impl Fn() -> Option<String>,
    ) -> Result<Library, Refusal> {
        let (begun, run_dir, residents) = (Instant::now(), self.run_dir.clone(), self.residents.clone());
        let opened = self.loader_thread.run(move || library::open(request, &run_dir, &residents));
        let opened = opened.map_err(Refusal::NoThread)?;
        loop {
            let left = deadline.saturating_sub(begun.elapsed());
            match opened.wait(left.min(LOOK)) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Disconnected) => return Err(Refusal::Panicked),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return Err(Refusal::Deadline(deadline)),
                Err(RecvTimeoutError::Timeout) => {
                    given_up().map_or(Ok(()), |why| Err(Refusal::GivenUp(why)))?;
                }
            }
        }
    }
}

/// Runs `sweep` at each wake-up, and again after the pause that `sweep` returns. If `sweep` panics,
/// only that run ends.
fn sweep(woken: &Receiver<()>, mut sweep: impl FnMut() -> Option<Duration>) {
    let mut again = None;
    loop {
        let woken = match again {
            Some(after) => woken.recv_timeout(after),
            None => woken.recv().map_err(RecvTimeoutError::from),
        };
        if woken == Err(RecvTimeoutError::Disconnected) {
            return;
        }
        again = contained(&mut sweep).unwrap_or(Some(AFTER_PANIC));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_the_sweep_that_it_happens_in_and_the_thread_goes_on() {
        let (wake, woken) = mpsc::sync_channel(1);
        let (report, reports) = mpsc::channel();
        let sweeper = thread::spawn(move || {
            let mut sweeps = 0;
            sweep(&woken, || {
                sweeps += 1;
                report.send(sweeps).expect("the test listens");
                assert_ne!(sweeps, 1, "a bug in the first sweep");
                None
            });
        });
        for sweep in 1..=2 {
            wake.send(()).expect("the sweeper listens");
            assert_eq!(reports.recv(), Ok(sweep));
        }
        drop(wake);
        sweeper.join().expect("the sweeper ends with the loader");
    }
}
