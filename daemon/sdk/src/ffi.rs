//! The fence: the functions that the daemon calls, for any behaviour.
//!
//! Each function first turns pointers into owned values or borrows, does its work in [`catch`], and
//! writes the result. A state or future passed by pointer then belongs to the function. If it
//! cannot be given back, it is dropped here.
#![expect(unsafe_code, reason = "the daemon's pointers become values here")]

use std::ffi::c_void;
use std::io::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Poll;

use reld_abi::{Bytes, Future, Outcome, Series, Status, Verdict};

use crate::behaviour::{Behaviour, BodyKind, Event, Stateful, StatusPart};
use crate::bytes::{borrow, give, give_exit, read_exit};
use crate::callback::{After, Callback, Done, Polled, Work};
use crate::exit::Exit;
use crate::guard::{catch, discard};
use crate::names::{From, MonitorRef, Pid};
use crate::value::{State, Value};

/// The names of a table, as errors show them.
pub trait Named: 'static {
    /// The module's name.
    const NAME: &'static str;
    /// The app's version.
    const VERSION: &'static str;
}

/// `Module::callback`.
pub(crate) unsafe extern "C" fn callback<B: Behaviour, N: Named>(
    state_app: *mut c_void,
    event: *const reld_abi::Event,
    out: *mut Outcome,
) -> Verdict {
    // SAFETY: the daemon gives back a state that this table handed out, or null.
    let state = unsafe { own::<B::State>(state_app) };
    // SAFETY: the event is readable for the call, or null.
    let event = unsafe { event.as_ref() };
    // SAFETY: `out` is writable for the call, or null.
    let Some(out) = (unsafe { out.as_mut() }) else {
        discard(state);
        return reld_abi::VERDICT_CRASHED;
    };
    // SAFETY: so is the body of the event.
    unsafe { first_polls::<B, N>(state, event.as_slice(), &[], &mut 0, out) }
}

/// `Module::callback_many`.
pub(crate) unsafe extern "C" fn callback_many<B: Behaviour, N: Named>(
    state_app: *mut c_void,
    series: *mut Series,
    out: *mut Outcome,
) -> Verdict {
    // SAFETY: the daemon gives back a state that this table handed out, or null.
    let state = unsafe { own::<B::State>(state_app) };
    // SAFETY: `series` is writable for the call, or null.
    let series = unsafe { series.as_mut() };
    // SAFETY: `out` is writable for the call, or null.
    let (Some(series), Some(out)) = (series, unsafe { out.as_mut() }) else {
        discard(state);
        return reld_abi::VERDICT_CRASHED;
    };
    // SAFETY: so many pointers are readable for the call, and lead to events that are.
    let events =
        unsafe { std::slice::from_raw_parts(series.events.cast::<&reld_abi::Event>(), series.count) };
    // SAFETY: the daemon's flags stay for the call.
    let stop = series.stop.map(|flag| unsafe { &*flag });
    // SAFETY: the bodies of the events are readable for the call.
    unsafe { first_polls::<B, N>(state, events, &stop, &mut series.begun, out) }
}

/// `Future::poll`.
unsafe extern "C" fn poll<B: Behaviour, N: Named>(
    data_app: *mut c_void,
    completed: *const u64,
    count: usize,
    out: *mut Outcome,
) -> Verdict {
    // SAFETY: the daemon gives a future that this library handed out and that was not freed.
    let Some(callback) = (unsafe { own::<Callback<B::State>>(data_app) }) else {
        return reld_abi::VERDICT_CRASHED;
    };
    // SAFETY: `out` is writable for the call, or null.
    let Some(out) = (unsafe { out.as_mut() }) else {
        discard(callback);
        return reld_abi::VERDICT_CRASHED;
    };
    let completed = if count == 0 || completed.is_null() {
        &[]
    } else {
        // SAFETY: the daemon lends `count` references for the call.
        unsafe { std::slice::from_raw_parts(completed, count) }
    };
    next_poll::<B, N>(callback, completed, out)
}

