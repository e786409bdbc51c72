//! Reports: the events of the node and the last lines of the log.

use std::time::SystemTime;

use axum::Router;
use reld_api::response as r;
use reld_api::{ErrorReport, request as q};
use serde_json::{Map, Value};
use tracing::Level;

use super::api::Api;
use super::routing::{on, on_watch};
use super::stream::Part;
use crate::record::Record;
use crate::ring::{Found, Missed, Reader};

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = on_watch(router, events);
    let router = on(router, |api: Api, request: q::Logs| async move { log(&api, request) });
    on_watch(router, follow_log)
}

fn events(
    api: &Api,
    request: q::Events,
    after: Option<u64>,
) -> (Reader, impl Fn(Found) -> Option<Part<r::Event>> + use<>) {
    let part = |found| {
        let event = event(found);
        Some(Part { id: event.id, kind: event.what.kind(), data: event })
    };
    (api.log.events().after(after.or(request.since)), part)
}

/// Converts a record to an event. A log entry without the fields of its kind is reported as a
/// missed event.
fn event(found: Found) -> r::Event {
    let dropped = |Missed { last, count, restarted }| r::Event {
        id: last,
        time: time(SystemTime::now()),
        what: r::What::Dropped { missed: count, restarted },
    };
    match found {
        Found::Missed(missed) => dropped(missed),
        Found::Record(id, record) => match serde_json::from_slice(record.json()) {
            Ok(what) => r::Event { id, time: time(record.at), what },
            Err(_) => dropped(Missed { last: id, count: 1, restarted: false }),
        },
    }
}

fn log(api: &Api, request: q::Logs) -> Result<r::LogList, ErrorReport> {
    let is_asked = is_asked(request.app);
    let mut reader = api.log.lines().last(request.lines.unwrap_or(usize::MAX), &is_asked);
    let mut lines = Vec::new();
    loop {
        let found = reader.read();
        if found.is_empty() {
            return Ok(r::LogList { lines });
        }
        lines.extend(found.into_iter().filter_map(|found| match found {
            Found::Record(id, record) => is_asked(&record).then(|| line(id, &record)),
            Found::Missed(_) => None,
        }));
    }
}

fn follow_log(
    api: &Api,
    request: q::FollowLogs,
    after: Option<u64>,
) -> (Reader, impl Fn(Found) -> Option<Part<r::Followed>> + use<>) {
    let is_asked = is_asked(request.app);
    let ring = api.log.lines();
    let reader = match after {
        Some(number) => ring.after(Some(number)),
        None => ring.last(request.lines, &is_asked),
    };
    let part = move |found| match found {
        Found::Record(id, record) => {
            is_asked(&record).then(|| Part { id, kind: "line", data: r::Followed::Line(line(id, &record)) })
        }
        Found::Missed(Missed { last, count, restarted }) => {
            Some(Part { id: last, kind: "dropped", data: r::Followed::Dropped { missed: count, restarted } })
        }
    };
    (reader, part)
}

fn is_asked(app: Option<String>) -> impl Fn(&Record) -> bool {
    move |record| app.is_none() || record.app() == app.as_deref()
}

fn line(id: u64, record: &Record) -> r::LogLine {
    let mut fields: Map<String, Value> = serde_json::from_slice(record.json()).unwrap_or_default();
    let mut take = |name| fields.remove(name).and_then(|value| value.as_str().map(str::to_owned));
    take("kind");
    r::LogLine {
        id,
        time: time(record.at),
        level: level(record.level),
        target: record.target.to_owned(),
        app: take("app"),
        message: take("message").unwrap_or_default(),
        fields,
    }
}

fn level(level: Level) -> r::LogLevel {
    match level {
        Level::ERROR => r::LogLevel::Error,
        Level::WARN => r::LogLevel::Warn,
        Level::INFO => r::LogLevel::Info,
        Level::DEBUG => r::LogLevel::Debug,
        Level::TRACE => r::LogLevel::Trace,
    }
}

fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_micros(at).to_string()
}
