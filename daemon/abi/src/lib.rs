//! The boundary between the daemon and an app's library.
//!
//! Every type here is `#[repr(C)]` and mirrored in `reld.h`; a test compares the two. The crate holds no logic and
//! depends on nothing, so that an app may be built years apart from the daemon that loads it.
//!
//! # How the two sides meet
//!
//! A library exports one function, [`ENTRY_SYMBOL`], which returns its [`App`] block. The daemon compares magic, size
//! and version *before* it calls anything else, then hands its [`Host`] table to [`App::load`]. From then on it calls
//! the library through the [`Module`] tables, and the library calls the daemon through the [`Host`] table.
//!
//! # The promise
//!
//! * Another [`ABI_MAJOR`] is refused, naming both versions.
//! * Tables only grow at their end and say their `size`; a reader looks at `min(size)` bytes and takes what lies
//!   beyond as absent. [`ABI_MINOR`] counts such growth.
//! * A library whose [`App::abi_minor`] is newer than the daemon's is refused, naming both versions: it may call what the
//!   daemon has not. One that can do without says an older minor, and looks how far the daemon's table goes before it
//!   calls what is newer (in C, `RELD_HAS`). The SDK always says its own minor.
//! * A library whose minor is older is never called for what that did not know: what is absent from its tables counts as
//!   null, which a later member must allow, and events since then do not come.
//! * Bytes cross as pointer and length. A [`Bytes`] is borrowed for the duration of the call; a [`Buf`] changes owner.
//! * No Rust type, no panic and no unwinding crosses. App values travel as MessagePack with field names.
//!
//! # Tags used below
//!
//! `[callback]` may be called only while the daemon runs a callback of this library on the calling thread.
//! `[loader thread]` is called by the daemon's one loader thread. `[pool]` is called on any thread of the daemon's pool.
//! Names ending in `_app` belong to the library, those ending in `_host` to the daemon.
#![no_std]

use core::ffi::c_void;
use core::sync::atomic::AtomicU64;

/// The version of this boundary that must be equal on both sides.
pub const ABI_MAJOR: u32 = 1;
/// Counts members appended since [`ABI_MAJOR`] changed.
pub const ABI_MINOR: u32 = 5;
/// The first bytes of every [`App`] block.
pub const MAGIC: [u8; 8] = *b"reldapp\0";
/// The one function that a library exports: [`EntryFn`].
pub const ENTRY_SYMBOL: &str = "reld_app_v1";
/// The one function that the daemon exports to libraries: [`AllocatorFn`].
pub const ALLOCATOR_SYMBOL: &str = "reld_allocator_v1";

/// The type of [`ENTRY_SYMBOL`]: returns the library's block, valid for as long as the library is mapped.
pub type EntryFn = unsafe extern "C" fn() -> *const App;
/// The type of [`ALLOCATOR_SYMBOL`]: returns the daemon's allocator, valid for as long as the daemon lives.
pub type AllocatorFn = unsafe extern "C" fn() -> *const Allocator;

/// Work for [`Host::blocking`]. No function of the table but `whereis` and `log` works inside it.
pub type BlockingFn = unsafe extern "C" fn(data_app: *mut c_void);

/// A borrowed run of bytes, valid until the call it was passed to returns.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Bytes {
    /// First byte; may be dangling or null when `len` is 0.
    pub ptr: *const u8,
    /// Number of bytes.
    pub len: usize,
}

/// An owned run of bytes from the daemon's allocator (alignment 1). Whoever holds it frees it there.
#[repr(C)]
#[derive(Debug)]
pub struct Buf {
    /// First byte; dangling or null when `cap` is 0.
    pub ptr: *mut u8,
    /// Number of bytes in use.
    pub len: usize,
    /// Number of bytes allocated.
    pub cap: usize,
}

impl Buf {
    /// Returns a buffer that owns nothing.
    pub const EMPTY: Self = Self { ptr: core::ptr::null_mut(), len: 0, cap: 0 };
}

