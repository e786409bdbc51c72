//! Panics of the daemon itself: each one ends only the work in which it happens.
//!
//! A panic of an app never comes here, because its library turns it into an exit reason. A panic
//! caught here is a bug of the daemon. The panic hook of the program reports it; the catching code
//! decides how to go on.

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

/// Runs work. Changes made before a panic stay, so the caller must discard the data that belongs to
/// this work alone.
///
/// # Errors
/// [`Panicked`], if the work panics.
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| Panicked::with(&*payload))
}

/// Like [`contained`], for asynchronous work.
///
/// # Errors
/// [`Panicked`], if the work panics.
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
    fn a_panic_becomes_an_error_with_its_message() {
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
