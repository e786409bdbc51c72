//! The future of an open request. All waits are built from it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::host::{self, Closed, Refused};
use crate::waker;

/// Waits for the answer to a reference. If it is dropped before the answer, it gives the reference
/// up.
#[derive(Debug)]
pub(crate) struct Wait {
    reference: u64,
    open: bool,
    /// Whether the answer may have arrived, so that the daemon must be asked.
    asks: bool,
}

impl Wait {
    pub(crate) fn new(reference: u64) -> Self {
        Self { reference, open: true, asks: true }
    }

    /// Waits for another process, which cannot answer before the end of the first poll.
    pub(crate) fn for_another(reference: u64) -> Self {
        // Struct update syntax is not used: it would drop another `Self`, which gives the reference
        // up.
        Self { reference, open: true, asks: false }
    }
}

impl Future for Wait {
    type Output = Result<Closed, Refused>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let asks = std::mem::replace(&mut self.asks, true);
        let ask = || host::ask(|host| host.take(self.reference)).and_then(|taken| taken);
        let taken = if asks { ask() } else { Ok(None) };
        if matches!(taken, Ok(None)) {
            waker::park(self.reference, context.waker());
            return Poll::Pending;
        }
        self.open = false;
        Poll::Ready(taken.and_then(|closed| closed.ok_or(Refused)))
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if self.open {
            waker::unpark(self.reference);
            // The request is refused if the process is being killed; its references are gone anyway
            // then.
            let _ = host::ask(|host| host.forget(self.reference));
        }
    }
}
