//! System messages: the requests of an operator to any behaviour process. OTP: sys.
//!
//! | request         | running                    | suspended                      |
//! |-----------------|----------------------------|--------------------------------|
//! | suspend         | suspends                   | nothing changes, ok            |
//! | resume          | nothing changes, ok        | goes on; moves to current code |
//! | change_code     | refused                    | converts                       |
//! | get_state       | returns the state as bytes | returns the state as bytes     |
//! | get_status      | returns a [`SysStatus`]    | returns a [`SysStatus`]        |
//! | replace_state   | takes another state        | takes another state            |
//! | terminate       | calls terminate, then ends | calls terminate, then ends     |
//! | statistics, log | turned on, off, read       | turned on, off, read           |
//!
//! Unlike OTP, there is no `install`: such a hook would be code in a process that no code server
//! knows and no upgrade converts. [`trace`](crate::Runtime::trace) with its filters shows present
//! messages, and `log` shows past ones.
//!
//! A process handles these requests on its own thread at its next callback boundary. Unlike OTP,
//! they overtake queued messages, so an operator does not wait for a backlog.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use crate::process::body::{Actor, Body, Signal};
use crate::process::debug::{Debug, Logged, Statistics};
use crate::process::shown;
use crate::process::system::SysError;
use crate::upgrade::by_hand::change_by_hand;
use crate::words::code::{Behaviour, BodyKind, Bytes};
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::world::World;
use crate::world::change::invalidate_shadow;

/// Sends a request to a process, which carries it out at its next boundary. Waits for the answer.
fn ask<R: Send + 'static>(
    world: &Arc<World>,
    pid: Pid,
    what: &'static str,
    timeout: Duration,
    work: impl FnOnce(&Arc<World>, &mut Body) -> R + Send + 'static,
) -> Result<R, SysError> {
    let behaviour = world.slot(pid).and_then(|slot| slot.card(pid.generation, |card| card.code.behaviour()));
    match behaviour {
        None => return Err(SysError::Noproc(pid)),
        Some(Behaviour::Task) => return Err(SysError::Task(pid)),
        Some(_) => {}
    }
    let (done, answer) = mpsc::channel();
    let weak = Arc::downgrade(world);
    let system = move |body: &mut Body| {
        // If the caller has given up, its receiver is gone. The request then has no effect.
        if let Some(world) = weak.upgrade()
            && done.send(None).is_ok()
        {
            done.send(Some(work(&world, body))).unwrap_or(());
        }
    };
    world.tracer.fact(Pid::OUTSIDE, pid, what);
    world.signal(pid, Signal::System(Box::new(system)));
    match answer.recv_timeout(timeout) {
        Ok(_begun) => answer.recv().ok().flatten().ok_or(SysError::Noproc(pid)),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(SysError::Noproc(pid)),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(SysError::TimedOut { pid, after: timeout }),
    }
}

/// OTP: `sys:suspend/2`.
pub(crate) fn suspend(world: &Arc<World>, pid: Pid, timeout: Duration) -> Result<(), SysError> {
    ask(world, pid, "suspend", timeout, |_, body| body.suspended = true)
}

/// OTP: `sys:resume/2`. If code was loaded while the process was suspended, it now moves to the
/// current code.
pub(crate) fn resume(world: &Arc<World>, pid: Pid, timeout: Duration) -> Result<(), SysError> {
    ask(world, pid, "resume", timeout, |_, body| body.suspended = false)
}

/// OTP: `sys:change_code/5`. On an error the state stays as it is and the process stays suspended.
pub(crate) fn change_code(
    world: &Arc<World>,
    pid: Pid,
    from: String,
    extra: Bytes,
    timeout: Duration,
) -> Result<(), SysError> {
    ask(world, pid, "change_code", timeout, move |world, body| {
        if !body.suspended {
            return Err(SysError::NotSuspended(pid));
        }
        change_by_hand(world, body, &from, &extra).map_err(|exit| SysError::Refused { pid, exit })
    })?
}

/// OTP: `sys:get_state/2`.
pub(crate) fn get_state(world: &Arc<World>, pid: Pid, timeout: Duration) -> Result<Bytes, SysError> {
    ask(world, pid, "get_state", timeout, move |_, body| match body.instance() {
        Some(instance) => instance.export().map_err(|exit| SysError::Refused { pid, exit }),
        None => Err(SysError::Noproc(pid)),
    })?
}

