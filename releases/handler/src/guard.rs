//! Panics of the node as values: an order that meets a bug fails, and the thread that carries orders out goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs something, and returns the text of its panic.
///
/// What it was about to change may be half changed: the caller has to undo it, or to give it up.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let literal = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        literal
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a text".to_owned())
    })
}