/// A process. Never reused for another process; `{0, 0}` is no process.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pid {
    /// Place in the daemon's table.
    pub slot: u32,
    /// How often that place has been used.
    pub generation: u32,
}

/// Why a process ended or is to end.
#[repr(C)]
#[derive(Debug)]
pub struct Exit {
    /// One of the `EXIT_*` values.
    pub kind: u32,
    /// UTF-8 that says more; owned.
    pub text: Buf,
}

/// OTP: `normal`.
pub const EXIT_NORMAL: u32 = 0;
/// OTP: `shutdown`, or `{shutdown, text}` when the text is not empty.
pub const EXIT_SHUTDOWN: u32 = 1;
/// OTP: `killed`.
pub const EXIT_KILLED: u32 = 2;
/// OTP: `noproc`.
pub const EXIT_NOPROC: u32 = 3;
/// The app's own code gave up; the text is its reason.
pub const EXIT_ERROR: u32 = 4;
/// The app's code panicked; the text is the panic's message and place.
pub const EXIT_PANIC: u32 = 5;
/// A state, message or argument could not be decoded; the text names the field.
pub const EXIT_UNDECODABLE: u32 = 6;
/// The answer to a call of a process whose mailbox is full ([`Host::bound_mailbox`]): it was not sent. Since ABI 1.4.
pub const EXIT_OVERLOADED: u32 = 7;

/// Where the answer to a call goes. Plain data: a state may keep it over an upgrade.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct From {
    /// The process that called.
    pub caller: Pid,
    /// The process that was called.
    pub server: Pid,
    /// The caller's reference of the open call.
    pub reference: u64,
}

/// A running timer. Plain data: a state may keep it over an upgrade.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// Names the timer in the daemon's life.
    pub id: u64,
    /// When it fires, in nanoseconds since the daemon started.
    pub at_ns: u64,
}

/// What a callback is called with.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// One of the `EVENT_*` values.
    pub kind: u32,
    /// Filled with 0; room to grow.
    pub reserved: u32,
    /// Who sent it; the dead process for [`EVENT_EXIT`] and [`EVENT_DOWN`].
    pub from: Pid,
    /// The call's reference, or the monitor's for [`EVENT_DOWN`].
    pub reference: u64,
    /// MessagePack; for [`EVENT_EXIT`], [`EVENT_DOWN`] and [`EVENT_TERMINATE`] the exit's UTF-8 text.
    pub body: Bytes,
    /// The exit's kind for [`EVENT_EXIT`], [`EVENT_DOWN`] and [`EVENT_TERMINATE`].
    pub exit_kind: u32,
}

/// Start: `body` is the start argument, `state` is null. All behaviours.
///
/// Of two behaviours the daemon reads and writes the values itself. BIN is a bin with MessagePack in it, which is passed on
/// as it is; what stands in `[]` may be left out and has OTP's default. A pid is `{slot, generation}`.
///
/// ```text
/// to an application's init    {type: "normal", env: {KEY: VALUE}}
/// from an application's init  {module, args: BIN}, the root of its tree, or nil for none
/// from a supervisor's init    {children: [SPEC], [strategy, intensity, period_ms, auto_shutdown]}
/// SPEC                        {id: BIN, module, [args: BIN, restart, significant, shutdown, type]}
/// strategy                    "one_for_one", "one_for_all", "rest_for_one" or "simple_one_for_one"
/// auto_shutdown               "never", "any_significant" or "all_significant"
/// restart                     "permanent", "transient" or "temporary"
/// shutdown                    {ms: N}, "infinity" or "brutal_kill"
/// type                        "worker" or "supervisor"
/// ```
pub const EVENT_INIT: u32 = 0;
/// A request that wants a reply. gen_server.
pub const EVENT_CALL: u32 = 1;
/// A request without reply. gen_server.
pub const EVENT_CAST: u32 = 2;
/// Any other message, timers included. gen_server.
pub const EVENT_INFO: u32 = 3;
/// A linked process ended and this one traps exits. gen_server.
pub const EVENT_EXIT: u32 = 4;
/// A monitored process ended. gen_server.
pub const EVENT_DOWN: u32 = 5;
/// The process is about to end. gen_server; application (after its tree has stopped, OTP: `stop/1`).
pub const EVENT_TERMINATE: u32 = 6;
/// The application is about to be stopped; `body` is `{root, cause}`: the root supervisor's pid or nil, and who stops it,
/// `by_hand`, `node_stops`, `node_restarts`, `upgrade`, or `tree_ended` when the tree has ended by itself and there is no
/// root, which a library before ABI 1.4 is not told. application. Before ABI 1.3 `body` is what `root` is now, and a
/// library of an older ABI still receives that.
pub const EVENT_PREP_STOP: u32 = 7;
/// The application's environment changed; `body` is `{changed, new, removed}`. application, since ABI 1.1: a library of
/// ABI 1.0 does not receive it.
pub const EVENT_CONFIG_CHANGE: u32 = 8;

