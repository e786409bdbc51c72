//! A library's own counters of the memory that it has allocated and not freed.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use reld_abi as abi;

use crate::error::Refusal;

/// The maximum number of counters. It is more than any library needs, so a larger count is invalid.
const PARTS_MAX: usize = 4096;

/// The memory that a library has allocated and not freed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heap {
    /// The number of blocks.
    pub blocks: u64,
    /// The number of bytes in these blocks.
    pub bytes: u64,
}

impl std::ops::Add for Heap {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { blocks: self.blocks + other.blocks, bytes: self.bytes + other.bytes }
    }
}

/// The counters of a library. They may be read only while the library is mapped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ledger {
    parts: *const abi::Usage,
    count: usize,
}

// SAFETY: the address is in a mapping that all threads share, and the counters are atomics.
unsafe impl Send for Ledger {}
// SAFETY: as above.
unsafe impl Sync for Ledger {}

impl Ledger {
    /// Parses the members of a block. Returns `None` for a library that does not count.
    pub(crate) fn new(parts: *const abi::Usage, count: usize) -> Result<Option<Self>, Refusal> {
        if parts.is_null() || count == 0 {
            return Ok(None);
        }
        if count > PARTS_MAX || !parts.is_aligned() {
            return Err(Refusal::Block { field: "usage", problem: format!("is {count} parts at {parts:p}") });
        }
        Ok(Some(Self { parts, count }))
    }

    /// Returns whether the counters lie in the library.
    pub(crate) fn is_in(&self, span: &Range<usize>) -> bool {
        let end = self.parts.addr().checked_add(self.count * size_of::<abi::Usage>());
        span.contains(&self.parts.addr()) && end.is_some_and(|end| end <= span.end)
    }

    /// Returns the sums over all counters, or 0 for a negative sum. If threads allocate meanwhile,
    /// the sums are not those of a single moment.
    ///
    /// # Safety
    /// The library is mapped, and the ledger lies in it.
    pub(crate) unsafe fn read(&self) -> Heap {
        // SAFETY: the caller's promise; the counters are only written as atomics.
        let parts = unsafe { std::slice::from_raw_parts(self.parts, self.count) };
        let sum = |of: fn(&abi::Usage) -> &AtomicU64| {
            let sum = parts.iter().map(|part| of(part).load(Ordering::Relaxed)).fold(0, u64::wrapping_add);
            u64::try_from(sum.cast_signed()).unwrap_or(0)
        };
        Heap { blocks: sum(|part| &part.blocks), bytes: sum(|part| &part.bytes) }
    }
}
