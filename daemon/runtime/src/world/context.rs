//! What a callback may ask of the node. OTP: the functions of `erlang`, `gen_server` and `supervisor` that apps call.
//!
//! Every function speaks for the process whose callback the calling thread is running. Outside a callback (in a drop
//! of an old state, say) there is no such process, and each answers [`Refused`] and does nothing.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use serde::Deserialize;
use serde_bytes::ByteBuf;
use thiserror::Error;

use crate::io::port;
use crate::pool::blocking::Work;
use crate::process::body::{Answer, Body, Idle, Mail, RequestKind, Signal, Wait, Watch};
use crate::process::current;
use crate::process::rows::Rows;
use crate::process::system::SysError;
use crate::words::code::{Behaviour, Bytes, From, Ref, TimerRef};
use crate::words::code_server::Code;
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::words::term;
use crate::world::{Fire, Start, World};

/// The reference under which a poll is told that a task has mail.
pub const MAIL: Ref = 0;

/// Where a task goes on: in the current code of a module, with this start argument.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    pub(crate) module: String,
    pub(crate) args: ByteBuf,
}

/// The request was not made: no callback runs on this thread, or it names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("refused: not in a callback, or there is no such name, timer or request")]
pub struct Refused;

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

thread_local! {
    /// The node that the thread works for, while it is awake: so a request need not ask whether it is still there.
    static WORLD: RefCell<Option<Arc<World>>> = const { RefCell::new(None) };
}

/// Has the calling thread work for a node, if that is still there. It keeps the node until [`rest`].
pub(crate) fn serve(world: &Weak<World>, work: impl FnOnce(&Arc<World>)) {
    WORLD.with(|kept| {
        if kept.borrow().is_none() {
            kept.replace(world.upgrade());
        }
        if let Some(world) = &*kept.borrow() {
            work(world);
        }
    });
}

/// The calling thread has nothing to do: it lets its node go.
pub(crate) fn rest() {
    drop(WORLD.take());
}

/// Asks something for the running process.
pub(super) fn with<R>(ask: impl FnOnce(&Arc<World>, &mut Body) -> R) -> Result<R, Refused> {
    current::with(|own| WORLD.with_borrow(|world| Ok(ask(world.as_ref().ok_or(Refused)?, own))))
        .ok_or(Refused)?
}

/// Returns the running process. OTP: `self/0`.
pub fn self_pid() -> Option<Pid> {
    Some(current::pid()).filter(|pid| *pid != Pid::NONE)
}

/// Returns the module of the running process.
pub fn self_module() -> Option<String> {
    with(|_, own| own.card.code.name().to_owned()).ok()
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

/// Opens a request; [`take`] has its answer. `None` waits for ever.
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

fn note(own: &mut Body, what: &'static str, to: Pid, body: &[u8]) {
    if let Some(debug) = &mut own.debug {
        debug.sent(what, to, body);
    }
}

fn open(own: &mut Body, wait: Wait, timeout: Option<Duration>) -> Ref {
    let due = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    own.requests().open(wait, due)
}

/// Asks something of a port (see `io/port.rs`); the answer is there at once unless the request is to wait.
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

/// Asks something of a shared table (see `io/ets.rs`); the answer is there at once.
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

/// Runs work on a spare thread; the request is answered with nothing when that is done, even if the work panics.
///
/// # Errors
/// [`Refused`] outside a callback; the work was not taken, and is given back.
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

/// Takes the answer to an open request; `Ok(None)` while there is none.
///
/// # Errors
/// [`Refused`] for a reference that is not open, and outside a callback.
pub fn take(reference: Ref) -> Result<Option<Answer>, Refused> {
    with(|_, own| {
        let requests = own.requests();
        if let Some(at) = requests.answers.iter().position(|(r, _)| *r == reference) {
            return Ok(Some(requests.answers.swap_remove(at).1));
        }
        let is_open = requests.open.iter().any(|open| open.reference == reference);
        if is_open { Ok(None) } else { Err(Refused) }
    })?
}

/// Gives an open request up; a late answer is dropped.
pub fn forget(reference: Ref) {
    // Outside a callback there is nothing open any more, so a refusal means that the work is done.
    let _ = with(|_, own| {
        own.requests().open.retain(|open| open.reference != reference);
        own.requests().answers.retain(|(r, _)| *r != reference);
    });
}

/// Answers a call. OTP: `gen_server:reply/2`. An answer that comes too late is dropped.
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

/// Sends a message later. OTP: `erlang:send_after/3`.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn send_after(to: Pid, after: Duration, body: Bytes) -> Result<TimerRef, Refused> {
    with(|world, _| world.send_after(to, after, body))
}

