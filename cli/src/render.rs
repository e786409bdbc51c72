//! The text output: pure functions from the API's types to text. There are no colours, because none
//! would carry a meaning.

pub(crate) mod duration;
mod env;
mod files;
pub(crate) mod history;
mod mermaid;
mod report;
pub(crate) mod reports;
mod table;
pub(crate) mod trace;
pub(crate) mod tree;

use std::fmt::{Display, Write as _};

use reld_api::request::ChildType;
use reld_api::response::{
    AppList, Callback, ChildList, CodeTable, EndedApp, Library, Loaded, NodeStatus, PortList, Process,
    ProcessDetails, ProcessList, ReleaseList, ReleaseRow, ReleaseStatus, RunningRelease, StuckCode,
    SysStatus, TableList, TopList, TopProcess, WaitingOrder,
};
use reld_api::{ErrorCode, ErrorReport};
use serde_json::Value;

pub(crate) use env::{env, env_changed};
pub(crate) use files::{keys, pruned, repaired, verified};
pub(crate) use report::{checked, ended, lingering, replaced, report, warnings};
pub(crate) use table::table;

/// Formats an error of relctl, with its code.
pub(crate) fn failure(report: &ErrorReport) -> String {
    format!("error[{}]: {}", report.kind, account(report))
}

/// Formats a failure: the message with the state of the node, the failed step, the causes and the
/// hint.
fn account(report: &ErrorReport) -> String {
    let mut text = format!("{report}\n");
    if let Some(step) = &report.step {
        let code = step.kind.as_ref().map(|code| format!("[{code}]")).unwrap_or_default();
        line(&mut text, format_args!("  step {} of {} failed{code}: {}", step.number, step.of, step.text));
    }
    let codes = obstacle_codes(report);
    for (at, cause) in report.causes.iter().enumerate() {
        let code = codes.get(at).map(|code| format!("[{code}]")).unwrap_or_default();
        line(&mut text, format_args!("  caused by{code}: {}", cause.replace('\n', "\n    ")));
    }
    if let Some(hint) = &report.hint {
        line(&mut text, format_args!("\nhint: {hint}"));
    }
    text
}

/// Returns the codes of the obstacles that the causes name. With one obstacle, its code is that of
/// the report.
fn obstacle_codes(report: &ErrorReport) -> Vec<&str> {
    let obstacles = report.details.as_array().map(Vec::as_slice).unwrap_or_default();
    if obstacles.len() < 2 || obstacles.len() != report.causes.len() {
        return Vec::new();
    }
    obstacles.iter().map(|obstacle| obstacle["class"].as_str().unwrap_or_default()).collect()
}

/// Names the command that explains the code of a failure, of the failed step if there is one. A
/// newer daemon may have a code that this relctl does not know.
pub(crate) fn more(report: &ErrorReport) -> String {
    let of_step = report.step.as_ref().and_then(|step| step.kind.as_deref());
    let known = ErrorCode::of(of_step.unwrap_or(&report.kind)).filter(|code| *code != ErrorCode::Usage);
    known.map(|code| format!("\nmore: `relctl explain {code}`\n")).unwrap_or_default()
}

/// The text of a release in one column.
type Cell = fn(&ReleaseRow) -> String;

pub(crate) fn releases(list: &ReleaseList) -> String {
    let serial = |row: &ReleaseRow| if row.serial > 0 { row.serial.to_string() } else { String::new() };
    let columns: [(&str, Cell); 6] = [
        ("name", |row| row.name.clone()),
        ("version", |row| row.version.clone()),
        ("status", |row| row.status.to_string()),
        ("serial", serial),
        ("signed by", |row| row.signed_by.join(" ")),
        ("apps", |row| row.apps.join(" ")),
    ];
    // Most nodes have neither serials nor signatures.
    let is_used = |(head, cell): &(&str, Cell)| {
        !["serial", "signed by"].contains(head) || list.releases.iter().any(|row| !cell(row).is_empty())
    };
    let columns: Vec<_> = columns.into_iter().filter(is_used).collect();
    let heads: Vec<&str> = columns.iter().map(|(head, _)| *head).collect();
    table(&heads, list.releases.iter().map(|row| columns.iter().map(|(_, cell)| cell(row)).collect()))
}

