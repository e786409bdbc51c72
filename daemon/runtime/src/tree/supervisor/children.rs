//! Starts and ends the children of a supervisor, one by one and all at once. OTP: `shutdown` of a
//! child spec.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Supervisor;
use crate::process::body::Answer;
use crate::process::rows::{Child, Seq};
use crate::words::child_spec::{Restart, Shutdown, Strategy, show_id};
use crate::words::code_server::Code;
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::world::context;
use crate::world::run::end::abandon_other;

/// How long a killed child may take to end. A child that still computes after that is ended without
/// its callback, and reported.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// How many exits are awaited at once. The number is limited, because each answer is searched for
/// among the open requests.
const AT_ONCE: usize = 256;

impl Supervisor {
    pub(super) async fn start_all(&self) -> Result<(), Exit> {
        let seqs = self.rows.read().seqs();
        for seq in seqs {
            let id = self.rows.read().get(seq).map(|row| show_id(row.id())).unwrap_or_default();
            if let Err(exit) = self.start_row(seq).await {
                return Err(Exit::Shutdown(format!("failed_to_start_child {id}: {exit}")));
            }
        }
        Ok(())
    }

    /// Starts the child of a row. Returns `Ok(None)` if its init returned ignore.
    pub(super) async fn start_row(&self, seq: Seq) -> Result<Option<Pid>, Exit> {
        let Some(terms) = self.rows.read().get(seq).map(|row| Arc::clone(&row.terms)) else {
            return Ok(None);
        };
        let code = context::resolve(&terms.module)
            .ok_or_else(|| Exit::Error(format!("module {} is not loaded", terms.module)))?;
        self.start_row_in(code, seq).await
    }

    /// Starts the child of a row in this code.
    pub(super) async fn start_row_in(&self, code: Arc<Code>, seq: Seq) -> Result<Option<Pid>, Exit> {
        let (is_temporary, args) = match self.rows.read().get(seq) {
            Some(row) => (row.terms.restart == Restart::Temporary, row.args().to_vec()),
            None => return Ok(None),
        };
        let (pid, reference) =
            context::start_child(code, args).map_err(|refused| Exit::Error(refused.to_string()))?;
        self.rows.write().set(seq, Child::Starting(pid));
        let started = match context::started(reference).await {
            Answer::Started(started) => Ok(started),
            Answer::Exit(exit) => Err(exit),
            Answer::Reply(_) | Answer::Timeout => Err(Exit::Error("a start has no other answer".to_owned())),
        };
        let mut rows = self.rows.write();
        match started {
            Ok(Some(pid)) => rows.set(seq, Child::Running(pid)),
            Ok(None) | Err(_) => rows.set(seq, Child::Stopped),
        }
        match started {
            Ok(Some(_)) if is_temporary => rows.drop_args(seq),
            Ok(None) if is_temporary => rows.remove(seq),
            Ok(_) | Err(_) => {}
        }
        started
    }

    pub(super) async fn stop_all(&self) {
        if self.spec.strategy == Strategy::SimpleOneForOne {
            return self.stop_at_once().await;
        }
        let mut seqs = self.rows.read().seqs();
        while let Some(seq) = seqs.pop() {
            self.stop_row(seq).await;
        }
    }

    /// Ends the child of a row and waits for it.
    pub(super) async fn stop_row(&self, seq: Seq) {
        let running = self
            .rows
            .read()
            .get(seq)
            .and_then(|row| Some((row.child.pid()?, row.terms.shutdown, row.terms.restart)));
        if let Some((pid, shutdown, restart)) = running {
            end_child(pid, shutdown, restart).await;
        }
        self.rows.write().set(seq, Child::Stopped);
    }

