//! Counts the memory that this library has allocated and not freed.
//!
//! The counts are kept in parts that the daemon adds up ([`reld_abi::Usage`]). Each of the first
//! threads has a part of its own. So it counts without a lock and without waiting for a cache line
//! of another thread. Later threads share the last part.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use reld_abi::Usage;

/// The number of counters of a library. A pool has fewer threads, with its helpers, so that these
/// share none. The counters take 4 kB in each library.
const PARTS: usize = 64;
/// The index of the part shared by threads that have none of their own.
const SHARED: usize = PARTS - 1;

#[repr(align(64))]
struct Parts([Usage; PARTS]);

static COUNTED: Parts =
    Parts([const { Usage { blocks: AtomicU64::new(0), bytes: AtomicU64::new(0), reserved: [0; 6] } }; PARTS]);
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    // The thread-local has no destructor: the allocator may be called after destructors have run.
    static PART: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Returns the parts, for the library's magic block.
pub(crate) const fn parts() -> &'static [Usage] {
    &COUNTED.0
}

/// Counts a block that the library now owns.
#[inline]
pub(crate) fn gained(bytes: usize) {
    count(1, bytes as u64);
}

/// Counts a block that the library no longer owns.
#[inline]
pub(crate) fn lost(bytes: usize) {
    count(1_u64.wrapping_neg(), (bytes as u64).wrapping_neg());
}

/// Counts a change of a block's size.
#[inline]
pub(crate) fn resized(from: usize, to: usize) {
    count(0, (to as u64).wrapping_sub(from as u64));
}

#[inline]
fn count(blocks: u64, bytes: u64) {
    let part = part();
    let Usage { blocks: all_blocks, bytes: all_bytes, .. } = &COUNTED.0[part];
    if part == SHARED {
        all_blocks.fetch_add(blocks, Ordering::Relaxed);
        all_bytes.fetch_add(bytes, Ordering::Relaxed);
    } else {
        // Only this thread writes here.
        all_blocks.store(all_blocks.load(Ordering::Relaxed).wrapping_add(blocks), Ordering::Relaxed);
        all_bytes.store(all_bytes.load(Ordering::Relaxed).wrapping_add(bytes), Ordering::Relaxed);
    }
}

#[inline]
fn part() -> usize {
    let part = PART.get();
    if part < PARTS { part } else { take_part() }
}

#[cold]
fn take_part() -> usize {
    let part = NEXT.fetch_add(1, Ordering::Relaxed).min(SHARED);
    PART.set(part);
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far more than the other tests of this program allocate while this one runs.
    const HUGE: usize = 1 << 40;

    fn bytes() -> u64 {
        parts().iter().map(|part| part.bytes.load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    }

    #[test]
    fn memory_that_one_thread_allocates_and_another_frees_is_counted_with_any_number_of_threads() {
        let before = bytes();
        for _ in 0..2 * PARTS {
            let thread = std::thread::spawn(|| {
                gained(HUGE / 2);
                resized(HUGE / 2, HUGE);
            });
            thread.join().expect("it only counts");
        }
        (0..PARTS).for_each(|_| lost(HUGE));
        let grown = bytes().wrapping_sub(before).wrapping_add(HUGE as u64 / 2);
        assert_eq!(grown >> 40, PARTS as u64);
    }
}
