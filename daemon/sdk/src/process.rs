//! Actions of a callback on its own process and on others, without waiting.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{self, Undecodable};
use crate::exit::Exit;
use crate::host::{self, Host, Refused, SendKind};
use crate::names::{From, MonitorRef, NotFound, Pid, Timer, To};
use crate::time::milliseconds;

/// The reason why a message could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The message cannot be serialized.
    #[error(transparent)]
    Undecodable(#[from] Undecodable),
    /// The function was not called inside a callback.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl std::convert::From<SendError> for Exit {
    fn from(error: SendError) -> Self {
        Self::error(error)
    }
}

impl std::convert::From<Refused> for Exit {
    fn from(error: Refused) -> Self {
        Self::error(error)
    }
}

fn ask<T>(question: impl FnOnce(&dyn Host) -> Result<T, Refused>) -> Result<T, Refused> {
    host::ask(question).and_then(|answer| answer)
}

/// Returns the process that would get a message.
pub(crate) fn receiver(to: &To) -> Option<Pid> {
    match to {
        To::Pid(pid) => Some(*pid),
        To::Name(name) => whereis(name),
        To::Path(path) => host::ask(|host| host.find(path, false)).ok()?.ok()?.ok(),
    }
}

/// Returns the process that would get a message now.
///
/// # Errors
/// The missing part of the name or place, and the nearest existing ones.
pub fn find(to: impl Into<To>) -> Result<Pid, NotFound> {
    let to = to.into();
    if let Some(pid) = receiver(&to) {
        return Ok(pid);
    }
    let (To::Name(place) | To::Path(place)) = to else { return Err(NotFound(Refused.to_string())) };
    match host::ask(|host| host.find(&place, true)) {
        Ok(Ok(found)) => found.map_err(NotFound),
        Ok(Err(refused)) | Err(refused) => Err(NotFound(format!("cannot find {place}: {refused}"))),
    }
}

/// Returns the running process; `None` outside a callback. OTP: `self/0`.
pub fn self_pid() -> Option<Pid> {
    host::ask(|host| host.self_pid()).ok().flatten()
}

/// Sends a request without a reply. If there is no such process, the request is dropped. OTP:
/// `gen_server:cast/2`. `[callback]`
///
/// # Errors
/// See [`SendError`]. A missing process is not an error.
pub fn cast(to: impl Into<To>, request: &impl Serialize) -> Result<(), SendError> {
    deliver(SendKind::Cast, &to.into(), request)
}

/// Sends a message that arrives in `handle_info`. If there is no such process, the message is
/// dropped. OTP: `!`. `[callback]`
///
/// # Errors
/// See [`SendError`]. A missing process is not an error.
pub fn send(to: impl Into<To>, message: &impl Serialize) -> Result<(), SendError> {
    deliver(SendKind::Info, &to.into(), message)
}

fn deliver(kind: SendKind, to: &To, message: &impl Serialize) -> Result<(), SendError> {
    let body = codec::body(message)?;
    match receiver(to) {
        Some(pid) => Ok(ask(|host| host.send(kind, pid, body))?),
        None => Ok(()),
    }
}

/// Calls [`GenServer::handle_continue`](crate::GenServer::handle_continue) after this callback:
/// after the reply, and before any other message. The callback may be init. OTP: `{continue,
/// Term}`. `[callback]`
///
/// # Errors
/// See [`SendError`]. Processes that are not gen_servers get [`Refused`] too.
pub fn continue_with(argument: &impl Serialize) -> Result<(), SendError> {
    let body = codec::body(argument)?;
    Ok(ask(|host| host.continue_with(body))?)
}

/// Calls [`GenServer::handle_timeout`](crate::GenServer::handle_timeout) if no message arrives for
/// this long after the callback. When any other callback runs, the time-out is cancelled. It
/// outlives an upgrade. OTP: the time-out of `{noreply, State, Timeout}`. `[callback]`
///
/// # Errors
/// [`Refused`] outside a callback, and in processes that are not gen_servers.
pub fn receive_timeout(after: Duration) -> Result<(), Refused> {
    ask(|host| host.receive_timeout(milliseconds(after)))
}

/// Limits the mailbox of the running process to this many messages; 0 removes the limit. Use it in
/// a server that would rather refuse a request than answer it late, usually in init.
///
/// When the mailbox is full, messages of other processes are refused. A call is answered with
/// [`Exit::Overloaded`] at once; other messages and the ticks of intervals are dropped and counted.
/// Messages that the process asked for always arrive: its messages to itself, its timers, the ends
/// of monitored processes, and events of its ports. System messages are not refused either. The
/// limit outlives upgrades, and `relctl proc` shows it. In OTP, mailboxes have no limit.
/// `[callback]`
///
/// # Errors
/// The function was not called inside a callback, or it was called in a supervisor or application.
pub fn bound_mailbox(messages: usize) -> Result<(), Refused> {
    ask(|host| host.bound_mailbox(messages as u64))
}

/// Answers a call after [`Answer::NoReply`](crate::Answer::NoReply). If the caller no longer waits,
/// the answer is dropped. OTP: `gen_server:reply/2`. `[callback]`
///
/// # Errors
/// See [`SendError`].
pub fn reply(to: From, reply: &impl Serialize) -> Result<(), SendError> {
    let body = codec::body(reply)?;
    Ok(ask(|host| host.reply(to, body))?)
}