pub(crate) fn processes(list: &ProcessList) -> String {
    let rows = list.processes.iter().map(|process| {
        vec![
            process.pid.clone(),
            process.name.clone().unwrap_or_default(),
            process.behaviour.to_string(),
            process.module.clone(),
            process.version.clone(),
            process.code.to_string(),
            process.status.to_string(),
            queue(process),
            process.callback.as_ref().map(doing).unwrap_or_default(),
            place(process.supervisor.as_deref(), &process.id),
        ]
    });
    let headers =
        ["pid", "name", "type", "module", "version", "code", "status", "queue", "callback", "child of"];
    table(&headers, rows)
}

/// Lists and counts the children of a supervisor.
pub(crate) fn children(list: &ChildList) -> String {
    let rows = list.children.iter().map(|child| {
        let id = if child.id.is_null() { String::new() } else { child.id.to_string() };
        let kind = match child.kind {
            ChildType::Worker => "worker",
            ChildType::Supervisor => "supervisor",
        };
        let pid = child.pid.clone().unwrap_or_default();
        vec![id, pid, child.status.to_string(), kind.to_owned(), child.module.clone()]
    });
    let ChildList { specs, active, supervisors, workers, .. } = list;
    let specs = counted(*specs, "spec", "specs");
    let supervisors = counted(*supervisors, "supervisor", "supervisors");
    let workers = counted(*workers, "worker", "workers");
    let counts = format!("{specs}, {active} active, {supervisors}, {workers}\n");
    table(&["id", "pid", "status", "type", "module"], rows) + &counts
}

pub(crate) fn top(list: &TopList) -> String {
    let rows = list.processes.iter().map(|TopProcess { process, run_percent }| {
        vec![
            process.pid.clone(),
            process.name.clone().unwrap_or_default(),
            process.module.clone(),
            process.version.clone(),
            process.status.to_string(),
            format!("{run_percent:.1}"),
            queue(process),
            process.callback.as_ref().map(doing).unwrap_or_default(),
            place(process.supervisor.as_deref(), &process.id),
        ]
    });
    let headers = ["pid", "name", "module", "version", "status", "run %", "queue", "callback", "child of"];
    let of = format_args!("{} of {} processes, ", list.processes.len(), list.of);
    format!("{of}seen for {}\n{}", duration::us(list.for_ms.saturating_mul(1000)), table(&headers, rows))
}

/// Shows the answers of a process to system messages.
pub(crate) fn sys_status(status: &SysStatus) -> String {
    let SysStatus { process, suspended, statistics, log_max, state } = status;
    let mut text = String::new();
    line(&mut text, format_args!("pid           {}", process.pid));
    line(
        &mut text,
        format_args!("{:<14}{} {} ({})", process.behaviour, process.module, process.version, process.code),
    );
    line(&mut text, format_args!("status        {}", if *suspended { "suspended" } else { "running" }));
    let below = place(process.supervisor.as_deref(), &process.id);
    if !below.is_empty() {
        line(&mut text, format_args!("child of      {below}"));
    }
    line(&mut text, format_args!("statistics    {}", if *statistics { "on" } else { "off" }));
    match log_max {
        Some(max) => line(&mut text, format_args!("log           the last {max} messages")),
        None => line(&mut text, format_args!("log           off")),
    }
    line(&mut text, format_args!("state         {state:#}"));
    text
}

/// Formats the length of a mailbox, with its limit if there is one.
fn queue(process: &Process) -> String {
    match process.queue_max {
        Some(max) => format!("{} of {max}", process.queue),
        None => process.queue.to_string(),
    }
}

