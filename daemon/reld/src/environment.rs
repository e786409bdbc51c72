//! Environment variables that are meant only for the daemon, or for a probe that another daemon has
//! started.
//!
//! The daemon removes these variables at its start. Otherwise apps, probes and their child
//! processes could notify the service manager in the daemon's name, or use the socket of another
//! node. When the daemon executes itself again, it passes the variables on.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The variables of systemd, of the daemon, and of probes.
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

/// The removed variables, and the working directory at the start of the daemon.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    taken: Vec<(&'static str, OsString)>,
    folder: Option<PathBuf>,
}

impl Environment {
    /// Removes the variables from the environment. Call this while the program has only one thread.
    pub(crate) fn take() -> Self {
        let taken = |name| Some((name, reld_loader::take_variable(name)?));
        let folder = std::env::current_dir().ok();
        Self { taken: NAMES.into_iter().filter_map(taken).collect(), folder }
    }

    /// Returns the daemon's working directory at its start. Apps may have changed it since.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Returns the value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.taken.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_os_str())
    }

    /// Returns all removed variables, to be passed to the next daemon in this OS process.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &OsStr)> {
        self.taken.iter().map(|(name, value)| (*name, value.as_os_str()))
    }
}
