//! `GET /metrics`: figures for operators in the Prometheus text format 0.0.4.
//!
//! The figures come from the daemon's own tables, and no process is called. Counters start at zero
//! when the daemon starts. The counters of upgrades continue, because they are computed from the
//! history on disk.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use reld_api::response::{self as r, HistoryEntry, Outcome};
use reld_runtime::Census;

use super::alarms::alarms;
use super::api::Api;
use super::routing::refuse;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    router.route("/metrics", get(|axum::extract::State(api): axum::extract::State<Api>| answer(api)))
}

/// Answers the request. Like all other data, metrics may be read by every client of the socket.
async fn answer(api: Api) -> axum::response::Response {
    match api.clone().wait(move |_| Ok(metrics(&api))).await {
        Ok(text) => ([(CONTENT_TYPE, TEXT)], text).into_response(),
        Err(error) => refuse(error),
    }
}

fn metrics(api: &Api) -> String {
    let mut page = Page::default();
    node(api, &mut page);
    let census = api.runtime.census();
    processes(api, &census, &mut page);
    libraries(api, &census, &mut page);
    ports_and_tables(api, &mut page);
    releases(&api.operator.records().list(), &mut page);
    page.0
}

fn node(api: &Api, page: &mut Page) {
    let version = env!("CARGO_PKG_VERSION");
    page.family("reld_info", Kind::Gauge, "The daemon's version.").labelled(&[("version", version)], 1);
    page.gauge("reld_uptime_seconds", "Time since the daemon started.", api.started.elapsed().as_secs_f64());
    page.gauge("reld_alarms", "Active alarms, as shown by `relctl status`.", alarms(api).len());
    page.gauge("reld_log_waiting_lines", "Log lines that wait to be written.", api.log.waiting());
    page.counter("reld_log_lost_lines_total", "Log lines that were dropped.", api.log.lost());
    page.gauge("reld_timers", "Pending timers.", api.runtime.figures().timers);
    page.gauge("reld_blocking", "Blocking work on spare threads.", api.runtime.blocking().len());
    let residents = api.loader.residents().iter().filter(|library| library.condemned.is_some()).count();
    page.gauge("reld_residents", "Libraries that stay mapped after their purge.", residents);
}

fn processes(api: &Api, census: &Census, page: &mut Page) {
    let figures = api.runtime.figures();
    let mut family = page.family("reld_processes", Kind::Gauge, "Live processes, by app.");
    for (app, number) in &census.apps {
        family.labelled(&[("app", app)], number);
    }
    page.gauge("reld_mailbox_messages", "Messages in mailboxes.", census.queued);
    page.gauge("reld_mailbox_longest", "Messages in the longest mailbox.", census.longest);
    page.counter(
        "reld_mailbox_high_total",
        "How often a mailbox grew to a high-water mark: 10000 messages, and each doubling.",
        figures.mailbox_high,
    );
    page.counter(
        "reld_mailbox_full_total",
        "Messages dropped, or calls refused, because a bounded mailbox was full.",
        figures.mailbox_full,
    );
    page.counter("reld_messages_total", "Messages handled.", figures.messages);
    page.counter("reld_restarts_total", "Children restarted by supervisors.", figures.restarts);
    page.counter("reld_crashes_total", "Processes that ended abnormally.", figures.crashes);
    page.counter(
        "reld_callbacks_over_limit_total",
        "Callbacks that ran so long that their worker thread was replaced.",
        figures.over_limit,
    );
}

fn libraries(api: &Api, census: &Census, page: &mut Page) {
    let mut by_version: BTreeMap<(String, String), Vec<r::Library>> = BTreeMap::new();
    for library in super::libraries::libraries(api, census) {
        by_version.entry((library.app.clone(), library.version.clone())).or_default().push(library);
    }
    let mut gauge = |name: &str, help: &str, of: fn(&r::Library) -> u64| {
        let mut family = page.family(name, Kind::Gauge, help);
        for ((app, version), libraries) in &by_version {
            family.labelled(&[("app", app), ("version", version)], libraries.iter().map(of).sum::<u64>());
        }
    };
    gauge("reld_library_mapped_bytes", "Address space of libraries.", |library| library.bytes);
    gauge("reld_library_heap_bytes", "Bytes that libraries have allocated and not freed.", |library| {
        library.heap.map_or(0, |heap| heap.bytes)
    });
    gauge(
        "reld_library_heap_blocks",
        "Heap blocks that libraries have allocated and not freed.",
        |library| library.heap.map_or(0, |heap| heap.blocks),
    );
    gauge("reld_library_threads", "Threads started by libraries.", |library| library.threads);
    gauge("reld_library_processes", "Processes, by library.", |library| library.processes);
    gauge("reld_library_waiting", "Processes that wait inside a callback, by library.", |library| {
        library.waiting
    });
    gauge("reld_library_ports", "Sockets, by library.", |library| library.ports);
    gauge("reld_library_timers", "Timers of apps, by library.", |library| library.timers);
    gauge("reld_library_blocking", "Blocking work on spare threads, by library.", |library| library.blocking);
    let help = "Processes that ended while this version was loaded, by kind of reason.";
    let mut family = page.family("reld_library_exits_total", Kind::Counter, help);
    for ((app, version), libraries) in &by_version {
        for (kind, number) in libraries.iter().flat_map(|library| &library.exits) {
            family.labelled(&[("app", app), ("version", version), ("kind", kind)], number);
        }
    }
    page.counter(
        "reld_libraries_left_bytes_total",
        "Bytes that libraries had not freed when they were unmapped.",
        api.loader.left().bytes,
    );
}

