//! Children that a script stops before the switch and starts after it, for `delete_child`,
//! `add_child` and restarts of modules.

use std::time::Instant;

use reld_api::term;
use reld_handler::{ModuleName, NodeError};
use reld_runtime::Runtime;
use reld_wire::Pid;
use reld_wire::supervisor::Request;
use serde_bytes::ByteBuf;

use super::calls::{ask_supervisor, has_id};
use super::words::left;

/// The children that an upgrade stops.
#[derive(Debug, Default)]
pub(super) struct Stops {
    /// Children to be stopped: suspended before the switch, so that they are not converted, and
    /// stopped by their supervisors after it.
    held: Vec<Pid>,
    /// Stopped children, to be started again.
    stopped: Vec<StoppedChild>,
}

/// A stopped child with its child spec kept by the supervisor.
#[derive(Debug)]
struct StoppedChild {
    module: String,
    supervisor: Pid,
    id: ByteBuf,
}

impl Stops {
    /// Suspends processes that are at rest, so that they are not converted.
    pub(super) fn hold(&mut self, runtime: &Runtime, pids: Vec<Pid>, deadline: Instant) {
        for pid in &pids {
            if let Err(error) = runtime.suspend(*pid, left(deadline)) {
                // Suspending a process at rest fails only if the process has ended. Then it need
                // not be stopped.
                tracing::warn!(name: "release.install.not_held", %pid, %error, "cannot suspend a process before its stop");
            }
        }
        self.held = pids;
    }

    /// Resumes the suspended processes, because they will not be stopped.
    pub(super) fn let_go(&mut self, runtime: &Runtime, deadline: Instant) {
        for pid in self.held.drain(..) {
            if let Err(error) = runtime.resume(pid, left(deadline)) {
                tracing::warn!(name: "release.install.not_resumed", %pid, %error, "cannot resume a process");
            }
        }
    }

    pub(super) fn stop(&mut self, runtime: &Runtime, deadline: Instant) -> Result<(), NodeError> {
        let mut first = Ok(());
        for pid in std::mem::take(&mut self.held) {
            first = first.and(self.stop_child(runtime, pid, deadline));
        }
        first
    }

    fn stop_child(&mut self, runtime: &Runtime, pid: Pid, deadline: Instant) -> Result<(), NodeError> {
        let Some(info) = runtime.process(pid) else { return Ok(()) };
        let Some(supervisor) = info.parent else { return Ok(()) };
        let rows = runtime.which_children(supervisor).unwrap_or_default();
        let Some(row) = rows.into_iter().find(|row| row.pid == Some(pid)) else { return Ok(()) };
        let request = match has_id(&row.id) {
            true => Request::TerminateChild(row.id.clone()),
            false => Request::TerminatePid(pid),
        };
        let stopped = ask_supervisor(runtime, supervisor, &request, deadline);
        self.stopped.push(StoppedChild { module: info.module, supervisor, id: row.id });
        stopped.map_err(|reason| NodeError::Call { call: format!("terminate_child {pid}"), reason })
    }

    pub(super) fn start(
        &mut self,
        runtime: &Runtime,
        modules: &[ModuleName],
        deadline: Instant,
    ) -> Result<(), NodeError> {
        let stopped = std::mem::take(&mut self.stopped).into_iter();
        let wanted = stopped.filter(|child| modules.iter().any(|module| module.as_str() == child.module));
        let mut first = Ok(());
        for StoppedChild { supervisor, id, .. } in wanted {
            let rows = runtime.which_children(supervisor).unwrap_or_default();
            // The supervisor has deleted the spec of a temporary child. OTP: it is not restarted.
            if !has_id(&id) || !rows.iter().any(|row| row.id == id) {
                continue;
            }
            let call = || format!("restart_child({supervisor}, {})", term::to_json(&id).unwrap_or_default());
            let started = ask_supervisor(runtime, supervisor, &Request::RestartChild(id.clone()), deadline);
            first = first.and(started.map_err(|reason| NodeError::Call { call: call(), reason }));
        }
        first
    }
}