/// What the process put before all else by [`Host::send`], as soon as the callback that did it is over. gen_server. Since
/// ABI 1.2. OTP: `handle_continue`.
pub const EVENT_CONTINUE: u32 = 9;
/// Nothing came for as long as the process said by [`Host::send`]. gen_server. Since ABI 1.2. OTP: the message `timeout`.
pub const EVENT_TIMEOUT: u32 = 10;
/// The application is started and comes to a phase that its app.toml lists; `body` is `{phase, type, arg}`, `arg` being
/// MessagePack in bytes. A crash is a
/// failed start. application. Since ABI 1.3; an application with phases in a library of an older ABI does not start. OTP:
/// `start_phase/3`.
pub const EVENT_START_PHASE: u32 = 11;
/// What the node itself tells; `body` is `{port: EVENT}`, see [`REQUEST_PORT`], or `{table: EVENT}`, see
/// [`REQUEST_TABLE`]. gen_server. Since ABI 1.2: a library of an older ABI does not receive it.
pub const EVENT_TOLD: u32 = 16;

/// What a callback or a poll came to.
pub type Verdict = u32;
/// The callback is done; `Outcome` says how.
pub const VERDICT_READY: Verdict = 0;
/// The callback waits; `Outcome::future` must be polled again, or dropped, by the daemon.
pub const VERDICT_PENDING: Verdict = 1;
/// The callback crashed; `Outcome::exit` says why; the state is gone.
pub const VERDICT_CRASHED: Verdict = 2;

/// A callback that waits.
#[repr(C)]
#[derive(Debug)]
pub struct Future {
    /// Owned by the daemon from the moment it is handed out until `poll` answers something else than
    /// [`VERDICT_PENDING`] (which frees it) or `drop` is called.
    pub data_app: *mut c_void,
    /// `[pool]` Polls again; `completed` are the references whose answers wait for [`Host::take`].
    pub poll: Option<
        unsafe extern "C" fn(
            data_app: *mut c_void,
            completed: *const u64,
            count: usize,
            out: *mut Outcome,
        ) -> Verdict,
    >,
    /// `[pool]` Ends the callback at the point where it waits. Called outside any callback.
    pub drop: Option<unsafe extern "C" fn(data_app: *mut c_void)>,
}

/// What a callback answers; the daemon passes it zeroed.
#[repr(C)]
#[derive(Debug)]
pub struct Outcome {
    /// The state after a [`VERDICT_READY`], null once the process ends here. Always null for tasks.
    pub state_app: *mut c_void,
    /// One of the `NEXT_*` values after a [`VERDICT_READY`].
    pub next: u32,
    /// 1 when `reply` answers the call (or is the result of an init).
    pub has_reply: u32,
    /// MessagePack; what applications and supervisors answer to [`EVENT_INIT`] stands there.
    pub reply: Buf,
    /// Why, after [`VERDICT_CRASHED`] or [`NEXT_STOP`].
    pub exit: Exit,
    /// The rest, after [`VERDICT_PENDING`].
    pub future: Future,
}

/// Go on with the next message.
pub const NEXT_CONTINUE: u32 = 0;
/// End with `exit`; the state is still there for [`EVENT_TERMINATE`]. Ends a task.
pub const NEXT_STOP: u32 = 1;
/// OTP: `ignore`, from init only.
pub const NEXT_IGNORE: u32 = 2;

