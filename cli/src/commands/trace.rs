//! `relctl trace`: the messages between processes while a command runs, as a sequence diagram.

use std::io;
use std::os::fd::AsFd as _;
use std::process::Stdio;
use std::time::Duration;

use reld_api::response::{Told, TraceEvent};
use reld_api::{Client, request as q};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::args::{Trace, TraceFormat};
use crate::error::Failure;
use crate::shown::Shown;
use crate::{render, terminal};

/// After the command, the trace continues until no message has come for this time.
const QUIET: Duration = Duration::from_millis(200);

/// The maximum time that the trace continues after the command.
const AT_MOST: Duration = Duration::from_secs(2);

pub(super) async fn trace(client: &Client, args: Trace) -> Result<Shown, Failure> {
    let labels = by_pid_or_name(client, args.labels).await?;
    let asked = q::Trace { processes: args.processes, kinds: args.kinds };
    let mut events = client.follow(&asked).await?;
    let count = args.count.unwrap_or(usize::MAX);
    let mut told: Vec<Told> = Vec::new();
    // The first event reports that tracing has begun; the command starts only then.
    events.next().await?;
    let until = run_for(client, &args.command, args.seconds);
    tokio::pin!(until);
    while told.len() < count {
        tokio::select! {
            event = events.next() => told.extend(message(event?)),
            ended = &mut until => {
                ended?;
                break;
            }
        }
    }
    if !args.command.is_empty() {
        let rest = async {
            while told.len() < count
                && let Ok(Ok(event)) = timeout(QUIET, events.next()).await
            {
                told.extend(message(event));
            }
        };
        // If the node is never quiet, the trace ends after the maximum time.
        timeout(AT_MOST, rest).await.unwrap_or(());
    }
    let text = match args.format {
        TraceFormat::Mermaid => render::trace::mermaid(&told, &labels),
        TraceFormat::Text => render::trace::text(&told, &labels),
    };
    Ok(Shown::new(&told, text))
}

/// Replaces the paths in labels by pids, since the messages have pids and names.
async fn by_pid_or_name(
    client: &Client,
    labels: Vec<(String, String)>,
) -> Result<Vec<(String, String)>, Failure> {
    let mut known = Vec::with_capacity(labels.len());
    for (process, label) in labels {
        let process = match process.contains('/') {
            true => client.call(&q::Process { process }).await?.process.pid,
            false => process,
        };
        known.push((process, label));
    }
    Ok(known)
}

fn message(event: TraceEvent) -> Option<Told> {
    match event {
        TraceEvent::Began => None,
        TraceEvent::Told(told) => Some(told),
    }
}

/// Returns when the command has ended or, without a command, after so many seconds or at an
/// interrupt.
async fn run_for(client: &Client, command: &[String], seconds: Option<u64>) -> Result<(), Failure> {
    if let Some((program, args)) = command.split_first() {
        return run(client, program, args).await;
    }
    let over = async {
        match seconds {
            Some(seconds) => sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = over => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(|fault| Failure::io("wait for", "an interrupt", &fault)),
    }
}

/// Runs the command with the same node. Its stdout goes to stderr: stdout is reserved for the
/// diagram.
async fn run(client: &Client, program: &str, args: &[String]) -> Result<(), Failure> {
    let cannot = |fault| Failure::io("run", program, &fault);
    let stderr = io::stderr().as_fd().try_clone_to_owned().map_err(cannot)?;
    let mut child = Command::new(program);
    child.env("RELD_SOCKET", client.socket());
    let ended = child.args(args).stdout(Stdio::from(stderr)).status().await.map_err(cannot)?;
    if !ended.success() {
        // A failed command does not suppress the diagram.
        terminal::err(&format!("{program}: {ended}\n"));
    }
    Ok(())
}
