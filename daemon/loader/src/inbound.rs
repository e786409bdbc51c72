//! Calls from a library to the daemon. These are the functions of the daemon's table, each of which
//! calls [`reld_runtime::context`].
//!
//! Every function runs inside [`enter`], so no panic of the daemon unwinds into a library. Each
//! function takes ownership of its arguments before it does anything else, so that a refusal leaks
//! nothing. It checks an out parameter for null before it writes to it. The context checks that a
//! callback runs on the calling thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use reld_abi as abi;
use reld_runtime::context::{self, Message, Refused, SendKind, Tie};
use reld_runtime::{Answer, NotFound, RequestKind, TimerRef, term};
use reld_wire::{Exit, Pid};

use crate::interpose::app_at;
use crate::output::{self, Origin};
use crate::wire::{self, Malformed};

static HOST: abi::Host = abi::Host {
    size: size_of::<abi::Host>() as u32,
    abi_major: abi::ABI_MAJOR,
    abi_minor: abi::ABI_MINOR,
    reserved: 0,
    self_pid,
    send,
    call,
    take,
    forget,
    reply,
    send_after,
    cancel_timer,
    sleep,
    recv,
    spawn,
    register,
    unregister,
    whereis,
    link,
    unlink,
    monitor,
    demonitor,
    exit,
    trap_exit,
    get_env,
    log,
    send_interval,
    read_timer,
    blocking,
    bound_mailbox,
    find,
};

/// Returns the table that every library receives when it is loaded.
pub fn host() -> &'static abi::Host {
    &HOST
}

/// A function of the table has refused a call, which had no effect.
#[derive(Debug)]
struct Rejected;

impl From<Refused> for Rejected {
    fn from(_: Refused) -> Self {
        Self
    }
}

impl From<Malformed> for Rejected {
    fn from(malformed: Malformed) -> Self {
        tracing::warn!(%malformed, "a library called the daemon with an invalid argument");
        Self
    }
}

/// Runs the body of a function of the table. A panic of the daemon becomes a refusal.
fn enter<T>(inside: impl FnOnce() -> Result<T, Rejected>) -> Result<T, Rejected> {
    let _interlude = output::interlude();
    // The panic hook has reported the panic, and the guards of the context have restored its state.
    catch_unwind(AssertUnwindSafe(inside)).unwrap_or(Err(Rejected))
}

fn status(result: Result<(), Rejected>) -> abi::Status {
    result.map_or(abi::REFUSED, |()| abi::OK)
}

/// Returns the reference, or 0 for a refusal.
fn reference(result: Result<u64, Rejected>) -> u64 {
    result.unwrap_or(0)
}

unsafe extern "C" fn self_pid() -> abi::Pid {
    enter(|| context::self_pid().map(wire::pid_out).ok_or(Rejected)).unwrap_or(NO_PID)
}

unsafe extern "C" fn send(kind: u32, to: abi::Pid, body: abi::Buf) -> abi::Status {
    status(enter(|| {
        let body = wire::take_buf(body)?;
        let to = wire::pid_in(to);
        let to_itself = || context::self_pid() == Some(to);
        match kind {
            abi::EVENT_CAST => context::send(SendKind::Cast, to, body)?,
            abi::EVENT_INFO => context::send(SendKind::Info, to, body)?,
            abi::EVENT_CONTINUE if to_itself() => context::continue_with(body)?,
            abi::EVENT_TIMEOUT if to_itself() => {
                let ms = term::decode(&body).map_err(|_| Rejected)?;
                context::receive_timeout(Duration::from_millis(ms))?;
            }
            _ => return Err(Rejected),
        }
        Ok(())
    }))
}

