//! Unmapping: what has to happen before a library goes.
//!
//! *Purged* is a logical word: nothing of the daemon refers to a library any more. That is known
//! here (the image's count has come to nothing); whether its pages are gone is asked of the kernel
//! and not of `dlclose`, whose answer says nothing about it.
//!
//! ```text
//! in use --whoever opened it lets it go--> condemned --the last state or callback is dropped--> purged
//! ```
//!
//! | it is | then | until | next |
//! |---|---|---|---|
//! | purged | its unload function is called, once | that returns | unloaded |
//! | unloaded | each thread runs what the library left with it | nothing stands against unmapping it (`evidence.rs`) | ending |
//! | ending | its destructors run, once | they return | ended |
//! | ended | each thread runs what the destructors left with it | nothing stands against unmapping it | closed |
//! | closed | the address space is looked at | | gone, or it stays for good |
//!
//! Whatever is waited for, it stays mapped meanwhile and says why. The steps are taken by the
//! sweeper; code of the library runs on a thread that may be left to itself (`hand.rs`). Other
//! threads flush when the daemon has them called; one that is inside a callback for long, or ends,
//! does so then.

use std::io;
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use crate::address_space::Maps;
use crate::block::UnloadFn;
use crate::evidence::{self, Obstacle};
use crate::fence;
use crate::hand::{Errand, Hand};
use crate::image::Mapping;
use crate::interpose;
use crate::ledger::{Heap, Ledger};
use crate::residents::{Call, Residents};

/// How long the sweeper waits for code of a library before it looks after others.
const SOON: Duration = Duration::from_millis(20);

/// A purged library on its way out.
#[derive(Debug)]
pub(crate) struct Leaving {
    mapping: Mapping,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Purged(Option<UnloadFn>),
    Unloading(Errand<()>),
    Unloaded,
    Ending(Errand<()>),
    Ended,
}

impl Leaving {
    pub(crate) fn new(mapping: Mapping, unload: Option<UnloadFn>) -> Self {
        Self { mapping, stage: Stage::Purged(unload) }
    }

    /// Goes as far as it can, and says what the library had not freed when it was gone. `[sweeper]`
    pub(crate) fn go_on(
        mut self,
        path: &Path,
        ledger: Option<Ledger>,
        hand: &Hand,
        residents: &Residents,
    ) -> Result<Heap, (Option<Self>, Obstacle)> {
        loop {
            let next = match &self.stage {
                Stage::Purged(unload) => {
                    interpose::condemn(self.mapping.span());
                    self.unload(*unload, path, hand, residents)
                        .map(Stage::Unloading)
                        .map_err(Obstacle::no_thread)
                }
                Stage::Unloading(errand) => returned(errand, Stage::Unloaded),
                Stage::Ending(errand) => returned(errand, Stage::Ended),
                Stage::Unloaded | Stage::Ended if residents.is_inside(path) => Err(Obstacle::Runs),
                Stage::Unloaded => match self.against(path, residents) {
                    Some(obstacle) => Err(obstacle),
                    None => end(path, hand, residents).map(Stage::Ending).map_err(Obstacle::no_thread),
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

    /// Calls the library's last function.
    fn unload(
        &self,
        unload: Option<UnloadFn>,
        path: &Path,
        hand: &Hand,
        residents: &Residents,
    ) -> io::Result<Errand<()>> {
        let (span, path, residents) = (self.mapping.span().clone(), path.to_owned(), residents.clone());
        hand.run(move || {
            if let Some(unload) = unload {
                let _call = residents.call(&path, Call::Unload);
                // SAFETY: the library is mapped, its load function was called, and this is once.
                fence::cross(span.start, "unload", || unsafe { unload() });
            }
            let _call = residents.call(&path, Call::ThreadLocals);
            interpose::flush_one(&span);
        })
    }

    fn close(self, path: &Path, ledger: Option<Ledger>) -> Result<Heap, Obstacle> {
        // SAFETY: the mapping is still here.
        let left = ledger.map(|ledger| unsafe { ledger.read() }).unwrap_or_default();
        let span = self.mapping.span().clone();
        interpose::closing(&span, || {
            // SAFETY: the image's count came to nothing, and no thread or signal can come inside
            // (`evidence.rs`).
            let closed = unsafe { self.mapping.close() };
            let is_gone = Maps::now().is_ok_and(|maps| maps.bytes(path) == 0);
            (if is_gone { Ok(left) } else { Err(Obstacle::Pinned(closed.err())) }, is_gone)
        })
    }
}

/// Runs the destructors of a library, unless they have run.
pub(crate) fn end(path: &Path, hand: &Hand, residents: &Residents) -> io::Result<Errand<()>> {
    let (path, residents) = (path.to_owned(), residents.clone());
    hand.run(move || {
        if let Some((finale, _call)) = residents.finale(&path) {
            let span = finale.span.clone();
            // SAFETY: it is mapped: nothing closes it that is inside. Nothing stands against its
            // end, or the daemon ends.
            unsafe { finale.run() }
            interpose::flush_one(&span);
        }
    })
}

/// Returns the next stage when code of a library has returned.
fn returned(errand: &Errand<()>, next: Stage) -> Result<Stage, Obstacle> {
    match errand.wait(SOON) {
        Err(RecvTimeoutError::Timeout) => Err(Obstacle::Runs),
        // Who has panicked is inside no library any more.
        Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(next),
    }
}
