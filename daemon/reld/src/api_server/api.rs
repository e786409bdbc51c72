//! The parts of the daemon that handlers use.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use reld_api::{ErrorCode, ErrorReport, ExitCode};
use reld_handler::Platform;
use reld_loader::Loader;
use reld_runtime::{Runtime, contained, parse_pid};
use reld_store::{Health, Root};
use reld_wire::Pid;

use super::peer::Peer;
use crate::alarms::Alarms;
use crate::log::Log;
use crate::node::Shared;
use crate::operator::{Entry, Operator};
use crate::places;

/// The parts of the daemon that handlers use.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) runtime: Runtime,
    pub(crate) operator: Operator,
    pub(crate) loader: Arc<Loader>,
    /// The number of purged libraries that may stay mapped without an alarm.
    pub(crate) residents_max: usize,
    pub(crate) shared: Arc<Mutex<Shared>>,
    pub(crate) platform: Platform,
    pub(crate) uploads: PathBuf,
    pub(crate) root: Root,
    pub(crate) health: Health,
    pub(crate) socket: PathBuf,
    /// The client of the request.
    pub(crate) peer: Peer,
    pub(crate) started: Instant,
    pub(crate) alarms: Alarms,
    pub(crate) log: Log,
}

impl Api {
    /// Makes a queue entry for an order of this client.
    pub(super) fn entry(&self, what: impl Into<String>, waits: bool) -> Entry {
        Entry::new(what, self.peer.uid, waits)
    }

    /// Runs blocking work on a separate thread.
    pub(super) async fn wait<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Runtime) -> Result<R, ErrorReport> + Send + 'static,
    ) -> Result<R, ErrorReport> {
        let runtime = self.runtime.clone();
        tokio::task::spawn_blocking(move || contained(|| work(&runtime)).map_err(bug)?).await.map_err(bug)?
    }

    /// Finds a process by pid, by registered name, or by its path in the tree of an app.
    pub(super) fn find(&self, process: &str) -> Result<Pid, ErrorReport> {
        // The angle brackets of a pid are optional, because a shell would interpret them.
        let bare = || parse_pid(&format!("<{process}>")).ok();
        let pid = parse_pid(process).ok().or_else(bare).or_else(|| self.runtime.whereis(process));
        self.alive(process, pid.map_or_else(|| places::at(&self.runtime, process), Ok))
    }

    /// Finds a supervisor by pid, by registered name, or by its path in the tree of an app. If a
    /// server has the same name as an app, the root supervisor of the app is returned.
    pub(super) fn find_supervisor(&self, supervisor: &str) -> Result<Pid, ErrorReport> {
        places::supervisor(&self.runtime, supervisor).or_else(|_| self.find(supervisor))
    }

    fn alive(&self, process: &str, found: Result<Pid, String>) -> Result<Pid, ErrorReport> {
        let noproc = || {
            ErrorReport::refused(ErrorCode::Noproc, format!("there is no process {process}"))
                .with_hint("`relctl ps` lists the processes")
        };
        let pid = found.map_err(|why| noproc().caused_by(why))?;
        self.runtime.process(pid).map(|_| pid).ok_or_else(noproc)
    }
}

pub(super) fn bug(panicked: impl Display) -> ErrorReport {
    ErrorReport::new(ErrorCode::Bug, panicked.to_string(), ExitCode::Bug)
        .with_hint("`relctl status` and the log show the place")
}
