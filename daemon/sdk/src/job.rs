//! A job that is passed to a spare thread of the node.
#![expect(unsafe_code, reason = "a job crosses to the daemon as a pointer and comes back once")]

use std::ffi::c_void;

use crate::guard::{catch, discard};

/// Blocking work.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Turns a job into the pointer that the daemon takes.
pub(crate) fn give(job: Job) -> *mut c_void {
    Box::into_raw(Box::new(job)).cast()
}

/// Takes back a job that the daemon did not run.
///
/// # Safety
/// The pointer came from [`give`] and was not run or taken back.
pub(crate) unsafe fn take_back(data_app: *mut c_void) {
    // SAFETY: the caller's promise.
    discard(unsafe { Box::from_raw(data_app.cast::<Job>()) });
}

/// Runs a job; the daemon calls it once.
pub(crate) unsafe extern "C" fn run(data_app: *mut c_void) {
    // SAFETY: the daemon gives back what `give` made, once.
    let job = unsafe { Box::from_raw(data_app.cast::<Job>()) };
    if let Err(exit) = catch(|| (*job)()) {
        log::error!("error while dropping the result of blocking work: {exit}");
    }
}
