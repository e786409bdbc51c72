//! A daemon for one thread: its table, and calls through the app's tables as the loader makes them.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::c_void;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::AtomicU8;

use reld_abi::*;

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

/// The app's requests, and the answers that it will get.
#[derive(Default)]
pub(crate) struct World {
    last: u64,
    pub(crate) calls: Vec<u64>,
    pub(crate) sleeps: Vec<(u64, u64)>,
    pub(crate) answers: BTreeMap<u64, Vec<u8>>,
    pub(crate) forgotten: Vec<u64>,
    pub(crate) casts: Vec<(Pid, Vec<u8>)>,
    pub(crate) mail: VecDeque<(u32, Vec<u8>)>,
    pub(crate) log: Vec<String>,
}

impl World {
    fn open(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

/// Reads or changes the world of this thread.
pub(crate) fn world<R>(look: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with_borrow_mut(look)
}

pub(crate) const ME: Pid = Pid { slot: 7, generation: 1 };

static HOST: Host = HOST_NOW;

const HOST_NOW: Host = Host {
    size: size_of::<Host>() as u32,
    abi_major: ABI_MAJOR,
    abi_minor: ABI_MINOR,
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
    register: refuse_name,
    unregister: refuse_name,
    whereis,
    link: refuse_pid,
    unlink: refuse_pid,
    monitor,
    demonitor,
    exit,
    trap_exit,
    get_env,
    log,
    send_interval: send_after,
    read_timer,
    blocking,
    bound_mailbox,
    find,
};

unsafe extern "C" {
    fn reld_app_v1() -> *const App;
}

/// Returns the loaded app. Its panic hook is called before that of the test runner.
pub(crate) fn app() -> &'static App {
    static LOADED: Once = Once::new();
    // SAFETY: this binary defines it by `export_app!`; it takes nothing and always returns.
    let app = unsafe { reld_app_v1() };
    // SAFETY: it returned a static.
    let app = unsafe { &*app };
    LOADED.call_once(|| {
        let print = std::panic::take_hook();
        assert_eq!(load(app, &HOST), OK);
        let note = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            note(info);
            print(info);
        }));
    });
    app
}

/// Calls `App::load`.
pub(crate) fn load(app: &App, host: *const Host) -> Status {
    let load = app.load.expect("the SDK fills it");
    // SAFETY: null or a static table.
    unsafe { load(host) }
}

/// The table of a daemon with another version.
pub(crate) fn other_host(abi_major: u32, abi_minor: u32, size: usize) -> Host {
    Host { abi_major, abi_minor, size: size as u32, ..HOST }
}

/// The table of a daemon of a newer minor version, with a function that this SDK does not know.
#[repr(C)]
pub(crate) struct Newer {
    pub(crate) known: Host,
    later: usize,
}

pub(crate) static NEWER: Newer = Newer {
    known: Host { abi_minor: ABI_MINOR + 1, size: size_of::<Newer>() as u32, ..HOST_NOW },
    later: usize::MAX,
};