/// Formats a callback: its message, its duration so far, and the things it waits for.
fn doing(callback: &Callback) -> String {
    let about = callback.about.as_ref().map(|about| format!("{about}, ")).unwrap_or_default();
    let time = duration::us(callback.for_ms.saturating_mul(1000));
    match callback.waits_for.as_slice() {
        [] => format!("{about}computes for {time}"),
        waits_for => format!("{about}waits {time} for {}", waits_for.join(", ")),
    }
}

/// Shows one process in full, without empty lists.
pub(crate) fn process(details: &ProcessDetails) -> String {
    let process = &details.process;
    let mut text = String::new();
    line(&mut text, format_args!("pid           {}", process.pid));
    let runs = format_args!("{} {} ({})", process.module, process.version, process.code);
    line(&mut text, format_args!("{:<14}{runs}", process.behaviour));
    line(&mut text, format_args!("status        {}", process.status));
    for (title, list) in [
        ("names", details.names.join(" ")),
        ("child of", place(process.supervisor.as_deref(), &process.id)),
        ("callback", process.callback.as_ref().map(doing).unwrap_or_default()),
        ("links", details.links.join(" ")),
        ("monitors", details.monitors.join(" ")),
        ("monitored by", details.monitored_by.join(" ")),
        ("to answer", details.unanswered.join(" ")),
    ] {
        if !list.is_empty() {
            line(&mut text, format_args!("{title:<14}{list}"));
        }
    }
    if details.traps_exits {
        line(&mut text, format_args!("traps exits"));
    }
    if let Some(max) = process.queue_max {
        let dropped = process.dropped;
        line(&mut text, format_args!("mailbox       {} of {max}, {dropped} dropped", process.queue));
    }
    if details.old_frames > 0 {
        line(&mut text, format_args!("its callback is inside old code"));
    }
    if details.in_callback {
        line(&mut text, format_args!("a callback is running: links, monitors and mailbox are not available"));
    }
    for frame in &details.frames {
        line(&mut text, format_args!("{:<14}{frame}", "inside"));
    }
    for letter in &details.mailbox {
        line(&mut text, format_args!("{:<14}from {}: {}", letter.kind, letter.from, letter.body));
    }
    for timer in &details.timers {
        let at = duration::us(timer.at_us);
        line(&mut text, format_args!("{:<14}due at {at} of uptime: {}", "timer", timer.message));
    }
    text
}

/// Formats the place of a process: its supervisor, and its child id there.
fn place(supervisor: Option<&str>, id: &Value) -> String {
    match (supervisor, id) {
        (None, _) => String::new(),
        (Some(supervisor), Value::Null) => supervisor.to_owned(),
        (Some(supervisor), id) => format!("{supervisor} {id}"),
    }
}

pub(crate) fn apps(list: &AppList) -> String {
    let rows = list.apps.iter().map(|app| {
        let (status, processes) = (app.status.to_string(), app.processes.to_string());
        vec![
            app.name.clone(),
            app.version.clone(),
            status,
            app.start_type.clone(),
            processes,
            app.modules.join(" "),
        ]
    });
    let mut text = table(&["name", "version", "status", "type", "processes", "modules"], rows);
    for app in &list.apps {
        if let Some(reason) = &app.reason {
            line(&mut text, format_args!("{} ended: {reason}", app.name));
        }
    }
    text
}

pub(crate) fn ports(list: &PortList) -> String {
    let rows = list.ports.iter().map(|port| {
        let peer = port.peer.clone().unwrap_or_else(|| "(listens)".to_owned());
        let (unread, unsent) = (size(port.unread), size(port.unsent));
        vec![port.port.to_string(), port.owner.clone(), port.local.clone(), peer, unread, unsent]
    });
    table(&["port", "owner", "local", "peer", "unread", "unsent"], rows)
}

