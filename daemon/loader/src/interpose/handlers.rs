//! Signal handlers of libraries. Each library may have its own handler of a signal. When the signal
//! arrives, all of them are called.
//!
//! The kernel has one handler per signal, and returns the old handler when a new one is set.
//! signal-hook, and therefore tokio and ctrlc, calls the old handler from the new one. After an
//! upgrade that would be the handler of an unmapped library. So the kernel always gets
//! [`dispatch`], no library sees the handler of another one, and the handlers of a library are
//! removed before the library is unmapped.
//!
//! A library is unmapped only while no handler of its signals is running. A handler that was left
//! by `longjmp` counts as running.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::output;

type Handler = unsafe extern "C-unwind" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// One more than the highest signal number.
pub(super) const SIGNALS: usize = 65;

/// The maximum number of libraries that handle the same signal.
const HANDLERS_MAX: usize = 32;

/// A slot for the address of a handler. 0 marks a free slot.
type Place = AtomicUsize;

static HANDLERS: [[Place; HANDLERS_MAX]; SIGNALS] =
    [const { [const { Place::new(0) }; HANDLERS_MAX] }; SIGNALS];
/// The number of handlers that are running, by signal.
static RUNNING: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

/// Returns the address of [`dispatch`], which is the handler that the kernel gets.
pub(super) fn dispatcher() -> libc::sighandler_t {
    dispatch as Handler as usize
}

/// Adds a handler of a signal. Returns `None` if too many libraries handle the signal.
pub(super) fn put(number: c_int, handler: usize) -> Option<&'static Place> {
    let free = |place: &&Place| place.compare_exchange(0, handler, SeqCst, SeqCst).is_ok();
    HANDLERS[number as usize].iter().find(free)
}

/// Returns whether a handler of the signal was called and has not returned.
pub(super) fn is_running(number: c_int) -> bool {
    RUNNING[number as usize].load(SeqCst) > 0
}

/// Calls the handlers of all libraries. This function is async-signal-safe.
unsafe extern "C-unwind" fn dispatch(number: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let at = number as usize;
    // Increment the counter before reading the handlers. Then, if a handler was removed and the
    // counter is 0, the handler is not running and will not run again.
    RUNNING[at].fetch_add(1, SeqCst);
    for handler in HANDLERS[at].iter().map(|place| place.load(SeqCst)).filter(|handler| *handler != 0) {
        let _interlude = output::interlude_of(handler);
        // SAFETY: a library has set it as a handler. The kernel always passes all three arguments.
        let handler: Handler = unsafe { std::mem::transmute(handler) };
        // SAFETY: the library's promise for its handler, which stays mapped while it is counted.
        unsafe { handler(number, info, context) };
    }
    RUNNING[at].fetch_sub(1, SeqCst);
}
