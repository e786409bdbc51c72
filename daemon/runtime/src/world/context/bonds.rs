//! Starting and ending other processes, names, links and monitors.

use std::sync::Arc;
use std::time::Duration;

use super::requests::open;
use super::running::{Refused, WORLD, with};
use crate::process::body::{Answer, Body, Signal, Wait, Watch};
use crate::process::system::SysError;
use crate::words::code::{Behaviour, Bytes, Ref};
use crate::words::code_server::Code;
use crate::words::exit::Exit;
use crate::words::name::{NO_NAME, is_name};
use crate::words::pid::Pid;
use crate::world::places::{self, NotFound};
use crate::world::{Start, World};

/// The bond between a process and its starter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// No bond.
    None,
    /// Linked. OTP: `spawn_link`.
    Link,
    /// Linked, with the starter as its parent. The process ends when its parent ends, even if it
    /// traps exits.
    Child,
}

/// Starts a process of the current version of `module`. When its init is done, the answer to the
/// request is [`Answer::Started`].
///
/// # Errors
/// [`Refused`] outside a callback, and for a module that is not loaded.
pub fn spawn(module: &str, args: Bytes, tie: Tie) -> Result<Ref, Refused> {
    with(|world, own| {
        let code = world.code.resolve(module).ok_or(Refused)?;
        let parent = if tie == Tie::Child { own.pid } else { Pid::NONE };
        Ok(start(world, own, code, args, parent, tie != Tie::None).1)
    })?
}

/// Starts a child of the running supervisor.
pub(crate) fn start_child(code: Arc<Code>, args: Bytes) -> Result<(Pid, Ref), Refused> {
    with(|world, own| {
        let parent = own.pid;
        start(world, own, code, args, parent, false)
    })
}

fn start(world: &World, own: &mut Body, code: Arc<Code>, args: Bytes, parent: Pid, link: bool) -> (Pid, Ref) {
    let reference = open(own, Wait::Start(Pid::NONE), None);
    let link = link.then_some(own.pid);
    let starter = Some((own.pid, reference));
    let pid =
        world.start(Start { code, app: Arc::clone(&own.card.app), args, parent, link, starter, watch: None });
    if let Some(open) = own.requests().open.last_mut() {
        open.wait = Wait::Start(pid);
    }
    if link.is_some() {
        own.ties().links.push(pid);
    }
    (pid, reference)
}

/// Opens a request that is answered with [`Answer::Exit`] when the process ends.
pub(crate) fn await_exit(pid: Pid, timeout: Option<Duration>) -> Result<Ref, Refused> {
    with(|world, own| {
        let reference = open(own, Wait::End(pid), timeout);
        let watch = Watch { watcher: own.pid, reference, as_answer: true };
        world.signal(pid, Signal::Monitor(watch));
        reference
    })
}

/// Ends a process through its terminate callback. When the process has ended, the answer to the
/// request is [`Answer::Exit`] with the exit reason. OTP: `proc_lib:stop/3`.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn stop(pid: Pid, reason: Exit, timeout: Option<Duration>) -> Result<Ref, Refused> {
    let behaviour = with(|world, _| {
        world.slot(pid).and_then(|slot| slot.card(pid.generation, |card| card.code.behaviour()))
    })?;
    if behaviour == Some(Behaviour::Task) {
        return with(|_, own| {
            let reference = open(own, Wait::End(pid), timeout);
            own.answer(reference, Answer::Exit(Exit::Error(SysError::Task(pid).to_string())));
            reference
        });
    }
    let reference = await_exit(pid, timeout)?;
    with(|world, own| {
        world.tracer.fact(own.pid, pid, "terminate");
        world.signal(pid, Signal::System(Box::new(|body| body.after().ending = Some(reason))));
        reference
    })
}

