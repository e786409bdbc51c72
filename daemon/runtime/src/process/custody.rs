//! Ownership of the body of a process while its callback runs.
//!
//! ```text
//!  worker                 the callback                 a thread that ends the process
//!  enter(body)
//!     callback ---------> lend(): has it for a moment
//!                                                      seize(): the process ends; its slot is free
//!  leave(): the body,
//!  or nothing: it was seized
//! ```
//!
//! Each step is one atomic swap, so exactly one of the three parties has the body. Only the party
//! that took the body out may put it back. loom checks this together with the slot
//! (`slot/model.rs`).

use std::ops::{Deref, DerefMut};

use crate::words::sync::Cell;

/// The cell in which a worker keeps the body.
pub(crate) struct Custody<B>(Cell<Option<B>>);

impl<B> Default for Custody<B> {
    fn default() -> Self {
        Self(Cell::new(None))
    }
}

impl<B> Custody<B> {
    /// Stores the body. The worker calls this before a callback.
    pub(crate) fn enter(&self, body: B) {
        self.0.swap(Some(body));
    }

    /// Returns the body, unless it was seized. The worker calls this after the callback.
    pub(crate) fn leave(&self) -> Option<B> {
        self.0.swap(None)
    }

    /// Takes the body for a moment. The callback calls this.
    pub(crate) fn lend(&self) -> Option<Loan<'_, B>> {
        self.0.swap(None).map(|body| Loan { custody: self, body: Some(body) })
    }

    /// Takes the body for good. Returns `None` when no callback runs, or when the callback has the
    /// body at this moment.
    pub(crate) fn seize(&self) -> Option<B> {
        self.0.swap(None)
    }
}

/// A body that a callback has for a moment. It always goes back, even in a panic.
pub(crate) struct Loan<'a, B> {
    custody: &'a Custody<B>,
    body: Option<B>,
}

impl<B> Deref for Loan<'_, B> {
    type Target = B;

    fn deref(&self) -> &B {
        self.body.as_ref().expect("a loan has its body until it is dropped")
    }
}

impl<B> DerefMut for Loan<'_, B> {
    fn deref_mut(&mut self) -> &mut B {
        self.body.as_mut().expect("a loan has its body until it is dropped")
    }
}

impl<B> Drop for Loan<'_, B> {
    fn drop(&mut self) {
        self.custody.0.swap(self.body.take());
    }
}