unsafe extern "C" fn call(kind: u32, to: abi::Pid, body: abi::Buf, timeout_ms: u64) -> u64 {
    reference(enter(|| {
        let body = wire::take_buf(body)?;
        let timeout = (timeout_ms != abi::INFINITY).then(|| Duration::from_millis(timeout_ms));
        let kind = match kind {
            abi::REQUEST_TABLE => return Ok(context::table(&body)?),
            abi::REQUEST_PORT => return Ok(context::port(&body, timeout)?),
            abi::REQUEST_STOP => {
                let reason = term::decode(&body).map_err(|_| Rejected)?;
                return Ok(context::stop(wire::pid_in(to), reason, timeout)?);
            }
            abi::REQUEST_CALL => RequestKind::Call,
            abi::REQUEST_SUPERVISOR => RequestKind::Supervisor,
            _ => return Err(Rejected),
        };
        Ok(context::call(kind, wire::pid_in(to), body, timeout)?)
    }))
}

unsafe extern "C" fn take(reference: u64, out: *mut abi::Answer) -> abi::Status {
    let taken = enter(|| {
        if out.is_null() {
            return Err(Rejected);
        }
        Ok(context::take(reference)?.map(answer))
    });
    // SAFETY: not null, or nothing was taken; writable by the contract of the table.
    unsafe { deliver(taken, out) }
}

unsafe extern "C" fn forget(reference: u64) {
    // This function has no status to return. The panic hook has reported a panic.
    let _ = enter(|| {
        context::forget(reference);
        Ok(())
    });
}

unsafe extern "C" fn reply(to: abi::From, body: abi::Buf) -> abi::Status {
    status(enter(|| Ok(context::reply(wire::from_in(to), wire::take_buf(body)?)?)))
}

unsafe extern "C" fn send_after(to: abi::Pid, after_ms: u64, body: abi::Buf) -> abi::Timer {
    let timer = enter(|| {
        let body = wire::take_buf(body)?;
        Ok(context::send_after(wire::pid_in(to), Duration::from_millis(after_ms), body)?)
    });
    timer.map_or(abi::Timer { id: 0, at_ns: 0 }, |TimerRef { id, at_ns }| abi::Timer { id, at_ns })
}

unsafe extern "C" fn send_interval(to: abi::Pid, every_ms: u64, body: abi::Buf) -> abi::Timer {
    let timer = enter(|| {
        let body = wire::take_buf(body)?;
        Ok(context::send_interval(wire::pid_in(to), Duration::from_millis(every_ms), body)?)
    });
    timer.map_or(abi::Timer { id: 0, at_ns: 0 }, |TimerRef { id, at_ns }| abi::Timer { id, at_ns })
}

unsafe extern "C" fn read_timer(timer: abi::Timer) -> u64 {
    let left = enter(|| Ok(context::read_timer(TimerRef { id: timer.id, at_ns: timer.at_ns })?));
    let left = left.ok().flatten().map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
    left.unwrap_or(abi::INFINITY)
}

unsafe extern "C" fn cancel_timer(timer: abi::Timer) -> abi::Status {
    status(enter(|| {
        let was_open = context::cancel_timer(TimerRef { id: timer.id, at_ns: timer.at_ns })?;
        if was_open { Ok(()) } else { Err(Rejected) }
    }))
}

unsafe extern "C" fn sleep(after_ms: u64) -> u64 {
    reference(enter(|| Ok(context::sleep(Duration::from_millis(after_ms))?)))
}

unsafe extern "C" fn blocking(run: abi::BlockingFn, data_app: *mut std::ffi::c_void) -> u64 {
    let work = Work { run, data_app, origin: output::origin() };
    // SAFETY: the library passes ownership of the work, and the context runs it at most once.
    reference(enter(|| context::blocking(Box::new(move || unsafe { work.run() })).map_err(|_| Rejected)))
}

unsafe extern "C" fn bound_mailbox(messages: u64) -> abi::Status {
    status(enter(|| Ok(context::bound_mailbox(usize::try_from(messages).unwrap_or(usize::MAX))?)))
}

/// Blocking work of a library.
struct Work {
    run: abi::BlockingFn,
    data_app: *mut std::ffi::c_void,
    origin: Origin,
}

// SAFETY: by the contract of the table the work may run on any thread.
unsafe impl Send for Work {}

