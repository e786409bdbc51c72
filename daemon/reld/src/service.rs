//! What the service manager is told, in systemd's protocol: readiness, what the node does, and that it lives.
//!
//! Without `NOTIFY_SOCKET` in the environment there is none. With `WATCHDOG_USEC` (systemd: `WatchdogSec=`) a sign of
//! life goes out twice in each interval, but only while the pool still runs what it is given: a daemon whose API answers
//! and whose processes stand still is one to be started anew. App code that does not return is no such case, for its
//! worker is replaced; nor is an upgrade, for its gate holds processes and no threads.

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

/// The service manager, where there is one.
#[derive(Debug, Clone)]
pub(crate) struct Manager {
    /// Its socket; a first `@` stands for a name that is no file's.
    socket: Option<OsString>,
    /// Within which time it waits for a sign of life.
    watchdog: Option<Duration>,
}

impl Manager {
    pub(crate) fn of(environment: &Environment) -> Self {
        let number = |name| environment.get(name)?.to_str()?.parse::<u64>().ok();
        let is_meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|_| is_meant).map(Duration::from_micros);
        Self { socket: environment.get("NOTIFY_SOCKET").map(OsStr::to_owned), watchdog }
    }

    /// Tells that the node runs what it has to run, or that it waits for its first release.
    pub(crate) fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// Tells that the node stops.
    pub(crate) fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// Tells that the daemon will execute itself again, and say by [`ready`](Self::ready) when it is back. A service that
    /// has said that it stops is one to systemd, and is killed when its time to stop is over.
    pub(crate) fn restarting(&self) {
        // What is permanent already is not what runs now.
        let status = NotifyState::Status("stops its apps and executes itself into another release");
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now, status]),
            Err(_) => self.tell(&[NotifyState::Reloading, status]),
        }
    }

    /// Tells, as long as the daemon runs, what the node does.
    pub(crate) async fn status(self, operator: Operator) {
        let mut board = operator.follow();
        let mut told = String::new();
        loop {
            let line = line(&board.borrow_and_update());
            if line != told {
                self.tell(&[NotifyState::Status(&line)]);
                told = line;
            }
            if board.changed().await.is_err() {
                return;
            }
        }
    }

    /// Gives signs of life, as long as the daemon runs, if they are waited for.
    pub(crate) async fn watchdog(self, runtime: Runtime) {
        let Some(interval) = self.watchdog else { return };
        let pause = interval / 2;
        let mut ticks = tokio::time::interval(pause.max(Duration::from_millis(1)));
        loop {
            ticks.tick().await;
            if has_pulse(&runtime, pause).await {
                self.tell(&[NotifyState::Watchdog]);
            } else {
                tracing::error!(name: "daemon.no_pulse", "the pool runs nothing; no sign of life is given");
            }
        }
    }

    fn tell(&self, state: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let text: String = state.iter().map(|state| format!("{state}\n")).collect();
        if let Err(error) = send(socket, &text) {
            tracing::warn!(name: "daemon.notify", %error, "the service manager was not told");
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

/// Says whether the pool runs what it is given, within that time.
async fn has_pulse(runtime: &Runtime, within: Duration) -> bool {
    let (beat, felt) = oneshot::channel();
    // Refused where nobody feels it any more.
    runtime.pulse(move || beat.send(()).unwrap_or(()));
    tokio::time::timeout(within, felt).await.is_ok_and(|felt| felt.is_ok())
}

/// What the node does, for `systemctl status`.
fn line(board: &Board) -> String {
    if let Some(at) = &board.progress {
        let way = match &at.back {
            Some(back) => format!("goes back to {back} from {}", at.to),
            None => format!("goes to {}", at.to),
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
    async fn there_is_a_pulse_as_long_as_the_pool_runs_something() {
        let node = Runtime::new(1);
        assert!(has_pulse(&node, Duration::from_secs(60)).await);
        // A callback that computes for ever keeps no sign of life back: its worker is replaced.
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
    async fn there_is_none_where_the_pool_runs_nothing() {
        let standing = Runtime::new(0);
        assert!(!has_pulse(&standing, Duration::from_millis(50)).await);
    }
}