/// Sends a message after this time. The timer outlives upgrades, but not its target. OTP:
/// `erlang:send_after/3`. `[callback]`
///
/// # Errors
/// See [`SendError`].
pub fn send_after(to: Pid, after: Duration, message: &impl Serialize) -> Result<Timer, SendError> {
    let body = codec::body(message)?;
    Ok(ask(|host| host.send_after(to, milliseconds(after), body))?)
}

/// Sends a message periodically, first after one period, until the interval is cancelled or its
/// target ends. The interval outlives upgrades. OTP: `timer:send_interval/3`. Unlike OTP, missed
/// periods are skipped. `[callback]`
///
/// # Errors
/// See [`SendError`].
pub fn send_interval(to: Pid, every: Duration, message: &impl Serialize) -> Result<Timer, SendError> {
    let body = codec::body(message)?;
    Ok(ask(|host| host.send_interval(to, milliseconds(every), body))?)
}

/// Returns the time until a timer fires, in whole milliseconds; `None` if it has fired or was
/// cancelled. OTP: `erlang:read_timer/1`. `[callback]`
pub fn read_timer(timer: Timer) -> Option<Duration> {
    host::ask(|host| host.read_timer(timer)).ok().flatten().map(Duration::from_millis)
}

/// Cancels a timer or an interval. Returns whether it was still active. A message that was already
/// sent may still arrive. OTP: `erlang:cancel_timer/1`. `[callback]`
pub fn cancel_timer(timer: Timer) -> bool {
    host::ask(|host| host.cancel_timer(timer)).unwrap_or(false)
}

/// The reason why a name could not be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// A process already has the name. It may be the running process itself.
    #[error("the name {name:?} is taken by {holder}")]
    Taken {
        /// The name that is taken.
        name: String,
        /// The process that has the name.
        holder: Pid,
    },
    /// The name is empty, contains `/`, or looks like a pid.
    #[error("cannot register the name {0:?}: it must not be empty, contain `/`, or look like a pid")]
    NoName(String),
    /// The function was not called inside a callback.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl std::convert::From<RegisterError> for Exit {
    fn from(error: RegisterError) -> Self {
        Self::error(error)
    }
}

/// Registers a name for the running process. OTP: `erlang:register/2`. `[callback]`
///
/// # Errors
/// See [`RegisterError`].
pub fn register(name: &str) -> Result<(), RegisterError> {
    ask(|host| host.register(name)).map_err(|refused| match whereis(name) {
        Some(holder) => RegisterError::Taken { name: name.to_owned(), holder },
        None if self_pid().is_some() => RegisterError::NoName(name.to_owned()),
        None => refused.into(),
    })
}

/// Unregisters a name of the running process. `[callback]`
///
/// # Errors
/// The running process does not have that name.
pub fn unregister(name: &str) -> Result<(), Refused> {
    ask(|host| host.unregister(name))
}

/// Returns the process with that name.
pub fn whereis(name: &str) -> Option<Pid> {
    host::ask(|host| host.whereis(name)).ok().flatten()
}

/// Links the running process with another one: when one of them ends abnormally, the other ends
/// too. `[callback]`
///
/// # Errors
/// The function was not called inside a callback.
pub fn link(with: Pid) -> Result<(), Refused> {
    ask(|host| host.link(with))
}

/// Removes a link. `[callback]`
///
/// # Errors
/// The function was not called inside a callback.
pub fn unlink(with: Pid) -> Result<(), Refused> {
    ask(|host| host.unlink(with))
}

/// Monitors a process. One `Down` with the returned reference arrives when the process ends, or at
/// once if the process does not exist. `[callback]`
///
/// # Errors
/// The function was not called inside a callback.
pub fn monitor(pid: Pid) -> Result<MonitorRef, Refused> {
    ask(|host| host.monitor(pid))
}

/// Removes a monitor. `[callback]`
///
/// # Errors
/// The reference is not a monitor of the running process.
pub fn demonitor(monitor: MonitorRef) -> Result<(), Refused> {
    ask(|host| host.demonitor(monitor))
}

/// Sends an exit signal. [`Exit::Killed`] cannot be trapped. OTP: `exit/2`. `[callback]`
///
/// # Errors
/// The function was not called inside a callback.
pub fn exit(to: Pid, reason: Exit) -> Result<(), Refused> {
    ask(|host| host.exit(to, reason))
}

/// Turns trapping of exits on or off. When it is on, exit signals of linked processes arrive as
/// [`Info::Exit`](crate::Info::Exit), and terminate runs when the supervisor stops the process.
/// OTP: `process_flag(trap_exit, _)`. `[callback]`
///
/// # Errors
/// The function was not called inside a callback.
pub fn trap_exit(on: bool) -> Result<(), Refused> {
    ask(|host| host.trap_exit(on))
}

/// Reads one key of the app's environment; `None` when the key is not set. OTP:
/// `application:get_env/1`. `[callback]`
///
/// # Errors
/// The value is not a `T`.
pub fn env<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Undecodable> {
    let value = host::ask(|host| host.env(key)).ok().flatten();
    value.map(|bytes| codec::decode(&bytes).map_err(|error| error.of(key))).transpose()
}