/// `Future::drop`.
unsafe extern "C" fn drop_future<B: Behaviour>(data_app: *mut c_void) {
    // SAFETY: as in `poll`.
    discard(unsafe { own::<Callback<B::State>>(data_app) });
}

/// `Module::export_state`.
pub(crate) unsafe extern "C" fn export_state<B: Stateful, N: Named>(
    state_app: *const c_void,
    out: *mut reld_abi::Buf,
    why: *mut reld_abi::Exit,
) -> Status {
    // SAFETY: the daemon lends a state of this table for the call, or null.
    let state = unsafe { state_app.cast::<B::State>().as_ref() };
    let exported = catch(|| B::export(state.ok_or_else(|| Exit::error("no state was given"))?));
    // SAFETY: the daemon's out parameters.
    unsafe { answer::<N, _>(exported.and_then(|bytes| bytes).map(give), out, why) }
}

/// `Module::import_state`.
pub(crate) unsafe extern "C" fn import_state<B: Stateful, N: Named>(
    state: Bytes,
    out_app: *mut *mut c_void,
    why: *mut reld_abi::Exit,
) -> Status {
    // SAFETY: lent for the call.
    let state = unsafe { borrow(state) };
    let imported = catch(|| B::import(state).map(Box::new).map(hand_out));
    // SAFETY: the daemon's out parameters.
    unsafe { answer::<N, _>(imported.and_then(|state| state), out_app, why) }
}

/// `Module::change_code`.
pub(crate) unsafe extern "C" fn change_code<B: Stateful, N: Named>(
    from: Bytes,
    state: Bytes,
    extra: Bytes,
    out_app: *mut *mut c_void,
    why: *mut reld_abi::Exit,
) -> Status {
    // SAFETY: lent for the call, like the other two.
    let from = unsafe { borrow(from) };
    // SAFETY: see above.
    let state = unsafe { borrow(state) };
    // SAFETY: see above.
    let extra = unsafe { borrow(extra) };
    let changed = catch(|| {
        let state = State::from_bytes(state);
        B::change_code(version(from)?, state, Value::from_bytes(extra)).map(Box::new).map(hand_out)
    });
    // SAFETY: the daemon's out parameters.
    unsafe { answer::<N, _>(changed.and_then(|state| state), out_app, why) }
}

/// `Module::change_code_down`.
pub(crate) unsafe extern "C" fn change_code_down<B: Stateful, N: Named>(
    to: Bytes,
    state: Bytes,
    extra: Bytes,
    out: *mut reld_abi::Buf,
    why: *mut reld_abi::Exit,
) -> Status {
    // SAFETY: lent for the call, like the other two.
    let to = unsafe { borrow(to) };
    // SAFETY: see above.
    let state = unsafe { borrow(state) };
    // SAFETY: see above.
    let extra = unsafe { borrow(extra) };
    let changed = catch(|| {
        let state = B::import(state)?;
        B::change_code_down(&state, version(to)?, Value::from_bytes(extra))
    });
    let changed = changed.and_then(|state| state).map(|state| give(state.into_bytes()));
    // SAFETY: the daemon's out parameters.
    unsafe { answer::<N, _>(changed, out, why) }
}

/// `Module::accepts`.
pub(crate) unsafe extern "C" fn accepts<B: Behaviour, N: Named>(
    kind: u32,
    body: Bytes,
    why: *mut reld_abi::Exit,
) -> Status {
    // SAFETY: lent for the call.
    let body = unsafe { borrow(body) };
    let accepted = catch(|| B::accepts(body_kind(kind)?, body)).and_then(|accepted| accepted);
    // SAFETY: the daemon's out parameter; the other is a local.
    unsafe { answer::<N, _>(accepted, &mut (), why) }
}

