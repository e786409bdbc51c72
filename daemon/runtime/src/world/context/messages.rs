//! Sending messages, and taking them in a task.

use std::time::Duration;

use reld_wire::task::Entry;

use super::running::{Refused, with};
use crate::process::body::{Body, Idle};
use crate::process::mail::Mail;
use crate::words::code::{Behaviour, Bytes, From, Ref};
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::words::term;

/// The reference under which a poll is told that a task has mail.
pub const MAIL: Ref = 0;

/// How a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendKind {
    /// To `handle_cast`.
    Cast,
    /// To `handle_info`.
    Info,
}

/// A message that a task takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A request that wants a reply.
    Call(From, Bytes),
    /// A request without reply, and its sender.
    Cast(Pid, Bytes),
    /// Any other message, and its sender.
    Info(Pid, Bytes),
    /// A linked process ended while this one traps exits.
    Exit(Pid, Exit),
    /// A monitored process ended.
    Down(Ref, Pid, Exit),
    /// From the node itself: of ports and tables.
    Told(Bytes),
}

/// Sends a message; to a dead process it is dropped.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn send(kind: SendKind, to: Pid, body: Bytes) -> Result<(), Refused> {
    with(|world, own| {
        let what = match kind {
            SendKind::Cast => "cast",
            SendKind::Info => "info",
        };
        note(own, what, to, &body);
        let mail = match kind {
            SendKind::Cast => Mail::Cast(own.pid, body),
            SendKind::Info => Mail::Info(own.pid, body),
        };
        world.post(to, mail);
    })
}

/// Puts an event before all that waits for the running process, as soon as the callback under way is over. Another one
/// takes its place. OTP: `{continue, _}`.
///
/// For a task the event is `{module, args}`: when it ends normally, it begins anew there. OTP: a call of another module's
/// loop, by its full name.
///
/// # Errors
/// [`Refused`] outside a callback, in supervisors and applications, and for a task that names no task's module.
pub fn continue_with(body: Bytes) -> Result<(), Refused> {
    with(|world, own| {
        let is_fit = match own.card.code.behaviour() {
            Behaviour::Task => term::decode::<Entry>(&body)
                .ok()
                .and_then(|entry| world.code.resolve(&entry.module))
                .is_some_and(|code| code.behaviour() == Behaviour::Task),
            behaviour => behaviour.is_server(),
        };
        is_fit.then(|| own.after().continues = Some(body)).ok_or(Refused)
    })?
}

/// Lets no more than so many messages wait for the running process; 0 takes the bound away. What others send it when its
/// mailbox is full is dropped and counted, and a call answered with [`Exit::Overloaded`].
///
/// # Errors
/// [`Refused`] outside a callback, and in supervisors and applications, whose mail is the node's own.
pub fn bound_mailbox(messages: usize) -> Result<(), Refused> {
    with(|world, own| {
        let behaviour = own.card.code.behaviour();
        let fits = behaviour.is_server() || behaviour == Behaviour::Task;
        let slot = world.slot(own.pid).filter(|_| fits).ok_or(Refused)?;
        own.is_bounded = messages > 0;
        slot.bound(own.is_bounded.then_some(messages), own.inbox.len());
        Ok(())
    })?
}

/// Tells the running process when nothing has come for so long after the callback under way. OTP: the time-out of
/// `{noreply, State, Timeout}`.
///
/// # Errors
/// [`Refused`] outside a callback, and in processes that are no servers.
pub fn receive_timeout(after: Duration) -> Result<(), Refused> {
    server(|own| own.after().idle = Some(Idle::Wanted(after)))
}

fn server(set: impl FnOnce(&mut Body)) -> Result<(), Refused> {
    with(|_, own| own.card.code.behaviour().is_server().then(|| set(own)).ok_or(Refused))?
}

/// Takes the next message of the running task; `Ok(None)` while there is none.
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
            slot.holds(own.inbox.len());
        }
        Ok(message)
    })?
}

/// Takes the next message; a `Down` that was sent before its monitor was removed is none.
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
            // Only servers wait for nothing.
            Mail::Timeout(_) => continue,
        });
    }
}

pub(super) fn note(own: &mut Body, what: &'static str, to: Pid, body: &[u8]) {
    if let Some(debug) = &mut own.debug {
        debug.sent(what, to, body);
    }
}