/// One callback table, called as the loader does.
#[derive(Clone, Copy)]
pub(crate) struct Table(pub(crate) &'static Module);

/// Finds a table by its name.
pub(crate) fn table(name: &str) -> Table {
    let app = app();
    // SAFETY: the block holds the number of tables, and they are statics.
    let modules =
        unsafe { std::slice::from_raw_parts(app.modules.cast::<&'static Module>(), app.module_count) };
    let module = modules.iter().find(|module| borrow(module.name) == name.as_bytes());
    Table(module.unwrap_or_else(|| panic!("no module {name}")))
}

/// The result of a callback.
#[derive(Debug)]
pub(crate) enum Turn {
    Ready { state: *mut c_void, next: u32, reply: Option<Vec<u8>>, exit: (u32, String) },
    Pending(Parked),
    Crashed(u32, String),
}

/// A waiting callback.
#[derive(Debug)]
pub(crate) struct Parked(Future);

impl Parked {
    pub(crate) fn poll(self, completed: &[u64]) -> Turn {
        let poll = self.0.poll.expect("the SDK fills it");
        let mut out = outcome();
        // SAFETY: the future is the app's and polled by its owner, once.
        let verdict = unsafe { poll(self.0.data_app, completed.as_ptr(), completed.len(), &raw mut out) };
        turn(verdict, out)
    }

    pub(crate) fn drop(self) {
        let drop = self.0.drop.expect("the SDK fills it");
        // SAFETY: the future is the app's and dropped by its owner, once.
        unsafe { drop(self.0.data_app) }
    }
}

impl Table {
    pub(crate) fn init(self, args: &[u8]) -> Turn {
        self.callback(std::ptr::null_mut(), &event(EVENT_INIT, args))
    }

    pub(crate) fn callback(self, state: *mut c_void, event: *const Event) -> Turn {
        let mut out = outcome();
        let callback = self.0.callback.expect("the SDK fills it");
        // SAFETY: the state is one that this table gave, and given back.
        let verdict = unsafe { callback(state, event, &raw mut out) };
        turn(verdict, out)
    }

    /// Returns the result of the last callback that was begun, and how many were.
    pub(crate) fn callback_many(self, state: *mut c_void, events: &[Event], stop: bool) -> (Turn, usize) {
        let (mut out, flags) = (outcome(), [0, 0, stop.into()].map(AtomicU8::new));
        let stop = flags.each_ref().map(ptr::from_ref);
        let events: Vec<_> = events.iter().map(ptr::from_ref).collect();
        let mut series = Series { events: events.as_ptr(), count: events.len(), stop, begun: 0 };
        let callback_many = self.0.callback_many.expect("the SDK fills it");
        // SAFETY: the state is one that this table gave, and given back; the rest is lent.
        let verdict = unsafe { callback_many(state, &raw mut series, &raw mut out) };
        (turn(verdict, out), series.begun)
    }

    pub(crate) fn export(self, state: *const c_void) -> Result<Vec<u8>, (u32, String)> {
        let (mut out, mut why) = (Buf::EMPTY, no_exit());
        let export = self.0.export_state.expect("the SDK fills it");
        // SAFETY: the state is one that this table gave, lent.
        let status = unsafe { export(state, &raw mut out, &raw mut why) };
        result(status, why).map(|()| take_buf(out))
    }

    pub(crate) fn import(self, state: &[u8]) -> Result<*mut c_void, (u32, String)> {
        let (mut out, mut why) = (std::ptr::null_mut(), no_exit());
        let import = self.0.import_state.expect("the SDK fills it");
        // SAFETY: the bytes are lent.
        let status = unsafe { import(lend(state), &raw mut out, &raw mut why) };
        result(status, why).map(|()| out)
    }

    pub(crate) fn change_code(
        self,
        from: &[u8],
        state: &[u8],
        extra: &[u8],
    ) -> Result<*mut c_void, (u32, String)> {
        let (mut out, mut why) = (std::ptr::null_mut(), no_exit());
        let change = self.0.change_code.expect("the SDK fills it");
        // SAFETY: the bytes are lent.
        let status = unsafe { change(lend(from), lend(state), lend(extra), &raw mut out, &raw mut why) };
        result(status, why).map(|()| out)
    }

    pub(crate) fn change_code_down(
        self,
        to: &[u8],
        state: &[u8],
        extra: &[u8],
    ) -> Result<Vec<u8>, (u32, String)> {
        let (mut out, mut why) = (Buf::EMPTY, no_exit());
        let change = self.0.change_code_down.expect("the SDK fills it");
        // SAFETY: the bytes are lent.
        let status = unsafe { change(lend(to), lend(state), lend(extra), &raw mut out, &raw mut why) };
        result(status, why).map(|()| take_buf(out))
    }

    pub(crate) fn accepts(self, kind: u32, body: &[u8]) -> Result<(), (u32, String)> {
        let mut why = no_exit();
        let accepts = self.0.accepts.expect("the SDK fills it");
        // SAFETY: the bytes are lent.
        let status = unsafe { accepts(kind, lend(body), &raw mut why) };
        result(status, why)
    }

    pub(crate) fn drop_state(self, state: *mut c_void) {
        let drop_state = self.0.drop_state.expect("the SDK fills it");
        // SAFETY: the state is one that this table gave, given back.
        unsafe { drop_state(state) }
    }
}

/// Makes an event from outside.
pub(crate) fn event(kind: u32, body: &[u8]) -> Event {
    Event {
        kind,
        reserved: 0,
        from: Pid { slot: 9, generation: 1 },
        reference: 77,
        body: lend(body),
        exit_kind: 0,
        server: ME,
    }
}

fn turn(verdict: Verdict, out: Outcome) -> Turn {
    let exit = (out.exit.kind, text(out.exit.text));
    match verdict {
        VERDICT_READY => {
            let reply = take_buf(out.reply);
            let reply = (out.has_reply == 1).then_some(reply);
            Turn::Ready { state: out.state_app, next: out.next, reply, exit }
        }
        VERDICT_PENDING => Turn::Pending(Parked(out.future)),
        VERDICT_CRASHED => Turn::Crashed(exit.0, exit.1),
        other => panic!("verdict {other}"),
    }
}

fn result(status: Status, why: Exit) -> Result<(), (u32, String)> {
    let exit = (why.kind, text(why.text));
    if status == OK { Ok(()) } else { Err(exit) }
}

fn outcome() -> Outcome {
    Outcome {
        state_app: std::ptr::null_mut(),
        next: 0,
        has_reply: 0,
        reply: Buf::EMPTY,
        exit: no_exit(),
        future: Future { data_app: std::ptr::null_mut(), poll: None, drop: None },
    }
}

fn no_exit() -> Exit {
    Exit { kind: 0, text: Buf::EMPTY }
}

fn lend(bytes: &[u8]) -> Bytes {
    Bytes { ptr: bytes.as_ptr(), len: bytes.len() }
}

fn borrow<'a>(bytes: Bytes) -> &'a [u8] {
    // SAFETY: the app lends a static, or memory that lives for the call.
    unsafe { std::slice::from_raw_parts(bytes.ptr, bytes.len) }
}

fn take_buf(buf: Buf) -> Vec<u8> {
    if buf.cap == 0 {
        return Vec::new();
    }
    // SAFETY: the app gave it, from the allocator of this binary.
    unsafe { Vec::from_raw_parts(buf.ptr, buf.len, buf.cap) }
}

fn give_buf(bytes: Vec<u8>) -> Buf {
    let mut bytes = std::mem::ManuallyDrop::new(bytes);
    Buf { ptr: bytes.as_mut_ptr(), len: bytes.len(), cap: bytes.capacity() }
}

fn text(buf: Buf) -> String {
    String::from_utf8(take_buf(buf)).expect("exit texts are UTF-8")
}

unsafe extern "C" fn self_pid() -> Pid {
    ME
}

unsafe extern "C" fn send(_: u32, to: Pid, body: Buf) -> Status {
    let body = take_buf(body);
    world(|world| world.casts.push((to, body)));
    OK
}

unsafe extern "C" fn call(_: u32, _: Pid, body: Buf, _: u64) -> u64 {
    drop(take_buf(body));
    world(|world| {
        let reference = world.open();
        world.calls.push(reference);
        reference
    })
}

unsafe extern "C" fn take(reference: u64, out: *mut Answer) -> Status {
    let Some(reply) = world(|world| world.answers.remove(&reference)) else { return PENDING };
    let answer = Answer { kind: ANSWER_REPLY, reserved: 0, reply: give_buf(reply), exit: no_exit() };
    // SAFETY: the app's out parameter.
    unsafe { out.write(answer) };
    OK
}

unsafe extern "C" fn forget(reference: u64) {
    world(|world| world.forgotten.push(reference));
}

unsafe extern "C" fn reply(_: From, body: Buf) -> Status {
    drop(take_buf(body));
    REFUSED
}

unsafe extern "C" fn send_after(_: Pid, _: u64, body: Buf) -> Timer {
    drop(take_buf(body));
    Timer { id: 0, at_ns: 0 }
}

unsafe extern "C" fn read_timer(_: Timer) -> u64 {
    INFINITY
}

unsafe extern "C" fn blocking(_: BlockingFn, _: *mut c_void) -> u64 {
    0
}

unsafe extern "C" fn bound_mailbox(_: u64) -> Status {
    REFUSED
}

unsafe extern "C" fn cancel_timer(_: Timer) -> Status {
    REFUSED
}

unsafe extern "C" fn sleep(after_ms: u64) -> u64 {
    world(|world| {
        let reference = world.open();
        world.sleeps.push((reference, after_ms));
        reference
    })
}

unsafe extern "C" fn recv(out: *mut Message) -> Status {
    let Some((kind, body)) = world(|world| world.mail.pop_front()) else { return PENDING };
    let from = Pid { slot: 9, generation: 1 };
    let message = Message { kind, exit_kind: EXIT_SHUTDOWN, from, reference: 77, body: give_buf(body) };
    // SAFETY: the app's out parameter.
    unsafe { out.write(message) };
    OK
}

unsafe extern "C" fn spawn(_: Bytes, args: Buf, _: u32) -> u64 {
    drop(take_buf(args));
    0
}

unsafe extern "C" fn refuse_name(_: Bytes) -> Status {
    REFUSED
}

unsafe extern "C" fn whereis(_: Bytes) -> Pid {
    Pid { slot: 0, generation: 0 }
}

unsafe extern "C" fn find(_: Bytes, _: *mut Pid, _: *mut Buf) -> Status {
    REFUSED
}

unsafe extern "C" fn refuse_pid(_: Pid) -> Status {
    REFUSED
}

unsafe extern "C" fn monitor(_: Pid) -> u64 {
    0
}

unsafe extern "C" fn demonitor(_: u64) -> Status {
    REFUSED
}

unsafe extern "C" fn exit(_: Pid, exit: Exit) -> Status {
    drop(take_buf(exit.text));
    REFUSED
}

unsafe extern "C" fn trap_exit(_: u32) -> Status {
    REFUSED
}

unsafe extern "C" fn get_env(_: Bytes, _: *mut Buf) -> Status {
    REFUSED
}

unsafe extern "C" fn log(_: u32, _: Bytes, message: Bytes) {
    let message = String::from_utf8_lossy(borrow(message)).into_owned();
    world(|world| world.log.push(message));
}
