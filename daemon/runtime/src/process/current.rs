//! The process whose callback the calling thread runs.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use crate::process::body::Body;
use crate::process::custody::Custody;
use crate::words::pid::Pid;

thread_local! {
    static PID: Cell<Pid> = const { Cell::new(Pid::NONE) };
    static CURRENT: OnceCell<Arc<Current>> = const { OnceCell::new() };
}

/// The body of the process whose callback a thread runs, while it does. Another thread may seize it, when the callback does
/// not return; two swaps for each callback are all that this costs.
pub(crate) type Current = Custody<Box<Body>>;

/// Makes `current` the calling thread's.
pub(crate) fn run_in(current: &Arc<Current>) {
    CURRENT.with(|cell| {
        cell.get_or_init(|| Arc::clone(current));
    });
}

/// Runs app code as a process: its body is lent to what the code asks the node for. `None` when it was taken away.
pub(crate) fn run<R>(body: Box<Body>, code: impl FnOnce() -> R) -> (Option<Box<Body>>, R) {
    CURRENT.with(|current| {
        let current = current.get_or_init(Arc::default);
        PID.set(body.pid);
        current.enter(body);
        let result = code();
        (leave(), result)
    })
}

/// The calling thread runs no process any more, its callback having returned or panicked. Returns
/// the body of the process, unless that was taken away or there was none.
pub(crate) fn leave() -> Option<Box<Body>> {
    PID.set(Pid::NONE);
    CURRENT.with(|current| current.get().and_then(|current| current.leave()))
}

/// Lends the body of the running process; `None` outside a callback.
pub(crate) fn with<R>(work: impl FnOnce(&mut Body) -> R) -> Option<R> {
    CURRENT.with(|current| current.get()?.lend().map(|mut own| work(&mut own)))
}

/// Returns the running process; [`Pid::NONE`] outside a callback.
pub(crate) fn pid() -> Pid {
    PID.get()
}
