//! What a library says that it has allocated and not freed.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use reld_abi as abi;

use crate::error::Refusal;

/// More parts than anybody needs: a count above it is garbage.
const PARTS_MAX: usize = 4096;

/// Memory of a library from the daemon's allocator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heap {
    /// Blocks that were allocated and not freed.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl std::ops::Add for Heap {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { blocks: self.blocks + other.blocks, bytes: self.bytes + other.bytes }
    }
}

/// Where a library counts. To be read only while the library is mapped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ledger {
    parts: *const abi::Usage,
    count: usize,
}

// SAFETY: it is an address in a mapping that all threads share; what is there is atomic.
unsafe impl Send for Ledger {}
// SAFETY: as above.
unsafe impl Sync for Ledger {}

impl Ledger {
    /// Takes over what a block says; `None` for a library that does not count.
    pub(crate) fn new(parts: *const abi::Usage, count: usize) -> Result<Option<Self>, Refusal> {
        if parts.is_null() || count == 0 {
            return Ok(None);
        }
        if count > PARTS_MAX || !parts.is_aligned() {
            return Err(Refusal::Block { field: "usage", problem: format!("is {count} parts at {parts:p}") });
        }
        Ok(Some(Self { parts, count }))
    }

    /// Says whether it lies in a library.
    pub(crate) fn is_in(&self, span: &Range<usize>) -> bool {
        let end = self.parts.addr().checked_add(self.count * size_of::<abi::Usage>());
        span.contains(&self.parts.addr()) && end.is_some_and(|end| end <= span.end)
    }

    /// Adds the parts up. Where threads allocate meanwhile it is a sum of no one moment, and never negative.
    ///
    /// # Safety
    /// The library is mapped, and the ledger lies in it.
    pub(crate) unsafe fn read(&self) -> Heap {
        // SAFETY: the caller's promise; parts are only written as atomics.
        let parts = unsafe { std::slice::from_raw_parts(self.parts, self.count) };
        let sum = |of: fn(&abi::Usage) -> &AtomicU64| {
            let sum = parts.iter().map(|part| of(part).load(Ordering::Relaxed)).fold(0, u64::wrapping_add);
            u64::try_from(sum.cast_signed()).unwrap_or(0)
        };
        Heap { blocks: sum(|part| &part.blocks), bytes: sum(|part| &part.bytes) }
    }
}
