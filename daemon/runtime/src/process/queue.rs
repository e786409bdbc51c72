//! A queue that takes 8 bytes while it is empty. Most processes have empty queues.

use std::collections::VecDeque;

/// Messages or signals in the order of their arrival.
#[derive(Debug)]
#[expect(clippy::box_collection, reason = "an empty deque itself has 32 bytes")]
pub(crate) struct Queue<T>(Option<Box<VecDeque<T>>>);

impl<T> Queue<T> {
    pub(crate) const EMPTY: Self = Self(None);

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |buffer| buffer.len())
    }

    /// Returns whether there is a buffer, which may be empty.
    pub(crate) fn has_buffer(&self) -> bool {
        self.0.is_some()
    }

    /// Returns an empty queue with the buffer of this one, if this one is empty and its buffer has
    /// room for at most so many.
    pub(crate) fn spare(self, max: usize) -> Option<Self> {
        let buffer = self.0?;
        let is_spare = buffer.is_empty() && buffer.capacity() <= max;
        is_spare.then_some(Self(Some(buffer)))
    }

    fn buffer(&mut self) -> &mut VecDeque<T> {
        self.0.get_or_insert_default()
    }

    pub(crate) fn push_back(&mut self, item: T) {
        self.buffer().push_back(item);
    }

    pub(crate) fn push_front(&mut self, item: T) {
        self.buffer().push_front(item);
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.0.as_ref()?.front()
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        self.0.as_mut()?.pop_front()
    }

    pub(crate) fn remove(&mut self, at: usize) -> Option<T> {
        self.0.as_mut()?.remove(at)
    }

    pub(crate) fn append(&mut self, other: Self) {
        if let Some(mut other) = other.0 {
            self.buffer().append(&mut other);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flat_map(|buffer| buffer.iter())
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<T> IntoIterator for Queue<T> {
    type Item = T;
    type IntoIter = std::collections::vec_deque::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.map(|buffer| *buffer).unwrap_or_default().into_iter()
    }
}
