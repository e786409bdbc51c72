//! Calls into a library. This module implements the runtime's [`Module`], [`Instance`] and
//! [`Callback`] with the tables of a library.
//!
//! The daemon calls a library only from this module. No call is wrapped in `catch_unwind`, because
//! a panic cannot leave an `extern "C"` function: the library's shim catches the panic and returns
//! an exit, and a panic that escapes the shim aborts inside the library. Every result is checked
//! before it is used. A result that the boundary does not define ends the process with
//! [`Exit::Error`], which names app, version and module.
//!
//! During a call the thread is recorded as inside the library (`output.rs`).
//!
//! A state moves into its callback and comes back with the outcome. Its [`ForeignInstance`] stays
//! in the same box, so a callback that does not wait allocates nothing here.

mod events;

use std::cell::RefCell;
use std::ffi::c_void;
use std::fmt::Display;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use reld_abi as abi;
use reld_runtime::{
    Batch, Behaviour, BodyKind, Bytes, Callback, Event, Instance, Module, Next, Outcome, Ref, Step,
    one_by_one,
};
use reld_wire::Exit;

use crate::block::{StateFns, Table};
use crate::image::Image;
use crate::wire::{self, Malformed};

/// A module of a library.
#[derive(Debug, Clone)]
pub(crate) struct ForeignModule {
    inner: Arc<Inner>,
}

thread_local! {
    /// References to modules, which states hold. They are taken from the shared counter in batches,
    /// so that threads rarely write to it.
    static MODULES: RefCell<Batch<ForeignModule>> = const { RefCell::new(Batch::new()) };
}

/// The functions of a module, and the image that contains them.
#[derive(Debug)]
struct Inner {
    table: Table,
    image: Arc<Image>,
    /// The ABI that the library was built for.
    abi_minor: u32,
}

/// The stage of a process's life in which a callback runs. It determines which outcomes are legal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Init,
    Running,
    Ending,
}

/// A state of a library, and the module that built it.
#[derive(Debug)]
struct ForeignInstance {
    module: Arc<ForeignModule>,
    /// The state. It is `None` while a callback owns it, and after the process has ended.
    state: Option<NonNull<c_void>>,
}

// SAFETY: by the contract of the boundary any thread of the pool may use and free a state, one
// thread at a time.
unsafe impl Send for ForeignInstance {}

/// A callback of a library that waits.
#[derive(Debug)]
struct ForeignCallback {
    /// The instance without its state, which the future owns. It is `None` after the callback has
    /// ended.
    instance: Option<Box<ForeignInstance>>,
    future: ForeignFuture,
    stage: Stage,
}

#[derive(Debug, Clone, Copy)]
struct ForeignFuture {
    data: *mut c_void,
    poll: unsafe extern "C" fn(*mut c_void, *const u64, usize, *mut abi::Outcome) -> abi::Verdict,
    drop: unsafe extern "C" fn(*mut c_void),
}

// SAFETY: by the contract of the boundary any thread of the pool may poll and drop a future, one
// thread at a time.
unsafe impl Send for ForeignFuture {}

impl ForeignModule {
    pub(crate) fn of(table: Table, image: Arc<Image>, abi_minor: u32) -> Arc<dyn Module> {
        Arc::new(Self { inner: Arc::new(Inner { table, image, abi_minor }) })
    }

    fn state_fns(&self) -> Result<&StateFns, Exit> {
        self.inner.table.state.as_ref().ok_or_else(|| self.broken("keeps no state"))
    }

    fn instance(&self, state: *mut c_void) -> Result<Box<dyn Instance>, Exit> {
        let state = NonNull::new(state).ok_or_else(|| self.broken("returned a null state"))?;
        Ok(Box::new(ForeignInstance { module: self.shared(), state: Some(state) }))
    }

    /// Returns a reference to the module, which a state will hold.
    fn shared(&self) -> Arc<Self> {
        let is = |module: &Self| Arc::ptr_eq(&module.inner, &self.inner);
        MODULES.with_borrow_mut(|modules| modules.next(is, || self.clone()))
    }

    /// Returns the exit for a process whose library has violated the contract.
    fn broken(&self, problem: impl Display) -> Exit {
        let Inner { table, image, .. } = &*self.inner;
        Exit::Error(format!(
            "app {} {}, module {}: the library {problem}",
            image.app, image.version, table.name
        ))
    }

    fn malformed(&self, malformed: Malformed) -> Exit {
        self.broken(format_args!("returned {malformed}, which ABI {} does not define", abi::ABI_MAJOR))
    }

    /// Converts the status of a function that is not a callback. Always takes ownership of `why`.
    fn check(&self, status: abi::Status, why: abi::Exit) -> Result<(), Exit> {
        let why = wire::take_exit(why).map_err(|malformed| self.malformed(malformed));
        match status {
            abi::OK => why.map(drop),
            abi::FAILED => Err(match why? {
                Exit::Normal => self.broken("failed without a reason"),
                why => why,
            }),
            status => Err(self.malformed(Malformed::Status(status))),
        }
    }

