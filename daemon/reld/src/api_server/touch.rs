//! Touch verbs: reach into the running node.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use reld_api::request as q;
use reld_api::response as r;
use reld_api::{ErrorReport, ExitCode, Request as _, term};
use reld_runtime::{Answer, AppError, Behaviour, BodyKind, Place, RequestKind, parse_pid};
use reld_wire::application::StopCause;
use reld_wire::spec::ChildType;
use reld_wire::supervisor::{Child, Counts, Error, Reason, Reply, Request};
use reld_wire::{Exit, Pid};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use serde_json::{Value, json};
use tokio::sync::mpsc as channel;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::look::{json, lingering, millis, not_loaded, sys_error};
use super::{Api, on, on_follow, trace};
use crate::child_spec::{child_spec, shown};

/// OTP: the default of `gen_server:call`.
const CALL: Duration = Duration::from_secs(5);
/// How long a process may take to come to a callback boundary.
const BOUNDARY: Duration = Duration::from_secs(5);
/// How long an init or a library may take.
const START: Duration = Duration::from_secs(30);
/// How long an application may take to start or to stop.
const APPLICATION: Duration = Duration::from_secs(60);
/// How long killed processes are waited for.
const KILL_GRACE: Duration = Duration::from_secs(1);

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = on(router, |api: Api, request: q::Call| async move { call(api, request).await });
    let router = on(router, |api: Api, request: q::Cast| async move { cast(api, request).await });
    let router =
        on(
            router,
            |api: Api, request: q::Spawn| async move { spawn(&api, request.module, &request.args).await },
        );
    let router =
        on_follow(router, |api: Api, request: q::SpawnLink| async move { spawn_link(api, request).await });
    let router = on(router, |api: Api, request: q::Suspend| async move { suspend(api, request).await });
    let router = on(router, |api: Api, request: q::Resume| async move { resume(api, request).await });
    let router =
        on(router, |api: Api, request: q::ReplaceState| async move { replace_state(api, request).await });
    let router = on(router, |api: Api, request: q::Terminate| async move { terminate(api, request).await });
    let router = on(router, |api: Api, request: q::CountMessages| async move { count(api, request).await });
    let router = on(router, |api: Api, request: q::KeepLog| async move { keep_log(api, request).await });
    let router = on(router, |api: Api, request: q::NoDebug| async move { no_debug(api, request).await });
    let router =
        on_follow(router, |api: Api, request: q::Trace| async move { trace::trace(api, request).await });
    let router =
        on(router, |api: Api, request: q::ChangeCode| async move { change_code(api, request).await });
    let router = on(router, |api: Api, request: q::Purge| async move { purge(api, request.module).await });
    let router =
        on(router, |api: Api, request: q::SoftPurge| async move { soft_purge(api, request.module).await });
    let router = on(router, |api: Api, request: q::Kill| async move { kill(&api, &request) });
    let router =
        on(router, |api: Api, request: q::ChildStart| async move { child_start(api, request).await });
    let router =
        on(router, |api: Api, request: q::ChildTerminate| async move { child_terminate(api, request).await });
    let router =
        on(router, |api: Api, request: q::ChildRestart| async move { child_restart(api, request).await });
    let router =
        on(router, |api: Api, request: q::ChildDelete| async move { child_delete(api, request).await });
    let router = on(router, |api: Api, request: q::Children| async move { children(api, request).await });
    let router =
        on(router, |api: Api, request: q::ChildSpecOf| async move { child_spec_of(api, request).await });
    let router =
        on(router, |api: Api, request: q::AppStart| async move { app_start(api, request.app).await });
    on(router, |api: Api, request: q::AppStop| async move { app_stop(api, request.app).await })
}

// --- messages --------------------------------------------------------------------------------------------------------

fn bytes(value: &Value) -> Result<Vec<u8>, ErrorReport> {
    term::to_msgpack(value).map_err(|error| cannot_be_sent(&error))
}

fn cannot_be_sent(error: &term::TermError) -> ErrorReport {
    ErrorReport::new("bad_request", "the value cannot be sent", ExitCode::Usage).caused_by(error.to_string())
}