/// Gives the running process a name. OTP: `register/2`.
///
/// # Errors
/// [`Refused`] when the name is taken, when it looks like a path or a pid, and outside a callback.
pub fn register(name: &str) -> Result<(), Refused> {
    with(|world, own| {
        if !is_name(name) {
            tracing::warn!(pid = %own.pid, name, "cannot register a name: {NO_NAME}");
            return Err(Refused);
        }
        world.registry.register(name, own.pid).map_err(|_| Refused)
    })?
}

/// Gives the running supervisor the name of its spec; the inner `Err` holds another owner.
///
/// # Errors
/// [`Refused`] outside a callback.
pub(crate) fn rename(new: Option<&str>) -> Result<Result<(), Pid>, Refused> {
    with(|world, own| world.registry.rename(own.pid, new))
}

/// Frees a name of the running process.
///
/// # Errors
/// [`Refused`] when the name does not belong to the running process.
pub fn unregister(name: &str) -> Result<(), Refused> {
    with(|world, own| if world.registry.unregister(name, own.pid) { Ok(()) } else { Err(Refused) })?
}

/// Returns the process with that name. OTP: `whereis/1`.
pub fn whereis(name: &str) -> Option<Pid> {
    WORLD.with_borrow(|world| world.as_ref()?.registry.whereis(name))
}

/// Finds a process by pid, registered name, or path in the tree of an application.
pub fn find(place: &str) -> Option<Pid> {
    WORLD.with_borrow(|world| places::find(world.as_ref()?, place).ok())
}

/// Works like [`find`], and explains why there is no process.
///
/// # Errors
/// [`Refused`] on a thread that does not work for a node.
pub fn search(place: &str) -> Result<Result<Pid, NotFound>, Refused> {
    WORLD.with_borrow(|world| {
        let world = world.as_ref().ok_or(Refused)?;
        Ok(places::find(world, place).map_err(|missing| missing.explain(world, place)))
    })
}

/// Links the running process with another one. If that one is dead, the running process gets an
/// exit signal with `noproc`.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn link(with_pid: Pid) -> Result<(), Refused> {
    with(|world, own| {
        let pid = own.pid;
        let links = &mut own.ties().links;
        if with_pid != pid && !links.contains(&with_pid) {
            links.push(with_pid);
            world.signal(with_pid, Signal::Link(pid));
        }
    })
}

/// Removes a link.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn unlink(with_pid: Pid) -> Result<(), Refused> {
    with(|world, own| {
        let pid = own.pid;
        own.ties().links.retain(|p| *p != with_pid);
        world.signal(with_pid, Signal::Unlink(pid));
    })
}

/// Monitors a process. When that process ends, the running process gets one `Down` with the
/// returned reference.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn monitor(pid: Pid) -> Result<Ref, Refused> {
    with(|world, own| {
        let reference = own.new_ref();
        own.ties().watching.push((reference, pid));
        let watch = Watch { watcher: own.pid, reference, as_answer: false };
        world.signal(pid, Signal::Monitor(watch));
        reference
    })
}

/// Removes a monitor. A `Down` that is already queued is not delivered. OTP: `demonitor/2` with
/// `flush`.
///
/// # Errors
/// [`Refused`] for a reference that is not a monitor of the running process.
pub fn demonitor(reference: Ref) -> Result<(), Refused> {
    with(|world, own| {
        let pid = own.pid;
        let watching = &mut own.ties().watching;
        let at = watching.iter().position(|(r, _)| *r == reference).ok_or(Refused)?;
        let (_, watched) = watching.swap_remove(at);
        world.signal(watched, Signal::Demonitor(pid, reference));
        Ok(())
    })?
}

/// Sends an exit signal. [`Exit::Killed`] cannot be trapped. OTP: `exit/2`.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn exit(to: Pid, exit: Exit) -> Result<(), Refused> {
    with(|world, own| {
        let signal = if exit == Exit::Killed { Signal::End(exit) } else { Signal::Exit(own.pid, exit) };
        world.signal(to, signal);
    })
}

/// Turns trapping of exit signals on or off. OTP: `process_flag(trap_exit, _)`.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn trap_exit(on: bool) -> Result<(), Refused> {
    with(|_, own| own.trap_exit = on)
}
