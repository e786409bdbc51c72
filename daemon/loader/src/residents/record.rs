//! What is known of one library in the address space.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::evidence::{Obstacle, Outside};
use crate::interpose::{self, ThreadId};
use crate::ledger::{Heap, Ledger};
use crate::routines::Finale;
use crate::unload::Leaving;

/// How long unmapping may take before the library is said to stay.
pub(super) const GRACE: Duration = Duration::from_millis(100);

/// How long code of a condemned library may be held before that is more than a moment.
pub(super) const PASSING: Duration = Duration::from_millis(20);

/// How long the loader's calls of a library may take before it is said that one does not return.
const LATE: Duration = Duration::from_secs(2);

/// A library in the address space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    /// The app's name, as it was asked for.
    pub app: String,
    /// The app's version, as it was asked for.
    pub version: String,
    /// The path that it was mapped from; the file is gone once the library is purged.
    pub path: PathBuf,
    /// Bytes of address space mapped from that file; `None` where the kernel does not say.
    pub bytes: Option<u64>,
    /// Since when it is meant to leave: whoever opened it has let it go. `None` while it is wanted.
    pub condemned: Option<Instant>,
    /// Why it is still mapped, for people.
    pub reason: String,
    /// The thread on which it does not return where the daemon has called it, by the system's
    /// number; what it does is the reason.
    pub stuck: Option<i32>,
    /// Threads that it started and that have not ended.
    pub threads: usize,
    /// What it has allocated and not freed; `None` where it does not count, and once it was closed.
    pub heap: Option<Heap>,
}

/// What is called of a library that belongs to no process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// `dlopen`, for the library.
    SystemLoader,
    Constructors,
    Entry,
    Load,
    Unload,
    Destructors,
    /// Of a value of one thread, where the thread has it or ends.
    ThreadLocals,
}

impl Call {
    /// Says that it does not return.
    fn late(self) -> &'static str {
        match self {
            Self::SystemLoader => {
                "the system's loader does not return from it, and no other library is loaded: restart the daemon"
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

/// A library that is to be mapped, is mapped, or leaves.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) app: String,
    pub(super) version: String,
    pub(super) path: PathBuf,
    /// Empty as long as it is not known.
    pub(super) span: Range<usize>,
    /// There once it is mapped.
    pub(super) outside: Option<Outside>,
    /// What another library may put back that pointed into it.
    pub(super) seen: Option<Obstacle>,
    pub(super) ledger: Option<Ledger>,
    /// What the loader is calling.
    pub(super) inside: Option<Inside>,
    /// There when its constructors have run, until its destructors do.
    pub(super) finale: Option<Finale>,
    pub(super) condemned: Option<Instant>,
    pub(super) purged: Option<Purged>,
}

/// The loader is calling it.
#[derive(Debug)]
pub(super) struct Inside {
    call: Call,
    since: Instant,
    thread: ThreadId,
}

/// Nothing refers to it.
#[derive(Debug)]
pub(super) struct Purged {
    pub(super) since: Instant,
    /// `None` while the sweeper is at it, and when there is nothing more to do.
    pub(super) leaving: Option<Leaving>,
    pub(super) obstacle: Option<Obstacle>,
    pub(super) is_told: bool,
}

impl Purged {
    /// Whether there is something to try.
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
            finale: None,
            condemned: None,
            purged: None,
        }
    }

    /// Takes note of what points into it now that another library comes, which may keep that.
    pub(super) fn is_seen_by(&mut self, newcomer: &str) {
        let pointing = self.outside.as_ref().filter(|_| self.seen.is_none()).map(Outside::pointing);
        // What changes meanwhile is nothing that stays.
        if let Some(Ok(Some(obstacle))) = pointing {
            let why = format!("{obstacle}, or may again, since {newcomer} has found that");
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
        // SAFETY: the image has the mapping, or what leaves has, which is only taken under this
        // record's lock.
        Some(unsafe { ledger.read() })
    }

    /// Whether it is condemned, and held for a moment only so far: by a worker that has just ended
    /// a process.
    pub(super) fn is_released(&self) -> bool {
        let is_young = |since: Instant| since.elapsed() < PASSING;
        self.purged.is_none() && self.condemned.is_some_and(is_young)
    }

    /// Whether it may be gone in a moment.
    pub(super) fn is_leaving(&self) -> bool {
        self.purged.as_ref().is_some_and(|purged| {
            !purged.obstacle.as_ref().is_some_and(Obstacle::is_final) && purged.since.elapsed() < GRACE
        })
    }

    pub(super) fn stays(&mut self, leaving: Option<Leaving>, obstacle: Obstacle) {
        let Some(purged) = &mut self.purged else { return };
        let is_known = obstacle.is_final() || purged.since.elapsed() >= GRACE;
        if is_known && !std::mem::replace(&mut purged.is_told, true) {
            let Self { app, version, .. } = self;
            tracing::warn!(name: "code.stays", app, version, %obstacle, "a purged library stays mapped");
        }
        purged.leaving = leaving;
        purged.obstacle = Some(obstacle);
    }

    /// Returns a call that does not return, and its thread. A thread-local destructor may be what
    /// another call waits for.
    fn late(&self) -> Option<(Call, ThreadId)> {
        let inside = self.inside.as_ref().filter(|inside| inside.since.elapsed() >= LATE);
        let inside = inside.map(|inside| (inside.call, inside.thread));
        interpose::late(&self.span, LATE).map(|thread| (Call::ThreadLocals, thread)).or(inside)
    }

    fn reason(&self) -> String {
        match (self.late(), &self.purged) {
            (Some((call, _)), _) => call.late().to_owned(),
            (None, None) if self.condemned.is_some() => {
                "code of it still runs, or a value of it is held".to_owned()
            }
            (None, None) => "in use".to_owned(),
            (None, Some(Purged { obstacle: Some(obstacle), .. })) => obstacle.to_string(),
            (None, Some(Purged { obstacle: None, .. })) => "it is being unmapped".to_owned(),
        }
    }

    /// Returns what is told of it; how much of it is mapped the kernel says.
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