    /// Ends the children of a simple_one_for_one. All get the signal at once, and all have the same
    /// time to end. OTP: `simple_one_for_one` in `supervisor`.
    async fn stop_at_once(&self) {
        let Some(template) = self.spec.children.first() else { return };
        let (first, timeout) = first_signal(template.shutdown);
        let pids: Vec<Pid> = self.rows.read().iter().filter_map(|row| row.child.pid()).collect();
        let mut left = signal_all(pids, &first, timeout).await;
        if !left.is_empty() && template.shutdown != Shutdown::BrutalKill {
            tracing::warn!(
                name: "supervisor.shutdown_timeout", pid = %self.pid, children = left.len(),
                "children did not shut down in time; they are killed"
            );
            left = signal_all(left, &Exit::Killed, Some(KILL_GRACE)).await;
        }
        left.into_iter().for_each(give_up);
    }
}

/// Returns the first exit signal for a child, and the time that the child has to end.
fn first_signal(shutdown: Shutdown) -> (Exit, Option<Duration>) {
    match shutdown {
        Shutdown::BrutalKill => (Exit::Killed, Some(KILL_GRACE)),
        Shutdown::Infinity => (Exit::shutdown(), None),
        Shutdown::Ms(ms) => (Exit::shutdown(), Some(Duration::from_millis(ms))),
    }
}

/// Ends a process and waits until it is gone. The running supervisor calls this.
async fn end_child(pid: Pid, shutdown: Shutdown, restart: Restart) {
    let (first, timeout) = first_signal(shutdown);
    let Ok(gone) = context::await_exit(pid, timeout) else { return };
    let _ = context::exit(pid, first);
    match context::answer(gone).await {
        Answer::Exit(exit) => return report_end(pid, shutdown, restart, &exit),
        Answer::Reply(_) | Answer::Started(_) => return,
        Answer::Timeout => {}
    }
    if shutdown != Shutdown::BrutalKill {
        tracing::warn!(name: "supervisor.shutdown_timeout", %pid, "a child did not shut down in time; it is killed");
        let Ok(gone) = context::await_exit(pid, Some(KILL_GRACE)) else { return };
        let _ = context::exit(pid, Exit::Killed);
        if context::answer(gone).await != Answer::Timeout {
            return;
        }
    }
    give_up(pid);
}

/// Ends a killed child that still computes. Its thread goes on until the callback returns.
fn give_up(pid: Pid) {
    if !abandon_other(pid) {
        tracing::error!(name: "supervisor.kill_timeout", %pid, "a killed child has not ended; the supervisor no longer waits for it");
    }
}

/// Reports a child with an unexpected exit reason. OTP: `shutdown_error`.
fn report_end(pid: Pid, shutdown: Shutdown, restart: Restart, exit: &Exit) {
    let is_meant = match exit {
        Exit::Shutdown(text) => text.is_empty() || restart != Restart::Permanent,
        Exit::Normal => restart != Restart::Permanent,
        Exit::Killed => shutdown == Shutdown::BrutalKill,
        // The child had ended before the signal; its end was reported then.
        Exit::Noproc => true,
        Exit::Error(_) | Exit::Panic(_) | Exit::Undecodable(_) | Exit::Overloaded => false,
    };
    if !is_meant {
        tracing::warn!(name: "supervisor.shutdown_error", %pid, reason = %exit, "a child ended with an unexpected reason during its shutdown");
    }
}

/// Sends an exit signal to all processes and waits until they are gone. Returns the processes that
/// are still alive at the time-out.
async fn signal_all(pids: Vec<Pid>, exit: &Exit, timeout: Option<Duration>) -> Vec<Pid> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    for pid in &pids {
        let _ = context::exit(*pid, exit.clone());
    }
    let mut left = Vec::new();
    for some in pids.chunks(AT_ONCE) {
        let time = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let opened: Vec<_> =
            some.iter().filter_map(|pid| Some((*pid, context::await_exit(*pid, time).ok()?))).collect();
        for (pid, gone) in opened {
            if context::answer(gone).await == Answer::Timeout {
                left.push(pid);
            }
        }
    }
    left
}
