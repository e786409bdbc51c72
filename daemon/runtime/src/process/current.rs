//! The running process: the process whose callback runs on the calling thread.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use crate::process::body::{Answer, Body};
use crate::process::custody::Custody;
use crate::words::code::Ref;
use crate::words::pid::Pid;

thread_local! {
    static PID: Cell<Pid> = const { Cell::new(Pid::NONE) };
    static CURRENT: OnceCell<Arc<Current>> = const { OnceCell::new() };
    static HELD: OnceCell<Arc<Current>> = const { OnceCell::new() };
    /// The process that the thread holds, with the request that it waits for.
    static WAITS: Cell<(Pid, Ref)> = const { Cell::new((Pid::NONE, 0)) };
    static KEPT: Cell<Option<Answer>> = const { Cell::new(None) };
}

/// Holds the body of a process while a thread runs its callback. Another thread may seize the body
/// if the callback does not return. The cost is two swaps per callback.
pub(crate) type Current = Custody<Box<Body>>;

/// Sets the custody cells of the calling thread: for the running process, and for a held one.
pub(crate) fn run_in(current: &Arc<Current>, held: &Arc<Current>) {
    CURRENT.with(|cell| {
        cell.get_or_init(|| Arc::clone(current));
    });
    HELD.with(|cell| {
        cell.get_or_init(|| Arc::clone(held));
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

/// Returns whether the thread holds a process.
pub(crate) fn holds() -> bool {
    WAITS.get().0 != Pid::NONE
}

/// Holds a parked process while the thread runs the process that it waits for. Another thread may
/// seize the body, to put it back into its slot.
pub(crate) fn hold(body: Box<Body>, reference: Ref) {
    WAITS.set((body.pid, reference));
    HELD.with(|held| held.get_or_init(Arc::default).enter(body));
}

/// Ends the hold. Returns the body, or `None` if it was seized, and the answer that was kept for
/// it.
pub(crate) fn release() -> (Option<Box<Body>>, Option<Answer>) {
    WAITS.set((Pid::NONE, 0));
    (HELD.with(|held| held.get().and_then(|held| held.leave())), KEPT.take())
}

/// Keeps an answer for the process that the thread holds. Returns it if it is for another process.
pub(crate) fn keep(caller: Pid, reference: Ref, answer: Answer) -> Option<Answer> {
    if caller == Pid::NONE || WAITS.get() != (caller, reference) {
        return Some(answer);
    }
    KEPT.set(Some(answer));
    None
}
