//! mimalloc as a program's global allocator.

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys as mi;

/// mimalloc. A program that loads libraries makes it its global allocator.
///
/// The usual wrapper passes the alignment of every block. mimalloc then often takes a larger block,
/// to have room to align its start: 192 bytes for 160. This type passes only alignments that
/// mimalloc's blocks do not have anyway.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mimalloc;

/// The alignment of mimalloc's blocks, its `MI_MAX_ALIGN_SIZE`. Blocks of up to 8 bytes are aligned
/// to 8.
const NATURAL: usize = 16;

/// Returns whether mimalloc aligns every block of this size to `align`.
#[inline]
fn is_natural(size: usize, align: usize) -> bool {
    align <= NATURAL && align <= size
}

// SAFETY: each function is mimalloc's function of that meaning. Its blocks have the layout's size
// and alignment, and mimalloc frees and resizes a block whichever function has allocated it.
unsafe impl GlobalAlloc for Mimalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        if is_natural(size, align) {
            // SAFETY: the function accepts any size.
            return unsafe { mi::mi_malloc(size) }.cast();
        }
        // SAFETY: the function accepts any size; the alignment is a power of two.
        unsafe { mi::mi_malloc_aligned(size, align) }.cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        if is_natural(size, align) {
            // SAFETY: the function accepts any size.
            return unsafe { mi::mi_zalloc(size) }.cast();
        }
        // SAFETY: the function accepts any size; the alignment is a power of two.
        unsafe { mi::mi_zalloc_aligned(size, align) }.cast()
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        if is_natural(size, align) {
            // SAFETY: the caller owns the block. If it stays where it is, it keeps its alignment.
            return unsafe { mi::mi_realloc(block.cast(), size) }.cast();
        }
        // SAFETY: the caller owns the block; the alignment is a power of two.
        unsafe { mi::mi_realloc_aligned(block.cast(), size, align) }.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller owns the block.
        unsafe { mi::mi_free(block.cast()) }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::c_void;

    use super::*;

    unsafe extern "C" {
        fn mi_usable_size(block: *const c_void) -> usize;
    }

    /// A block in which every byte is `FILL`.
    struct Filled {
        start: *mut u8,
        layout: Layout,
    }

    const FILL: u8 = 0xa5;

    impl Filled {
        fn new(size: usize, align: usize) -> Self {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: the layout is not empty.
            let zeroed = Self { start: unsafe { Mimalloc.alloc_zeroed(layout) }, layout };
            zeroed.holds(0, size);
            drop(zeroed);
            // SAFETY: the layout is not empty.
            Self { start: unsafe { Mimalloc.alloc(layout) }, layout }.fill()
        }

        #[track_caller]
        fn fill(self) -> Self {
            assert_eq!(self.start.addr() % self.layout.align(), 0, "{:?}", self.layout);
            // SAFETY: the block has this size.
            unsafe { self.start.write_bytes(FILL, self.layout.size()) };
            self
        }

        #[track_caller]
        fn holds(&self, expected: u8, bytes: usize) {
            // SAFETY: the block has these bytes, and they are initialised.
            let bytes = unsafe { std::slice::from_raw_parts(self.start, bytes) };
            assert!(bytes.iter().all(|byte| *byte == expected), "{:?}", self.layout);
        }

        fn resize(&mut self, size: usize) {
            self.holds(FILL, self.layout.size());
            // SAFETY: the block has this layout.
            self.start = unsafe { Mimalloc.realloc(self.start, self.layout, size) };
            let kept = size.min(self.layout.size());
            self.layout = Layout::from_size_align(size, self.layout.align()).unwrap();
            self.holds(FILL, kept);
        }
    }

    impl Drop for Filled {
        fn drop(&mut self) {
            // SAFETY: the block has this layout.
            unsafe { Mimalloc.dealloc(self.start, self.layout) }
        }
    }

    #[test]
    fn blocks_of_every_size_have_the_alignment_of_their_layout() {
        for align in (0..=12).map(|power| 1 << power) {
            let sizes = (1..=1025).chain([2000, 4096, 10_000, 100_001, 1 << 20, (4 << 20) + 1]);
            let mut blocks: Vec<Filled> = sizes.map(|size| Filled::new(size, align)).collect();
            for change in [|size| size * 2, |size| size - size / 3, |size| size / 8 + 1] {
                for block in &mut blocks {
                    let size: fn(usize) -> usize = change;
                    block.resize(size(block.layout.size()));
                }
                blocks = blocks.into_iter().map(Filled::fill).collect();
            }
        }
    }

    #[test]
    fn a_block_takes_no_room_for_an_alignment_that_it_has_anyway() {
        for size in [8, 16, 48, 80, 112, 160, 192] {
            // Fresh blocks, of which the first of a page is aligned by luck.
            let blocks: Vec<Filled> = (0..100).map(|_| Filled::new(size, 8)).collect();
            for block in blocks {
                // SAFETY: mimalloc has allocated the block.
                assert_eq!(unsafe { mi_usable_size(block.start.cast()) }, size);
            }
        }
    }
}