pub(crate) fn tables(list: &TableList) -> String {
    let rows = list.tables.iter().map(|table| {
        let name = table.name.clone().unwrap_or_else(|| "-".to_owned());
        let heir = table.heir.clone().unwrap_or_else(|| "-".to_owned());
        let (rows, bytes) = (table.rows.to_string(), size(table.bytes));
        let (kind, access) = (table.kind.clone(), table.access.clone());
        vec![table.table.to_string(), name, kind, access, table.owner.clone(), heir, rows, bytes]
    });
    table(&["table", "name", "type", "access", "owner", "heir", "rows", "size"], rows)
}

/// Lists the slots of modules, then the processes in old code, the libraries, and the resident
/// libraries.
pub(crate) fn code(code: &CodeTable) -> String {
    let rows = code.modules.iter().map(|module| {
        let old = module.old.as_ref().map_or_else(|| "-".to_owned(), |old| old.version.clone());
        let current = module.current.clone().unwrap_or_else(|| "-".to_owned());
        let processes = module.current_processes.to_string();
        vec![module.module.clone(), module.app.clone(), current, processes, old]
    });
    let mut text = table(&["module", "app", "current", "processes", "old"], rows);
    for old in code.modules.iter().filter_map(|module| module.old.as_ref()) {
        text += &lingering(&old.lingering);
    }
    text += &libraries(&code.libraries);
    for resident in &code.residents {
        let (app, size) = (format!("{} {}", resident.app, resident.version), size(resident.bytes));
        let since = duration::us(resident.for_ms.saturating_mul(1000));
        line(&mut text, format_args!("stays mapped: {app}, {size}, for {since}: {}", resident.reason));
    }
    text
}

/// Lists the libraries with the resources that they use.
fn libraries(libraries: &[Library]) -> String {
    if libraries.is_empty() {
        return String::new();
    }
    let rows = libraries.iter().map(|library| {
        let name = format!("{} {}", library.app, library.version);
        let heap = library.heap.map(|heap| size(heap.bytes)).unwrap_or_default();
        let Library { threads, processes, waiting, ports, timers, blocking, .. } = library;
        let counts = [threads, processes, waiting, ports, timers, blocking].map(ToString::to_string);
        let exits: Vec<String> =
            library.exits.iter().map(|(kind, number)| format!("{number} {kind}")).collect();
        [name, size(library.bytes), heap].into_iter().chain(counts).chain([exits.join(", ")]).collect()
    });
    let heads = [
        "library",
        "mapped",
        "heap",
        "threads",
        "processes",
        "waiting",
        "sockets",
        "timers",
        "blocking",
        "exits",
    ];
    format!("\n{}", table(&heads, rows))
}

fn running(release: &RunningRelease) -> String {
    let RunningRelease { name, version, status, serial, floor, signed_by } = release;
    let number = |what: &str, number: u64| match number {
        0 => String::new(),
        number => format!(", {what} {number}"),
    };
    let serial = number("serial", *serial) + &number("floor", *floor);
    let by =
        if signed_by.is_empty() { String::new() } else { format!(", signed by {}", signed_by.join(", ")) };
    format!("{name} {version} ({status}){serial}{by}")
}