/// `Module::drop_state`.
pub(crate) unsafe extern "C" fn drop_state<B: Behaviour>(state_app: *mut c_void) {
    // SAFETY: the daemon gives back a state that this table handed out, or null.
    discard(unsafe { own::<B::State>(state_app) });
}

/// `Module::schema`.
pub(crate) unsafe extern "C" fn schema<B: Behaviour, N: Named>(
    out: *mut reld_abi::Buf,
    why: *mut reld_abi::Exit,
) -> Status {
    let schema = catch(|| give(B::schema().into_bytes()));
    // SAFETY: the daemon's out parameters.
    unsafe { answer::<N, _>(schema, out, why) }
}

/// `Module::format_status`.
pub(crate) unsafe extern "C" fn format_status<B: Behaviour, N: Named>(
    kind: u32,
    body: Bytes,
    out: *mut reld_abi::Buf,
    why: *mut reld_abi::Exit,
) -> Status {
    // SAFETY: lent for the call.
    let body = unsafe { borrow(body) };
    let shown = catch(|| -> Result<_, Exit> {
        let part = status_part(kind)?;
        let format = B::FORMAT_STATUS.unwrap_or(|_, value| Ok(value));
        Ok(give(format(part, Value::from_bytes(body))?.into_bytes()))
    });
    // SAFETY: the daemon's out parameters.
    unsafe { answer::<N, _>(shown.and_then(|shown| shown), out, why) }
}

/// Takes ownership of a value from [`hand_out`].
///
/// # Safety
/// The pointer is null, or came from `hand_out` for a `T` and was not owned again since.
unsafe fn own<T>(pointer: *mut c_void) -> Option<Box<T>> {
    // SAFETY: the caller's promise.
    (!pointer.is_null()).then(|| unsafe { Box::from_raw(pointer.cast()) })
}

/// Gives ownership to the daemon.
fn hand_out<T>(value: Box<T>) -> *mut c_void {
    Box::into_raw(value).cast()
}

/// Writes the result of a function that is not a callback.
///
/// # Safety
/// Both pointers are null or writable.
unsafe fn answer<N: Named, T>(result: Result<T, Exit>, out: *mut T, why: *mut reld_abi::Exit) -> Status {
    match result {
        Ok(value) if !out.is_null() => {
            // SAFETY: the caller's promise; the previous value needs no drop.
            unsafe { out.write(value) };
            reld_abi::OK
        }
        Ok(_) => reld_abi::FAILED,
        Err(exit) => {
            if !why.is_null() {
                // SAFETY: the caller's promise; the previous value needs no drop.
                unsafe { why.write(give_exit(blame::<N>(exit))) };
            }
            reld_abi::FAILED
        }
    }
}

/// The reason why the daemon runs a callback.
enum Occasion<'a> {
    Init(&'a [u8]),
    Event(Event<'a>),
    Unknown(u32),
}

/// Reads an event. A missing event is unknown.
///
/// # Safety
/// The body of the event is readable for `'a`.
unsafe fn read_event<'a>(event: Option<&'a reld_abi::Event>) -> Occasion<'a> {
    let Some(event) = event else { return Occasion::Unknown(u32::MAX) };
    // SAFETY: the caller's promise.
    let body = unsafe { borrow(event.body) };
    let from = Pid::new(event.from.slot, event.from.generation);
    let exit = || read_exit(event.exit_kind, body);
    Occasion::Event(match event.kind {
        reld_abi::EVENT_INIT => return Occasion::Init(body),
        reld_abi::EVENT_CALL => {
            let server = Pid::new(event.server.slot, event.server.generation);
            Event::Call(From { caller: from, server, reference: event.reference }, body)
        }
        reld_abi::EVENT_CAST => Event::Cast(body),
        reld_abi::EVENT_INFO => Event::Info(body),
        reld_abi::EVENT_CONTINUE => Event::Continue(body),
        reld_abi::EVENT_TIMEOUT => Event::Timeout,
        reld_abi::EVENT_EXIT => Event::Exit(from, exit()),
        reld_abi::EVENT_DOWN => Event::Down(MonitorRef(event.reference), from, exit()),
        reld_abi::EVENT_TOLD => Event::Told(body),
        reld_abi::EVENT_TERMINATE => Event::Terminate(exit()),
        reld_abi::EVENT_PREP_STOP => Event::PrepStop(body),
        reld_abi::EVENT_START_PHASE => Event::StartPhase(body),
        reld_abi::EVENT_CONFIG_CHANGE => Event::ConfigChange(body),
        unknown => return Occasion::Unknown(unknown),
    })
}

