//! Records of process starts and ends.
//!
//! The journal of an upgrade lists the processes that started, died, or let a caller time out while
//! the upgrade was under way. Supervision trees are compared by this journal, without walking them.
//! The list of crashes begins when the node last changed to new code.

use parking_lot::Mutex;

use crate::words::exit::Exit;
use crate::words::pid::Pid;

/// The end of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The process.
    pub pid: Pid,
    /// Its module.
    pub module: String,
    /// Its registered name, if it had one.
    pub name: Option<String>,
    /// The exit reason.
    pub exit: Exit,
}

/// The events since the journal was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries {
    /// Processes that started.
    pub started: Vec<Pid>,
    /// Processes that ended other than normally.
    pub died: Vec<Death>,
    /// Processes that did not answer a call before its caller gave up: one entry for each such
    /// call.
    pub timed_out: Vec<Pid>,
}

/// Records events while it is open.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: Mutex<Option<Entries>>,
}

impl Journal {
    pub(crate) fn open(&self) {
        *self.entries.lock() = Some(Entries::default());
    }

    /// Returns the events recorded so far.
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

    /// Removes the expected starts from the records, beginning at index `from`.
    pub(crate) fn forget_starts(&self, from: usize, is_expected: impl Fn(Pid) -> bool) {
        let started = self.read().started;
        let expected: Vec<Pid> = started.into_iter().skip(from).filter(|pid| is_expected(*pid)).collect();
        if let Some(entries) = self.entries.lock().as_mut() {
            entries.started.retain(|pid| !expected.contains(pid));
        }
    }

    /// Records that a caller gave up waiting for an answer from `target`.
    pub(crate) fn timed_out(&self, target: Pid) {
        if let Some(entries) = self.entries.lock().as_mut() {
            entries.timed_out.push(target);
        }
    }

    /// Records the end of a process; `death` is called only while the journal is open.
    pub(crate) fn died(&self, death: impl FnOnce() -> Death) {
        if let Some(entries) = self.entries.lock().as_mut() {
            entries.died.push(death());
        }
    }
}

/// How many crashes are kept. A reader needs to know only whether a process crashed, and which
/// crash came first.
const KEPT_MAX: usize = 32;

/// A process that ended abnormally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    /// The process.
    pub pid: Pid,
    /// Its registered name, if it had one.
    pub name: Option<String>,
    /// Its module.
    pub module: String,
    /// The app that its module belongs to.
    pub app: String,
    /// The exit reason.
    pub exit: Exit,
}

/// The first crashes since the last [`Crashes::clear`].
#[derive(Debug, Default)]
pub(crate) struct Crashes(Mutex<Vec<Crash>>);

impl Crashes {
    /// Removes all records.
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
