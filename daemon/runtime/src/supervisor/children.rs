//! Starting and ending the children of a supervisor, one by one and all. OTP, g.3.

use std::sync::Arc;
use std::time::Duration;

use super::Supervisor;
use crate::child_spec::{Restart, Shutdown, show_id};
use crate::context;
use crate::exit::Exit;
use crate::pid::Pid;
use crate::process::Answer;
use crate::rows::{Child, Seq};
use crate::term;

/// How long a killed child may take to be gone. One that computes without end is left to itself and reported.
const KILL_GRACE: Duration = Duration::from_secs(1);
impl Supervisor {
    // --- starting --------------------------------------------------------------------------------------------------

    pub(super) async fn start_all(&self) -> Result<(), Exit> {
        let seqs = self.rows.read().seqs();
        for seq in seqs {
            let id = self.rows.read().get(seq).map(|row| show_id(&row.spec.id)).unwrap_or_default();
            if let Err(exit) = self.start_row(seq).await {
                return Err(Exit::Shutdown(format!("failed_to_start_child {id}: {exit}")));
            }
        }
        Ok(())
    }

    /// Starts the child of a row. `Ok(None)` when its init answered ignore.
    pub(super) async fn start_row(&self, seq: Seq) -> Result<Option<Pid>, Exit> {
        let (spec, args) = match self.rows.read().get(seq) {
            Some(row) => (Arc::clone(&row.spec), row.args().to_vec()),
            None => return Ok(None),
        };
        let (pid, reference) = context::start_child(&spec.module, args)
            .map_err(|_| Exit::Error(format!("module {} is not loaded", spec.module)))?;
        self.rows.write().set(seq, Child::Starting(pid));
        let started = match context::answer(reference).await {
            Answer::Reply(reply) => term::decode::<Option<Pid>>(&reply).map_err(Exit::Undecodable),
            Answer::Exit(exit) => Err(exit),
            Answer::Timeout => Err(Exit::Error("a start has no time-out".to_owned())),
        };
        let child = match started {
            Ok(Some(pid)) => Child::Running(pid),
            Ok(None) | Err(_) => Child::Stopped,
        };
        self.rows.write().set(seq, child);
        if started == Ok(None) && spec.restart == Restart::Temporary {
            self.rows.write().remove(seq);
        }
        started
    }

    // --- stopping --------------------------------------------------------------------------------------------------

    pub(super) async fn stop_all(&self) {
        let mut seqs = self.rows.read().seqs();
        while let Some(seq) = seqs.pop() {
            self.stop_row(seq).await;
        }
    }

    /// Ends the child of a row and waits for it.
    pub(super) async fn stop_row(&self, seq: Seq) {
        let Some((pid, shutdown)) =
            self.rows.read().get(seq).and_then(|row| Some((row.child.pid()?, row.spec.shutdown)))
        else {
            self.rows.write().set(seq, Child::Stopped);
            return;
        };
        end_child(pid, shutdown).await;
        self.rows.write().set(seq, Child::Stopped);
    }
}

/// Ends a process and waits until it is gone. For the running supervisor.
async fn end_child(pid: Pid, shutdown: Shutdown) {
    let (first, timeout) = match shutdown {
        Shutdown::BrutalKill => (Exit::Killed, Some(KILL_GRACE)),
        Shutdown::Infinity => (Exit::shutdown(), None),
        Shutdown::Ms(ms) => (Exit::shutdown(), Some(Duration::from_millis(ms))),
    };
    let Ok(gone) = context::await_exit(pid, timeout) else { return };
    let _ = context::exit(pid, first);
    if context::answer(gone).await != Answer::Timeout {
        return;
    }
    if shutdown != Shutdown::BrutalKill {
        tracing::warn!(name: "supervisor.shutdown_timeout", %pid, "a child did not shut down in its time; it is killed");
        let Ok(gone) = context::await_exit(pid, Some(KILL_GRACE)) else { return };
        let _ = context::exit(pid, Exit::Killed);
        if context::answer(gone).await != Answer::Timeout {
            return;
        }
    }
    tracing::error!(name: "supervisor.kill_timeout", %pid, "a killed child computes on; it is left to itself");
}
