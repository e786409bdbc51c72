//! Children that a script stops before the switch and starts after it: `delete_child`, `add_child`,
//! and restarts of modules.

use std::time::Instant;

use reld_api::term;
use reld_handler::{ModuleName, NodeError};
use reld_runtime::Runtime;
use reld_wire::Pid;
use reld_wire::supervisor::Request;
use serde_bytes::ByteBuf;

use super::calls::{ask_supervisor, has_id};
use super::words::left;

/// The children between their stop and their start.
#[derive(Debug, Default)]
pub(super) struct Stops {
    /// Suspended during the switch. Their supervisors stop them after it.
    held: Vec<Pid>,
    /// Stopped, to be started again.
    stopped: Vec<StoppedChild>,
}

/// A stopped child that still has its row.
#[derive(Debug)]
struct StoppedChild {
    module: String,
    supervisor: Pid,
    id: ByteBuf,
}

impl Stops {
    /// Suspends processes that are at rest, and so takes them out of the conversions.
    pub(super) fn hold(&mut self, runtime: &Runtime, pids: Vec<Pid>, deadline: Instant) {
        for pid in &pids {
            if let Err(error) = runtime.suspend(*pid, left(deadline)) {
                // It has ended, so it need not be stopped. A process at rest handles a system
                // message at once.
                tracing::warn!(name: "release.install.not_held", %pid, %error, "cannot suspend a process before its stop");
            }
        }
        self.held = pids;
    }

    /// Resumes the suspended processes, which need not be stopped any more.
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
            // A temporary child has lost its row. OTP: it is not restarted.
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
