//! Runs blocking work on spare threads of the node.

use std::sync::{Arc, Mutex, PoisonError};

use crate::call::CallError;
use crate::exit::Exit;
use crate::guard::catch;
use crate::host::{self, Closed};
use crate::wait::Wait;

/// Runs `work` on a spare thread of the node and waits for its result. Use it for work that blocks
/// or computes for long, such as a library that opens files. Only the calling process waits. OTP: a
/// dirty NIF, or a port. `[callback]`
///
/// An upgrade waits for the callback, as for any other. Dropping the future or killing the process
/// does not stop the work: its result is dropped later, and its code stays in use until then.
/// Inside `work`, all other functions of this crate are refused. At most sixty-four pieces of work
/// run at once; further work is queued.
///
/// # Errors
/// [`CallError::Exit`] with [`Exit::Panic`] if `work` panicked; [`CallError::Refused`] outside a
/// callback.
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
    done.unwrap_or_else(|| Err(Exit::error("the work was not carried out"))).map_err(CallError::Exit)
}
