//! Messages to processes, and processes started by hand.

use std::time::{Duration, Instant};

use axum::body::Body;
use reld_api::request as q;
use reld_api::response as r;
use reld_api::{ErrorCode, ErrorReport, ExitCode, term};
use reld_runtime::{Answer, Behaviour, BodyKind, RequestKind};
use reld_wire::{Exit, Pid};
use serde_json::Value;
use tokio::sync::mpsc as channel;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::api_server::api::Api;
use crate::api_server::look::{BOUNDARY, json, millis, not_loaded};
use crate::api_server::routing::line;

/// The default time limit of a call. OTP: the default of `gen_server:call`.
const CALL: Duration = Duration::from_secs(5);
/// The time limit for an init.
const START: Duration = Duration::from_secs(30);

pub(super) fn bytes(value: &Value) -> Result<Vec<u8>, ErrorReport> {
    term::to_msgpack(value).map_err(|error| cannot_be_sent(&error))
}

pub(super) fn cannot_be_sent(error: &term::TermError) -> ErrorReport {
    ErrorReport::new(ErrorCode::BadRequest, "cannot encode the value", ExitCode::Usage)
        .caused_by(error.to_string())
}

/// Calls a process without blocking a thread.
pub(super) async fn ask(
    api: &Api,
    kind: RequestKind,
    pid: Pid,
    body: Vec<u8>,
    timeout: Option<Duration>,
) -> Result<Vec<u8>, ErrorReport> {
    let (done, answer) = tokio::sync::oneshot::channel();
    api.runtime.call_then(kind, pid, body, timeout, move |answer| {
        // This fails if the client has disconnected.
        let _ = done.send(answer);
    });
    match answer.await {
        Ok(Answer::Reply(reply)) => Ok(reply),
        Ok(Answer::Started(pid)) => Ok(reld_runtime::term::encode(&pid)),
        Ok(Answer::Timeout) => {
            let after = timeout.map_or(0, millis);
            Err(ErrorReport::refused(
                ErrorCode::Timeout,
                format!("{} did not reply within {after} ms", api.runtime.called(pid)),
            ))
        }
        Ok(Answer::Exit(Exit::Overloaded)) => {
            let full = format!("the mailbox of {} is full; the call was not sent", api.runtime.called(pid));
            Err(ErrorReport::refused(ErrorCode::Overloaded, full)
                .with_hint("`relctl proc` shows the waiting messages and the limit"))
        }
        Ok(Answer::Exit(exit)) => {
            Err(ErrorReport::refused(ErrorCode::Exit, format!("{pid} ended without a reply"))
                .caused_by(exit.to_string()))
        }
        Err(_) => Err(ErrorReport::refused(ErrorCode::Stopping, "the node is stopping")),
    }
}

/// Encodes a message, and checks that its receiver can decode it. OTP delivers any term, and a term
/// that matches no clause ends the server. Unlike OTP, a typo at a terminal must not cost a state.
async fn message(api: &Api, pid: Pid, kind: BodyKind, value: &Value) -> Result<Vec<u8>, ErrorReport> {
    let name = api.runtime.called(pid);
    match api.runtime.process(pid).map(|info| info.behaviour) {
        Some(Behaviour::Supervisor) => {
            return Err(ErrorReport::refused(ErrorCode::NotAServer, format!("{name} is a supervisor"))
                .with_hint(
                    "`relctl child` sends requests to supervisors, `relctl tree --sup` shows their children",
                ));
        }
        Some(Behaviour::Application) => {
            let message = format!("{name} is the process of an app, which takes no messages");
            return Err(ErrorReport::refused(ErrorCode::NotAServer, message)
                .with_hint("`relctl app` starts and stops apps"));
        }
        Some(_) | None => {}
    }
    let (done, answer) = tokio::sync::oneshot::channel();
    api.runtime.accepts_then(pid, kind, bytes(value)?, move |accepted| {
        // This fails if the client has disconnected.
        let _ = done.send(accepted);
    });
    let refuse = |code, why: String| {
        ErrorReport::refused(code, format!("{name} cannot decode this message; nothing was sent"))
            .caused_by(why)
    };
    match tokio::time::timeout(BOUNDARY, answer).await {
        Ok(Ok(accepted)) => accepted.map_err(|why| refuse(ErrorCode::Undecodable, why.to_string())),
        Ok(Err(_)) => Err(ErrorReport::refused(ErrorCode::Stopping, "the node is stopping")),
        Err(_) => Err(refuse(
            ErrorCode::Timeout,
            format!("its code did not check the message within {} ms", millis(BOUNDARY)),
        )),
    }
}

pub(super) async fn call(api: Api, request: q::Call) -> Result<r::Replied, ErrorReport> {
    let pid = api.find(&request.process)?;
    let body = message(&api, pid, BodyKind::Call, &request.request).await?;
    let timeout = request.timeout_ms.map_or(CALL, Duration::from_millis);
    let began = Instant::now();
    let reply = ask(&api, RequestKind::Call, pid, body, Some(timeout)).await?;
    let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(r::Replied { pid: pid.to_string(), reply: json(&reply), took_us })
}

pub(super) async fn cast(api: Api, request: q::Cast) -> Result<r::Sent, ErrorReport> {
    let pid = api.find(&request.process)?;
    let body = message(&api, pid, BodyKind::Cast, &request.message).await?;
    api.runtime.cast(pid, body);
    Ok(r::Sent { pid: pid.to_string() })
}

pub(super) async fn spawn(api: &Api, module: String, args: &Value) -> Result<r::Spawned, ErrorReport> {
    let pid = start(api, module, bytes(args)?).await?;
    Ok(r::Spawned { pid: pid.to_string() })
}

async fn start(api: &Api, module: String, args: Vec<u8>) -> Result<Pid, ErrorReport> {
    if api.runtime.current_version(&module).is_none() {
        return Err(not_loaded(&module));
    }
    let failed = format!("cannot start a process of {module}");
    let started = api.wait(move |runtime| {
        let why = |exit: Exit| {
            ErrorReport::refused(ErrorCode::StartFailed, failed.clone()).caused_by(exit.to_string())
        };
        runtime.spawn(&module, args, START).map_err(why)
    });
    started
        .await?
        .ok_or_else(|| ErrorReport::refused(ErrorCode::Ignore, "the init of the process returned ignore"))
}

/// Streams one line when the process has started, and one when it has ended. If the client
/// disconnects, the process gets an exit signal.
pub(super) async fn spawn_link(api: Api, request: q::SpawnLink) -> Result<Body, ErrorReport> {
    let pid = start(&api, request.module, bytes(&request.args)?).await?;
    let (events, stream) = channel::unbounded_channel();
    let exited = events.clone();
    // This fails if the client has disconnected.
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
    Ok(Body::from_stream(events.map(line)))
}
