//! The running process: the process whose callback runs on the calling thread.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use crate::process::body::Body;
use crate::process::custody::Custody;
use crate::words::pid::Pid;

thread_local! {
    static PID: Cell<Pid> = const { Cell::new(Pid::NONE) };
    static CURRENT: OnceCell<Arc<Current>> = const { OnceCell::new() };
}

/// Holds the body of a process while a thread runs its callback. Another thread may seize the body
/// if the callback does not return. The cost is two swaps per callback.
pub(crate) type Current = Custody<Box<Body>>;

/// Sets the custody cell of the calling thread.
pub(crate) fn run_in(current: &Arc<Current>) {
    CURRENT.with(|cell| {
        cell.get_or_init(|| Arc::clone(current));
    });
}

/// Runs app code as a process: calls of that code into the node borrow the body. Returns the body,
/// or `None` if another thread has seized it meanwhile.
pub(crate) fn run<R>(body: Box<Body>, code: impl FnOnce() -> R) -> (Option<Box<Body>>, R) {
    CURRENT.with(|current| {
        let current = current.get_or_init(Arc::default);
        PID.set(body.pid);
        current.enter(body);
        let result = code();
        (leave(), result)
    })
}

/// Ends the callback on the calling thread after it has returned or panicked. Returns the body of
/// the process; `None` if the body was seized or no callback ran.
pub(crate) fn leave() -> Option<Box<Body>> {
    PID.set(Pid::NONE);
    CURRENT.with(|current| current.get().and_then(|current| current.leave()))
}

/// Lends the body of the running process to `work`. Returns `None` outside a callback.
pub(crate) fn with<R>(work: impl FnOnce(&mut Body) -> R) -> Option<R> {
    CURRENT.with(|current| current.get()?.lend().map(|mut own| work(&mut own)))
}

/// Returns the running process; [`Pid::NONE`] outside a callback.
pub(crate) fn pid() -> Pid {
    PID.get()
}
