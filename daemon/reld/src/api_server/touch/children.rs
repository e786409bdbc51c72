//! Children of supervisors, changed by hand.

use reld_api::request as q;
use reld_api::response as r;
use reld_api::{ErrorCode, ErrorReport, ExitCode, Request as _};
use reld_runtime::{RequestKind, parse_pid};
use reld_wire::Pid;
use reld_wire::spec::ChildType;
use reld_wire::supervisor::{Child, Counts, Error, Reason, Reply, Request};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use serde_json::{Value, json};

use super::messages::{ask, bytes, cannot_be_sent};
use crate::api_server::api::Api;
use crate::api_server::look::json;
use crate::child_spec::{child_spec, shown};

/// Sends a request to a supervisor.
async fn supervise<T: DeserializeOwned>(
    api: &Api,
    supervisor: &str,
    request: &Request,
    id: &Value,
) -> Result<T, ErrorReport> {
    let pid = api.find_supervisor(supervisor)?;
    let body = reld_runtime::term::encode(request);
    let reply = ask(api, RequestKind::Supervisor, pid, body, Some(q::ChildStart::PATIENCE)).await?;
    match reld_runtime::term::decode(&reply) {
        Ok(Reply::Ok(value)) => Ok(value),
        Ok(Reply::Error(error)) => Err(child_error(api, pid, id, &error)),
        Err(text) => {
            Err(ErrorReport::new(ErrorCode::Bug, "cannot decode the answer of a supervisor", ExitCode::Bug)
                .caused_by(text))
        }
    }
}

fn child_error(api: &Api, supervisor: Pid, id: &Value, error: &Error) -> ErrorReport {
    let mut report = ErrorReport::refused(code(error.reason), error.text.as_str());
    report.details = json!({ "id": id, "pid": error.pid.map(|pid| pid.to_string()) });
    if error.reason == Reason::NotFound {
        report.hint = pid_hint(api, supervisor, id);
    }
    report
}

fn code(reason: Reason) -> ErrorCode {
    match reason {
        Reason::AlreadyStarted => ErrorCode::AlreadyStarted,
        Reason::AlreadyPresent => ErrorCode::AlreadyPresent,
        Reason::NotFound => ErrorCode::NotFound,
        Reason::Running => ErrorCode::Running,
        Reason::Restarting => ErrorCode::Restarting,
        Reason::StartFailed => ErrorCode::StartFailed,
        Reason::BadSpec => ErrorCode::BadSpec,
        Reason::UnknownModule => ErrorCode::UnknownModule,
        Reason::SimpleOneForOne => ErrorCode::SimpleOneForOne,
        Reason::BadRequest => ErrorCode::BadRequest,
    }
}

/// Returns a hint if a pid was given instead of a child id.
fn pid_hint(api: &Api, supervisor: Pid, id: &Value) -> Option<String> {
    let pid = parse_pid(id.as_str()?).ok()?;
    let rows = api.runtime.which_children(supervisor)?;
    Some(match rows.iter().find(|row| row.pid == Some(pid)) {
        Some(row) => format!("{pid} is a pid; the child's id is {}", json(&row.id)),
        None => format!("{pid} is a pid and not a child id; `relctl tree` shows both"),
    })
}

fn id_bytes(id: &Value) -> Result<ByteBuf, ErrorReport> {
    bytes(id).map(ByteBuf::from)
}

pub(super) async fn child_start(api: Api, request: q::ChildStart) -> Result<r::ChildStarted, ErrorReport> {
    let (id, asked) = match &request.child {
        q::NewChild::Spec(spec) => {
            (spec.id.clone(), Request::StartChild(child_spec(spec).map_err(|e| cannot_be_sent(&e))?))
        }
        q::NewChild::Args(args) => (Value::Null, Request::StartChildArgs(id_bytes(args)?)),
    };
    let pid: Option<Pid> = supervise(&api, &request.supervisor, &asked, &id).await?;
    Ok(r::ChildStarted { id, pid: pid.map(|pid| pid.to_string()) })
}

pub(super) async fn child_terminate(
    api: Api,
    request: q::ChildTerminate,
) -> Result<r::ChildTerminated, ErrorReport> {
    let id = request.id;
    let asked = match simple_child(&api, &request.supervisor, &id) {
        Some(pid) => Request::TerminatePid(pid),
        None => Request::TerminateChild(id_bytes(&id)?),
    };
    let () = supervise(&api, &request.supervisor, &asked, &id).await?;
    Ok(r::ChildTerminated { id })
}

/// Finds a child of a simple_one_for_one. The children of such a supervisor have no ids, so the
/// request contains a pid.
fn simple_child(api: &Api, supervisor: &str, id: &Value) -> Option<Pid> {
    let pid = parse_pid(id.as_str()?).ok()?;
    let rows = api.runtime.which_children(api.find_supervisor(supervisor).ok()?)?;
    rows.iter().find(|row| row.pid == Some(pid) && json(&row.id).is_null()).map(|_| pid)
}

pub(super) async fn child_restart(
    api: Api,
    request: q::ChildRestart,
) -> Result<r::ChildStarted, ErrorReport> {
    let id = request.id;
    let asked = Request::RestartChild(id_bytes(&id)?);
    let pid: Option<Pid> = supervise(&api, &request.supervisor, &asked, &id).await?;
    Ok(r::ChildStarted { id, pid: pid.map(|pid| pid.to_string()) })
}

pub(super) async fn child_delete(api: Api, request: q::ChildDelete) -> Result<r::ChildDeleted, ErrorReport> {
    let id = request.id;
    let () = supervise(&api, &request.supervisor, &Request::DeleteChild(id_bytes(&id)?), &id).await?;
    Ok(r::ChildDeleted { id })
}

pub(super) async fn children(api: Api, request: q::Children) -> Result<r::ChildList, ErrorReport> {
    let no_child = Value::Null;
    let counts: Counts = supervise(&api, &request.supervisor, &Request::CountChildren, &no_child).await?;
    let rows: Vec<Child> = supervise(&api, &request.supervisor, &Request::WhichChildren, &no_child).await?;
    let row = |row: &Child| r::ChildRow {
        id: json(&row.id),
        pid: row.pid.map(|pid| pid.to_string()),
        status: match (row.pid, row.restarting) {
            (Some(_), _) => r::ProcessStatus::Running,
            (None, true) => r::ProcessStatus::Restarting,
            (None, false) => r::ProcessStatus::NotStarted,
        },
        kind: match row.child_type {
            ChildType::Worker => q::ChildType::Worker,
            ChildType::Supervisor => q::ChildType::Supervisor,
        },
        module: row.module.clone(),
    };
    Ok(r::ChildList {
        specs: counts.specs as u64,
        active: counts.active as u64,
        supervisors: counts.supervisors as u64,
        workers: counts.workers as u64,
        children: rows.iter().map(row).collect(),
    })
}

pub(super) async fn child_spec_of(
    api: Api,
    request: q::ChildSpecOf,
) -> Result<r::ChildSpecShown, ErrorReport> {
    let asked = match simple_child(&api, &request.supervisor, &request.id) {
        Some(pid) => Request::GetChildspecOf(pid),
        None => Request::GetChildspec(id_bytes(&request.id)?),
    };
    let spec = supervise(&api, &request.supervisor, &asked, &request.id).await?;
    let spec = shown(&spec).map_err(|e| cannot_be_sent(&e))?;
    Ok(r::ChildSpecShown { supervisor: request.supervisor, spec })
}