/// The result of a plain function: 0 is success, else `Exit` was filled.
pub type Status = i32;
/// Success.
pub const OK: Status = 0;
/// Failure; the out parameters say why.
pub const FAILED: Status = 1;
/// Nothing there yet.
pub const PENDING: Status = 2;
/// Refused: not in a callback, or an argument that names nothing.
pub const REFUSED: Status = 3;

/// Callbacks and a state driven by the daemon's loop. OTP: gen_server.
pub const BEHAVIOUR_GEN_SERVER: u32 = 1;
/// Only `init`, a plain function; the loop is the daemon's supervisor.
pub const BEHAVIOUR_SUPERVISOR: u32 = 2;
/// start, prep_stop, stop and config_change of an application.
pub const BEHAVIOUR_APPLICATION: u32 = 3;
/// A home-brewed process: one `async fn` that stays on its version until it ends.
pub const BEHAVIOUR_TASK: u32 = 4;

/// A state machine; to the daemon a gen_server whose engine is the library's. Since ABI 1.2. OTP: gen_statem.
pub const BEHAVIOUR_GEN_STATEM: u32 = 5;
/// Hands events to its handlers; to the daemon a gen_server. Since ABI 1.2. OTP: the process of gen_event.
pub const BEHAVIOUR_GEN_EVENT: u32 = 6;
/// A handler of such events, in a process below the one that hands them out; to the daemon a gen_server. Since ABI 1.2.
pub const BEHAVIOUR_EVENT_HANDLER: u32 = 7;

/// One callback table: the unit that `load`, `update` and `purge` name.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Module {
    /// `sizeof(Module)` where the library was built.
    pub size: u32,
    /// One of the `BEHAVIOUR_*` values.
    pub behaviour: u32,
    /// UTF-8, unique in a release.
    pub name: Bytes,
    /// `[pool]` Runs one callback. Takes `state_app` (null for [`EVENT_INIT`]) and gives a state back in `out`.
    pub callback: Option<
        unsafe extern "C" fn(state_app: *mut c_void, event: *const Event, out: *mut Outcome) -> Verdict,
    >,
    /// `[pool]` Writes the state as MessagePack. The state stays as it is. Null for supervisors and tasks.
    pub export_state:
        Option<unsafe extern "C" fn(state_app: *const c_void, out: *mut Buf, why: *mut Exit) -> Status>,
    /// `[pool]` Makes a state from bytes of the same meaning; every field must be read or declared dropped.
    pub import_state:
        Option<unsafe extern "C" fn(state: Bytes, out_app: *mut *mut c_void, why: *mut Exit) -> Status>,
    /// `[pool]` Makes a state of this version from the bytes of version `from`. Going up, in the
    /// newer library. May run again, and as a trial whose state is dropped, like the next one.
    pub change_code: Option<
        unsafe extern "C" fn(
            from: Bytes,
            state: Bytes,
            extra: Bytes,
            out_app: *mut *mut c_void,
            why: *mut Exit,
        ) -> Status,
    >,
    /// `[pool]` Makes bytes for version `to` from bytes of this version. Going down, in the newer library.
    pub change_code_down: Option<
        unsafe extern "C" fn(to: Bytes, state: Bytes, extra: Bytes, out: *mut Buf, why: *mut Exit) -> Status,
    >,
    /// `[pool]` Says whether `body` would be decoded as the body of that `EVENT_*` kind; runs nothing else.
    pub accepts: Option<unsafe extern "C" fn(kind: u32, body: Bytes, why: *mut Exit) -> Status>,
    /// `[pool]` Frees a state. Called outside any callback.
    pub drop_state: Option<unsafe extern "C" fn(state_app: *mut c_void)>,
    /// Writes what the module reads and writes, as a JSON object; leaves `out` empty when it is not known. May be
    /// null. No node calls it, but who looks into a library without loading it, so before [`App::load`]. Since ABI
    /// 1.1.
    pub schema: Option<unsafe extern "C" fn(out: *mut Buf, why: *mut Exit) -> Status>,
    /// `[pool]` Writes what people are shown instead of `body`: of a state ([`STATUS_STATE`]), or of a message, whose kind
    /// is one of [`EVENT_CALL`], [`EVENT_CAST`] and [`EVENT_INFO`]. Leaves `out` empty for what may be shown as it is; after a
    /// failure nothing of it is shown. Null: all may be shown. Called outside any callback. Since ABI 1.5. OTP:
    /// `format_status/1`.
    pub format_status:
        Option<unsafe extern "C" fn(kind: u32, body: Bytes, out: *mut Buf, why: *mut Exit) -> Status>,
}

