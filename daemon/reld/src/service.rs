//! What the service manager is told, in systemd's protocol: readiness, what the node does, and that it lives.
//!
//! Without `NOTIFY_SOCKET` in the environment nobody is told. With `WATCHDOG_USEC` (systemd: `WatchdogSec=`) a sign of
//! life goes out twice in each interval, but only while the pool still runs what it is given: a daemon whose API answers
//! and whose processes stand still is one to be started anew. App code that does not return is no such case, for its
//! worker is replaced; nor is an upgrade, for its gate holds processes and no threads.

use std::time::Duration;

use reld_runtime::Runtime;
use sd_notify::NotifyState;
use tokio::sync::oneshot;

use crate::operator::{Board, Operator};

/// Tells that the node runs what it has to run, or that it waits for its first release.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Tells that the node stops.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells that the daemon will execute itself again, and say by [`ready`] when it is back. A service that has said that it
/// stops is one to systemd, and is killed when its time to stop is over.
pub(crate) fn restarting() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Tells, as long as the daemon runs, what the node does.
pub(crate) async fn status(operator: Operator) {
    let mut board = operator.follow();
    let mut told = String::new();
    loop {
        let line = line(&board.borrow_and_update());
        if line != told {
            tell(&[NotifyState::Status(&line)]);
            told = line;
        }
        if board.changed().await.is_err() {
            return;
        }
    }
}

/// Gives signs of life, as long as the daemon runs, if somebody waits for them.
pub(crate) async fn watchdog(runtime: Runtime) {
    let Some(interval) = sd_notify::watchdog_enabled() else { return };
    let pause = interval / 2;
    let mut ticks = tokio::time::interval(pause.max(Duration::from_millis(1)));
    loop {
        ticks.tick().await;
        let (beat, felt) = oneshot::channel();
        // Refused where nobody feels it any more.
        runtime.pulse(move || beat.send(()).unwrap_or(()));
        match tokio::time::timeout(pause, felt).await {
            Ok(_) => tell(&[NotifyState::Watchdog]),
            Err(_) => {
                tracing::error!(name: "daemon.no_pulse", "the pool runs nothing; no sign of life is given");
            }
        }
    }
}

/// What the node does, for `systemctl status`.
fn line(board: &Board) -> String {
    if let Some(at) = &board.progress {
        return format!("goes to {}: step {} of {}, {}", at.to, at.step, at.of, at.text);
    }
    let Some(running) = &board.running else { return "idle: no release runs".to_owned() };
    match board.releases.permanent() {
        Some(permanent) if permanent.version == *running => format!("runs {running}"),
        Some(permanent) => format!("runs {running}, not committed; {} is permanent", permanent.version),
        None => format!("runs {running}, not committed"),
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(name: "daemon.notify", %error, "the service manager was not told");
    }
}
