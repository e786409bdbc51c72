//! Turns panics into values: an order that runs into a bug fails, and the thread of the handler
//! continues.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work`, and returns the message of a panic as the error.
///
/// After a panic, a change may be half done. The caller has to undo or abandon it.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let literal = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        literal
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned())
    })
}
