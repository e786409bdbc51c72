//! The table of functions that the daemon offers.

use core::ffi::c_void;

use crate::request::Answer;
use crate::value::{Buf, Bytes, Exit, From, Pid, Status, Timer};
#[cfg(doc)]
use crate::{
    ABI_MAJOR, ABI_MINOR, EVENT_CALL, EVENT_CAST, EVENT_CONTINUE, EVENT_DOWN, EVENT_EXIT, EVENT_INFO,
    EVENT_TIMEOUT, EVENT_TOLD, EXIT_KILLED, EXIT_NORMAL, EXIT_OVERLOADED, OK, PENDING, REFUSED,
};

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

/// Waits for ever, for every `timeout_ms`.
pub const INFINITY: u64 = u64::MAX;

/// Work for [`Host::blocking`]. No function of the table but `whereis` and `log` works inside it.
pub type BlockingFn = unsafe extern "C" fn(data_app: *mut c_void);

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
