//! Unmapping a library, step by step.
//!
//! *Purged* is a logical state: the daemon has no more references into the library, because the
//! library's image was dropped. The kernel's list of mappings shows whether the library is
//! unmapped. The result of `dlclose` does not show it.
//!
//! ```text
//! in use --the last Library is dropped--> condemned --the last state or callback is dropped--> purged
//! ```
//!
//! | state | action | until | next |
//! |---|---|---|---|
//! | purged | its unload function is called, once | it returns | unloaded |
//! | unloaded | each thread runs its thread-local destructors | there is no obstacle to unmapping it (`evidence.rs`) | ending |
//! | ending | its destructors run, once | they return | ended |
//! | ended | each thread runs the thread-local destructors that those have registered | there is no obstacle to unmapping it | closed |
//! | closed | the address space is checked | | gone, or it stays for good |
//!
//! While a step waits, the library stays mapped, and its record holds the reason. The sweeper takes
//! the steps; code of the library runs on the loader's thread, which is replaced if the code does
//! not return (`loader_thread.rs`). The other threads flush when the daemon wakes them; a thread in
//! a long callback flushes at the end of the callback, or when it ends.

use std::io;
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::address_space::Maps;
use crate::block::UnloadFn;
use crate::evidence::{self, Obstacle};
use crate::fence;
use crate::image::Mapping;
use crate::interpose;
use crate::ledger::{Heap, Ledger};
use crate::loader_thread::{Job, LoaderThread};
use crate::residents::{Call, Residents};

/// The time for which the sweeper waits for code of a library, before it continues with the next
/// library.
const SOON: Duration = Duration::from_millis(20);

/// A purged library that is being unmapped.
#[derive(Debug)]
pub(crate) struct Leaving {
    mapping: Mapping,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Purged(Option<UnloadFn>),
    Unloading(Job<()>),
    Unloaded,
    Ending(Job<()>),
    Ended,
}

impl Leaving {
    pub(crate) fn new(mapping: Mapping, unload: Option<UnloadFn>) -> Self {
        Self { mapping, stage: Stage::Purged(unload) }
    }

    /// Takes all steps that are possible now. When the library is unmapped, returns the memory that
    /// it had not freed. `[sweeper]`
    pub(crate) fn go_on(
        mut self,
        path: &Path,
        ledger: Option<Ledger>,
        loader_thread: &LoaderThread,
        residents: &Residents,
    ) -> Result<Heap, (Option<Self>, Obstacle)> {
        loop {
            let next = match &self.stage {
                Stage::Purged(unload) => {
                    interpose::condemn(self.mapping.span());
                    self.unload(*unload, path, loader_thread, residents)
                        .map(Stage::Unloading)
                        .map_err(Obstacle::no_thread)
                }
                Stage::Unloading(job) => returned(job, Stage::Unloaded),
                Stage::Ending(job) => returned(job, Stage::Ended),
                Stage::Unloaded | Stage::Ended if residents.is_inside(path) => Err(Obstacle::Runs),
                Stage::Unloaded => match self.against(path, residents) {
                    Some(obstacle) => Err(obstacle),
                    None => {
                        end(path, loader_thread, residents).map(Stage::Ending).map_err(Obstacle::no_thread)
                    }
                },
                Stage::Ended => match self.against(path, residents) {
                    Some(obstacle) => Err(obstacle),
                    None => return self.close(path, ledger).map_err(|obstacle| (None, obstacle)),
                },
            };
            match next {
                Ok(stage) => self.stage = stage,
                Err(obstacle) => return Err((Some(self), obstacle)),
            }
        }
    }

    fn against(&self, path: &Path, residents: &Residents) -> Option<Obstacle> {
        evidence::against(&self.mapping).or_else(|| residents.seen(path))
    }

    /// Calls the library's unload function, then runs the thread-local destructors of the calling
    /// thread.
    fn unload(
        &self,
        unload: Option<UnloadFn>,
        path: &Path,
        loader_thread: &LoaderThread,
        residents: &Residents,
    ) -> io::Result<Job<()>> {
        let (span, path, residents) = (self.mapping.span().clone(), path.to_owned(), residents.clone());
        loader_thread.run(move || {
            if let Some(unload) = unload {
                let _call = residents.call(&path, Call::Unload);
                // SAFETY: the library is mapped, its load function was called, and this is the only
                // call.
                fence::cross(span.start, "unload", || unsafe { unload() });
            }
            let _call = residents.call(&path, Call::ThreadLocals);
            interpose::flush_one(&span);
        })
    }

    fn close(self, path: &Path, ledger: Option<Ledger>) -> Result<Heap, Obstacle> {
        // SAFETY: the library is still mapped.
        let left = ledger.map(|ledger| unsafe { ledger.read() }).unwrap_or_default();
        let span = self.mapping.span().clone();
        interpose::closing(&span, || {
            // SAFETY: the image was dropped, and no thread or signal can run code of the library
            // (`evidence.rs`).
            let closed = unsafe { self.mapping.close() };
            let is_gone = Maps::now().is_ok_and(|maps| maps.bytes(path) == 0);
            (if is_gone { Ok(left) } else { Err(Obstacle::Pinned(closed.err())) }, is_gone)
        })
    }
}

/// Runs the destructors of a library, unless they have already run.
pub(crate) fn end(path: &Path, loader_thread: &LoaderThread, residents: &Residents) -> io::Result<Job<()>> {
    let (path, residents) = (path.to_owned(), residents.clone());
    loader_thread.run(move || {
        if let Some((destructors, _call)) = residents.destructors(&path) {
            let span = destructors.span.clone();
            // SAFETY: the library is mapped, since it is not closed while a call is recorded.
            // Either no obstacle to its end was found, or the daemon ends.
            unsafe { destructors.run() }
            interpose::flush_one(&span);
        }
    })
}

/// Returns the next stage if the code of the library has returned.
fn returned(job: &Job<()>, next: Stage) -> Result<Stage, Obstacle> {
    match job.wait(SOON) {
        Err(RecvTimeoutError::Timeout) => Err(Obstacle::Runs),
        // If the thread has panicked, it has left the library.
        Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(next),
    }
}