/// A state, for [`Module::format_status`]. Since ABI 1.5.
pub const STATUS_STATE: u32 = 32;

/// Set in [`App::flags`] when the library unwinds on panic, as it must.
pub const FLAG_PANIC_UNWIND: u32 = 1;

/// The magic block of a library.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct App {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// `sizeof(App)` where the library was built.
    pub size: u32,
    /// [`ABI_MAJOR`] where the library was built.
    pub abi_major: u32,
    /// [`ABI_MINOR`] where the library was built.
    pub abi_minor: u32,
    /// `FLAG_*` values.
    pub flags: u32,
    /// The app's name, UTF-8.
    pub name: Bytes,
    /// The app's version, a semantic version.
    pub vsn: Bytes,
    /// What built it, for people: compiler and SDK version.
    pub built_by: Bytes,
    /// `module_count` tables.
    pub modules: *const *const Module,
    /// Length of `modules`.
    pub module_count: usize,
    /// `[loader thread]` Receives the daemon's table, once, before any callback.
    pub load: Option<unsafe extern "C" fn(host: *const Host) -> Status>,
    /// `[loader thread]` Called once, when the daemon refers to nothing of the library any more: its last chance to end
    /// its threads and write out what it holds. The library is unmapped when its threads have ended; until then its
    /// thread-local destructors may run. May be null.
    pub unload: Option<unsafe extern "C" fn()>,
    /// `usage_count` parts of what the library has allocated and not freed; a static of the library. May be null, where the
    /// library does not count. The daemon reads them at any time, for people. Since ABI 1.4.
    pub usage: *const Usage,
    /// Length of `usage`.
    pub usage_count: usize,
}

/// A part of what a library has allocated and not freed; only the sums of all parts mean something, modulo 2^64: what one
/// thread allocates another may free. Several parts, so that threads need not wait for each other to count.
///
/// A [`Buf`] counts for who owns it: the library takes it off when it hands one out and adds it when it takes one in.
#[repr(C)]
#[derive(Debug)]
pub struct Usage {
    /// Blocks.
    pub blocks: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Filled with 0: keeps parts apart that different threads write.
    pub reserved: [u64; 6],
}

// SAFETY: the block is immutable data; its pointers lead to other immutable data of the same library.
#[expect(unsafe_code, reason = "an App block and its tables are statics of the library")]
unsafe impl Sync for App {}
// SAFETY: as for App.
#[expect(unsafe_code, reason = "an App block and its tables are statics of the library")]
unsafe impl Sync for Module {}

/// The daemon's allocator. C libraries allocate every [`Buf`] here; the Rust SDK forwards all allocation.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Allocator {
    /// `sizeof(Allocator)` in the daemon.
    pub size: u32,
    /// Filled with 0.
    pub reserved: u32,
    /// Returns null when out of memory. `align` is a power of two.
    pub alloc: unsafe extern "C" fn(size: usize, align: usize) -> *mut u8,
    /// As `alloc`, zeroed.
    pub alloc_zeroed: unsafe extern "C" fn(size: usize, align: usize) -> *mut u8,
    /// Returns null, with the old block untouched, when out of memory.
    pub realloc: unsafe extern "C" fn(ptr: *mut u8, size: usize, align: usize, new_size: usize) -> *mut u8,
    /// Takes the size and alignment of the allocation.
    pub dealloc: unsafe extern "C" fn(ptr: *mut u8, size: usize, align: usize),
}