/// Begins a callback.
fn begin<B: Behaviour>(state: Option<Box<B::State>>, occasion: Occasion<'_>) -> Result<Work<B::State>, Exit> {
    match (occasion, state) {
        (Occasion::Init(args), None) => B::init(args),
        (Occasion::Event(event), Some(state)) => B::handle(state, event),
        (Occasion::Init(_), Some(_)) => {
            Err(Exit::error("init was called for a process that already has a state"))
        }
        (Occasion::Event(event), None) => {
            Err(Exit::error(format!("received {event:?} for a process without a state")))
        }
        (Occasion::Unknown(kind), _) => {
            Err(Exit::error(format!("event kind {kind} is unknown to this version of the SDK")))
        }
    }
}

/// Runs the callbacks of events, each up to its first wait. Most callbacks end there, and need no
/// box. Goes on with the next event after a callback that only continues, unless `stop` is set.
/// Counts the callbacks in `begun`, and returns the verdict of the last one.
///
/// # Safety
/// The bodies of the events are readable for the call.
unsafe fn first_polls<B: Behaviour, N: Named>(
    mut state: Option<Box<B::State>>,
    events: &[&reld_abi::Event],
    stop: &[&AtomicU8],
    begun: &mut usize,
    out: &mut Outcome,
) -> Verdict {
    *begun = 0;
    // Both live outside the fence, so that a panic drops them in a fence of their own.
    let (mut callback, mut polled) = (None, Poll::Pending);
    let caught = catch(|| {
        loop {
            // SAFETY: the caller's promise.
            let occasion = unsafe { read_event(events.get(*begun).copied()) };
            *begun += 1;
            match begin::<B>(state.take(), occasion) {
                Ok(work) => {
                    let running = callback.insert(Callback::new(work));
                    running.poll(&[], &mut polled);
                    // Most callbacks end here, leave nothing of the app behind and need no other
                    // fence.
                    if polled.is_ready() && running.is_spent() {
                        callback = None;
                    }
                }
                Err(exit) => polled = Poll::Ready(Err(exit)),
            }
            if *begun >= events.len() || callback.is_some() || is_set(stop) {
                break;
            }
            let Some(next) = state_of_one_that_continues(&mut polled) else { break };
            state = Some(next);
        }
    });
    if let Err(exit) = caught {
        discard(std::mem::replace(&mut polled, Poll::Ready(Err(exit))));
    }
    match (polled, callback) {
        (Poll::Pending, Some(callback)) => park::<B, N>(Box::new(callback), out),
        (Poll::Pending, None) => reld_abi::VERDICT_CRASHED,
        (Poll::Ready(ended), None) => end::<B, N>(ended, out),
        (Poll::Ready(ended), Some(callback)) => {
            discard(callback);
            end::<B, N>(ended, out)
        }
    }
}

fn is_set(stop: &[&AtomicU8]) -> bool {
    stop.iter().any(|flag| flag.load(Ordering::Acquire) != 0)
}

/// Takes the state of a callback that has no other result. Takes the whole result, so that the next
/// one has nothing to drop.
fn state_of_one_that_continues<S>(polled: &mut Polled<S>) -> Option<Box<S>> {
    match std::mem::replace(polled, Poll::Pending) {
        Poll::Ready(Ok(Done { state: Some(state), next: After::Continue, reply: None })) => Some(state),
        other => {
            *polled = other;
            None
        }
    }
}

