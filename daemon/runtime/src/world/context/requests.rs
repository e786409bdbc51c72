//! Open requests and timers.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::messages::note;
use super::running::{Refused, with};
use crate::io::port;
use crate::pool::blocking::Work;
use crate::process::body::{Answer, Body, Signal, Wait};
use crate::process::current;
use crate::process::mail::{Mail, RequestKind};
use crate::words::code::{Bytes, From, Ref, TimerRef};
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::world::Fire;

/// Opens a request; [`take`] returns its answer. A timeout of `None` waits for ever.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn call(kind: RequestKind, to: Pid, body: Bytes, timeout: Option<Duration>) -> Result<Ref, Refused> {
    with(|world, own| {
        let reference = open(own, Wait::Answer(to), timeout);
        note(own, "call", to, &body);
        world.post(to, Mail::Call(kind, From { caller: own.pid, server: to, reference }, body));
        reference
    })
}

pub(super) fn open(own: &mut Body, wait: Wait, timeout: Option<Duration>) -> Ref {
    own.requests().open(wait, timeout)
}

/// Sends a request to a port (see `io/port.rs`). The answer is available at once, unless the
/// request has to wait.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn port(request: &[u8], timeout: Option<Duration>) -> Result<Ref, Refused> {
    with(|world, own| {
        let reference = open(own, Wait::Port, timeout);
        let is_open = |reference| own.open().iter().any(|open| open.reference == reference);
        let asker = port::Asker {
            ports: &world.ports,
            pid: own.pid,
            parent: own.card.parent,
            reference,
            is_open: &is_open,
        };
        if let Some(answer) = port::ask(&asker, request) {
            own.answer(reference, Answer::Reply(answer));
        }
        reference
    })
}

/// Sends a request to a shared table (see `io/ets.rs`). The answer is available at once.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn table(request: &[u8]) -> Result<Ref, Refused> {
    with(|world, own| {
        let reference = own.new_ref();
        let answer = Answer::Reply(world.tables.ask(&**world, own.pid, request));
        own.requests().answers.push((reference, answer));
        reference
    })
}

/// Runs work on a spare thread. The request gets an empty answer when the work is done, even if the
/// work panics.
///
/// # Errors
/// Outside a callback the work is not run, and `Err` returns it.
pub fn blocking(run: Box<dyn FnOnce() + Send>) -> Result<Ref, Box<dyn FnOnce() + Send>> {
    let mut run = Some(run);
    let opened = with(|world, own| {
        let reference = open(own, Wait::Blocking, None);
        let (pid, weak) = (own.pid, Arc::downgrade(world));
        let done = Box::new(move || {
            if let Some(world) = weak.upgrade() {
                world.answer(pid, reference, Answer::Reply(Bytes::new()));
            }
        });
        if let Some(run) = run.take() {
            world.spare.run(Work { pid, code: Arc::clone(&own.card.code), run, done });
        }
        reference
    });
    opened.map_err(|Refused| run.take().unwrap_or_else(|| Box::new(|| ())))
}

/// Takes the answer to an open request; `Ok(None)` if there is no answer yet.
///
/// # Errors
/// [`Refused`] for a reference that is not open, and outside a callback.
pub fn take(reference: Ref) -> Result<Option<Answer>, Refused> {
    if let Some(answer) = current::take_given(reference) {
        return Ok(Some(answer));
    }
    with(|_, own| {
        let requests = own.requests();
        if let Some(at) = requests.answers.iter().position(|(r, _)| *r == reference) {
            return Ok(Some(requests.answers.swap_remove(at).1));
        }
        let is_open = requests.open.iter().any(|open| open.reference == reference);
        if is_open { Ok(None) } else { Err(Refused) }
    })?
}

/// Gives up an open request. A late answer is dropped.
pub fn forget(reference: Ref) {
    drop(current::take_given(reference));
    // Outside a callback no request is open, so a refusal means that there is nothing to do.
    let _ = with(|_, own| {
        own.requests().open.retain(|open| open.reference != reference);
        own.requests().answers.retain(|(r, _)| *r != reference);
    });
}

/// Answers a call. A late answer is dropped. OTP: `gen_server:reply/2`.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn reply(to: From, body: Bytes) -> Result<(), Refused> {
    with(|world, own| {
        note(own, "reply", to.caller, &body);
        world.tracer.reply(own.pid, to.caller, &body);
        if to.server == own.pid {
            own.settle(to);
        } else {
            world.signal(to.server, Signal::Settled(to));
        }
        world.answer(to.caller, to.reference, Answer::Reply(body));
    })
}

/// Opens a request that is answered when the time `after` has passed.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn sleep(after: Duration) -> Result<Ref, Refused> {
    with(|_, own| open(own, Wait::Time, Some(after)))
}

/// Waits for the answer to the request that [`start_child`](super::start_child) has opened. The
/// answer cannot come before the running process waits.
pub(crate) async fn started(reference: Ref) -> Answer {
    let mut waits = false;
    poll_fn(|_| if std::mem::replace(&mut waits, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    answer(reference).await
}

/// Waits for the answer to an open request of the running process.
pub(crate) async fn answer(reference: Ref) -> Answer {
    poll_fn(|_| match take(reference) {
        Ok(Some(answer)) => Poll::Ready(answer),
        Ok(None) => Poll::Pending,
        Err(Refused) => Poll::Ready(Answer::Exit(Exit::Noproc)),
    })
    .await
}

/// Sends a message later. OTP: `erlang:send_after/3`.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn send_after(to: Pid, after: Duration, body: Bytes) -> Result<TimerRef, Refused> {
    with(|world, _| world.send_after(to, after, body))
}

/// Sends a message periodically, as long as the target is alive. OTP: `timer:send_interval/3`.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn send_interval(to: Pid, every: Duration, body: Bytes) -> Result<TimerRef, Refused> {
    with(|world, _| world.timers.set_every(every, Fire::Interval(to, body)))
}

/// Returns the time until a timer fires; `None` when the timer has fired. OTP:
/// `erlang:read_timer/1`.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn read_timer(timer: TimerRef) -> Result<Option<Duration>, Refused> {
    with(|world, _| world.timers.left(timer))
}

/// Stops a timer. Returns whether it was still active.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn cancel_timer(timer: TimerRef) -> Result<bool, Refused> {
    with(|world, _| world.timers.cancel(timer))
}