pub(crate) fn status(status: &NodeStatus) -> String {
    let mut text = String::new();
    let release = status.release.as_ref();
    let release = match (release, &status.permanent) {
        (Some(release), _) => running(release),
        (None, Some(permanent)) => format!("none yet, {permanent} is being booted"),
        (None, None) => "none, the node is idle".to_owned(),
    };
    line(&mut text, format_args!("release    {release}"));
    line(&mut text, format_args!("permanent  {}", status.permanent.as_deref().unwrap_or("none")));
    if let Some(running) = status.release.as_ref().filter(|release| release.status == ReleaseStatus::Current)
    {
        let boots = status.permanent.as_ref();
        let after = boots
            .map_or("the node is idle after a restart".to_owned(), |vsn| format!("a restart boots {vsn}"));
        let version = &running.version;
        line(
            &mut text,
            format_args!("warning    {version} is not committed: {after}; `relctl commit` keeps it"),
        );
    }
    for alarm in &status.alarms {
        line(&mut text, format_args!("alarm      {alarm}"));
    }
    line(&mut text, format_args!("processes  {}", status.processes));
    let up = duration::us(status.uptime_ms.saturating_mul(1000));
    line(&mut text, format_args!("daemon     reld {}, process {}, up {up}", status.reld, status.os_pid));
    if let Some(path) = &status.installed {
        line(&mut text, format_args!("installed  another reld: a restart of the daemon starts {path}"));
    }
    if let Some(fleet) = &status.fleet {
        line(&mut text, format_args!("fleet      {fleet}"));
    }
    if status.degraded {
        text += "degraded   stuck app code was given up: it still holds a thread and its library\n";
    }
    if status.dirty {
        text += "dirty      code was changed by hand since the node booted\n";
    }
    if let Some(to) = &status.upgrade {
        let way = match &to.back {
            Some(back) => format!("to {} is taken back: goes back to {back}", to.to),
            None => format!("to {}", to.to),
        };
        line(&mut text, format_args!("upgrade    {way}: step {} of {}: {}", to.step, to.of, to.text));
        if !to.waits_for.is_empty() {
            line(&mut text, format_args!("waits for  {}", to.waits_for.join(", ")));
        }
    }
    if let Some(order) = &status.order {
        line(&mut text, format_args!("order      {order} is under way"));
    }
    for WaitingOrder { order, uid, waits_ms } in &status.waiting {
        let uid = uid.map(|uid| format!(" of user {uid}")).unwrap_or_default();
        let waits = duration::us(waits_ms.saturating_mul(1000));
        line(
            &mut text,
            format_args!("waiting    {order}{uid}, for {waits}; removed when its client disconnects"),
        );
    }
    for EndedApp { app, version, reason } in &status.ended {
        line(
            &mut text,
            format_args!("ended      {app} {version}: {reason}; `relctl app start {app}` starts it again"),
        );
    }
    for stuck in &status.stuck {
        let StuckCode { app, pid, module, version, .. } = stuck;
        let was = if stuck.detached { " (given up)" } else { "" };
        let name = stuck.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        let for_ = duration::us(stuck.for_ms.saturating_mul(1000));
        let inside = stuck.frames.first().map(|frame| format!(", inside {frame}")).unwrap_or_default();
        line(
            &mut text,
            format_args!(
                "stuck      {app} {module} {version} at {pid}{name}{was} has not returned for {for_}{inside}"
            ),
        );
    }
    text + &lingering(&status.lingering)
}

/// Shows the result of a load by hand.
pub(crate) fn loaded(loaded: &Loaded) -> String {
    let Loaded { app, version, modules, converted, .. } = loaded;
    let mut text = format!("loaded {app} {version}: {}\n", modules.join(" "));
    if *converted > 0 {
        let processes = counted(*converted, "process", "processes");
        line(&mut text, format_args!("{processes} converted"));
    }
    text + &warnings(&loaded.warnings) + &ended("killed", &loaded.killed) + &lingering(&loaded.lingering)
}

pub(crate) fn counted<N: Display + From<u8> + PartialEq>(number: N, one: &str, many: &str) -> String {
    let things = if number == N::from(1) { one } else { many };
    format!("{number} {things}")
}

pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let power = (bytes.max(1).ilog2() / 10).min(3);
    // The value is rounded anyway, so the loss of precision does not matter.
    let scaled = bytes as f64 / f64::from(1_u32 << (10 * power));
    let unit = UNITS[power as usize];
    if power == 0 { format!("{bytes} B") } else { format!("{scaled:.1} {unit}") }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a String takes every line");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_shown_in_its_largest_fitting_unit() {
        for (bytes, expected) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (50 << 20, "50.0 MiB"), (5 << 40, "5120.0 GiB")]
        {
            assert_eq!(size(bytes), expected);
        }
    }
}
