//! Who has the body of a process while its callback runs.
//!
//! ```text
//!  worker                 the callback                 somebody who ends it without that
//!  enter(body)
//!     callback ---------> lend(): has it for a moment
//!                                                      seize(): the process ends, and the place is another's
//!  leave(): the body,
//!  or nothing: it was seized
//! ```
//!
//! Each step is one atomic swap, so exactly one of them has the body, and whoever puts it back is whoever took it out. loom
//! runs it together with the slot (`slot/model.rs`).

use std::ops::{Deref, DerefMut};

use crate::words::sync::Cell;

/// The cell of a worker.
pub(crate) struct Custody<B>(Cell<Option<B>>);

impl<B> Default for Custody<B> {
    fn default() -> Self {
        Self(Cell::new(None))
    }
}

impl<B> Custody<B> {
    /// A callback begins. For the worker.
    pub(crate) fn enter(&self, body: B) {
        self.0.swap(Some(body));
    }

    /// It has returned: the body, unless it was seized. For the worker.
    pub(crate) fn leave(&self) -> Option<B> {
        self.0.swap(None)
    }

    /// Takes the body for a moment. For the callback.
    pub(crate) fn lend(&self) -> Option<Loan<'_, B>> {
        self.0.swap(None).map(|body| Loan { custody: self, body: Some(body) })
    }

    /// Takes the body for good; `None` when no callback runs, or it has the body at this moment.
    pub(crate) fn seize(&self) -> Option<B> {
        self.0.swap(None)
    }
}

/// A body that a callback has for a moment; it goes back whatever happens.
pub(crate) struct Loan<'a, B> {
    custody: &'a Custody<B>,
    body: Option<B>,
}

impl<B> Deref for Loan<'_, B> {
    type Target = B;

    fn deref(&self) -> &B {
        self.body.as_ref().expect("it is there until the loan is dropped")
    }
}

impl<B> DerefMut for Loan<'_, B> {
    fn deref_mut(&mut self) -> &mut B {
        self.body.as_mut().expect("it is there until the loan is dropped")
    }
}

impl<B> Drop for Loan<'_, B> {
    fn drop(&mut self) {
        self.custody.0.swap(self.body.take());
    }
}
