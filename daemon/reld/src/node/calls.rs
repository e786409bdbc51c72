//! The calls of a script, to functions of apps and to the built-in modules `supervisor` and
//! `application`.

use std::time::Instant;

use reld_api::{request as q, term};
use reld_handler::{AppName, Apply, BuiltIn, Child, LeavingChild, NodeError};
use reld_runtime::{self as runtime, Answer, Runtime};
use reld_wire::application::StopCause;
use reld_wire::supervisor::{self, Reply, Request};
use reld_wire::{Exit, Pid};
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_bytes::ByteBuf;
use serde_json::Value;

use super::apps::Apps;
use super::spec::runtime_spec;
use super::window::Window;
use crate::child_spec::child_spec;

/// The start argument of a task that runs a function. The app decodes it as an adjacently tagged
/// serde enum.
#[derive(Serialize)]
struct Function<'a> {
    function: &'a str,
    args: &'a [Value],
}

pub(super) fn apply(runtime: &Runtime, call: &Apply, deadline: Instant) -> Result<(), NodeError> {
    let refuse = |reason: String| NodeError::Apply { call: call.to_string(), reason };
    let args = argument(call).map_err(refuse)?;
    runtime.run_task(call.module.as_str(), args, deadline).map_err(|exit| match exit {
        Exit::Killed => refuse("it was killed, or did not end in time".to_owned()),
        exit => refuse(exit.to_string()),
    })
}

pub(super) fn built_in(apps: Apps<'_>, call: &BuiltIn, deadline: Instant) -> Result<(), NodeError> {
    let runtime = apps.runtime;
    let done = match call {
        BuiltIn::StartChild { supervisor, spec } => start_child(spec).and_then(|request| {
            ask_supervisor(runtime, supervisor_at(runtime, supervisor)?, &request, deadline)
        }),
        BuiltIn::RestartChild { supervisor, id } => {
            ask_about(runtime, supervisor, id, Request::RestartChild, deadline)
        }
        BuiltIn::TerminateChild { supervisor, id } => {
            ask_about(runtime, supervisor, id, Request::TerminateChild, deadline)
        }
        BuiltIn::DeleteChild { supervisor, id } => {
            ask_about(runtime, supervisor, id, Request::DeleteChild, deadline)
        }
        BuiltIn::RenameChild { supervisor, id, new } => bytes(new)
            .and_then(|new| ask_about(runtime, supervisor, id, |id| Request::RenameChild(id, new), deadline)),
        BuiltIn::StartApplication(app) => run_application(apps, app, deadline),
        BuiltIn::LoadApplication(app) => know_application(apps, app),
        BuiltIn::StopApplication(app) => runtime
            .stop_application(app.as_str(), StopCause::Upgrade, deadline)
            .map_err(|error| error.to_string()),
        BuiltIn::UnloadApplication(app) => {
            runtime.unload_application(app.as_str());
            Ok(())
        }
    };
    done.map_err(|reason| NodeError::Call { call: call.to_string(), reason })
}

fn know_application(apps: Apps<'_>, app: &AppName) -> Result<(), String> {
    let spec = apps.spec(app).ok_or_else(|| format!("the release has no app {app}"))?;
    apps.runtime.load_application(runtime_spec(&spec)?);
    Ok(())
}

fn run_application(apps: Apps<'_>, app: &AppName, deadline: Instant) -> Result<(), String> {
    know_application(apps, app)?;
    apps.runtime.start_application(app.as_str(), deadline).map_err(|error| error.to_string())
}

fn ask_about(
    runtime: &Runtime,
    supervisor: &str,
    id: &Value,
    request: impl FnOnce(ByteBuf) -> Request,
    deadline: Instant,
) -> Result<(), String> {
    ask_supervisor(runtime, supervisor_at(runtime, supervisor)?, &request(bytes(id)?), deadline)
}

pub(super) fn ask_supervisor(
    runtime: &Runtime,
    pid: Pid,
    request: &Request,
    deadline: Instant,
) -> Result<(), String> {
    reply(runtime.call_supervisor(pid, runtime::term::encode(request), deadline))
}

/// Starts a child while the gate still holds the members of the window.
pub(super) fn start_child_held(
    runtime: &Runtime,
    window: &mut Window,
    call: &BuiltIn,
    held: Instant,
    deadline: Instant,
) -> Result<(), NodeError> {
    let request = match call {
        BuiltIn::StartChild { supervisor, spec } => start_child(spec).map(|request| (supervisor, request)),
        BuiltIn::RestartChild { supervisor, id } => {
            bytes(id).map(|id| (supervisor, Request::RestartChild(id)))
        }
        _ => Err("the call does not start a child".to_owned()),
    };
    let started = request.and_then(|(supervisor, request)| {
        let request = (supervisor_at(runtime, supervisor)?, runtime::term::encode(&request));
        reply(window.start_child(runtime, request, held, deadline))
    });
    started.map_err(|reason| NodeError::Call { call: call.to_string(), reason })
}

/// Decodes the answer of a supervisor.
fn reply(answer: Answer) -> Result<(), String> {
    match answer {
        Answer::Reply(bytes) => match runtime::term::decode::<Reply<IgnoredAny>>(&bytes)? {
            Reply::Ok(_) => Ok(()),
            Reply::Error(error) => {
                let word = serde_json::to_value(error.reason).unwrap_or_default();
                Err(format!("{}: {}", word.as_str().unwrap_or_default(), error.text))
            }
        },
        Answer::Started(_) => Ok(()),
        Answer::Timeout => Err("the supervisor did not answer in time".to_owned()),
        Answer::Exit(exit) => Err(format!("the supervisor ended: {exit}")),
    }
}

pub(super) fn supervisor_at(runtime: &Runtime, place: &str) -> Result<Pid, String> {
    runtime.find_supervisor(place).map_err(|missing| missing.to_string())
}

/// Lists the children of a supervisor that have ids.
pub(super) fn children_of(runtime: &Runtime, supervisor: Pid) -> Option<Vec<Child>> {
    let child = |row: supervisor::Child| {
        let runs = row.pid.is_some() || row.restarting;
        has_id(&row.id).then(|| Child { id: term::to_json(&row.id).unwrap_or_default(), runs })
    };
    runtime.which_children(supervisor)?.into_iter().map(child).collect()
}

/// Finds a child that the script will delete. If its supervisor is missing, the call that deletes
/// the child reports that later.
pub(super) fn leaving(runtime: &Runtime, child: &LeavingChild) -> Option<(Pid, Vec<u8>)> {
    Some((supervisor_at(runtime, &child.supervisor).ok()?, bytes(&child.id).ok()?.into_vec()))
}

fn start_child(spec: &Value) -> Result<Request, String> {
    let spec: q::ChildSpec =
        serde_json::from_value(spec.clone()).map_err(|error| format!("the child spec: {error}"))?;
    Ok(Request::StartChild(child_spec(&spec).map_err(|error| error.to_string())?))
}

fn bytes(id: &Value) -> Result<ByteBuf, String> {
    term::to_msgpack(id).map(ByteBuf::from).map_err(|error| error.to_string())
}

/// Returns the start argument of a task that runs a function.
pub(super) fn argument(call: &Apply) -> Result<Vec<u8>, String> {
    let function = Function { function: &call.function, args: &call.args };
    let args = serde_json::to_value(function).map_err(|error| error.to_string())?;
    term::to_msgpack(&args).map_err(|error| error.to_string())
}

/// Returns whether a child has an id. The children of a simple_one_for_one have nil instead.
pub(super) fn has_id(id: &[u8]) -> bool {
    !term::to_json(id).unwrap_or_default().is_null()
}