/// Runs a waiting callback up to its next wait.
fn next_poll<B: Behaviour, N: Named>(
    mut callback: Box<Callback<B::State>>,
    completed: &[u64],
    out: &mut Outcome,
) -> Verdict {
    let mut polled = Poll::Pending;
    if let Err(exit) = catch(|| callback.poll(completed, &mut polled)) {
        discard(std::mem::replace(&mut polled, Poll::Ready(Err(exit))));
    }
    match polled {
        Poll::Pending => park::<B, N>(callback, out),
        Poll::Ready(ended) => {
            discard(callback);
            end::<B, N>(ended, out)
        }
    }
}

/// Passes a waiting callback to the daemon.
fn park<B: Behaviour, N: Named>(callback: Box<Callback<B::State>>, out: &mut Outcome) -> Verdict {
    out.future =
        Future { data_app: hand_out(callback), poll: Some(poll::<B, N>), drop: Some(drop_future::<B>) };
    reld_abi::VERDICT_PENDING
}

/// Writes the result of a callback.
fn end<B: Behaviour, N: Named>(ended: Result<Done<B::State>, Exit>, out: &mut Outcome) -> Verdict {
    let done = match ended {
        Ok(done) => done,
        Err(exit) => return crash::<N>(exit, out),
    };
    match done.state {
        Some(state) => out.state_app = hand_out(state),
        None => hand_over_output(),
    }
    if let Some(reply) = done.reply {
        out.has_reply = 1;
        out.reply = reply.give();
    }
    out.next = match done.next {
        After::Continue => reld_abi::NEXT_CONTINUE,
        After::Ignore => reld_abi::NEXT_IGNORE,
        After::Stop(exit) => {
            hand_over_output();
            out.exit = give_exit(blame::<N>(exit));
            reld_abi::NEXT_STOP
        }
    };
    reld_abi::VERDICT_READY
}

/// Flushes an unfinished line of `print!`, because the code that began the line will not finish it.
pub(crate) fn hand_over_output() {
    // The error cannot be reported.
    let _ = catch(|| std::io::stdout().flush());
}

fn crash<N: Named>(exit: Exit, out: &mut Outcome) -> Verdict {
    hand_over_output();
    out.exit = give_exit(blame::<N>(exit));
    reld_abi::VERDICT_CRASHED
}

/// Adds module and version to the error about a field that did not fit.
fn blame<N: Named>(exit: Exit) -> Exit {
    match exit {
        Exit::Undecodable(text) => Exit::Undecodable(format!("{} {}: {text}", N::NAME, N::VERSION)),
        other => other,
    }
}

fn version(text: &[u8]) -> Result<&str, Exit> {
    std::str::from_utf8(text).map_err(|error| Exit::error(format!("the other version is not UTF-8: {error}")))
}

fn status_part(kind: u32) -> Result<StatusPart, Exit> {
    match kind {
        reld_abi::STATUS_STATE => Ok(StatusPart::State),
        reld_abi::EVENT_CALL => Ok(StatusPart::Call),
        reld_abi::EVENT_CAST => Ok(StatusPart::Cast),
        reld_abi::EVENT_INFO => Ok(StatusPart::Message),
        other => Err(Exit::error(format!("kind {other} is not a part of a status"))),
    }
}

fn body_kind(kind: u32) -> Result<BodyKind, Exit> {
    match kind {
        reld_abi::EVENT_INIT => Ok(BodyKind::Init),
        reld_abi::EVENT_CALL => Ok(BodyKind::Call),
        reld_abi::EVENT_CAST => Ok(BodyKind::Cast),
        reld_abi::EVENT_INFO => Ok(BodyKind::Info),
        other => Err(Exit::error(format!("event kind {other} has no body to decode"))),
    }
}
