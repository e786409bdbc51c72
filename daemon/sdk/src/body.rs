//! The body of a message on its way over the boundary.
#![expect(unsafe_code, reason = "owns a block of the daemon's allocator")]

use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::{self, NonNull};

use reld_abi::Buf;

use crate::alloc;

/// Bytes in a block of the daemon's allocator.
///
/// Unlike the block of a vector, this block does not count as memory of the library, which owns it
/// for a moment only: it writes the body and gives it away, or receives the body and reads it.
/// Each count would cost as much as the allocation.
pub(crate) struct Body {
    start: NonNull<u8>,
    length: usize,
    /// The size of the block; 0 if there is none.
    capacity: usize,
}

// SAFETY: it owns its block alone, as a vector does.
unsafe impl Send for Body {}

/// The size of the first block, which is enough for most messages.
const USUAL: usize = 128;

impl Body {
    pub(crate) const EMPTY: Self = Self { start: NonNull::dangling(), length: 0, capacity: 0 };

    /// Returns an empty body with room for a usual message.
    #[inline]
    pub(crate) fn with_room() -> Self {
        Self { start: alloc::block(USUAL), length: 0, capacity: USUAL }
    }

    /// Passes the body to the daemon.
    #[inline]
    pub(crate) fn give(self) -> Buf {
        let body = ManuallyDrop::new(self);
        Buf { ptr: body.start.as_ptr(), len: body.length, cap: body.capacity }
    }

    /// Takes ownership of a buffer.
    ///
    /// # Safety
    /// The buffer is empty, or a live allocation of the daemon's allocator that the caller owns,
    /// with `len <= cap`.
    #[inline]
    pub(crate) unsafe fn take(buf: Buf) -> Self {
        match NonNull::new(buf.ptr) {
            Some(start) if buf.cap > 0 => Self { start, length: buf.len, capacity: buf.cap },
            _ => Self::EMPTY,
        }
    }

    #[inline]
    fn extend(&mut self, bytes: &[u8]) {
        if self.capacity - self.length < bytes.len() {
            self.grow(bytes.len());
        }
        // SAFETY: so many bytes of the block are written.
        let end = unsafe { self.start.add(self.length) };
        // SAFETY: the block has room for the bytes, and belongs to this body alone.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), end.as_ptr(), bytes.len()) };
        self.length += bytes.len();
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let capacity = self.length.saturating_add(more).max(self.capacity.saturating_mul(2)).max(USUAL);
        let start = alloc::block(capacity);
        // SAFETY: the new block is longer than the bytes in the old one.
        unsafe { ptr::copy_nonoverlapping(self.start.as_ptr(), start.as_ptr(), self.length) };
        let length = self.length;
        drop(std::mem::replace(self, Self { start, length, capacity }));
    }
}

impl Drop for Body {
    #[inline]
    fn drop(&mut self) {
        if self.capacity > 0 {
            // SAFETY: the block is of the daemon's allocator, has this size, and belongs to this
            // body alone.
            unsafe { alloc::free(self.start, self.capacity) }
        }
    }
}

impl Deref for Body {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: so many bytes of the block are written.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl io::Write for Body {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.extend(bytes);
        Ok(())
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl From<&[u8]> for Body {
    fn from(bytes: &[u8]) -> Self {
        let mut body = Self::EMPTY;
        body.extend(bytes);
        body
    }
}

impl Clone for Body {
    fn clone(&self) -> Self {
        Self::from(&**self)
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Body {}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_body_grows_with_what_is_written_and_survives_the_boundary() {
        let text: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for size in [0, 1, USUAL - 1, USUAL, USUAL + 1, 1000] {
            let mut bodies = [Body::EMPTY, Body::with_room()];
            for body in &mut bodies {
                text[..size].chunks(7).for_each(|part| body.write_all(part).expect("is written"));
                assert_eq!(**body, text[..size]);
                assert_eq!(*body, Body::from(&text[..size]));
            }
            let buf = bodies[0].clone().give();
            assert!(buf.len == size && buf.cap >= size);
            // SAFETY: the buffer was just given away, to this test.
            assert_eq!(unsafe { Body::take(buf) }, bodies[1]);
        }
    }
}