/// A message taken by a task.
#[repr(C)]
#[derive(Debug)]
pub struct Message {
    /// [`EVENT_CALL`], [`EVENT_CAST`], [`EVENT_INFO`], [`EVENT_EXIT`], [`EVENT_DOWN`] or [`EVENT_TOLD`].
    pub kind: u32,
    /// The exit's kind for [`EVENT_EXIT`] and [`EVENT_DOWN`].
    pub exit_kind: u32,
    /// Who sent it.
    pub from: Pid,
    /// The call's or monitor's reference.
    pub reference: u64,
    /// MessagePack, or the exit's text; owned by the library now.
    pub body: Buf,
}

/// What an open request came to.
#[repr(C)]
#[derive(Debug)]
pub struct Answer {
    /// One of the `ANSWER_*` values.
    pub kind: u32,
    /// Filled with 0.
    pub reserved: u32,
    /// The reply, MessagePack, for [`ANSWER_REPLY`].
    pub reply: Buf,
    /// Why the server ended, for [`ANSWER_EXIT`].
    pub exit: Exit,
}

/// The server replied, or the sleep is over.
pub const ANSWER_REPLY: u32 = 0;
/// The request's time ran out.
pub const ANSWER_TIMEOUT: u32 = 1;
/// The server ended, or was never there.
pub const ANSWER_EXIT: u32 = 2;

/// An ordinary request to a gen_server, for [`Host::call`].
pub const REQUEST_CALL: u32 = 0;
/// A request to a supervisor, for [`Host::call`]; OTP's words.
///
/// The body is one of these, MessagePack with field names; SPEC and BIN as for [`EVENT_INIT`], a BIN here being an id, or
/// the argument of a child of a `simple_one_for_one`:
///
/// ```text
/// {start_child: SPEC}  {start_child_args: BIN}  {restart_child: BIN}        pid
/// {terminate_child: BIN}  {terminate_pid: pid}  {delete_child: BIN}        nil
/// {rename_child: [BIN, BIN]}                                               nil
/// {get_childspec: BIN}  {get_childspec_of: pid}                            SPEC
/// "which_children"                                                         [{id, pid, restarting, type, module}, ..]
/// "count_children"                                                         {specs, active, supervisors, workers}
/// ```
///
/// The reply is `{ok: ..}` or `{error: {reason, pid, text}}`.
pub const REQUEST_SUPERVISOR: u32 = 1;

/// Has a process end in order, for [`Host::call`]: its terminate is called, and the answer is [`ANSWER_EXIT`] with the
/// reason for which it ended, when it has. The body is the reason that it is to end with, MessagePack with field names:
/// `{kind: "normal" | "shutdown" | "killed" | "noproc" | "error" | "panic" | "undecodable" | "overloaded", text}`, the text
/// for those kinds that have one. Since ABI 1.5; an older daemon refuses it. OTP: `gen_server:stop/3`.
pub const REQUEST_STOP: u32 = 2;

/// A request to a port, for [`Host::call`] with no process as `to`. Since ABI 1.2; an older daemon refuses it.
///
/// The body is one of these, MessagePack with field names; PORT is a number, HOW is `"now"` (answer nil when there is
/// nothing yet), `"wait"` (answer nil when it is worth asking again) or `"tell"` (answer nil now, and send an
/// [`EVENT_TOLD`] when there is something):
///
/// ```text
/// {listen: {address, options, supervisor: bool}}        PORT
/// {connect: {address, options, how}}                    PORT; how: now or tell
/// {accept: {port, how}}                                 EVENT accepted, or nil
/// {read: {port, how}}                                   EVENT data, or nil
/// {write: {port, bytes}}                                nil
/// {writable: {port, how}}                               EVENT writable, or nil
/// {close: {port}}  {give: {port, to: pid}}              nil
/// {address: {port}}                                     {local, peer}
/// ```
///
/// An address is `"127.0.0.1:80"`, `"[::1]:80"` or `"unix:/run/x.sock"`; connecting takes names as well. Options, each
/// of which may be left out: `{framing: "raw" | {line: MAX} | {packet: 1 | 2 | 4}, buffer, nodelay, backlog,
/// half_open}`. The reply is `{ok: ..}` or `{error: {reason, text}}`. An EVENT is `{accepted: {listener, connection,
/// peer}}`, `{connected: {connection}}`, `{data: {connection, bytes}}`, `{writable: {connection}}` or `{closed: {port,
/// error: {reason, text}}}`.
pub const REQUEST_PORT: u32 = 16;

