//! Notifications to the service manager in systemd's protocol: readiness, status and watchdog.
//!
//! Without `NOTIFY_SOCKET` in the environment nothing is sent. With `WATCHDOG_USEC` (systemd:
//! `WatchdogSec=`) the daemon sends two keep-alives in each interval, but only while the worker
//! pool runs jobs. A daemon that serves its API but runs no processes should be restarted. App code
//! that does not return does not stop the keep-alives, because its worker is replaced. An upgrade
//! does not stop them either, because its gate holds processes but no threads.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use reld_runtime::Runtime;
use sd_notify::NotifyState;
use tokio::sync::oneshot;

use crate::environment::Environment;
use crate::operator::{Board, Operator};

/// The service manager, if there is one.
#[derive(Debug, Clone)]
pub(crate) struct Manager {
    /// The socket of the service manager. A leading `@` marks an abstract socket name.
    socket: Option<OsString>,
    /// The interval in which the service manager expects a keep-alive.
    watchdog: Option<Duration>,
}

impl Manager {
    pub(crate) fn of(environment: &Environment) -> Self {
        let number = |name| environment.get(name)?.to_str()?.parse::<u64>().ok();
        let is_meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|_| is_meant).map(Duration::from_micros);
        Self { socket: environment.get("NOTIFY_SOCKET").map(OsStr::to_owned), watchdog }
    }

    /// Reports that the node runs its release, or is ready for its first one.
    pub(crate) fn ready(&self) {
        self.notify(&[NotifyState::Ready]);
    }

    /// Reports that the node is stopping.
    pub(crate) fn stopping(&self) {
        self.notify(&[NotifyState::Stopping]);
    }

    /// Reports that the daemon will execute itself again. The new daemon then reports
    /// [`ready`](Self::ready). [`stopping`](Self::stopping) would be wrong here, because systemd
    /// kills a stopping service at the stop timeout.
    pub(crate) fn restarting(&self) {
        // The restart boots the permanent release, which is not the running one.
        let status = NotifyState::Status("stopping apps to restart into another release");
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.notify(&[NotifyState::Reloading, now, status]),
            Err(_) => self.notify(&[NotifyState::Reloading, status]),
        }
    }

    /// Reports each change of the status line, as long as the daemon runs.
    pub(crate) async fn status(self, operator: Operator) {
        let mut board = operator.follow();
        let mut last = String::new();
        loop {
            let line = line(&board.borrow_and_update());
            if line != last {
                self.notify(&[NotifyState::Status(&line)]);
                last = line;
            }
            if board.changed().await.is_err() {
                return;
            }
        }
    }

    /// Sends keep-alives as long as the daemon runs, if the service manager expects them.
    pub(crate) async fn watchdog(self, runtime: Runtime) {
        let Some(interval) = self.watchdog else { return };
        let pause = interval / 2;
        let mut ticks = tokio::time::interval(pause.max(Duration::from_millis(1)));
        loop {
            ticks.tick().await;
            if has_pulse(&runtime, pause).await {
                self.notify(&[NotifyState::Watchdog]);
            } else {
                tracing::error!(name: "daemon.no_pulse", "the worker pool runs no jobs; no keep-alive sent to the service manager");
            }
        }
    }

    fn notify(&self, state: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let text: String = state.iter().map(|state| format!("{state}\n")).collect();
        if let Err(error) = send(socket, &text) {
            tracing::warn!(name: "daemon.notify", %error, "cannot notify the service manager");
        }
    }
}

fn send(socket: &OsStr, text: &str) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address).map(drop)
}

/// Returns whether the worker pool runs a job within this time.
async fn has_pulse(runtime: &Runtime, within: Duration) -> bool {
    let (run, has_run) = oneshot::channel();
    // Fails if the time is over.
    runtime.pulse(move || run.send(()).unwrap_or(()));
    tokio::time::timeout(within, has_run).await.is_ok_and(|run| run.is_ok())
}

/// Returns the status line for `systemctl status`.
fn line(board: &Board) -> String {
    if let Some(at) = &board.progress {
        let way = match &at.back {
            Some(back) => format!("on the way back from {} to {back}", at.to),
            None => format!("on the way to {}", at.to),
        };
        return format!("{way}: step {} of {}, {}", at.step, at.of, at.text);
    }
    let Some(running) = &board.running else { return "idle: no release runs".to_owned() };
    match board.releases.permanent() {
        Some(permanent) if permanent.version == *running => format!("runs {running}"),
        Some(permanent) => format!("runs {running}, not committed; {} is permanent", permanent.version),
        None => format!("runs {running}, not committed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_pool_has_a_pulse_even_if_a_callback_never_returns() {
        let node = Runtime::new(1);
        assert!(has_pulse(&node, Duration::from_secs(60)).await);
        // A callback that never returns does not stop the pulse: its worker is replaced.
        let (begun, begins) = oneshot::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        node.pulse(move || {
            begun.send(()).unwrap_or(());
            // Until the test is over.
            let _ = ends.recv();
        });
        begins.await.expect("the pool runs it");
        assert!(has_pulse(&node, Duration::from_secs(60)).await);
        drop(end);
    }

    #[tokio::test]
    async fn a_pool_that_runs_nothing_has_no_pulse() {
        let idle = Runtime::new(0);
        assert!(!has_pulse(&idle, Duration::from_millis(50)).await);
    }
}