    fn take(&self, buf: abi::Buf) -> Result<Bytes, Exit> {
        wire::take_buf(buf).map_err(|malformed| self.malformed(malformed))
    }
}

impl Module for ForeignModule {
    fn name(&self) -> &str {
        &self.inner.table.name
    }

    fn version(&self) -> &str {
        &self.inner.image.version
    }

    fn app(&self) -> &str {
        &self.inner.image.app
    }

    fn behaviour(&self) -> Behaviour {
        self.inner.table.behaviour
    }

    fn init(&self, args: &[u8]) -> Step {
        let event = abi::Event { body: wire::lend(args), ..events::of(abi::EVENT_INIT) };
        run(Box::new(ForeignInstance { module: self.shared(), state: None }), &event, Stage::Init)
    }

    fn import(&self, state: &[u8]) -> Result<Box<dyn Instance>, Exit> {
        let import = self.state_fns()?.import;
        let (mut made, mut why) = (ptr::null_mut(), EMPTY_EXIT);
        let _visit = self.inner.image.visit();
        // SAFETY: the image is mapped, the bytes stay valid during the call, and both out
        // parameters are writable.
        let status = unsafe { import(wire::lend(state), &raw mut made, &raw mut why) };
        self.check(status, why)?;
        self.instance(made)
    }

    fn change_code(&self, from: &str, state: &[u8], extra: &[u8]) -> Result<Box<dyn Instance>, Exit> {
        let change = self.state_fns()?.change;
        let (from, state, extra) = (wire::lend(from.as_bytes()), wire::lend(state), wire::lend(extra));
        let (mut made, mut why) = (ptr::null_mut(), EMPTY_EXIT);
        let _visit = self.inner.image.visit();
        // SAFETY: as for import.
        let status = unsafe { change(from, state, extra, &raw mut made, &raw mut why) };
        self.check(status, why)?;
        self.instance(made)
    }

    fn change_code_down(&self, to: &str, state: &[u8], extra: &[u8]) -> Result<Bytes, Exit> {
        let change_down = self.state_fns()?.change_down;
        let (to, state, extra) = (wire::lend(to.as_bytes()), wire::lend(state), wire::lend(extra));
        let (mut made, mut why) = (abi::Buf::EMPTY, EMPTY_EXIT);
        let _visit = self.inner.image.visit();
        // SAFETY: as for import.
        let status = unsafe { change_down(to, state, extra, &raw mut made, &raw mut why) };
        let made = self.take(made);
        self.check(status, why)?;
        made
    }

    fn accepts(&self, kind: BodyKind, body: &[u8]) -> Result<(), Exit> {
        let kind = match kind {
            BodyKind::Init => abi::EVENT_INIT,
            BodyKind::Call => abi::EVENT_CALL,
            BodyKind::Cast => abi::EVENT_CAST,
            BodyKind::Info => abi::EVENT_INFO,
            // `accepts` checks only events. Importing a state and dropping it decodes the same
            // bytes.
            BodyKind::State => return self.import(body).map(drop),
        };
        let mut why = EMPTY_EXIT;
        let _visit = self.inner.image.visit();
        // SAFETY: as for import.
        let status = unsafe { (self.inner.table.accepts)(kind, wire::lend(body), &raw mut why) };
        self.check(status, why)
    }

    fn hides(&self) -> bool {
        self.inner.table.format_status.is_some()
    }

    fn format_status(&self, kind: BodyKind, body: &[u8]) -> Result<Bytes, Exit> {
        let part = match kind {
            BodyKind::State => abi::STATUS_STATE,
            BodyKind::Call => abi::EVENT_CALL,
            BodyKind::Cast => abi::EVENT_CAST,
            BodyKind::Info => abi::EVENT_INFO,
            BodyKind::Init => abi::EVENT_INIT,
        };
        let Some(format) = self.inner.table.format_status else { return Ok(body.to_vec()) };
        let (mut shown, mut why) = (abi::Buf::EMPTY, EMPTY_EXIT);
        let _visit = self.inner.image.visit();
        // SAFETY: as for import.
        let status = unsafe { format(part, wire::lend(body), &raw mut shown, &raw mut why) };
        let shown = self.take(shown);
        self.check(status, why)?;
        shown.map(|shown| if shown.is_empty() { body.to_vec() } else { shown })
    }
}