/// Calls a process without holding a thread.
async fn ask(
    api: &Api,
    kind: RequestKind,
    pid: Pid,
    body: Vec<u8>,
    timeout: Option<Duration>,
) -> Result<Vec<u8>, ErrorReport> {
    let (done, answer) = tokio::sync::oneshot::channel();
    api.runtime.call_then(kind, pid, body, timeout, move |answer| {
        // A client that hung up has no use for the answer.
        let _ = done.send(answer);
    });
    match answer.await {
        Ok(Answer::Reply(reply)) => Ok(reply),
        Ok(Answer::Timeout) => {
            let after = timeout.map_or(0, millis);
            Err(ErrorReport::refused(
                "timeout",
                format!("{} did not reply within {after} ms", api.runtime.called(pid)),
            ))
        }
        Ok(Answer::Exit(Exit::Overloaded)) => {
            let full = format!("the mailbox of {} is full; the call was not sent", api.runtime.called(pid));
            Err(ErrorReport::refused("overloaded", full)
                .with_hint("`relctl proc` shows what waits there, and how many it allows"))
        }
        Ok(Answer::Exit(exit)) => {
            Err(ErrorReport::refused("exit", format!("{pid} ended without a reply"))
                .caused_by(exit.to_string()))
        }
        Err(_) => Err(ErrorReport::refused("stopping", "the node stops")),
    }
}

/// Returns the bytes of a message that its receiver takes and can decode. OTP delivers any term, and one that no clause
/// matches ends the server; a typo at a terminal is no reason to lose a state.
async fn message(api: &Api, pid: Pid, kind: BodyKind, value: &Value) -> Result<Vec<u8>, ErrorReport> {
    let name = api.runtime.called(pid);
    match api.runtime.process(pid).map(|info| info.behaviour) {
        Some(Behaviour::Supervisor) => {
            return Err(ErrorReport::refused("not_a_server", format!("{name} is a supervisor"))
                .with_hint("`relctl child` asks supervisors, `relctl tree --sup` shows their children"));
        }
        Some(Behaviour::Application) => {
            let message = format!("{name} is the process of an app, which takes no messages");
            return Err(
                ErrorReport::refused("not_a_server", message).with_hint("`relctl app` starts and stops apps")
            );
        }
        Some(_) | None => {}
    }
    let (done, answer) = tokio::sync::oneshot::channel();
    api.runtime.accepts_then(pid, kind, bytes(value)?, move |accepted| {
        // A client that hung up has no use for the answer.
        let _ = done.send(accepted);
    });
    let refuse = |kind: &str, why: String| {
        ErrorReport::refused(kind, format!("{name} would not understand this; nothing was sent"))
            .caused_by(why)
    };
    match tokio::time::timeout(BOUNDARY, answer).await {
        Ok(Ok(accepted)) => accepted.map_err(|why| refuse("undecodable", why.to_string())),
        Ok(Err(_)) => Err(ErrorReport::refused("stopping", "the node stops")),
        Err(_) => Err(refuse(
            "timeout",
            format!("its code has not read the message within {} ms", millis(BOUNDARY)),
        )),
    }
}

async fn call(api: Api, request: q::Call) -> Result<r::Replied, ErrorReport> {
    let pid = api.find(&request.process)?;
    let body = message(&api, pid, BodyKind::Call, &request.request).await?;
    let timeout = request.timeout_ms.map_or(CALL, Duration::from_millis);
    let began = Instant::now();
    let reply = ask(&api, RequestKind::Call, pid, body, Some(timeout)).await?;
    let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(r::Replied { pid: pid.to_string(), reply: json(&reply), took_us })
}

async fn cast(api: Api, request: q::Cast) -> Result<r::Sent, ErrorReport> {
    let pid = api.find(&request.process)?;
    let body = message(&api, pid, BodyKind::Cast, &request.message).await?;
    api.runtime.cast(pid, body);
    Ok(r::Sent { pid: pid.to_string() })
}

async fn spawn(api: &Api, module: String, args: &Value) -> Result<r::Spawned, ErrorReport> {
    let pid = start(api, module, bytes(args)?).await?;
    Ok(r::Spawned { pid: pid.to_string() })
}

async fn start(api: &Api, module: String, args: Vec<u8>) -> Result<Pid, ErrorReport> {
    if api.runtime.current_version(&module).is_none() {
        return Err(not_loaded(&module));
    }
    let failed = format!("no process of {module} was started");
    let started = api.wait(move |runtime| {
        let why =
            |exit: Exit| ErrorReport::refused("start_failed", failed.clone()).caused_by(exit.to_string());
        runtime.spawn(&module, args, START).map_err(why)
    });
    started.await?.ok_or_else(|| ErrorReport::refused("ignore", "the process's init answered ignore"))
}

