//! Counted references for thousands of processes that share the same value.
//!
//! Every clone and every drop of an `Arc` writes to its count. With one count for all processes of
//! a module, two workers that convert them would mostly wait for each other's cache line. So a
//! thread hands out one `Arc` to a batch of processes in a row, and then makes another. The
//! processes of a batch are neighbours in the process table: a worker that later goes over them
//! chunk by chunk also has their count to itself.

use std::sync::{Arc, Weak};

/// How many neighbours a pool job goes over at once; it yields to other work after each chunk.
pub(crate) const CHUNK: usize = 128;

/// How many references share one count.
const BATCH: u32 = CHUNK as u32;

/// The value that a thread handed out last. A batch does not keep the value alive.
#[derive(Debug)]
pub struct Batch<T> {
    last: Weak<T>,
    left: u32,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Batch<T> {
    /// Returns a batch from which nothing was handed out yet.
    pub const fn new() -> Self {
        Self { last: Weak::new(), left: 0 }
    }

    /// Returns the value that was handed out last if `is` accepts it and its batch is not full.
    /// Otherwise starts a new batch with the result of `make`.
    pub fn next(&mut self, is: impl FnOnce(&T) -> bool, make: impl FnOnce() -> T) -> Arc<T> {
        let last = if self.left > 0 { self.last.upgrade() } else { None };
        if let Some(same) = last.filter(|last| is(last)) {
            self.left -= 1;
            return same;
        }
        let made = Arc::new(make());
        (self.last, self.left) = (Arc::downgrade(&made), BATCH - 1);
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(batch: &mut Batch<u32>, number: u32) -> Arc<u32> {
        batch.next(|last| *last == number, || number)
    }

    #[test]
    fn a_full_batch_shares_one_reference_and_the_next_batch_another() {
        let mut batch = Batch::new();
        let first: Vec<_> = (0..BATCH).map(|_| next(&mut batch, 7)).collect();
        assert!(first.iter().all(|shared| Arc::ptr_eq(shared, &first[0])));
        assert!(!Arc::ptr_eq(&next(&mut batch, 7), &first[0]));
    }

    #[test]
    fn another_value_begins_a_new_batch_and_nothing_is_kept_alive() {
        let mut batch = Batch::new();
        let seven = next(&mut batch, 7);
        assert_eq!(*next(&mut batch, 8), 8);
        assert!(!Arc::ptr_eq(&next(&mut batch, 7), &seven));
        assert_eq!(Arc::strong_count(&seven), 1);
    }
}
