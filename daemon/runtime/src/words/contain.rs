//! Panics of the daemon's own code: each ends the work that it happens in, and nothing else.
//!
//! A panic of an app never comes here: its library makes an exit reason of it. What is caught here
//! is a bug of the daemon. The program's panic hook reports it; whoever catches it decides what
//! becomes of the work.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use thiserror::Error;

/// Work of the daemon that panicked, with the message of the panic.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the daemon panicked: {0}")]
pub struct Panicked(String);

impl Panicked {
    fn with(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self(text.unwrap_or("without a message").to_owned())
    }
}

/// Does some work. What it has changed before a panic stays changed: the caller gives up what
/// belongs to that work alone.
///
/// # Errors
/// [`Panicked`].
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| Panicked::with(&*payload))
}

/// As [`contained`], for work that waits.
///
/// # Errors
/// [`Panicked`].
pub async fn contained_task<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut work = pin!(work);
    poll_fn(|context| match contained(|| work.as_mut().poll(context)) {
        Ok(poll) => poll.map(Ok),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_panics_is_told_from_work_that_is_done() {
        let number = 7;
        assert_eq!(contained(|| number), Ok(7));
        assert_eq!(
            contained(|| panic!("{number} is too many")),
            Err::<(), _>(Panicked("7 is too many".to_owned()))
        );
        let odd = contained(|| std::panic::panic_any(number)).unwrap_err();
        assert_eq!(odd.to_string(), "the daemon panicked: without a message");
    }
}