/// Two lines: one when the process has started, one when it has ended. A client that hangs up ends it.
async fn spawn_link(api: Api, request: q::SpawnLink) -> Result<Body, ErrorReport> {
    let pid = start(&api, request.module, bytes(&request.args)?).await?;
    let (events, stream) = channel::unbounded_channel();
    let exited = events.clone();
    // Nobody reads when the client is gone.
    let _ = events.send(Some(r::LinkEvent::Spawned { pid: pid.to_string() }));
    api.runtime.on_exit(pid, move |exit| {
        let _ = exited.send(Some(r::LinkEvent::Exited { pid: pid.to_string(), reason: exit.to_string() }));
        let _ = exited.send(None);
    });
    let runtime = api.runtime.clone();
    tokio::spawn(async move {
        events.closed().await;
        runtime.exit(pid, Exit::shutdown());
    });
    let events = UnboundedReceiverStream::new(stream).map_while(|event| event);
    Ok(Body::from_stream(events.map(super::line)))
}

// --- code by hand ----------------------------------------------------------------------------------------------------

async fn suspend(api: Api, request: q::Suspend) -> Result<r::Suspended, ErrorReport> {
    let pid = api.find(&request.process)?;
    api.wait(move |runtime| runtime.suspend(pid, BOUNDARY).map_err(|e| sys_error(&e))).await?;
    Ok(r::Suspended { pid: pid.to_string() })
}

async fn resume(api: Api, request: q::Resume) -> Result<r::Resumed, ErrorReport> {
    let pid = api.find(&request.process)?;
    let queue = api.runtime.process(pid).map_or(0, |info| info.queued as u64);
    api.wait(move |runtime| runtime.resume(pid, BOUNDARY).map_err(|e| sys_error(&e))).await?;
    Ok(r::Resumed { pid: pid.to_string(), queue })
}

/// Asks a process for something at its next boundary.
async fn sys(
    api: Api,
    process: &str,
    ask: impl FnOnce(&reld_runtime::Runtime, Pid) -> Result<(), reld_runtime::SysError> + Send + 'static,
) -> Result<r::SysDone, ErrorReport> {
    let pid = api.find(process)?;
    api.wait(move |runtime| ask(runtime, pid).map_err(|e| sys_error(&e))).await?;
    Ok(r::SysDone { pid: pid.to_string() })
}

async fn replace_state(api: Api, request: q::ReplaceState) -> Result<r::SysDone, ErrorReport> {
    let state = bytes(&request.state)?;
    sys(api, &request.process, |runtime, pid| runtime.replace_state(pid, state, BOUNDARY)).await
}

async fn terminate(api: Api, request: q::Terminate) -> Result<r::SysDone, ErrorReport> {
    let reason = exit_reason(&request.reason);
    sys(api, &request.process, |runtime, pid| runtime.terminate(pid, reason, BOUNDARY)).await
}

async fn count(api: Api, request: q::CountMessages) -> Result<r::SysDone, ErrorReport> {
    sys(api, &request.process, move |runtime, pid| runtime.count(pid, request.on, BOUNDARY)).await
}

async fn keep_log(api: Api, request: q::KeepLog) -> Result<r::SysDone, ErrorReport> {
    let max = request.max.map(|max| max as usize);
    sys(api, &request.process, move |runtime, pid| runtime.keep_log(pid, max, BOUNDARY)).await
}

async fn no_debug(api: Api, request: q::NoDebug) -> Result<r::SysDone, ErrorReport> {
    sys(api, &request.process, move |runtime, pid| runtime.no_debug(pid, BOUNDARY)).await
}

async fn change_code(api: Api, request: q::ChangeCode) -> Result<r::CodeChanged, ErrorReport> {
    let pid = api.find(&request.process)?;
    let runs = api.runtime.process(pid).map(|info| info.module).unwrap_or_default();
    if runs != request.module {
        let message = format!("{pid} runs module {runs}, not {}", request.module);
        return Err(ErrorReport::refused("other_module", message));
    }
    let (from, extra) = (request.from_version, bytes(&request.extra)?);
    api.wait(move |runtime| runtime.change_code(pid, &from, extra, BOUNDARY).map_err(|e| sys_error(&e)))
        .await?;
    api.shared.lock().dirty = true;
    let version = api.runtime.process(pid).map(|info| info.version).unwrap_or_default();
    Ok(r::CodeChanged { pid: pid.to_string(), module: request.module, version })
}

