//! What is noted of births and ends.
//!
//! The journal of an upgrade names those that were born or died while it was under way, or kept a caller waiting too
//! long: trees are compared by it, not by walking them. The crashes are those since the node last came to new code.

use parking_lot::Mutex;

use crate::words::exit::Exit;
use crate::words::pid::Pid;

/// The end of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// Who ended.
    pub pid: Pid,
    /// Its module.
    pub module: String,
    /// Its registered name, if it had one.
    pub name: Option<String>,
    /// Why.
    pub exit: Exit,
}

/// What happened since the journal was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries {
    /// Who was started.
    pub started: Vec<Pid>,
    /// Who ended, other than normally.
    pub died: Vec<Death>,
    /// Who did not answer a call before its caller gave up, once for each such call.
    pub timed_out: Vec<Pid>,
}

/// Records while it is open.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: Mutex<Option<Entries>>,
}

impl Journal {
    pub(crate) fn open(&self) {
        *self.entries.lock() = Some(Entries::default());
    }

    /// Returns what was recorded so far.
    pub(crate) fn read(&self) -> Entries {
        self.entries.lock().clone().unwrap_or_default()
    }

    pub(crate) fn close(&self) -> Entries {
        self.entries.lock().take().unwrap_or_default()
    }

    pub(crate) fn started(&self, pid: Pid) {
        if let Some(entries) = self.entries.lock().as_mut() {
            entries.started.push(pid);
        }
    }

    /// Returns how many starts are recorded.
    pub(crate) fn starts(&self) -> usize {
        self.entries.lock().as_ref().map_or(0, |entries| entries.started.len())
    }

    /// Forgets those starts from that number on that are expected.
    pub(crate) fn forget_starts(&self, from: usize, is_expected: impl Fn(Pid) -> bool) {
        let started = self.read().started;
        let expected: Vec<Pid> = started.into_iter().skip(from).filter(|pid| is_expected(*pid)).collect();
        if let Some(entries) = self.entries.lock().as_mut() {
            entries.started.retain(|pid| !expected.contains(pid));
        }
    }

    /// Records that a caller gave up waiting for an answer of `target`.
    pub(crate) fn timed_out(&self, target: Pid) {
        if let Some(entries) = self.entries.lock().as_mut() {
            entries.timed_out.push(target);
        }
    }

    /// Records an end; `death` is made only when somebody reads it.
    pub(crate) fn died(&self, death: impl FnOnce() -> Death) {
        if let Some(entries) = self.entries.lock().as_mut() {
            entries.died.push(death());
        }
    }
}

/// How many are kept. Whoever asks wants to know whether anybody crashed, and who was first.
const KEPT_MAX: usize = 32;

/// A process that ended abnormally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    /// Who ended.
    pub pid: Pid,
    /// Its registered name, if it had one.
    pub name: Option<String>,
    /// Its module.
    pub module: String,
    /// The app that its module belongs to.
    pub app: String,
    /// Why.
    pub exit: Exit,
}

/// The first crashes since a moment.
#[derive(Debug, Default)]
pub(crate) struct Crashes(Mutex<Vec<Crash>>);

impl Crashes {
    /// Begins anew.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }

    pub(crate) fn read(&self) -> Vec<Crash> {
        self.0.lock().clone()
    }

    pub(crate) fn note(&self, crash: impl FnOnce() -> Crash) {
        let mut kept = self.0.lock();
        if kept.len() < KEPT_MAX {
            kept.push(crash());
        }
    }
}