/// A request to a shared table, for [`Host::call`] with no process as `to`; answered before that returns. Since ABI 1.2;
/// an older daemon refuses it.
///
/// The body is one of these, MessagePack with field names; TABLE is a number, KEY and VALUE are bins of MessagePack:
///
/// ```text
/// {new: {name, kind: "set" | "ordered_set", access: "public" | "protected" | "private", heir: {pid, data}}}   TABLE
/// {whereis: {name}}                                       TABLE or nil
/// {insert: {table, key, value}}                           nil
/// {insert_new: {table, key, value}}                       bool
/// {lookup: {table, key}}  {take: {table, key}}            VALUE or nil
/// {replace: {table, key, old, new}}                       bool
/// {update_counter: {table, key, by, initial}}             the sum
/// {select: {table, wanted: {prefix, from, after, to, limit}}}   [[KEY, VALUE], ..]
/// {clear: {table}}  {size: {table}}                       a number
/// {drop: {table}}  {give_away: {table, to, data}}  {set_heir: {table, heir}}   nil
/// ```
///
/// The reply is `{ok: ..}` or `{error: {reason, text}}`. An EVENT is `{transferred: {table, from, data}}`.
pub const REQUEST_TABLE: u32 = 17;

/// Waits for ever, for every `timeout_ms`.
pub const INFINITY: u64 = u64::MAX;

