//! The parts of the daemon that handlers use.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use reld_api::response::HistoryKind;
use reld_api::{ErrorCode, ErrorReport, ExitCode};
use reld_handler::Platform;
use reld_loader::Loader;
use reld_runtime::{NotFound, Runtime, contained};
use reld_store::{Health, Root};
use reld_wire::Pid;

use super::peer::Peer;
use crate::alarms::Alarms;
use crate::fleet::Fleet;
use crate::history::Origin;
use crate::log::Log;
use crate::node::Shared;
use crate::operator::{Entry, Operator};

/// The parts of the daemon that handlers use.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    /// The membership of the node in a fleet, if it has one.
    pub(crate) fleet: Option<Fleet>,
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
    /// The file with the policy of signatures.
    pub(crate) trust: PathBuf,
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

    /// Refuses to pass by the policy of signatures, unless the client could change the policy.
    pub(super) fn may_pass_by_the_policy(&self) -> Result<(), ErrorReport> {
        self.peer.may_pass_by(&self.trust)
    }

    /// Refuses another name for the running release, if `renames`, where the policy requires
    /// signatures and the client could not change the policy.
    pub(super) fn may_rename(&self, renames: bool) -> Result<(), ErrorReport> {
        if renames { self.peer.may_rename(&self.trust) } else { Ok(()) }
    }

    /// Returns the origin of an order of this client that belongs to no rollout.
    pub(super) fn origin(&self, kind: HistoryKind) -> Origin {
        Origin { kind, uid: self.peer.uid, rollout: None }
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
        self.runtime.find(process).map_err(|missing| not_found(&missing))
    }

    /// Finds a supervisor by pid, by registered name, or by its path in the tree of an app. If a
    /// server has the same name as an app, the root supervisor of the app is returned.
    pub(super) fn find_supervisor(&self, supervisor: &str) -> Result<Pid, ErrorReport> {
        self.runtime.find_supervisor(supervisor).map_err(|missing| match self.runtime.find(supervisor) {
            Ok(_) => {
                ErrorReport::refused(ErrorCode::NotASupervisor, format!("{supervisor} is not a supervisor"))
                    .with_hint("`relctl tree` shows the supervisors")
            }
            Err(_) => not_found(&missing),
        })
    }
}

fn not_found(missing: &NotFound) -> ErrorReport {
    ErrorReport::refused(ErrorCode::Noproc, format!("cannot find {}", missing.place))
        .caused_by(missing.reason.as_str())
        .with_hint("`relctl ps` lists the processes, `relctl tree` shows their places")
}

pub(super) fn bug(panicked: impl Display) -> ErrorReport {
    ErrorReport::new(ErrorCode::Bug, panicked.to_string(), ExitCode::Bug)
        .with_hint("`relctl status` and the log show the place")
}