fn ports_and_tables(api: &Api, page: &mut Page) {
    let ports = api.runtime.ports();
    let listeners = ports.iter().filter(|port| port.peer.is_none()).count();
    page.family("reld_ports", Kind::Gauge, "Open sockets of apps.")
        .labelled(&[("kind", "listener")], listeners)
        .labelled(&[("kind", "connection")], ports.len() - listeners);
    page.family("reld_port_bytes", Kind::Gauge, "Bytes that wait in the node.")
        .labelled(&[("waits", "to_be_read")], ports.iter().map(|port| port.unread).sum::<usize>())
        .labelled(&[("waits", "to_be_sent")], ports.iter().map(|port| port.unsent).sum::<usize>());
    let tables = api.runtime.tables();
    page.gauge("reld_tables", "Shared tables.", tables.len());
    page.gauge(
        "reld_table_rows",
        "Rows of shared tables.",
        tables.iter().map(|table| table.rows).sum::<usize>(),
    );
    page.gauge(
        "reld_table_bytes",
        "Bytes in shared tables.",
        tables.iter().map(|table| table.bytes).sum::<usize>(),
    );
}

fn releases(history: &[HistoryEntry], page: &mut Page) {
    let mut by_outcome: BTreeMap<String, u64> = BTreeMap::new();
    for entry in history.iter().filter(|entry| entry.outcome != Outcome::UnderWay) {
        *by_outcome.entry(entry.outcome.to_string()).or_default() += 1;
    }
    let help = "Upgrades and other changes of releases in the history on disk, by outcome.";
    let mut family = page.family("reld_upgrades_total", Kind::Counter, help);
    for (outcome, number) in &by_outcome {
        family.labelled(&[("outcome", outcome)], number);
    }
    let Some(report) = history.iter().rev().find_map(|entry| entry.report.as_ref().filter(|r| r.changed))
    else {
        return;
    };
    let seconds = |us: u64| us as f64 / 1e6;
    page.gauge("reld_last_upgrade_seconds", "Duration of the last upgrade.", seconds(report.took_us));
    page.family(
        "reld_last_upgrade_pause_seconds",
        Kind::Gauge,
        "How long processes were paused in the last upgrade.",
    )
    .labelled(&[("quantile", "0.5")], seconds(report.pauses.p50_us))
    .labelled(&[("quantile", "0.99")], seconds(report.pauses.p99_us))
    .labelled(&[("quantile", "1")], seconds(report.pauses.max_us));
    page.gauge(
        "reld_last_upgrade_held_processes",
        "Processes that were paused in the last upgrade.",
        report.pauses.processes,
    );
}

#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Counter,
}

/// The response text, to which metrics are appended.
#[derive(Default)]
struct Page(String);

/// A metric of the page, to which samples are appended.
struct Family<'a> {
    page: &'a mut Page,
    name: &'a str,
}

impl Page {
    fn family<'a>(&'a mut self, name: &'a str, kind: Kind, help: &str) -> Family<'a> {
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
        Family { page: self, name }
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, Kind::Gauge, help).labelled(&[], value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, Kind::Counter, help).labelled(&[], value);
    }

    fn line(&mut self, text: impl Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{text}");
    }
}

impl Family<'_> {
    fn labelled(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let label = |(name, text): &(&str, &str)| format!("{name}=\"{}\"", escaped(text));
        let labels: Vec<_> = labels.iter().map(label).collect();
        let name = self.name;
        match labels.as_slice() {
            [] => self.page.line(format_args!("{name} {value}")),
            labels => self.page.line(format_args!("{name}{{{}}} {value}", labels.join(","))),
        }
        self
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_the_text_format_of_prometheus() {
        let mut page = Page::default();
        page.gauge("up_seconds", "How long.", 1.5);
        page.family("apps", Kind::Counter, "Apps.").labelled(&[("app", "a\"b\\c"), ("kind", "x")], 2_u64);
        let expected = concat!(
            "# HELP up_seconds How long.\n# TYPE up_seconds gauge\nup_seconds 1.5\n",
            "# HELP apps Apps.\n# TYPE apps counter\napps{app=\"a\\\"b\\\\c\",kind=\"x\"} 2\n",
        );
        assert_eq!(page.0, expected);
    }
}