/// What the daemon offers to libraries. Every function may be called from `[callback]` only, unless it says otherwise;
/// outside it answers [`REFUSED`] or zero and does nothing.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Host {
    /// `sizeof(Host)` in the daemon.
    pub size: u32,
    /// [`ABI_MAJOR`] of the daemon.
    pub abi_major: u32,
    /// [`ABI_MINOR`] of the daemon.
    pub abi_minor: u32,
    /// Filled with 0.
    pub reserved: u32,
    /// Returns the running process, `{0, 0}` outside a callback.
    pub self_pid: unsafe extern "C" fn() -> Pid,
    /// Sends a message of [`EVENT_CAST`] or [`EVENT_INFO`]; takes `body`. To a dead process it is dropped.
    ///
    /// To itself also, since ABI 1.2: [`EVENT_CONTINUE`], which comes before all that waits, and [`EVENT_TIMEOUT`],
    /// whose body is a number of milliseconds and which comes when the callback under way has been over for so long and
    /// nothing else came. An older daemon refuses both.
    ///
    /// A task may send itself [`EVENT_CONTINUE`] since ABI 1.4, with `{module, args}` as body, `args` being MessagePack in
    /// bytes: when it ends with [`EXIT_NORMAL`] the same process begins anew in the current version of that module, a task
    /// as well. An older daemon refuses that, and a module that is not loaded or makes no task is refused.
    pub send: unsafe extern "C" fn(kind: u32, to: Pid, body: Buf) -> Status,
    /// Opens a request (`REQUEST_*`); takes `body`; returns its reference, 0 outside a callback.
    pub call: unsafe extern "C" fn(kind: u32, to: Pid, body: Buf, timeout_ms: u64) -> u64,
    /// Takes the answer to a reference: [`OK`] and `out` filled, [`PENDING`], or [`REFUSED`] for an unknown one.
    pub take: unsafe extern "C" fn(reference: u64, out: *mut Answer) -> Status,
    /// Gives a reference up; a late answer is dropped.
    pub forget: unsafe extern "C" fn(reference: u64),
    /// Answers a call; takes `body`. An answer that comes too late is dropped.
    pub reply: unsafe extern "C" fn(to: From, body: Buf) -> Status,
    /// Sends `body` as [`EVENT_INFO`] after `after_ms`; takes `body`.
    pub send_after: unsafe extern "C" fn(to: Pid, after_ms: u64, body: Buf) -> Timer,
    /// Stops a timer; [`OK`] when it would have fired, or fired again, else [`REFUSED`].
    pub cancel_timer: unsafe extern "C" fn(timer: Timer) -> Status,
    /// Opens a wait; its reference is answered with an empty reply after `after_ms`.
    pub sleep: unsafe extern "C" fn(after_ms: u64) -> u64,
    /// Takes the next message of the running task: [`OK`], [`PENDING`], or [`REFUSED`] in other processes.
    pub recv: unsafe extern "C" fn(out: *mut Message) -> Status,
    /// Starts a process of `module`; takes `args`. Its reference is answered with the pid when init is done.
    ///
    /// `link` 1 links it with the running process. `link` 2 makes that its parent as well, so that the tree shows it below
    /// (since ABI 1.2; an older daemon takes it for 1).
    pub spawn: unsafe extern "C" fn(module: Bytes, args: Buf, link: u32) -> u64,
    /// Gives the running process a name; [`REFUSED`] when it is taken.
    pub register: unsafe extern "C" fn(name: Bytes) -> Status,
    /// Frees a name of the running process.
    pub unregister: unsafe extern "C" fn(name: Bytes) -> Status,
    /// Returns the process of that name, `{0, 0}` for none. Any thread.
    pub whereis: unsafe extern "C" fn(name: Bytes) -> Pid,
    /// Links the running process with another.
    pub link: unsafe extern "C" fn(with: Pid) -> Status,
    /// Removes a link.
    pub unlink: unsafe extern "C" fn(with: Pid) -> Status,
    /// Watches a process: one [`EVENT_DOWN`] with the returned reference when it ends.
    pub monitor: unsafe extern "C" fn(pid: Pid) -> u64,
    /// Stops watching.
    pub demonitor: unsafe extern "C" fn(reference: u64) -> Status,
    /// Sends an exit signal; takes `exit`. [`EXIT_KILLED`] cannot be trapped. OTP: `exit/2`.
    pub exit: unsafe extern "C" fn(to: Pid, exit: Exit) -> Status,
    /// Turns exit signals into [`EVENT_EXIT`] (1) or not (0). OTP: `process_flag(trap_exit, _)`.
    pub trap_exit: unsafe extern "C" fn(on: u32) -> Status,
    /// Reads a key of the running process's application environment as MessagePack; [`REFUSED`] when unset.
    pub get_env: unsafe extern "C" fn(key: Bytes, out: *mut Buf) -> Status,
    /// Writes a line to the daemon's log; level 1 (error) to 5 (trace). Any thread.
    pub log: unsafe extern "C" fn(level: u32, target: Bytes, message: Bytes),
    /// Sends `body` as [`EVENT_INFO`] every `every_ms`, as long as the target lives; takes `body`. Since ABI 1.2.
    pub send_interval: unsafe extern "C" fn(to: Pid, every_ms: u64, body: Buf) -> Timer,
    /// Returns in how many milliseconds a timer fires, [`INFINITY`] when it has fired or was stopped. Since ABI 1.2.
    pub read_timer: unsafe extern "C" fn(timer: Timer) -> u64,
    /// Runs `run(data_app)` once on a thread made for work that blocks, whatever becomes of the process; its reference is
    /// answered with an empty reply then. 0 when it was refused: then `run` is not called. Since ABI 1.2.
    pub blocking: unsafe extern "C" fn(run: BlockingFn, data_app: *mut c_void) -> u64,
    /// Lets no more than so many messages wait for the running process; 0 takes the bound away. One that comes when the
    /// mailbox is full is dropped and counted, and a call is answered with [`EXIT_OVERLOADED`]. [`REFUSED`] in
    /// supervisors and applications. Since ABI 1.4.
    pub bound_mailbox: unsafe extern "C" fn(messages: u64) -> Status,
}