/// The status of a process. OTP: `sys:get_status/2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SysStatus {
    /// Whether an operator has suspended the process.
    pub is_suspended: bool,
    /// Whether the process keeps statistics.
    pub counts: bool,
    /// The maximum number of messages in the log; `None` when the process keeps no log.
    pub log_max: Option<usize>,
    /// The state, redacted for display.
    pub state: Bytes,
}

/// OTP: `sys:get_status/2`.
pub(crate) fn get_status(world: &Arc<World>, pid: Pid, timeout: Duration) -> Result<SysStatus, SysError> {
    ask(world, pid, "get_status", timeout, move |_, body| {
        let instance = body.instance().ok_or(SysError::Noproc(pid))?;
        let debug = body.debug.as_deref();
        Ok(SysStatus {
            is_suspended: body.suspended,
            counts: debug.is_some_and(|debug| debug.statistics().is_some()),
            log_max: debug.and_then(Debug::log_max),
            state: instance
                .export()
                .map(|state| shown::shown(&*body.card.code.module, BodyKind::State, state))
                .map_err(|exit| SysError::Refused { pid, exit })?,
        })
    })?
}

/// OTP: `sys:no_debug/2`.
pub(crate) fn no_debug(world: &Arc<World>, pid: Pid, timeout: Duration) -> Result<(), SysError> {
    ask(world, pid, "no_debug", timeout, |_, body| body.debug = None)
}

/// OTP: `sys:replace_state/3`. Unlike OTP, the new state comes from outside, as bytes that the code
/// of the process decodes. On an error the old state stays.
pub(crate) fn replace_state(
    world: &Arc<World>,
    pid: Pid,
    state: Bytes,
    timeout: Duration,
) -> Result<(), SysError> {
    ask(world, pid, "replace_state", timeout, move |world, body| {
        let refused = |exit| SysError::Refused { pid, exit };
        match body.instance() {
            None => return Err(SysError::Noproc(pid)),
            Some(instance) if instance.own().is_some() => {
                return Err(refused(Exit::Error("the state of a supervisor is the node's own".to_owned())));
            }
            Some(_) => {}
        }
        let made = body.card.code.module.import(&state).map_err(refused)?;
        // A shadow made from the old state is void.
        invalidate_shadow(world, body);
        body.actor = Actor::Resting(made);
        Ok(())
    })?
}

/// OTP: `sys:terminate/3`.
pub(crate) fn terminate(
    world: &Arc<World>,
    pid: Pid,
    reason: Exit,
    timeout: Duration,
) -> Result<(), SysError> {
    ask(world, pid, "terminate", timeout, |_, body| body.after().ending = Some(reason))
}

/// Turns statistics on or off. OTP: `sys:statistics/3`.
pub(crate) fn count(world: &Arc<World>, pid: Pid, on: bool, timeout: Duration) -> Result<(), SysError> {
    debug(world, pid, "statistics", timeout, move |debug| debug.count(on))
}

/// Returns the statistics; `None` when they are off. OTP: `sys:statistics(_, get)`.
pub(crate) fn statistics(
    world: &Arc<World>,
    pid: Pid,
    timeout: Duration,
) -> Result<Option<Statistics>, SysError> {
    ask(world, pid, "statistics", timeout, |_, body| body.debug.as_ref().and_then(|debug| debug.statistics()))
}

/// Keeps a log of the last events, or turns the log off. OTP: `sys:log/3`.
pub(crate) fn keep_log(
    world: &Arc<World>,
    pid: Pid,
    max: Option<usize>,
    timeout: Duration,
) -> Result<(), SysError> {
    debug(world, pid, "log", timeout, move |debug| debug.keep(max))
}

/// Returns the logged events; `None` when no log is kept. OTP: `sys:log(_, get)`.
pub(crate) fn log(world: &Arc<World>, pid: Pid, timeout: Duration) -> Result<Option<Vec<Logged>>, SysError> {
    ask(world, pid, "log", timeout, |_, body| {
        let module = &*body.card.code.module;
        let logged = body.debug.as_ref().and_then(|debug| debug.logged())?;
        Some(logged.into_iter().map(|logged| shown::logged(module, logged)).collect())
    })
}

fn debug(
    world: &Arc<World>,
    pid: Pid,
    what: &'static str,
    timeout: Duration,
    turn: impl FnOnce(&mut Debug) + Send + 'static,
) -> Result<(), SysError> {
    ask(world, pid, what, timeout, |_, body| {
        let debug = body.debug.get_or_insert_default();
        turn(debug);
        if debug.is_off() {
            body.debug = None;
        }
    })
}
