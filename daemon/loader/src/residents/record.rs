//! The record of one library in the address space.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::evidence::{Obstacle, Outside};
use crate::interpose::{self, ThreadId};
use crate::ledger::{Heap, Ledger};
use crate::routines::Destructors;
use crate::unload::Leaving;

/// The time after which a library that is being unmapped counts as staying.
pub(super) const GRACE: Duration = Duration::from_millis(100);

/// The time for which a condemned library may be held and still counts as almost released.
pub(super) const PASSING: Duration = Duration::from_millis(20);

/// The time after which a call of the loader into a library is reported as stuck.
const LATE: Duration = Duration::from_secs(2);

/// A library in the address space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    /// The app's name, as requested.
    pub app: String,
    /// The app's version, as requested.
    pub version: String,
    /// The path from which the library was mapped. The file is removed when the library is purged.
    pub path: PathBuf,
    /// The size of the file's mappings in bytes, or `None` if it cannot be determined.
    pub bytes: Option<u64>,
    /// The time at which the last [`Library`](crate::Library) handle was dropped, or `None` before
    /// that.
    pub condemned: Option<Instant>,
    /// The reason why the library is still mapped, as text for display.
    pub reason: String,
    /// The system's id of the thread in which a call of the daemon into the library is stuck.
    /// `reason` names the call.
    pub stuck: Option<i32>,
    /// The number of running threads that the library has started.
    pub threads: usize,
    /// The memory that the library has allocated and not freed. `None` if the library does not
    /// count, and after it was closed.
    pub heap: Option<Heap>,
}

/// A call into a library that does not work for a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// The call of `dlopen` for the library.
    SystemLoader,
    Constructors,
    Entry,
    Load,
    Unload,
    Destructors,
    /// The destructors of thread-locals. They run on the thread that owns the thread-locals.
    ThreadLocals,
}

impl Call {
    /// Returns the text for the report of a stuck call.
    fn late(self) -> &'static str {
        match self {
            Self::SystemLoader => {
                "dlopen does not return for it, so no other library can be loaded; restart the daemon"
            }
            Self::Constructors => "its constructor does not return",
            Self::Entry => "its reld_app_v1 does not return",
            Self::Load => "its load does not return",
            Self::Unload => "its unload does not return",
            Self::Destructors => "its destructor does not return",
            Self::ThreadLocals => "a thread-local destructor does not return",
        }
    }
}

/// A library that is about to be mapped, is mapped, or is being unmapped.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) app: String,
    pub(super) version: String,
    pub(super) path: PathBuf,
    /// The address range. It is empty until the library is mapped.
    pub(super) span: Range<usize>,
    /// The variables that may point into the library. They are known once it is mapped.
    pub(super) outside: Option<Outside>,
    /// A pointer into the library that another library may have saved and may restore.
    pub(super) seen: Option<Obstacle>,
    pub(super) ledger: Option<Ledger>,
    /// The call that the loader is making.
    pub(super) inside: Option<Inside>,
    /// The destructors that must still run. They are set when the constructors have run, and taken
    /// when the destructors start.
    pub(super) destructors: Option<Destructors>,
    pub(super) condemned: Option<Instant>,
    pub(super) purged: Option<Purged>,
}

/// A call of the loader into the library that has not returned.
#[derive(Debug)]
pub(super) struct Inside {
    call: Call,
    since: Instant,
    thread: ThreadId,
}

/// The state of a library into which the daemon has no more references.
#[derive(Debug)]
pub(super) struct Purged {
    pub(super) since: Instant,
    /// The steps of unmapping. `None` while the sweeper works on the library, and when unmapping is
    /// finished or impossible.
    pub(super) leaving: Option<Leaving>,
    pub(super) obstacle: Option<Obstacle>,
    pub(super) is_reported: bool,
}

impl Purged {
    /// Returns whether unmapping can be tried again.
    pub(super) fn is_open(&self) -> bool {
        self.leaving.is_some() && !self.obstacle.as_ref().is_some_and(Obstacle::is_final)
    }
}

impl Inside {
    pub(super) fn new(call: Call) -> Self {
        Self { call, since: Instant::now(), thread: interpose::this_thread() }
    }
}