async fn purge(api: Api, module: String) -> Result<r::Purged, ErrorReport> {
    let who = lingering(&api, |info| info.module == module);
    let name = module.clone();
    let purged = purge_by_hand(&api, module.clone(), move |runtime| {
        runtime.purge(&name, Place::Old, Instant::now() + KILL_GRACE)
    });
    let purged = purged.await?;
    if !purged.lingering.is_empty() {
        let stuck: Vec<String> = purged.lingering.iter().map(Pid::to_string).collect();
        let message = format!("module {module} was not purged: {} computes without end", stuck.join(", "));
        return Err(ErrorReport::refused("lingering", message));
    }
    let killed = who.into_iter().filter(|who| purged.killed.iter().any(|pid| pid.to_string() == who.pid));
    let killed = killed.map(|who| r::Ended {
        pid: who.pid,
        name: who.name,
        module: who.module,
        reason: Exit::Killed.to_string(),
    });
    Ok(r::Purged { module, killed: killed.collect() })
}

async fn soft_purge(api: Api, module: String) -> Result<r::SoftPurged, ErrorReport> {
    let name = module.clone();
    let purge = move |runtime: &reld_runtime::Runtime| runtime.soft_purge(&name, Place::Old);
    let purged = purge_by_hand(&api, module.clone(), purge).await?.lingering.is_empty();
    let lingering = if purged { Vec::new() } else { lingering(&api, |info| info.module == module) };
    Ok(r::SoftPurged { module, purged, lingering })
}

/// Changes of code by hand are refused while an upgrade is under way.
async fn purge_by_hand(
    api: &Api,
    module: String,
    purge: impl FnOnce(&reld_runtime::Runtime) -> Result<reld_runtime::Purge, reld_runtime::CodeError>
    + Send
    + 'static,
) -> Result<reld_runtime::Purge, ErrorReport> {
    let runtime = api.runtime.clone();
    let done = api.operator.change(api.entry("a purge by hand", false), move |handler| {
        let purged = purge(&runtime);
        handler.node_mut().purged_by_hand();
        purged
    });
    done.await?.map_err(|_| not_loaded(&module))
}

fn kill(api: &Api, request: &q::Kill) -> Result<r::ExitSent, ErrorReport> {
    let pid = api.find(&request.process)?;
    api.runtime.exit(pid, exit_reason(&request.reason));
    Ok(r::ExitSent { pid: pid.to_string() })
}

/// Reads a reason that somebody typed.
fn exit_reason(text: &str) -> Exit {
    match text {
        "kill" => Exit::Killed,
        "shutdown" => Exit::shutdown(),
        "normal" => Exit::Normal,
        text => Exit::Error(text.to_owned()),
    }
}

// --- children --------------------------------------------------------------------------------------------------------

/// Asks a supervisor.
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
            Err(ErrorReport::new("bug", "a supervisor's answer cannot be read", ExitCode::Bug)
                .caused_by(text))
        }
    }
}

fn child_error(api: &Api, supervisor: Pid, id: &Value, error: &Error) -> ErrorReport {
    let kind = error.reason.to_string();
    let mut report = ErrorReport::refused(&kind, format!("{kind}: {}", error.text));
    report.details = json!({ "id": id, "pid": error.pid.map(|pid| pid.to_string()) });
    if error.reason == Reason::NotFound {
        report.hint = pid_hint(api, supervisor, id);
    }
    report
}

/// Somebody copied a pid from the tree where a child id is wanted.
fn pid_hint(api: &Api, supervisor: Pid, id: &Value) -> Option<String> {
    let pid = parse_pid(id.as_str()?).ok()?;
    let rows = api.runtime.which_children(supervisor)?;
    Some(match rows.iter().find(|row| row.pid == Some(pid)) {
        Some(row) => format!("{pid} is a pid; the child's id is {}", json(&row.id)),
        None => format!("{pid} is a pid, where a child id is wanted; `relctl tree` shows both"),
    })
}

fn id_bytes(id: &Value) -> Result<ByteBuf, ErrorReport> {
    bytes(id).map(ByteBuf::from)
}

async fn child_start(api: Api, request: q::ChildStart) -> Result<r::ChildStarted, ErrorReport> {
    let (id, asked) = match &request.child {
        q::NewChild::Spec(spec) => {
            (spec.id.clone(), Request::StartChild(child_spec(spec).map_err(|e| cannot_be_sent(&e))?))
        }
        q::NewChild::Args(args) => (Value::Null, Request::StartChildArgs(id_bytes(args)?)),
    };
    let pid: Option<Pid> = supervise(&api, &request.supervisor, &asked, &id).await?;
    Ok(r::ChildStarted { id, pid: pid.map(|pid| pid.to_string()) })
}

