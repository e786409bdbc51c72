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

pub(super) async fn history(
    client: &Client,
    number: Option<u64>,
    rollout: Option<String>,
) -> Result<Shown, Failure> {
    let answer = client.call(&q::History { number, rollout }).await?;
    match (number, answer.entries.as_slice()) {
        (Some(_), [entry]) => Ok(Shown::new(entry, render::history::entry(entry))),
        _ => Ok(Shown::new(&answer, render::history::list(&answer))),
    }
}

pub(super) async fn abort(client: &Client) -> Result<Shown, Failure> {
    let entry = client.call(&q::Abort {}).await?;
    Ok(Shown::new(&entry, render::history::outcome(&entry)))
}

/// Follows an upgrade and ends with its output and exit code. With a version the last order counts,
/// even if it has ended.
pub(super) async fn attach(client: &Client, version: Option<String>) -> Result<Shown, Failure> {
    let mut lines = client.follow(&q::Attach {}).await?;
    loop {
        match (lines.next().await?, &version) {
            (Attached::Step(progress), _) => show(&progress),
            (Attached::Idle { .. } | Attached::Ended(_), Some(version)) => {
                return result(client, version).await;
            }
            (Attached::Idle { last }, None) => {
                let text = render::history::idle(last.as_deref());
                return Ok(Shown::new(&Attached::Idle { last }, text));
            }
            (Attached::Ended(entry), None) if is_restart(&entry) => {
                return arrived(client, &entry.to).await;
            }
            (Attached::Ended(entry), None) => return ended(*entry),
        }
    }
}

/// Shows the outcome of the last order, which must lead to this release. A boot is no order, and
/// neither is the commit that ends an upgrade.
async fn result(client: &Client, version: &str) -> Result<Shown, Failure> {
    let entries = client.call(&q::History::default()).await?.entries;
    let is_order = |kind| !matches!(kind, HistoryKind::Boot | HistoryKind::Commit);
    let last = entries.into_iter().rfind(|entry| is_order(entry.kind));
    let Some(entry) = last.filter(|entry| entry.to == version) else {
        let message = format!("the last order of the history does not lead to release {version}");
        let none = ErrorReport::refused(ErrorCode::NoSuchEntry, message);
        return Err(none.with_hint("`relctl history` lists the orders").into());
    };
    match entry.outcome {
        Outcome::UnderWay if is_restart(&entry) => arrived(client, version).await,
        Outcome::UnderWay | Outcome::Interrupted => {
            let HistoryEntry { kind, outcome, .. } = entry;
            let message = format!("the outcome of the {kind} to {version} is not known: {outcome}");
            let lost = ErrorReport::new(ErrorCode::Broken, message, ExitCode::NoDaemon);
            Err(lost.with_hint("check the node with `relctl status`").into())
        }
        _ => ended(entry),
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
        let entries = client.call(&q::History::default()).await.map(|answer| answer.entries);
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