impl Record {
    pub(super) fn new(app: &str, version: &str, path: &Path) -> Self {
        Self {
            app: app.to_owned(),
            version: version.to_owned(),
            path: path.to_owned(),
            span: 0..0,
            outside: None,
            seen: None,
            ledger: None,
            inside: None,
            destructors: None,
            condemned: None,
            purged: None,
        }
    }

    /// Records a pointer into this library, because the library `newcomer`, which is being loaded,
    /// may save it.
    pub(super) fn note_newcomer(&mut self, newcomer: &str) {
        let pointing = self.outside.as_ref().filter(|_| self.seen.is_none()).map(Outside::pointing);
        // A pointer that changes during the check was not permanent, so it is ignored.
        if let Some(Ok(Some(obstacle))) = pointing {
            let why = format!("{obstacle}, or may do so again, since {newcomer} may have saved that pointer");
            self.seen = Some(Obstacle::Seen(why.into()));
        }
    }

    pub(super) fn take_leaving(&mut self) -> Option<(PathBuf, Option<Ledger>, Leaving)> {
        let leaving = self.purged.as_mut().filter(|purged| purged.is_open())?.leaving.take()?;
        Some((self.path.clone(), self.ledger, leaving))
    }

    fn heap(&self) -> Option<Heap> {
        let is_mapped = self.purged.as_ref().is_none_or(|purged| purged.leaving.is_some());
        let ledger = self.ledger.filter(|_| is_mapped)?;
        // SAFETY: the library is mapped: the `Image` or `Leaving` owns the mapping, and `Leaving`
        // is only taken under the lock of this record.
        Some(unsafe { ledger.read() })
    }

    /// Returns whether the library was condemned a moment ago and is still held, probably by a
    /// worker that has just ended a process.
    pub(super) fn is_released(&self) -> bool {
        let is_young = |since: Instant| since.elapsed() < PASSING;
        self.purged.is_none() && self.condemned.is_some_and(is_young)
    }

    /// Returns whether the library may be unmapped in a moment.
    pub(super) fn is_leaving(&self) -> bool {
        self.purged.as_ref().is_some_and(|purged| {
            !purged.obstacle.as_ref().is_some_and(Obstacle::is_final) && purged.since.elapsed() < GRACE
        })
    }

    pub(super) fn stays(&mut self, leaving: Option<Leaving>, obstacle: Obstacle) {
        let Some(purged) = &mut self.purged else { return };
        let is_known = obstacle.is_final() || purged.since.elapsed() >= GRACE;
        if is_known && !std::mem::replace(&mut purged.is_reported, true) {
            let Self { app, version, .. } = self;
            tracing::warn!(name: "code.stays", app, version, %obstacle, "a purged library stays mapped");
        }
        purged.leaving = leaving;
        purged.obstacle = Some(obstacle);
    }

    /// Returns a call that is stuck, and its thread. A stuck thread-local destructor is returned
    /// first, because other calls may be waiting for it.
    fn late(&self) -> Option<(Call, ThreadId)> {
        let inside = self.inside.as_ref().filter(|inside| inside.since.elapsed() >= LATE);
        let inside = inside.map(|inside| (inside.call, inside.thread));
        interpose::late(&self.span, LATE).map(|thread| (Call::ThreadLocals, thread)).or(inside)
    }

    fn reason(&self) -> String {
        match (self.late(), &self.purged) {
            (Some((call, _)), _) => call.late().to_owned(),
            (None, None) if self.condemned.is_some() => {
                "its code still runs, or one of its values is still held".to_owned()
            }
            (None, None) => "in use".to_owned(),
            (None, Some(Purged { obstacle: Some(obstacle), .. })) => obstacle.to_string(),
            (None, Some(Purged { obstacle: None, .. })) => "it is being unmapped".to_owned(),
        }
    }

    /// Returns the public form of the record, without `bytes`, which only the kernel knows.
    pub(super) fn shown(&self) -> Resident {
        Resident {
            app: self.app.clone(),
            version: self.version.clone(),
            path: self.path.clone(),
            bytes: None,
            condemned: self.condemned,
            reason: self.reason(),
            stuck: self.late().map(|(_, thread)| thread),
            threads: interpose::threads(&self.span),
            heap: self.heap(),
        }
    }
}
