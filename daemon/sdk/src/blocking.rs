//! Work that blocks, on threads of the node made for it.
#![expect(unsafe_code, reason = "a job crosses to the daemon as a pointer and comes back once")]

use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

use crate::call::CallError;
use crate::exit::Exit;
use crate::guard::{catch, discard};
use crate::host::{self, Closed};
use crate::wait::Wait;

/// A job on its way.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Runs `work` on a spare thread of the node and waits for its result: for what blocks or computes for long, such as a
/// library that opens files. The process waits, and nobody else does. OTP: a dirty NIF, or a port. `[callback]`
///
/// An upgrade waits for the callback as for any other that waits. Dropping the future, or killing the process, does not
/// stop the work: its result is dropped when it comes, and its code stays in use so long. Inside `work`, everything else of
/// this crate is refused. Sixty-four run at once; more wait.
///
/// # Errors
/// [`CallError::Exit`] with [`Exit::Panic`] when it panicked; [`CallError::Refused`] outside a callback.
///
/// ```
/// # use reld_sdk::{CallError, blocking};
/// # async fn example() -> Result<String, CallError> {
/// let text = blocking(|| std::fs::read_to_string("/etc/hostname")).await?;
/// # Ok(text.unwrap_or_default())
/// # }
/// ```
pub async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R, CallError> {
    let result = Arc::new(Mutex::new(None));
    let place = Arc::clone(&result);
    let job = Box::new(move || {
        let done = catch(work);
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
    });
    let reference = host::ask(|host| host.blocking(job))??;
    if let Closed::Exit(exit) = Wait::new(reference).await? {
        return Err(CallError::Exit(exit));
    }
    let done = result.lock().unwrap_or_else(PoisonError::into_inner).take();
    done.unwrap_or_else(|| Err(Exit::error("the work was not run"))).map_err(CallError::Exit)
}

/// Turns a job into what the daemon takes.
pub(crate) fn give(job: Job) -> *mut c_void {
    Box::into_raw(Box::new(job)).cast()
}

/// Takes a job back that the daemon did not run.
///
/// # Safety
/// The pointer came from [`give`] and was not run or taken back.
pub(crate) unsafe fn take_back(data_app: *mut c_void) {
    // SAFETY: the caller's promise.
    discard(unsafe { Box::from_raw(data_app.cast::<Job>()) });
}

/// What the daemon calls, once.
pub(crate) unsafe extern "C" fn run(data_app: *mut c_void) {
    // SAFETY: the daemon gives back what `give` made, once.
    let job = unsafe { Box::from_raw(data_app.cast::<Job>()) };
    if let Err(exit) = catch(|| (*job)()) {
        log::error!("while the result of work was dropped: {exit}");
    }
}
