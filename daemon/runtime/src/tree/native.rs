//! Callbacks that are part of the runtime itself, as `async` blocks: the loops of supervisors.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::words::code::{Callback, Outcome, Ref, Step};

type Future = Pin<Box<dyn std::future::Future<Output = Outcome> + Send>>;

/// A native callback that is parked at an await.
struct Native(Future);

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Native")
    }
}

/// Runs a native callback until it waits or ends.
pub(crate) fn run(future: impl std::future::Future<Output = Outcome> + Send + 'static) -> Step {
    let mut native = Native(Box::pin(future));
    match native.poll(&[]) {
        Some(outcome) => Step::Ready(outcome),
        None => Step::Pending(Box::new(native)),
    }
}

impl Callback for Native {
    fn poll(&mut self, _completed: &[Ref]) -> Option<Outcome> {
        // Each poll checks the awaited requests, so no waker is needed.
        match self.0.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }
}
