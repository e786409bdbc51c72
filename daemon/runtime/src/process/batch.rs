//! Counted references for thousands that hold the same thing.
//!
//! The count of an `Arc` is a word that everybody who clones or drops it writes to. With one count for all processes of a
//! module, two workers that convert them wait for each other's cache line most of the time. So a thread hands out one
//! `Arc` to a batch in a row, and then makes another. A batch are neighbours in the process table, so that who goes over
//! them later, chunk by chunk, has their count to itself as well.

use std::sync::{Arc, Weak};

/// How many neighbours a job of the pool goes over at once: it lets others run after each chunk.
pub(crate) const CHUNK: usize = 128;

/// How many hold one count.
const BATCH: u32 = CHUNK as u32;

/// What a thread handed out last. It keeps nothing alive.
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
    /// Nothing was handed out yet.
    pub const fn new() -> Self {
        Self { last: Weak::new(), left: 0 }
    }

    /// Returns what was handed out last, if that `is` the same and its batch is not full; else what this makes.
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
    fn a_batch_shares_one_and_the_next_another() {
        let mut batch = Batch::new();
        let first: Vec<_> = (0..BATCH).map(|_| next(&mut batch, 7)).collect();
        assert!(first.iter().all(|shared| Arc::ptr_eq(shared, &first[0])));
        assert!(!Arc::ptr_eq(&next(&mut batch, 7), &first[0]));
    }

    #[test]
    fn another_thing_begins_a_batch_and_nothing_is_kept_alive() {
        let mut batch = Batch::new();
        let seven = next(&mut batch, 7);
        assert_eq!(*next(&mut batch, 8), 8);
        assert!(!Arc::ptr_eq(&next(&mut batch, 7), &seven));
        assert_eq!(Arc::strong_count(&seven), 1);
    }
}