/// Sends a message again and again, as long as the target lives. OTP: `timer:send_interval/3`.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn send_interval(to: Pid, every: Duration, body: Bytes) -> Result<TimerRef, Refused> {
    with(|world, _| world.timers.set_every(every, Fire::Interval(to, body)))
}

/// Returns how long a timer has still to run; `None` when it has fired. OTP: `erlang:read_timer/1`.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn read_timer(timer: TimerRef) -> Result<Option<Duration>, Refused> {
    with(|world, _| world.timers.left(timer))
}

/// Stops a timer; says whether it would have fired, or fired again.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn cancel_timer(timer: TimerRef) -> Result<bool, Refused> {
    with(|world, _| world.timers.cancel(timer))
}

/// Opens a wait that is answered after that time.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn sleep(after: Duration) -> Result<Ref, Refused> {
    with(|_, own| open(own, Wait::Time, Some(after)))
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

/// How a process is bound to the one that starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// Not at all.
    None,
    /// Linked. OTP: `spawn_link`.
    Link,
    /// Linked, and below it in the tree: its exit signals are a parent's.
    Child,
}

/// Starts a process of the current version of `module`; the request is answered with its pid when init is done, with
/// nil when it answered `ignore`.
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
pub(crate) fn start_child(module: &str, args: Bytes) -> Result<(Pid, Ref), Refused> {
    with(|world, own| {
        let code = world.code.resolve(module).ok_or(Refused)?;
        let parent = own.pid;
        Ok(start(world, own, code, args, parent, false))
    })?
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

/// Has a process end in order; the request is answered with [`Answer::Exit`] and the reason it ended with, when it has. OTP:
/// `proc_lib:stop/3`.
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

/// Waits for the answer to an open request of the running process.
pub(crate) async fn answer(reference: Ref) -> Answer {
    poll_fn(|_| match take(reference) {
        Ok(Some(answer)) => Poll::Ready(answer),
        Ok(None) => Poll::Pending,
        Err(Refused) => Poll::Ready(Answer::Exit(Exit::Noproc)),
    })
    .await
}

/// Gives the running process a name. OTP: `register/2`.
///
/// # Errors
/// [`Refused`] when the name is taken, and outside a callback.
pub fn register(name: &str) -> Result<(), Refused> {
    with(|world, own| world.registry.register(name, own.pid).map_err(|_| Refused))?
}

/// Frees a name of the running process.
///
/// # Errors
/// [`Refused`] when the name is not its own.
pub fn unregister(name: &str) -> Result<(), Refused> {
    with(|world, own| if world.registry.unregister(name, own.pid) { Ok(()) } else { Err(Refused) })?
}

/// Returns the process of that name. OTP: `whereis/1`.
pub fn whereis(name: &str) -> Option<Pid> {
    WORLD.with_borrow(|world| world.as_ref()?.registry.whereis(name))
}

/// Links the running process with another. With a dead one it gets the exit signal `noproc`.
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

/// Watches a process: one `Down` with the returned reference when it ends.
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

/// Stops watching; a `Down` that is queued already does not come any more, as with OTP's `flush`.
///
/// # Errors
/// [`Refused`] for a reference that is no monitor of the running process.
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

/// Turns exit signals into messages, or not. OTP: `process_flag(trap_exit, _)`.
///
/// # Errors
/// [`Refused`] outside a callback.
pub fn trap_exit(on: bool) -> Result<(), Refused> {
    with(|_, own| own.trap_exit = on)
}

/// Reads a key of the environment of the running process's application.
pub fn get_env(key: &str) -> Option<Bytes> {
    with(|_, own| own.card.app.values.read().get(key).cloned()).ok()?
}

/// Writes a pid as the answer to a start.
pub(crate) fn started(pid: Option<Pid>) -> Bytes {
    term::encode(&pid)
}

/// Returns what kind of process a loaded module makes.
pub(crate) fn behaviour(module: &str) -> Option<Behaviour> {
    with(|world, _| world.code.resolve(module).map(|code| code.behaviour())).ok()?
}

/// Counts a restart.
pub(crate) fn restarted() {
    let _ = with(|world, _| world.counters.restarts.add());
}

/// Makes the running supervisor's children readable by everybody.
pub(crate) fn publish_rows(rows: &Arc<RwLock<Rows>>) {
    let _ = with(|world, own| publish(world, own, rows));
}

/// Makes a supervisor's children readable by everybody. For its claimer.
pub(crate) fn publish(world: &World, own: &mut Body, rows: &Arc<RwLock<Rows>>) {
    world.show(own, own.card.with_rows(rows));
}
