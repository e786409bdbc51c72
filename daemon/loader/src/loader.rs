//! Opening libraries and letting them go.
//!
//! | thread | does |
//! |---|---|
//! | whoever opens | waits for what the loader's thread comes to, no longer than the deadline that it brings |
//! | the loader's (`hand.rs`) | opens, and runs what libraries do when they are loaded and when they go |
//! | the sweeper | decides what of those that were purged can go, and closes it; runs nothing of a library |
//!
//! The system's loader is never entered twice at once, and a constructor that hangs, or binds
//! something to its thread, meets neither a worker nor the sweeper.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use reld_runtime::contained;

use crate::error::{LoadError, Refusal};
use crate::hand::Hand;
use crate::interpose;
use crate::ledger::Heap;
use crate::library::{self, Library, OpenRequest};
use crate::private_copy;
use crate::residents::{Resident, Residents};

/// When the sweeper works again after a panic, at the latest.
const AFTER_PANIC: Duration = Duration::from_secs(5);

/// How often it is looked whether a library is still wanted that takes its time.
const LOOK: Duration = Duration::from_millis(20);

/// Opens libraries, unmaps those that are purged, and knows which are mapped.
#[derive(Debug)]
pub struct Loader {
    hand: Arc<Hand>,
    run_dir: PathBuf,
    residents: Residents,
    /// The sweeper ends without it.
    _wake: Arc<SyncSender<()>>,
}

impl Loader {
    /// Starts the loader with `run_dir` as the folder of the private copies, which it makes and
    /// empties.
    ///
    /// The folder must be this daemon's alone. `call` has each thread that runs code of libraries
    /// call [`flush`](crate::flush), soon and while it is inside none of them; it must not wait for
    /// that. The threads end when the loader is dropped.
    ///
    /// Where the program was linked so that libraries pass the loader by (see
    /// [`Refusal::NotExported`]) it opens libraries and unmaps none.
    ///
    /// # Errors
    /// [`Refusal::Copy`] when the folder cannot be made, read or emptied; [`Refusal::NoThread`]
    /// when the system gives no thread.
    pub fn start(run_dir: &Path, call: impl Fn() + Send + 'static) -> Result<Self, LoadError> {
        let error = |refusal| LoadError::new(run_dir, refusal);
        let run_dir = private_copy::prepare(run_dir).map_err(error)?;
        let forbidden = interpose::verify().err().map(|refusal| refusal.to_string());
        if let Some(why) = &forbidden {
            tracing::error!(name: "code.interpose", why, "purged libraries will stay mapped");
        }
        // All others do it when they begin.
        interpose::hook_thread();
        // Room for one: whoever is to be woken twice is woken.
        let (wake, woken) = mpsc::sync_channel(1);
        let (wake, hand) = (Arc::new(wake), Arc::new(Hand::default()));
        let residents = Residents::new(Arc::downgrade(&wake), forbidden);
        let (swept, its_hand) = (residents.clone(), Arc::clone(&hand));
        thread::Builder::new()
            .name("reld-sweeper".into())
            .spawn(move || sweep(&woken, || swept.sweep(&its_hand, &call)))
            .map_err(|cause| error(Refusal::NoThread(cause)))?;
        Ok(Self { hand, run_dir, residents, _wake: wake })
    }

    /// Opens a library and hands the daemon's table to it. Blocks the caller for at most
    /// `deadline`.
    ///
    /// # Errors
    /// Every [`Refusal`]; the error names `request.source`.
    pub fn open(&self, request: OpenRequest, deadline: Duration) -> Result<Library, LoadError> {
        self.open_unless(request, deadline, || None)
    }

    /// Opens a library as [`open`](Self::open) does, unless `given_up` says meanwhile why it is not
    /// wanted any more.
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

    /// Lists the libraries that are in the address space, oldest first.
    pub fn residents(&self) -> Vec<Resident> {
        self.residents.list()
    }

    /// Returns what libraries had not freed when they left the address space, since the start.
    pub fn left(&self) -> Heap {
        self.residents.left()
    }

    /// Waits until every library that was purged is gone, or known to stay: a fraction of a second
    /// at most.
    pub fn settle(&self) {
        self.residents.settle();
    }

    /// Runs the destructors of the libraries that are still mapped: for the end of the process,
    /// when nothing else of them runs. Waits a few seconds at most.
    pub fn finish(&self) {
        self.residents.finish(&self.hand);
    }

    /// One that comes too late is dropped when it comes, which purges it.
    fn ask(
        &self,
        request: OpenRequest,
        deadline: Duration,
        given_up: impl Fn() -> Option<String>,
    ) -> Result<Library, Refusal> {
        let (begun, run_dir, residents) = (Instant::now(), self.run_dir.clone(), self.residents.clone());
        let opened = self.hand.run(move || library::open(request, &run_dir, &residents));
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

/// Sweeps when it is woken, and when a sweep wants to be repeated. A panic ends the sweep that it
/// happens in.
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
        let (tell, told) = mpsc::channel();
        let sweeper = thread::spawn(move || {
            let mut sweeps = 0;
            sweep(&woken, || {
                sweeps += 1;
                tell.send(sweeps).expect("the test listens");
                assert_ne!(sweeps, 1, "a bug in the first sweep");
                None
            });
        });
        for sweep in 1..=2 {
            wake.send(()).expect("the sweeper listens");
            assert_eq!(told.recv(), Ok(sweep));
        }
        drop(wake);
        sweeper.join().expect("it ends with the loader");
    }
}