impl Work {
    /// # Safety
    /// Must be called at most once.
    unsafe fn run(self) {
        // SAFETY: the caller's promise; the library is mapped, since the daemon keeps its code
        // until the work is done.
        self.origin.run(|| unsafe { (self.run)(self.data_app) });
    }
}

unsafe extern "C" fn recv(out: *mut abi::Message) -> abi::Status {
    let taken = enter(|| {
        if out.is_null() {
            return Err(Rejected);
        }
        Ok(context::recv()?.map(message))
    });
    // SAFETY: not null, or nothing was taken; writable by the contract of the table.
    unsafe { deliver(taken, out) }
}

unsafe extern "C" fn spawn(module: abi::Bytes, args: abi::Buf, link: u32) -> u64 {
    reference(enter(|| {
        let args = wire::take_buf(args)?;
        // SAFETY: the library lends the name for this call.
        let module = unsafe { wire::borrow_str(module) }?;
        let tie = match link {
            0 => Tie::None,
            2 => Tie::Child,
            _ => Tie::Link,
        };
        Ok(context::spawn(module, args, tie)?)
    }))
}

unsafe extern "C" fn register(name: abi::Bytes) -> abi::Status {
    // SAFETY: the library lends the name for this call.
    status(enter(|| Ok(context::register(unsafe { wire::borrow_str(name) }?)?)))
}

unsafe extern "C" fn unregister(name: abi::Bytes) -> abi::Status {
    // SAFETY: the library lends the name for this call.
    status(enter(|| Ok(context::unregister(unsafe { wire::borrow_str(name) }?)?)))
}

unsafe extern "C" fn whereis(name: abi::Bytes) -> abi::Pid {
    // SAFETY: the library lends the name for this call.
    let found = enter(|| Ok(context::whereis(unsafe { wire::borrow_str(name) }?)));
    found.ok().flatten().map_or(NO_PID, wire::pid_out)
}

unsafe extern "C" fn find(place: abi::Bytes, out: *mut abi::Pid, why: *mut abi::Buf) -> abi::Status {
    let found = enter(|| {
        if out.is_null() {
            return Err(Rejected);
        }
        // SAFETY: the library lends the place for this call.
        let place = unsafe { wire::borrow_str(place) }?;
        if why.is_null() {
            return Ok(context::find(place).map(wire::pid_out).ok_or(None));
        }
        let reason = |missing: NotFound| Some(wire::give_buf(missing.to_string().into_bytes()));
        Ok(context::search(place)?.map(wire::pid_out).map_err(reason))
    });
    match found {
        // SAFETY: not null; writable by the contract of the table.
        Ok(Ok(pid)) => unsafe { deliver(Ok(Some(pid)), out) },
        Ok(Err(reason)) => {
            // SAFETY: not null if there is a reason; writable by the contract of the table.
            unsafe { deliver(Ok(reason), why) };
            abi::FAILED
        }
        Err(Rejected) => abi::REFUSED,
    }
}

unsafe extern "C" fn link(with: abi::Pid) -> abi::Status {
    status(enter(|| Ok(context::link(wire::pid_in(with))?)))
}

unsafe extern "C" fn unlink(with: abi::Pid) -> abi::Status {
    status(enter(|| Ok(context::unlink(wire::pid_in(with))?)))
}

unsafe extern "C" fn monitor(pid: abi::Pid) -> u64 {
    reference(enter(|| Ok(context::monitor(wire::pid_in(pid))?)))
}

unsafe extern "C" fn demonitor(reference: u64) -> abi::Status {
    status(enter(|| Ok(context::demonitor(reference)?)))
}

unsafe extern "C" fn exit(to: abi::Pid, exit: abi::Exit) -> abi::Status {
    status(enter(|| Ok(context::exit(wire::pid_in(to), wire::take_exit(exit)?)?)))
}

unsafe extern "C" fn trap_exit(on: u32) -> abi::Status {
    status(enter(|| Ok(context::trap_exit(on != 0)?)))
}

