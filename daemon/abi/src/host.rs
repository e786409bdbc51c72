//! The functions that the daemon offers to libraries.

use core::ffi::c_void;

use crate::request::Answer;
use crate::value::{Buf, Bytes, Exit, From, Pid, Status, Timer};
#[cfg(doc)]
use crate::{
    ABI_MAJOR, ABI_MINOR, EVENT_CALL, EVENT_CAST, EVENT_CONTINUE, EVENT_DOWN, EVENT_EXIT, EVENT_INFO,
    EVENT_TIMEOUT, EVENT_TOLD, EXIT_KILLED, EXIT_NORMAL, EXIT_OVERLOADED, FAILED, OK, PENDING, REFUSED,
};

/// The functions that the daemon offers to libraries. Every function is `[callback]` unless its
/// documentation names another rule. A function that is called outside a callback does nothing and
/// returns [`REFUSED`] or zero.
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
    /// Returns the running process, or `{0, 0}` outside a callback.
    pub self_pid: unsafe extern "C" fn() -> Pid,
    /// Sends a message of kind [`EVENT_CAST`] or [`EVENT_INFO`]. Takes ownership of `body`. A
    /// message to a dead process is dropped.
    ///
    /// Since ABI 1.2 a process may send two more events to itself. An older daemon refuses both.
    /// [`EVENT_CONTINUE`] comes before all messages in the mailbox. [`EVENT_TIMEOUT`] has a number
    /// of milliseconds as its body. It comes if no other message arrives within that time after the
    /// end of the current callback.
    ///
    /// Since ABI 1.4 a task may send itself [`EVENT_CONTINUE`] with the body `{module, args}`,
    /// where `args` is a bin of MessagePack. When the task then ends with [`EXIT_NORMAL`], the same
    /// process starts again as a task of the current version of `module`. An older daemon refuses
    /// this. Every daemon refuses a module that is not loaded or is no task.
    pub send: unsafe extern "C" fn(kind: u32, to: Pid, body: Buf) -> Status,
    /// Sends a request of one of the kinds `REQUEST_*`. Takes ownership of `body`. Returns the
    /// reference of the request, or 0 outside a callback.
    pub call: unsafe extern "C" fn(kind: u32, to: Pid, body: Buf, timeout_ms: u64) -> u64,
    /// Takes the answer to a request. Returns [`OK`] and fills `out`, or returns [`PENDING`], or
    /// returns [`REFUSED`] if the reference is unknown.
    pub take: unsafe extern "C" fn(reference: u64, out: *mut Answer) -> Status,
    /// Abandons a request. A late answer is dropped.
    pub forget: unsafe extern "C" fn(reference: u64),
    /// Replies to a call. Takes ownership of `body`. A reply that comes too late is dropped.
    pub reply: unsafe extern "C" fn(to: From, body: Buf) -> Status,
    /// Sends `body` as [`EVENT_INFO`] after `after_ms`. Takes ownership of `body`.
    pub send_after: unsafe extern "C" fn(to: Pid, after_ms: u64, body: Buf) -> Timer,
    /// Cancels a timer. Returns [`OK`] if the timer would have fired (again), otherwise
    /// [`REFUSED`].
    pub cancel_timer: unsafe extern "C" fn(timer: Timer) -> Status,
    /// Starts a sleep and returns its reference. After `after_ms` the reference is answered with an
    /// empty reply.
    pub sleep: unsafe extern "C" fn(after_ms: u64) -> u64,
    /// Takes the next message of the running task. Returns [`OK`], [`PENDING`], or, in a process
    /// that is no task, [`REFUSED`].
    pub recv: unsafe extern "C" fn(out: *mut Message) -> Status,
    /// Starts a process of `module` and returns a reference. Takes ownership of `args`. The
    /// reference is answered with the pid when init is done.
    ///
    /// If `link` is 1, the new process is linked to the running process. If `link` is 2, the
    /// running process also becomes its parent in the displayed tree (since ABI 1.2; an older
    /// daemon treats 2 like 1).
    pub spawn: unsafe extern "C" fn(module: Bytes, args: Buf, link: u32) -> u64,
    /// Registers a name for the running process. Returns [`REFUSED`] if the name is taken, is
    /// empty, contains `/`, or looks like a pid.
    pub register: unsafe extern "C" fn(name: Bytes) -> Status,
    /// Unregisters a name of the running process.
    pub unregister: unsafe extern "C" fn(name: Bytes) -> Status,
    /// Returns the process with that name, or `{0, 0}` if there is none. May be called on any
    /// thread.
    pub whereis: unsafe extern "C" fn(name: Bytes) -> Pid,
    /// Links the running process to another one.
    pub link: unsafe extern "C" fn(with: Pid) -> Status,
    /// Removes a link.
    pub unlink: unsafe extern "C" fn(with: Pid) -> Status,
    /// Monitors a process and returns a reference. When the process ends, one [`EVENT_DOWN`] with
    /// this reference comes.
    pub monitor: unsafe extern "C" fn(pid: Pid) -> u64,
    /// Removes a monitor.
    pub demonitor: unsafe extern "C" fn(reference: u64) -> Status,
    /// Sends an exit signal to a process. Takes ownership of `exit`. [`EXIT_KILLED`] cannot be
    /// trapped. OTP: `exit/2`.
    pub exit: unsafe extern "C" fn(to: Pid, exit: Exit) -> Status,
    /// Sets whether exit signals become [`EVENT_EXIT`] messages: 1 for yes, 0 for no. OTP:
    /// `process_flag(trap_exit, _)`.
    pub trap_exit: unsafe extern "C" fn(on: u32) -> Status,
    /// Reads a key of the environment of the running process's application, as MessagePack. Returns
    /// [`REFUSED`] if the key is not set.
    pub get_env: unsafe extern "C" fn(key: Bytes, out: *mut Buf) -> Status,
    /// Writes a line to the daemon's log. `level` is 1 (error) to 5 (trace). May be called on any
    /// thread.
    pub log: unsafe extern "C" fn(level: u32, target: Bytes, message: Bytes),
    /// Sends `body` as [`EVENT_INFO`] every `every_ms`, as long as the target lives. Takes
    /// ownership of `body`. Since ABI 1.2.
    pub send_interval: unsafe extern "C" fn(to: Pid, every_ms: u64, body: Buf) -> Timer,
    /// Returns the number of milliseconds until a timer fires, or [`INFINITY`] if the timer has
    /// fired or was cancelled. Since ABI 1.2.
    pub read_timer: unsafe extern "C" fn(timer: Timer) -> u64,
    /// Runs `run(data_app)` once on a thread for blocking work, even if the process ends meanwhile.
    /// Returns a reference, which is answered with an empty reply when `run` has returned. If the
    /// daemon refuses, it returns 0 and does not call `run`. Since ABI 1.2.
    pub blocking: unsafe extern "C" fn(run: BlockingFn, data_app: *mut c_void) -> u64,
    /// Limits the mailbox of the running process to this number of messages. 0 removes the limit. A
    /// message to a full mailbox is dropped and counted, and a dropped call is answered with
    /// [`EXIT_OVERLOADED`]. Supervisors and applications get [`REFUSED`]. Since ABI 1.4.
    pub bound_mailbox: unsafe extern "C" fn(messages: u64) -> Status,
    /// Finds a process by its pid as text (`<4.1>`), its registered name, or its path in a
    /// supervision tree: the name of an application or a registered supervisor, then the ids of
    /// children, separated by `/`. An id that contains `/`, and a text that reads as another JSON
    /// value, is written in double quotes, as in JSON.
    ///
    /// Returns [`OK`] and fills `out`. If there is no such process, returns [`FAILED`] and, unless
    /// `why` is null, fills it with the reason as UTF-8, which the library then owns. May be called
    /// on any thread of the pool. Since ABI 1.6.
    pub find: unsafe extern "C" fn(place: Bytes, out: *mut Pid, why: *mut Buf) -> Status,
}

/// A timeout that never expires.
pub const INFINITY: u64 = u64::MAX;

/// A function for [`Host::blocking`]. Inside it, only `whereis` and `log` of the [`Host`] table
/// work.
pub type BlockingFn = unsafe extern "C" fn(data_app: *mut c_void);

/// A message that a task has taken from its mailbox.
#[repr(C)]
#[derive(Debug)]
pub struct Message {
    /// [`EVENT_CALL`], [`EVENT_CAST`], [`EVENT_INFO`], [`EVENT_EXIT`], [`EVENT_DOWN`] or
    /// [`EVENT_TOLD`].
    pub kind: u32,
    /// The kind of the exit reason, for [`EVENT_EXIT`] and [`EVENT_DOWN`].
    pub exit_kind: u32,
    /// The sender.
    pub from: Pid,
    /// The reference of the call or the monitor.
    pub reference: u64,
    /// The body as MessagePack, or the text of the exit reason. Owned by the library.
    pub body: Buf,
}
