//! The running process: the process whose callback runs on the calling thread. And the held
//! processes: those that wait, directly or not, for the running one.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use crate::process::body::{Answer, Body};
use crate::process::custody::Custody;
use crate::words::code::Ref;
use crate::words::pid::Pid;
use crate::words::sync::{AtomicBool, Ordering};

thread_local! {
    static PID: Cell<Pid> = const { Cell::new(Pid::NONE) };
    /// Whether the running process records its messages.
    static RECORDS: Cell<bool> = const { Cell::new(false) };
    static CELLS: OnceCell<Arc<Cells>> = const { OnceCell::new() };
    /// How many processes the thread holds.
    static HELD: Cell<usize> = const { Cell::new(0) };
    /// The held processes, each with the request that it waits for.
    static WAITS: [Cell<(Pid, Ref)>; HELD_MAX] = const { [const { Cell::new((Pid::NONE, 0)) }; HELD_MAX] };
    /// The answer for the process that was held last.
    static KEPT: Cell<Option<Answer>> = const { Cell::new(None) };
    /// The answer with which a callback was resumed, until it takes the answer.
    static GIVEN: Cell<Option<Given>> = const { Cell::new(None) };
}

/// How many processes a thread can hold. A chain of more calls in each other is rare.
pub(crate) const HELD_MAX: usize = 4;

/// An answer for a process.
struct Given {
    to: Pid,
    reference: Ref,
    answer: Answer,
}

/// Holds the body of a process while a thread runs its callback. Another thread may seize the body
/// if the callback does not return. The cost is two swaps per callback.
pub(crate) type Current = Custody<Box<Body>>;

/// The custody cells of a thread.
#[derive(Default)]
pub(crate) struct Cells {
    /// The running process.
    pub(crate) current: Current,
    /// The held processes.
    pub(crate) held: [Current; HELD_MAX],
    /// Whether the running process was seized. The thread runs no other process then.
    seized: AtomicBool,
}

impl Cells {
    /// Takes the running process from the thread for good. See [`Custody::seize`].
    pub(crate) fn seize(&self) -> Option<Box<Body>> {
        let body = self.current.seize()?;
        self.seized.store(true, Ordering::Release);
        Some(body)
    }
}

/// Sets the custody cells of the calling thread.
pub(crate) fn run_in(cells: &Arc<Cells>) {
    CELLS.with(|cell| {
        cell.get_or_init(|| Arc::clone(cells));
    });
}

/// Runs app code as a process: calls of that code into the node borrow the body. `code` gets the
/// flag that is set when another thread seizes the body. Returns the body, or `None` if another
/// thread has seized it meanwhile.
pub(crate) fn run<R>(body: Box<Body>, code: impl FnOnce(&AtomicBool) -> R) -> (Option<Box<Body>>, R) {
    CELLS.with(|cells| {
        let Cells { current, seized, .. } = &**cells.get_or_init(Arc::default);
        PID.set(body.pid);
        RECORDS.set(body.debug.is_some());
        current.enter(body);
        let result = code(seized);
        PID.set(Pid::NONE);
        (current.leave(), result)
    })
}

/// Ends the callback on the calling thread after it has returned or panicked. Returns the body of
/// the process; `None` if the body was seized or no callback ran.
pub(crate) fn leave() -> Option<Box<Body>> {
    PID.set(Pid::NONE);
    CELLS.with(|cells| cells.get().and_then(|cells| cells.current.leave()))
}

/// Lends the body of the running process to `work`. Returns `None` outside a callback.
pub(crate) fn with<R>(work: impl FnOnce(&mut Body) -> R) -> Option<R> {
    CELLS.with(|cells| cells.get()?.current.lend().map(|mut own| work(&mut own)))
}

/// Returns the running process; [`Pid::NONE`] outside a callback.
pub(crate) fn pid() -> Pid {
    PID.get()
}

/// Returns the running process if a message of it needs no look at its body: the process records no
/// messages, and was not seized. If it is seized right after, the message arrives after its end.
pub(crate) fn sender() -> Option<Pid> {
    let is_seized =
        || CELLS.with(|cells| cells.get().is_none_or(|cells| cells.seized.load(Ordering::Acquire)));
    Some(pid()).filter(|pid| *pid != Pid::NONE && !RECORDS.get() && !is_seized())
}

/// Returns how many processes the thread holds.
pub(crate) fn held() -> usize {
    HELD.get()
}

/// Holds a parked process while the thread runs the process that it waits for. Another thread may
/// seize the body, to put it back into its slot.
pub(crate) fn hold(body: Box<Body>, reference: Ref) {
    let level = HELD.replace(HELD.get() + 1);
    WAITS.with(|waits| waits[level].set((body.pid, reference)));
    CELLS.with(|cells| cells.get_or_init(Arc::default).held[level].enter(body));
}

/// Ends the hold that began when the thread held `level` processes. Returns the body, or `None` if
/// it was taken, and the answer that was kept for it.
pub(crate) fn release(level: usize) -> (Option<Box<Body>>, Option<Answer>) {
    HELD.set(level);
    (CELLS.with(|cells| cells.get().and_then(|cells| cells.held[level].leave())), KEPT.take())
}

/// Takes the body of the process that was held last, which from now on gets its answer in its slot.
pub(crate) fn unhold() -> Option<Box<Body>> {
    let level = HELD.get().checked_sub(1)?;
    WAITS.with(|waits| waits[level].set((Pid::NONE, 0)));
    CELLS.with(|cells| cells.get().and_then(|cells| cells.held[level].leave()))
}

/// Keeps an answer for the process that was held last. Returns it if it is for another process.
pub(crate) fn keep(caller: Pid, reference: Ref, answer: Answer) -> Option<Answer> {
    let Some(level) = HELD.get().checked_sub(1) else { return Some(answer) };
    if WAITS.with(|waits| waits[level].get()) != (caller, reference) {
        return Some(answer);
    }
    KEPT.set(Some(answer));
    None
}

/// Gives an answer to a process whose callback the thread is about to resume. So the callback takes
/// it without its body.
pub(crate) fn give(to: Pid, reference: Ref, answer: Answer) {
    GIVEN.set(Some(Given { to, reference, answer }));
}

/// Takes the answer to a request of the running process, if it was given.
pub(crate) fn take_given(reference: Ref) -> Option<Answer> {
    let given = GIVEN.take()?;
    if given.reference == reference && given.to == pid() {
        return Some(given.answer);
    }
    GIVEN.set(Some(given));
    None
}

/// Takes back an answer that the callback has not taken.
pub(crate) fn take_back() -> Option<(Ref, Answer)> {
    GIVEN.take().map(|given| (given.reference, given.answer))
}
