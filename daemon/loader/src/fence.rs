//! Calls of the loader into a library. During a call the thread is recorded as inside the library
//! (`output.rs`), and no exception leaves the call.
//!
//! Nothing may unwind out of a library, and Rust cannot catch a foreign exception. Without the
//! fence, the daemon would abort with a message about foreign exceptions. The fence aborts the
//! daemon first, and logs the app's name.

use std::mem;
use std::thread;
use std::time::Duration;

use crate::interpose;
use crate::output;

/// The pause before the abort, in which the log is written.
const LOG_DELAY: Duration = Duration::from_millis(200);

/// Calls the named function of the library at `base`.
pub(crate) fn cross<T>(base: usize, function: &'static str, call: impl FnOnce() -> T) -> T {
    let _visit = output::visit(base);
    let fence = Fence { base, function };
    let answer = call();
    mem::forget(fence);
    answer
}

/// Aborts the daemon when it is dropped while an exception unwinds the stack.
struct Fence {
    base: usize,
    function: &'static str,
}

impl Drop for Fence {
    fn drop(&mut self) {
        let (app, function) = (interpose::app_at(self.base), self.function);
        let _interlude = output::interlude();
        tracing::error!(
            name: "code.exception", app = app.as_deref(),
            "an exception left {function}: the daemon ends"
        );
        // The log is written by another thread.
        thread::sleep(LOG_DELAY);
        std::process::abort();
    }
}
