//! Look verbs: API requests that only read the daemon's own tables.

pub(super) mod code;
mod processes;
mod tree;
mod words;

use std::time::Duration;

use axum::Router;
use reld_api::request as q;
use reld_api::response as r;
use reld_runtime::{self as runtime, ProcessInfo};

use self::code::late;
use self::code::{apps, code};
pub(super) use self::code::{lingering, not_loaded};
pub(super) use self::processes::{BOUNDARY, sys_error};
use self::processes::{message_log, proc, processes, state, statistics, sys_status, top};
use self::tree::tree;
pub(super) use self::words::{json, millis};
use super::alarms::alarms;
use super::api::Api;
use super::fleet;
use super::routing::on;
use crate::operator::Waiting;
use crate::program::replaced;

/// The maximum number of processes that the status names when an upgrade waits for them.
const AWAITED_MAX: usize = 8;

/// App code that runs for this long without returning is shown in the node's status.
const STUCK: Duration = Duration::from_secs(1);

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = on(router, |api: Api, _: q::Status| async move { Ok(status(&api)) });
    let router = on(router, |api: Api, request: q::Tree| async move { tree(&api, &request) });
    let router = on(router, |api: Api, _: q::Processes| async move { Ok(processes(&api)) });
    let router = on(router, |api: Api, request: q::Top| async move { top(api, request).await });
    let router = on(router, |api: Api, request: q::SysStatus| async move { sys_status(api, &request).await });
    let router = on(router, |api: Api, request: q::Process| async move { proc(api, &request).await });
    let router = on(router, |api: Api, _: q::Apps| async move { Ok(apps(&api)) });
    let router =
        on(router, |api: Api, request: q::Code| async move { code(&api, request.module.as_deref()) });
    let router = on(router, |api: Api, _: q::Ports| async move { Ok(ports(&api)) });
    let router = on(router, |api: Api, _: q::Tables| async move { Ok(tables(&api)) });
    let router =
        on(router, |api: Api, request: q::Statistics| async move { statistics(api, &request).await });
    let router =
        on(router, |api: Api, request: q::MessageLog| async move { message_log(api, &request).await });
    on(router, |api: Api, request: q::State| async move { state(api, &request).await })
}

fn status(api: &Api) -> r::NodeStatus {
    let board = api.operator.board();
    let runs = board.switched.as_ref().or(board.running.as_ref()).and_then(|vsn| board.releases.get(vsn));
    let release = runs.map(|known| r::RunningRelease {
        name: known.name.to_string(),
        version: known.version.to_string(),
        // Right after the switch, the status table still contains the old status.
        status: match super::release::status(known.status) {
            r::ReleaseStatus::Permanent => r::ReleaseStatus::Permanent,
            _ => r::ReleaseStatus::Current,
        },
        serial: known.provenance.serial,
        floor: board.releases.floor(&known.name),
        signed_by: known.provenance.signed_by.clone(),
    });
    let upgrade = board.progress.map(|at| r::Progress { waits_for: awaited(api), ..at });
    let dirty = api.shared.lock().dirty;
    let stuck = stuck(api);
    r::NodeStatus {
        reld: env!("CARGO_PKG_VERSION").to_owned(),
        os_pid: std::process::id(),
        installed: replaced().map(|path| path.display().to_string()),
        uptime_ms: millis(api.started.elapsed()),
        release,
        permanent: board.releases.permanent().map(|known| known.version.to_string()),
        processes: api.runtime.figures().processes as u64,
        dirty,
        degraded: !late(api).is_empty() || stuck.iter().any(|stuck| stuck.detached),
        alarms: alarms(api).into_iter().map(|alarm| alarm.text).collect(),
        fleet: fleet::sentence(api),
        settling: board.settling.as_ref().map(|settling| settling.trip().to.to_string()),
        order: board.busy,
        waiting: board.waiting.iter().map(waiting).collect(),
        upgrade,
        lingering: lingering(api, |_| true),
        ended: ended(api),
        stuck,
    }
}

/// Describes the processes that an upgrade under way waits for.
fn awaited(api: &Api) -> Vec<String> {
    let named = |info: ProcessInfo| match info.names.first() {
        Some(name) => format!("{name} {}", info.pid),
        None => info.pid.to_string(),
    };
    api.runtime.awaited().into_iter().take(AWAITED_MAX).map(named).collect()
}

fn waiting(waiting: &Waiting) -> r::WaitingOrder {
    r::WaitingOrder {
        order: waiting.what.clone(),
        uid: waiting.uid,
        waits_ms: millis(waiting.since.elapsed()),
    }
}

fn ended(api: &Api) -> Vec<r::EndedApp> {
    let ended = |(spec, status): (runtime::AppSpec, runtime::AppStatus)| match status {
        runtime::AppStatus::Stopped(Some(exit)) => {
            Some(r::EndedApp { app: spec.name, version: spec.version, reason: exit.to_string() })
        }
        _ => None,
    };
    api.runtime.applications().into_iter().filter_map(ended).collect()
}

fn stuck(api: &Api) -> Vec<r::StuckCode> {
    let stuck = |stuck: runtime::Stuck| r::StuckCode {
        pid: stuck.pid.to_string(),
        name: api.runtime.process(stuck.pid).and_then(|info| info.names.into_iter().next()),
        module: stuck.module,
        version: stuck.version,
        app: stuck.app,
        detached: stuck.is_detached,
        for_ms: millis(stuck.since.elapsed()),
        frames: stuck.frames,
    };
    api.runtime.stuck(STUCK).into_iter().map(stuck).collect()
}

fn ports(api: &Api) -> r::PortList {
    let port = |info: runtime::PortInfo| r::Port {
        port: info.port.0,
        owner: info.owner.to_string(),
        local: info.local,
        peer: info.peer,
        unread: info.unread as u64,
        unsent: info.unsent as u64,
    };
    r::PortList { ports: api.runtime.ports().into_iter().map(port).collect() }
}

fn tables(api: &Api) -> r::TableList {
    let table = |info: runtime::TableInfo| r::Table {
        table: info.table.0,
        name: info.name,
        kind: match info.kind {
            reld_wire::table::Kind::Set => "set".to_owned(),
            reld_wire::table::Kind::OrderedSet => "ordered_set".to_owned(),
        },
        access: match info.access {
            reld_wire::table::Access::Public => "public".to_owned(),
            reld_wire::table::Access::Protected => "protected".to_owned(),
            reld_wire::table::Access::Private => "private".to_owned(),
        },
        owner: info.owner.to_string(),
        heir: info.heir.map(|heir| heir.to_string()),
        rows: info.rows as u64,
        bytes: info.bytes as u64,
    };
    r::TableList { tables: api.runtime.tables().into_iter().map(table).collect() }
}
