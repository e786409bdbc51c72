//! Variables of the environment that are meant for the daemon alone, or for a probe of another one.
//!
//! They are taken out where the daemon begins: an app, a probe, and whatever these start, must not
//! speak for the daemon to its service manager, nor take another node for theirs. The daemon that
//! this one executes itself into gets them back.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The protocol of systemd, the daemon's own, and what probes are told.
const NAMES: [&str; 12] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "LISTEN_FDNAMES",
    "FDSTORE",
    "RELD_LOG",
    "RELD_SOCKET",
    "RELD_FROM",
    "RELD_TO",
];

/// What the daemon has begun with.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    taken: Vec<(&'static str, OsString)>,
    folder: Option<PathBuf>,
}

impl Environment {
    /// Takes the variables out of the environment: to be called on the program's only thread.
    pub(crate) fn take() -> Self {
        let taken = |name| Some((name, reld_loader::take_variable(name)?));
        let folder = std::env::current_dir().ok();
        Self { taken: NAMES.into_iter().filter_map(taken).collect(), folder }
    }

    /// Returns the working directory of the beginning, which apps may change.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Returns the value of one.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.taken.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_os_str())
    }

    /// Returns all, for the daemon that comes after this one.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &OsStr)> {
        self.taken.iter().map(|(name, value)| (*name, value.as_os_str()))
    }
}
