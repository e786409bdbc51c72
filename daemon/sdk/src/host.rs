//! The functions of the daemon that the SDK uses, in safe Rust.
//!
//! The daemon's table (`table.rs`) implements this interface; so does the harness for unit tests.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use crate::body::Body;
use crate::daemon;
use crate::exit::Exit;
use crate::job::Job;
use crate::names::{From, MonitorRef, Pid, Timer};

/// The daemon refused the request: it came from outside a callback, or referred to an object that
/// does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("refused: not inside a callback, or the argument does not exist")]
pub struct Refused;

/// The result of an open request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Closed {
    Reply(Body),
    Timeout,
    Exit(Exit),
}

/// A message that a task takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mail {
    Call(From, Body),
    Cast(Pid, Body),
    Info(Pid, Body),
    Exit(Pid, Exit),
    Down(MonitorRef, Pid, Exit),
    /// An event of a port or table.
    Told(Body),
}

/// The kind of a message without a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendKind {
    Cast,
    Info,
}

/// The tie between a spawned process and the process that spawns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tie {
    None,
    Link,
    /// The new process is linked, and below the spawning one in the tree.
    Child,
}

/// The receiver of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestKind {
    Call,
    Supervisor,
    /// A process that is to stop.
    Stop,
    /// The node, for a request to a port.
    Port,
    Table,
}

/// The functions of a daemon. Bodies are MessagePack; times are in milliseconds.
pub(crate) trait Host {
    fn self_pid(&self) -> Option<Pid>;
    fn send(&self, kind: SendKind, to: Pid, body: Body) -> Result<(), Refused>;
    /// Inserts an event before all messages of the running process. For a task, sets the module and
    /// arguments to continue with.
    fn continue_with(&self, body: Body) -> Result<(), Refused>;
    /// Bounds the mailbox of the running process; 0 removes the bound.
    fn bound_mailbox(&self, messages: u64) -> Result<(), Refused>;
    /// Sets the receive time-out of the running process.
    fn receive_timeout(&self, after_ms: u64) -> Result<(), Refused>;
    fn call(&self, kind: RequestKind, to: Pid, body: Body, timeout_ms: u64) -> Result<u64, Refused>;
    fn take(&self, reference: u64) -> Result<Option<Closed>, Refused>;
    fn forget(&self, reference: u64);
    fn reply(&self, to: From, body: Body) -> Result<(), Refused>;
    fn send_after(&self, to: Pid, after_ms: u64, body: Body) -> Result<Timer, Refused>;
    fn send_interval(&self, to: Pid, every_ms: u64, body: Body) -> Result<Timer, Refused>;
    fn read_timer(&self, timer: Timer) -> Option<u64>;
    fn cancel_timer(&self, timer: Timer) -> bool;
    fn blocking(&self, job: Job) -> Result<u64, Refused>;
    fn sleep(&self, after_ms: u64) -> Result<u64, Refused>;
    fn recv(&self) -> Result<Option<Mail>, Refused>;
    fn spawn(&self, module: &str, args: Body, tie: Tie) -> Result<u64, Refused>;
    fn register(&self, name: &str) -> Result<(), Refused>;
    fn unregister(&self, name: &str) -> Result<(), Refused>;
    fn whereis(&self, name: &str) -> Option<Pid>;
    /// Finds a process by name or place. The inner `Err` holds the reason, if it is wanted.
    fn find(&self, place: &str, explain: bool) -> Result<Result<Pid, String>, Refused>;
    fn link(&self, with: Pid) -> Result<(), Refused>;
    fn unlink(&self, with: Pid) -> Result<(), Refused>;
    fn monitor(&self, pid: Pid) -> Result<MonitorRef, Refused>;
    fn demonitor(&self, monitor: MonitorRef) -> Result<(), Refused>;
    fn exit(&self, to: Pid, exit: Exit) -> Result<(), Refused>;
    fn trap_exit(&self, on: bool) -> Result<(), Refused>;
    fn env(&self, key: &str) -> Option<Vec<u8>>;
    fn log(&self, level: log::Level, target: &str, message: &str);
}

thread_local! {
    /// The harness's host while it runs a callback on this thread. It is in a `ManuallyDrop`, so
    /// that the thread gets no destructor: a destructor would keep the library mapped after its
    /// purge, or crash the thread.
    static HARNESS: Cell<ManuallyDrop<Option<Rc<dyn Host>>>> = const { Cell::new(ManuallyDrop::new(None)) };
}

/// Calls the host of the callback that runs on this thread.
pub(crate) fn ask<R>(question: impl FnOnce(&dyn Host) -> R) -> Result<R, Refused> {
    if let Some(daemon) = daemon::table() {
        return Ok(question(daemon));
    }
    let harness = HARNESS.replace(ManuallyDrop::new(None));
    let asked = harness.clone();
    HARNESS.set(harness);
    ManuallyDrop::into_inner(asked).as_deref().map(question).ok_or(Refused)
}

/// Runs `work` with the harness as the host.
pub(crate) fn with_harness<R>(harness: Rc<dyn Host>, work: impl FnOnce() -> R) -> R {
    struct Restore(Option<Rc<dyn Host>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            drop(ManuallyDrop::into_inner(HARNESS.replace(ManuallyDrop::new(self.0.take()))));
        }
    }
    let before = HARNESS.replace(ManuallyDrop::new(Some(harness)));
    let _restore = Restore(ManuallyDrop::into_inner(before));
    work()
}