unsafe extern "C" fn get_env(key: abi::Bytes, out: *mut abi::Buf) -> abi::Status {
    let value = enter(|| {
        if out.is_null() {
            return Err(Rejected);
        }
        // SAFETY: the library lends the key for this call.
        let key = unsafe { wire::borrow_str(key) }?;
        context::get_env(key).map(|value| Some(wire::give_buf(value))).ok_or(Rejected)
    });
    // SAFETY: not null, or nothing is written; writable by the contract of the table.
    unsafe { deliver(value, out) }
}

unsafe extern "C" fn log(level: u32, target: abi::Bytes, message: abi::Bytes) {
    // This function has no status to return.
    let library = output::inside();
    let _ = enter(|| {
        // SAFETY: the library lends both for this call.
        let target = String::from_utf8_lossy(unsafe { wire::borrow(target) }?);
        // SAFETY: as above.
        let message = String::from_utf8_lossy(unsafe { wire::borrow(message) }?);
        write_log(level, library, &target, &message);
        Ok(())
    });
}

/// Logs a line of the app whose library contains this address. The target of a tracing event must
/// be constant, so the app's own target is a field of the event.
fn write_log(level: u32, library: usize, target: &str, message: &str) {
    let pid = context::self_pid().map(tracing::field::display);
    // The app is looked up only if the line is logged.
    macro_rules! write {
        ($level:ident) => {
            tracing::$level!(target: "app", app = app_at(library).as_deref(), from = target, pid, "{message}")
        };
    }
    match level {
        ..=1 => write!(error),
        2 => write!(warn),
        3 => write!(info),
        4 => write!(debug),
        _ => write!(trace),
    }
}

/// Writes the value to the library's out parameter, if there is a value. Returns the status.
///
/// # Safety
/// `out` is writable if there is a value.
unsafe fn deliver<T>(taken: Result<Option<T>, Rejected>, out: *mut T) -> abi::Status {
    match taken {
        Ok(Some(value)) => {
            // SAFETY: the caller's promise. The old content belongs to the library and owns
            // nothing.
            unsafe { out.write(value) };
            abi::OK
        }
        Ok(None) => abi::PENDING,
        Err(Rejected) => abi::REFUSED,
    }
}

fn answer(answer: Answer) -> abi::Answer {
    let (kind, reply, exit) = match answer {
        Answer::Reply(body) => (abi::ANSWER_REPLY, body, Exit::Normal),
        Answer::Started(pid) => (abi::ANSWER_REPLY, term::encode(&pid), Exit::Normal),
        Answer::Timeout => (abi::ANSWER_TIMEOUT, Vec::new(), Exit::Normal),
        Answer::Exit(exit) => (abi::ANSWER_EXIT, Vec::new(), exit),
    };
    abi::Answer { kind, reserved: 0, reply: wire::give_buf(reply), exit: wire::give_exit(exit) }
}

fn message(message: Message) -> abi::Message {
    let (kind, exit_kind, from, reference, body) = match message {
        Message::Call(from, body) => (abi::EVENT_CALL, 0, from.caller, from.reference, body),
        Message::Cast(from, body) => (abi::EVENT_CAST, 0, from, 0, body),
        Message::Info(from, body) => (abi::EVENT_INFO, 0, from, 0, body),
        Message::Told(event) => (abi::EVENT_TOLD, 0, Pid::NONE, 0, event),
        Message::Exit(from, exit) => (abi::EVENT_EXIT, wire::exit_kind(&exit), from, 0, text(exit)),
        Message::Down(reference, from, exit) => {
            (abi::EVENT_DOWN, wire::exit_kind(&exit), from, reference, text(exit))
        }
    };
    abi::Message { kind, exit_kind, from: wire::pid_out(from), reference, body: wire::give_buf(body) }
}

fn text(exit: Exit) -> Vec<u8> {
    wire::into_text(exit).into_bytes()
}

const NO_PID: abi::Pid = abi::Pid { slot: 0, generation: 0 };

#[cfg(test)]
mod tests;
