//! Calls of the loader into a library: for as long as one lasts the thread is said to be inside it
//! (`output.rs`), and no exception gets past.
//!
//! Nothing may unwind out of a library, and Rust cannot catch what does. The daemon would end with a
//! word about foreign exceptions; it ends here instead, with the app's name in the log.

use std::mem;
use std::thread;
use std::time::Duration;

use crate::interpose;
use crate::output;

/// How long the daemon's end is put off for the line that says why.
const LAST_WORD: Duration = Duration::from_millis(200);

/// Runs code of the library at `base`, which is to be a function with that name.
pub(crate) fn cross<T>(base: usize, function: &'static str, call: impl FnOnce() -> T) -> T {
    let _visit = output::visit(base);
    let fence = Fence { base, function };
    let answer = call();
    mem::forget(fence);
    answer
}

/// Ends the daemon when an exception comes by.
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
        // Another thread writes the log.
        thread::sleep(LAST_WORD);
        std::process::abort();
    }
}