impl Instance for ForeignInstance {
    fn callback(self: Box<Self>, event: &Event<'_>) -> Step {
        if matches!(event, Event::StartPhase(_)) && self.module.inner.abi_minor < events::START_PHASE {
            let text = "its library was built for an ABI without start phases; build it with a newer SDK";
            return Step::Ready(crashed(Exit::Error(text.to_owned())));
        }
        if events::since(event) > self.module.inner.abi_minor {
            let instance: Option<Box<dyn Instance>> = Some(self);
            return Step::Ready(Outcome { instance, next: Next::Continue, reply: None });
        }
        let stage = if matches!(event, Event::Terminate(_)) { Stage::Ending } else { Stage::Running };
        events::with(event, self.module.inner.abi_minor, |event| run(self, event, stage))
    }

    fn callbacks(mut self: Box<Self>, events: &[Event<'_>], stop: [&AtomicBool; 3]) -> (Step, usize) {
        let Some(callback_many) = self.module.inner.table.callback_many else {
            return one_by_one(self, events, stop);
        };
        let events: Vec<_> = events.iter().map(events::in_series).collect();
        let pointers: Vec<_> = events.iter().map(ptr::from_ref).collect();
        let stop = stop.map(|flag| ptr::from_ref(flag).cast());
        let mut series = abi::Series { events: pointers.as_ptr(), count: pointers.len(), stop, begun: 0 };
        let state = self.state.take().map_or(ptr::null_mut(), NonNull::as_ptr);
        let mut out = EMPTY_OUTCOME;
        let visit = self.module.inner.image.visit();
        // SAFETY: as for `run`; the events and the series live until the call returns.
        let verdict = unsafe { callback_many(state, &raw mut series, &raw mut out) };
        drop(visit);
        let begun = series.begun;
        if (1..=events.len()).contains(&begun) {
            return (concluded(self, verdict, out, Stage::Running), begun);
        }
        let broken = self.module.broken(format_args!("handled {begun} of {} messages", events.len()));
        drop(concluded(self, verdict, out, Stage::Running));
        (Step::Ready(crashed(broken)), begun.clamp(1, events.len()))
    }

    fn export(&self) -> Result<Bytes, Exit> {
        let export = self.module.state_fns()?.export;
        let state = self.state.map_or(ptr::null(), |state| state.as_ptr().cast_const());
        let (mut bytes, mut why) = (abi::Buf::EMPTY, EMPTY_EXIT);
        let _visit = self.module.inner.image.visit();
        // SAFETY: the image is mapped, the state is of this module, and both out parameters are
        // writable.
        let status = unsafe { export(state, &raw mut bytes, &raw mut why) };
        let bytes = self.module.take(bytes);
        self.module.check(status, why)?;
        bytes
    }
}

impl Drop for ForeignInstance {
    fn drop(&mut self) {
        let (Some(state), Ok(fns)) = (self.state.take(), self.module.state_fns()) else { return };
        let _visit = self.module.inner.image.visit();
        // SAFETY: the image is mapped, and the state is of this module and owned here.
        unsafe { (fns.drop)(state.as_ptr()) }
    }
}

impl Callback for ForeignCallback {
    fn poll(&mut self, completed: &[Ref]) -> Option<Outcome> {
        let ForeignFuture { data, poll, .. } = self.future;
        let instance = self.instance.take().expect("a callback that has ended is not polled again");
        let mut out = EMPTY_OUTCOME;
        let visit = instance.module.inner.image.visit();
        // SAFETY: the image is mapped (the instance holds it), and the future has not ended, since
        // the instance is still here.
        let verdict = unsafe { poll(data, completed.as_ptr(), completed.len(), &raw mut out) };
        drop(visit);
        if verdict == abi::VERDICT_PENDING {
            self.instance = Some(instance);
            return None;
        }
        Some(finish(instance, verdict, out, self.stage))
    }
}

impl Drop for ForeignCallback {
    fn drop(&mut self) {
        // If the callback has ended, the library has already freed its future.
        if let Some(instance) = &self.instance {
            let _visit = instance.module.inner.image.visit();
            // SAFETY: the image is mapped (the instance holds it), and the future is owned here and
            // has not ended.
            unsafe { (self.future.drop)(self.future.data) }
        }
    }
}

/// Calls the schema function of a module in a mapped library. Returns no bytes if the module has no
/// schema.
pub(crate) fn schema(table: &Table) -> Result<Bytes, String> {
    let Some(schema) = table.schema else { return Ok(Bytes::new()) };
    let (mut bytes, mut why) = (abi::Buf::EMPTY, EMPTY_EXIT);
    // SAFETY: the library is mapped, and both out parameters are writable.
    let status = unsafe { schema(&raw mut bytes, &raw mut why) };
    let bytes = wire::take_buf(bytes);
    let why = wire::take_exit(why).map_err(|malformed| malformed.to_string())?;
    if status == abi::OK { bytes.map_err(|malformed| malformed.to_string()) } else { Err(why.to_string()) }
}

/// Runs a callback up to its first wait.
fn run(mut instance: Box<ForeignInstance>, event: &abi::Event, stage: Stage) -> Step {
    let state = instance.state.take().map_or(ptr::null_mut(), NonNull::as_ptr);
    let mut out = EMPTY_OUTCOME;
    let visit = instance.module.inner.image.visit();
    // SAFETY: the image is mapped (the instance holds it), the state is of this module and moves
    // into the call, and the event and the outcome live until it returns.
    let verdict = unsafe { (instance.module.inner.table.callback)(state, event, &raw mut out) };
    drop(visit);
    concluded(instance, verdict, out, stage)
}

/// Converts the outcome of a callback that was run up to its first wait.
fn concluded(instance: Box<ForeignInstance>, verdict: abi::Verdict, out: abi::Outcome, stage: Stage) -> Step {
    if verdict == abi::VERDICT_PENDING {
        return wait(instance, out.future, stage);
    }
    Step::Ready(finish(instance, verdict, out, stage))
}

fn wait(instance: Box<ForeignInstance>, future: abi::Future, stage: Stage) -> Step {
    let (Some(poll), Some(drop)) = (future.poll, future.drop) else {
        return Step::Ready(crashed(instance.module.broken("returned a future without poll or drop")));
    };
    let future = ForeignFuture { data: future.data_app, poll, drop };
    Step::Pending(Box::new(ForeignCallback { instance: Some(instance), future, stage }))
}

/// Converts the outcome of a callback that has ended, and takes ownership of all its parts.
fn finish(
    mut instance: Box<ForeignInstance>,
    verdict: abi::Verdict,
    out: abi::Outcome,
    stage: Stage,
) -> Outcome {
    let result = match verdict {
        abi::VERDICT_READY => ready(&mut instance, out, stage),
        abi::VERDICT_CRASHED => Err(crash(&instance.module, out)),
        verdict => Err(instance.module.malformed(Malformed::Verdict(verdict))),
    };
    match result {
        Ok((next, reply)) => Outcome {
            instance: instance.state.is_some().then_some(instance as Box<dyn Instance>),
            next,
            reply,
        },
        Err(exit) => crashed(exit),
    }
}

/// Converts the outcome of a callback that is done. The state is moved to the instance first, so
/// that it is dropped if another part is invalid.
fn ready(
    instance: &mut ForeignInstance,
    out: abi::Outcome,
    stage: Stage,
) -> Result<(Next, Option<Bytes>), Exit> {
    instance.state = NonNull::new(out.state_app);
    let module = &instance.module;
    let reply = module.take(out.reply);
    let continues = out.next == abi::NEXT_CONTINUE && wire::is_empty(&out.exit);
    if continues && instance.state.is_some() && module.inner.table.state.is_some() {
        // Nearly all callbacks end here.
        return Ok((Next::Continue, (out.has_reply != 0).then_some(reply?)));
    }
    let exit = wire::take_exit(out.exit).map_err(|malformed| module.malformed(malformed));
    let next = match out.next {
        abi::NEXT_CONTINUE => Next::Continue,
        abi::NEXT_STOP => Next::Stop(exit?),
        abi::NEXT_IGNORE if stage == Stage::Init => Next::Ignore,
        next => return Err(module.malformed(Malformed::Next(next))),
    };
    check_state(instance, &next, stage)?;
    Ok((next, (out.has_reply != 0).then_some(reply?)))
}

/// Checks that a process that continues has a state, and that a behaviour without states returned
/// none.
fn check_state(instance: &ForeignInstance, next: &Next, stage: Stage) -> Result<(), Exit> {
    let module = &instance.module;
    match (module.inner.table.state.is_some(), instance.state.is_some()) {
        (true, false) if *next == Next::Continue && stage != Stage::Ending => {
            Err(module.broken("returned a null state for a process that continues"))
        }
        (false, true) => Err(module.broken("returned a state, but its behaviour keeps none")),
        _ => Ok(()),
    }
}

fn crash(module: &ForeignModule, out: abi::Outcome) -> Exit {
    // The state is gone and a reply has no meaning, but the reply's buffer must be freed.
    drop(wire::take_buf(out.reply));
    wire::take_exit(out.exit).unwrap_or_else(|malformed| module.malformed(malformed))
}

fn crashed(exit: Exit) -> Outcome {
    Outcome { instance: None, next: Next::Crash(exit), reply: None }
}

const EMPTY_EXIT: abi::Exit = abi::Exit { kind: 0, text: abi::Buf::EMPTY };

const EMPTY_OUTCOME: abi::Outcome = abi::Outcome {
    state_app: ptr::null_mut(),
    next: 0,
    has_reply: 0,
    reply: abi::Buf::EMPTY,
    exit: EMPTY_EXIT,
    future: abi::Future { data_app: ptr::null_mut(), poll: None, drop: None },
};
