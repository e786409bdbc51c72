//! Streams a trace. The trace ends when the client disconnects, so it cannot be left running by
//! mistake.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::Body;
use reld_api::{ErrorCode, ErrorReport, ExitCode, request as q, response as r};
use reld_runtime::{Runtime, Said, TraceKind, TraceOnly, Traced};
use reld_wire::Pid;
use serde_json::Value;
use tokio::sync::mpsc as channel;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::api::Api;
use super::look::json;
use super::routing::line;

/// The maximum number of events that wait for a slow reader. Further events are counted and
/// dropped, because no process may wait for a reader.
const WAITING: usize = 10_000;

pub(super) async fn trace(api: Api, request: q::Trace) -> Result<Body, ErrorReport> {
    let processes = request.processes.iter().map(|process| api.find(process));
    let only = TraceOnly {
        processes: processes.collect::<Result<_, _>>()?,
        kinds: request.kinds.into_iter().map(kind).collect(),
    };
    let (sender, stream) = channel::channel(WAITING);
    let lost = Arc::new(AtomicU64::new(0));
    let dropped = Arc::clone(&lost);
    let began = Instant::now();
    let send = move |traced: Traced| {
        if sender.try_send(traced).is_err() {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    };
    let tracing = api.runtime.trace(only, send).ok_or_else(busy)?;
    let runtime = api.runtime.clone();
    let events = ReceiverStream::new(stream).map(move |traced| {
        // The stream owns the trace, and ends it when the connection is closed.
        let _held = &tracing;
        let lost = lost.swap(0, Ordering::Relaxed);
        r::TraceEvent::Told(event(&runtime, traced, began, lost))
    });
    let lines = tokio_stream::once(r::TraceEvent::Began).chain(events);
    Ok(Body::from_stream(lines.map(line)))
}

fn kind(kind: q::TraceKind) -> TraceKind {
    match kind {
        q::TraceKind::Call => TraceKind::Call,
        q::TraceKind::Reply => TraceKind::Reply,
        q::TraceKind::Cast => TraceKind::Cast,
        q::TraceKind::Info => TraceKind::Info,
        q::TraceKind::Exit => TraceKind::Exit,
        q::TraceKind::Down => TraceKind::Down,
        q::TraceKind::Spawn => TraceKind::Spawn,
        q::TraceKind::Sys => TraceKind::Sys,
    }
}

fn busy() -> ErrorReport {
    ErrorReport::new(ErrorCode::Busy, "another client traces this node", ExitCode::Refused)
        .with_hint("wait until that trace ends; only one runs at a time")
}

fn event(runtime: &Runtime, traced: Traced, began: Instant, lost: u64) -> r::Told {
    let party = |pid: Pid| r::Party {
        pid: pid.to_string(),
        name: runtime.process(pid).and_then(|info| info.names.into_iter().next()),
    };
    r::Told {
        after_us: u64::try_from(traced.at.saturating_duration_since(began).as_micros()).unwrap_or(u64::MAX),
        from: traced.from.map(party),
        to: traced.to.map(party),
        what: traced.what.to_owned(),
        said: match traced.said {
            Said::Message(body) => json(&body),
            Said::Reason(exit) => Value::String(exit.to_string()),
            Said::Nothing => Value::Null,
        },
        lost,
    }
}
