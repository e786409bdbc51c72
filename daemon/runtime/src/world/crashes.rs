//! Who crashed since the node last came to new code: what an operator wants to know before the code is kept.

use parking_lot::Mutex;

use crate::words::exit::Exit;
use crate::words::pid::Pid;

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
