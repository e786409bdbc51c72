//! Requests that wait for an answer: call, spawn, sleep.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::Body;
use crate::codec::{self, Undecodable, read};
use crate::exit::Exit;
use crate::host::{self, Closed, Refused, RequestKind, Tie};
use crate::names::{NotFound, Pid, To};
use crate::process::{find, receiver, self_pid};
use crate::time::milliseconds;
use crate::wait::Wait;

/// The reason why a call has no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The time-out expired. The server may still handle the request; its late reply is dropped.
    #[error("the call timed out")]
    Timeout,
    /// The server ended before it replied, or no process has its pid.
    #[error("the server ended: {0}")]
    Exit(Exit),
    /// No process has the name or is at the place.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// The request could not be serialized, or the reply has another type.
    #[error(transparent)]
    Undecodable(#[from] Undecodable),
    /// The function was not called inside a callback.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl From<CallError> for Exit {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Exit(exit) => exit,
            CallError::Undecodable(error) => error.into(),
            other => Self::error(other),
        }
    }
}

/// Calls a gen_server or a task, and waits for the reply. Unlike OTP, a failed call returns an
/// error and does not end the caller.
///
/// Nothing is sent before the first poll, and the time-out begins when the callback waits. Dropping
/// the future gives the call up. `[callback]`
///
/// # Errors
/// See [`CallError`].
pub async fn call<R: DeserializeOwned>(
    to: impl Into<To>,
    request_body: &impl Serialize,
    timeout: Duration,
) -> Result<R, CallError> {
    let body = codec::body(request_body).map_err(|error| error.of("call"))?;
    let wait = open(RequestKind::Call, to.into(), body, timeout)?;
    Ok(read("reply", &reply(wait.await)?)?)
}

/// Opens a request and waits for its answer.
pub(crate) async fn request(
    kind: RequestKind,
    to: To,
    body: Body,
    timeout: Duration,
) -> Result<Body, CallError> {
    reply(open(kind, to, body, timeout)?.await)
}

fn open(kind: RequestKind, to: To, body: Body, timeout: Duration) -> Result<Wait, CallError> {
    let to = find(to)?;
    let reference = host::ask(|host| host.call(kind, to, body, milliseconds(timeout)))??;
    Ok(match kind {
        RequestKind::Call | RequestKind::Supervisor | RequestKind::Stop => Wait::for_another(reference),
        RequestKind::Port | RequestKind::Table => Wait::new(reference),
    })
}

/// Stops another process with that reason, and waits for its end. The process runs its terminate,
/// whether or not it traps exits. It ends after the running callback, before any waiting message.
/// OTP: `gen_server:stop/3`. `[callback]`
///
/// For the supervisor of the process, this is an end like any other: a permanent child is
/// restarted.
///
/// # Errors
/// - [`CallError::Exit`] with the exit reason, if it is not `reason`. It is [`Exit::Noproc`] if no
///   process has the pid. It is [`Exit::Error`] for a task, which cannot be stopped this way, and
///   for the running process, which ends by [`Next::Stop`](crate::Next::Stop).
/// - [`CallError::Timeout`] if the process has not ended in time. It will still end.
pub async fn stop(to: impl Into<To>, reason: Exit, timeout: Duration) -> Result<(), CallError> {
    let to = to.into();
    if receiver(&to).is_some_and(|pid| self_pid() == Some(pid)) {
        return Err(CallError::Exit(Exit::error("a process cannot stop itself by stop; return Next::Stop")));
    }
    let body = codec::body(&reason).map_err(|error| error.of("reason"))?;
    match request(RequestKind::Stop, to, body, timeout).await {
        Err(CallError::Exit(exit)) if exit == reason => Ok(()),
        ended => ended.map(drop),
    }
}

/// Starts a process of `module` outside any supervisor, and waits for its init. `[callback]`
///
/// # Errors
/// [`CallError::Exit`] with the reason of an init that failed.
pub async fn spawn(module: &str, args: &impl Serialize) -> Result<Pid, CallError> {
    start(module, args, Tie::None).await
}

/// Works like [`spawn`], and links the process to the caller. `[callback]`
///
/// # Errors
/// The same as for [`spawn`].
pub async fn spawn_link(module: &str, args: &impl Serialize) -> Result<Pid, CallError> {
    start(module, args, Tie::Link).await
}

pub(crate) async fn start(module: &str, args: &impl Serialize, tie: Tie) -> Result<Pid, CallError> {
    let args = codec::body(args).map_err(|error| error.of("start argument"))?;
    let reference = host::ask(|host| host.spawn(module, args, tie))??;
    Ok(read("pid", &reply(Wait::for_another(reference).await)?)?)
}

/// Waits for this time. Meanwhile the process handles no message; to get a message later instead,
/// use [`send_after`](crate::send_after). Outside a callback the function returns at once.
/// `[callback]`
pub async fn sleep(time: Duration) {
    if let Ok(Ok(reference)) = host::ask(|host| host.sleep(milliseconds(time))) {
        // Any answer ends the wait.
        let _ = Wait::new(reference).await;
    }
}

fn reply(closed: Result<Closed, Refused>) -> Result<Body, CallError> {
    match closed? {
        Closed::Reply(reply) => Ok(reply),
        Closed::Timeout => Err(CallError::Timeout),
        Closed::Exit(exit) => Err(CallError::Exit(exit)),
    }
}
