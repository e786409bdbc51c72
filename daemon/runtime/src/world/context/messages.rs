//! Sending messages, and receiving them in a task.

use std::time::Duration;

use reld_wire::task::Entry;

use super::running::{Refused, with, working_for};
use crate::process::body::{AfterCallback, Body, Idle};
use crate::process::current;
use crate::process::mail::Mail;
use crate::words::code::{Behaviour, Bytes, From, Ref};
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::words::term;
use crate::world::World;

/// The reference that stands for the mail of a task when a callback is polled.
pub const MAIL: Ref = 0;

/// The kind of a sent message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendKind {
    /// A message to `handle_cast`.
    Cast,
    /// A message to `handle_info`.
    Info,
}

/// A message that a task receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A request that expects a reply.
    Call(From, Bytes),
    /// A request without a reply, and its sender.
    Cast(Pid, Bytes),
    /// Any other message, and its sender.
    Info(Pid, Bytes),
    /// A linked process ended while this one traps exits.
    Exit(Pid, Exit),
    /// A monitored process ended.
    Down(Ref, Pid, Exit),
    /// An event of the node about a port or table.
    Told(Bytes),
}

/// Sends a message. A message to a dead process is dropped.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn send(kind: SendKind, to: Pid, body: Bytes) -> Result<(), Refused> {
    let from = current::sender().map_or_else(|| record(kind, to, &body), Ok)?;
    let mail = match kind {
        SendKind::Cast => Mail::Cast(from, body),
        SendKind::Info => Mail::Info(from, body),
    };
    working_for(|world| world.post(to, mail))
}

/// Records a message of the running process, and returns the process.
fn record(kind: SendKind, to: Pid, body: &[u8]) -> Result<Pid, Refused> {
    let what = match kind {
        SendKind::Cast => "cast",
        SendKind::Info => "info",
    };
    with(|_, own| {
        note(own, what, to, body);
        own.pid
    })
}

/// Makes the running process handle an event before all waiting mail, as soon as the callback under
/// way has returned. A second call replaces the event. OTP: `{continue, _}`.
///
/// In a task the event is `{module, args}`: a task that ends normally starts again in that module.
/// OTP: a call of another module's loop by its full name.
///
/// # Errors
/// [`Refused`] outside a callback, in supervisors and applications, and in a task if the module of
/// the event is not the module of a task.
pub fn continue_with(body: Bytes) -> Result<(), Refused> {
    with(|world, own| {
        let is_fit = match own.card.code.behaviour() {
            Behaviour::Task => term::decode::<Entry>(&body)
                .ok()
                .and_then(|entry| world.code.resolve(&entry.module))
                .is_some_and(|code| code.behaviour() == Behaviour::Task),
            behaviour => behaviour.is_server(),
        };
        is_fit.then(|| after(world, own).continues = Some(body)).ok_or(Refused)
    })?
}

/// Limits how many messages may wait for the running process; 0 removes the limit. Messages from
/// other processes to a full mailbox are dropped and counted; calls are answered with
/// [`Exit::Overloaded`].
///
/// # Errors
/// [`Refused`] outside a callback, and in supervisors and applications, because the node itself
/// sends their mail.
pub fn bound_mailbox(messages: usize) -> Result<(), Refused> {
    with(|world, own| {
        let behaviour = own.card.code.behaviour();
        let fits = behaviour.is_server() || behaviour == Behaviour::Task;
        let slot = world.slot(own.pid).filter(|_| fits).ok_or(Refused)?;
        own.is_bounded = messages > 0;
        slot.set_bound(own.is_bounded.then_some(messages), own.inbox.len());
        slot.interrupt();
        Ok(())
    })?
}

/// Sets the idle timeout of the running process. It fires if no message arrives within `after` of
/// the end of the callback under way. OTP: the `Timeout` of `{noreply, State, Timeout}`.
///
/// # Errors
/// [`Refused`] outside a callback, and in processes that are not servers.
pub fn receive_timeout(after: Duration) -> Result<(), Refused> {
    with(|world, own| {
        let is_server = own.card.code.behaviour().is_server();
        is_server.then(|| self::after(world, own).idle = Some(Idle::Wanted(after))).ok_or(Refused)
    })?
}

/// Returns the work for the end of the callback under way. The library must not begin the callback
/// of another message before it.
fn after<'a>(world: &World, own: &'a mut Body) -> &'a mut AfterCallback {
    if let Some(slot) = world.slot(own.pid) {
        slot.interrupt();
    }
    own.after()
}

/// Takes the next message of the running task; `Ok(None)` if no message waits.
///
/// # Errors
/// [`Refused`] outside a task.
pub fn recv() -> Result<Option<Message>, Refused> {
    with(|world, own| {
        if own.card.code.behaviour() != Behaviour::Task {
            return Err(Refused);
        }
        let message = next_message(own);
        if own.is_bounded
            && let Some(slot) = world.slot(own.pid)
        {
            slot.set_held(own.inbox.len());
        }
        Ok(message)
    })?
}

/// Takes the next message. Skips a `Down` whose monitor was removed after it was sent.
fn next_message(own: &mut Body) -> Option<Message> {
    loop {
        return Some(match own.inbox.pop_front()? {
            Mail::Call(_, from, body) => {
                own.ties().unanswered.push(from);
                Message::Call(from, body)
            }
            Mail::Cast(from, body) => Message::Cast(from, body),
            Mail::Info(from, body) => Message::Info(from, body),
            Mail::Exit(from, exit) => Message::Exit(from, exit),
            Mail::Down(reference, ..) if !own.stop_watching(reference) => continue,
            Mail::Down(reference, pid, exit) => Message::Down(reference, pid, exit),
            Mail::Told(event) => Message::Told(event),
            // Only servers have an idle timeout.
            Mail::Timeout(_) => continue,
        });
    }
}

pub(super) fn note(own: &mut Body, what: &'static str, to: Pid, body: &[u8]) {
    if let Some(debug) = &mut own.debug {
        debug.sent(what, to, body);
    }
}