async fn child_terminate(api: Api, request: q::ChildTerminate) -> Result<r::ChildTerminated, ErrorReport> {
    let id = request.id;
    let asked = match simple_child(&api, &request.supervisor, &id) {
        Some(pid) => Request::TerminatePid(pid),
        None => Request::TerminateChild(id_bytes(&id)?),
    };
    let () = supervise(&api, &request.supervisor, &asked, &id).await?;
    Ok(r::ChildTerminated { id })
}

/// Children of a simple_one_for_one are named by their pids.
fn simple_child(api: &Api, supervisor: &str, id: &Value) -> Option<Pid> {
    let pid = parse_pid(id.as_str()?).ok()?;
    let rows = api.runtime.which_children(api.find_supervisor(supervisor).ok()?)?;
    rows.iter().find(|row| row.pid == Some(pid) && json(&row.id).is_null()).map(|_| pid)
}

async fn child_restart(api: Api, request: q::ChildRestart) -> Result<r::ChildStarted, ErrorReport> {
    let id = request.id;
    let asked = Request::RestartChild(id_bytes(&id)?);
    let pid: Option<Pid> = supervise(&api, &request.supervisor, &asked, &id).await?;
    Ok(r::ChildStarted { id, pid: pid.map(|pid| pid.to_string()) })
}

async fn child_delete(api: Api, request: q::ChildDelete) -> Result<r::ChildDeleted, ErrorReport> {
    let id = request.id;
    let () = supervise(&api, &request.supervisor, &Request::DeleteChild(id_bytes(&id)?), &id).await?;
    Ok(r::ChildDeleted { id })
}

async fn children(api: Api, request: q::Children) -> Result<r::ChildList, ErrorReport> {
    let nobody = Value::Null;
    let counts: Counts = supervise(&api, &request.supervisor, &Request::CountChildren, &nobody).await?;
    let rows: Vec<Child> = supervise(&api, &request.supervisor, &Request::WhichChildren, &nobody).await?;
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

async fn child_spec_of(api: Api, request: q::ChildSpecOf) -> Result<r::ChildSpecShown, ErrorReport> {
    let asked = match simple_child(&api, &request.supervisor, &request.id) {
        Some(pid) => Request::GetChildspecOf(pid),
        None => Request::GetChildspec(id_bytes(&request.id)?),
    };
    let spec = supervise(&api, &request.supervisor, &asked, &request.id).await?;
    let spec = shown(&spec).map_err(|e| cannot_be_sent(&e))?;
    Ok(r::ChildSpecShown { supervisor: request.supervisor, spec })
}

// --- applications ----------------------------------------------------------------------------------------------------

fn app_error(error: &AppError) -> ErrorReport {
    let kind = match error {
        AppError::Unknown(_) => "no_such_application",
        AppError::AlreadyStarted(_) => "already_started",
        AppError::NotStarted(_) | AppError::Needs { .. } => "not_started",
        AppError::Busy(_) => "busy",
        AppError::NoModule { .. } => "not_loaded",
        AppError::Failed { .. } => "start_failed",
        AppError::ConfigChange { .. } => "config_change",
        AppError::TimedOut { .. } => "timeout",
    };
    ErrorReport::refused(kind, error.to_string())
}

/// Starts an app, and what it needs first. OTP: `application:ensure_all_started/1`.
async fn app_start(api: Api, app: String) -> Result<r::AppStarted, ErrorReport> {
    let name = app.clone();
    let started = api.wait(move |runtime| {
        runtime.ensure_all_started(&name, Instant::now() + APPLICATION).map_err(|e| app_error(&e))
    });
    Ok(r::AppStarted { app, started: started.await? })
}

async fn app_stop(api: Api, app: String) -> Result<r::AppStopped, ErrorReport> {
    let name = app.clone();
    let took = api.wait(move |runtime| {
        let began = Instant::now();
        runtime.stop_application(&name, StopCause::ByHand, began + APPLICATION).map_err(|e| app_error(&e))?;
        Ok(began.elapsed())
    });
    let took_us = u64::try_from(took.await?.as_micros()).unwrap_or(u64::MAX);
    Ok(r::AppStopped { app, took_us })
}
