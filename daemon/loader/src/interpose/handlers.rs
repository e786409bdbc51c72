//! Signal handlers of libraries: each library has its own, and at a signal all of them are called.
//!
//! The kernel knows one handler per signal and hands it to whoever sets the next one, who may call
//! it later: signal-hook does, and so do tokio and ctrlc. After an upgrade that would be a handler
//! of a library that is gone. So the kernel gets [`dispatch`] for all of them, no library sees the
//! handler of another one, and those of a library are taken off when it goes.
//!
//! A library leaves no sooner than no call of that signal's handlers is under way. A handler that
//! is left by `longjmp` counts as one that has not returned.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::output;

type Handler = unsafe extern "C-unwind" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// More signals than there are.
pub(super) const SIGNALS: usize = 65;

/// How many libraries may handle one signal at the same time.
const HANDLERS_MAX: usize = 32;

/// Where a handler is; 0 where none is.
type Place = AtomicUsize;

static HANDLERS: [[Place; HANDLERS_MAX]; SIGNALS] =
    [const { [const { Place::new(0) }; HANDLERS_MAX] }; SIGNALS];
/// How many calls of handlers are under way.
static RUNNING: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

/// Returns the handler that the kernel gets.
pub(super) fn dispatcher() -> libc::sighandler_t {
    dispatch as Handler as usize
}

/// Has a signal call this handler from now on. `None`: too many libraries handle it.
pub(super) fn put(number: c_int, handler: usize) -> Option<&'static Place> {
    let free = |place: &&Place| place.compare_exchange(0, handler, SeqCst, SeqCst).is_ok();
    HANDLERS[number as usize].iter().find(free)
}

/// Whether some handler of the signal has been called and has not returned.
pub(super) fn is_running(number: c_int) -> bool {
    RUNNING[number as usize].load(SeqCst) > 0
}

/// Does only what a handler may.
unsafe extern "C-unwind" fn dispatch(number: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let at = number as usize;
    // Counted before it looks: who has taken a handler off and sees no call has seen its last one.
    RUNNING[at].fetch_add(1, SeqCst);
    for handler in HANDLERS[at].iter().map(|place| place.load(SeqCst)).filter(|handler| *handler != 0) {
        let _interlude = output::interlude_of(handler);
        // SAFETY: a library gave it for this. The kernel passes all three, whether asked to or not.
        let handler: Handler = unsafe { std::mem::transmute(handler) };
        // SAFETY: the library's promise of its handler, which is mapped as long as it is counted.
        unsafe { handler(number, info, context) };
    }
    RUNNING[at].fetch_sub(1, SeqCst);
}
