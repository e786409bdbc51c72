//! `relctl history`, `attach` and `abort`: past upgrades, and the one under way.

use std::io::{self, IsTerminal};
use std::time::Duration;

use reld_api::response::{Attached, HistoryEntry, HistoryKind, Outcome, Progress};
use reld_api::{Client, ClientError, ErrorCode, ErrorReport, ExitCode, request as q};
use tokio::time::{Instant, sleep};

use crate::error::Failure;
use crate::shown::Shown;
use crate::{render, terminal};

/// The time limit for a restart of the node. The apps have 80 s to stop, and the apps of the new
/// release start one by one.
const RESTART: Duration = Duration::from_secs(600);

/// The polling interval while the node restarts.
const ASK: Duration = Duration::from_millis(200);

pub(super) async fn history(client: &Client, number: Option<u64>) -> Result<Shown, Failure> {
    let answer = client.call(&q::History { number }).await?;
    match (number, answer.entries.as_slice()) {
        (Some(_), [entry]) => Ok(Shown::new(entry, render::history::entry(entry))),
        _ => Ok(Shown::new(&answer, render::history::list(&answer))),
    }
}

pub(super) async fn abort(client: &Client) -> Result<Shown, Failure> {
    let entry = client.call(&q::Abort {}).await?;
    Ok(Shown::new(&entry, render::history::outcome(&entry)))
}

/// Follows an upgrade and ends with its output and exit code.
pub(super) async fn attach(client: &Client) -> Result<Shown, Failure> {
    let mut lines = client.follow(&q::Attach {}).await?;
    loop {
        match lines.next().await? {
            Attached::Step(progress) => show(&progress),
            Attached::Idle { last } => {
                let text = render::history::idle(last.as_deref());
                return Ok(Shown::new(&Attached::Idle { last }, text));
            }
            Attached::Ended(entry) if is_restart(&entry) => {
                return arrived(client, &entry.to).await;
            }
            Attached::Ended(entry) => return ended(*entry),
        }
    }
}

/// Shows the end of an upgrade as `relctl upgrade` does.
fn ended(entry: HistoryEntry) -> Result<Shown, Failure> {
    match (entry.failure, entry.report) {
        (Some(failure), report) => {
            let details = serde_json::to_value(report).unwrap_or_default();
            Err(ErrorReport { details, ..failure }.into())
        }
        (None, Some(report)) => Ok(Shown::new(&report, render::report(&report))),
        (None, None) => Ok(Shown::nothing()),
    }
}

fn show(progress: &Progress) {
    if io::stderr().is_terminal() {
        let Progress { step, of, text, .. } = progress;
        terminal::err(&format!("step {step} of {of}: {text}\n"));
    }
}

fn is_restart(entry: &HistoryEntry) -> bool {
    entry.kind == HistoryKind::Restart && entry.outcome == Outcome::UnderWay
}

/// Waits until a node that restarts into a release is back, and shows which release runs.
pub(super) async fn arrived(client: &Client, to: &str) -> Result<Shown, Failure> {
    let deadline = Instant::now() + RESTART;
    loop {
        let entries = client.call(&q::History { number: None }).await.map(|answer| answer.entries);
        match entries {
            Ok(entries) => {
                let ours = entries.into_iter().rfind(|entry| entry.kind == HistoryKind::Restart);
                if let Some(entry) = ours.filter(|entry| entry.to == to && !is_restart(entry)) {
                    return ended(entry);
                }
            }
            // No daemon listens during the restart, and the ending daemon disconnects its clients.
            Err(ClientError::NoDaemon { .. } | ClientError::Broken { .. } | ClientError::Deadline { .. }) => {
            }
            Err(error) => return Err(error.into()),
        }
        if Instant::now() >= deadline {
            let message = format!("the node did not come back with release {to} within {RESTART:?}");
            let report = ErrorReport::new(ErrorCode::Deadline, message, ExitCode::NoDaemon);
            return Err(report.with_hint("see `relctl status` and the daemon's log").into());
        }
        sleep(ASK).await;
    }
}
