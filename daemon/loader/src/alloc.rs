//! The daemon's allocator, which libraries use.
//!
//! A buffer changes its owner when it crosses the boundary, so both sides must free with the same
//! allocator: the daemon's global one. A library looks up this allocator by name at its first
//! allocation. That may be in a constructor, long before the library receives [`crate::host`]. So
//! the allocator is a symbol of the executable, and not a member of that table.

use std::alloc::{self, Layout};
use std::ffi::c_void;
use std::ptr;

use reld_abi as abi;

use crate::error::Refusal;

static ALLOCATOR: abi::Allocator = abi::Allocator {
    size: size_of::<abi::Allocator>() as u32,
    reserved: 0,
    alloc,
    alloc_zeroed,
    realloc,
    dealloc,
};

/// Returns the table of functions with which libraries allocate.
pub fn allocator() -> &'static abi::Allocator {
    &ALLOCATOR
}

/// Returns [`allocator`] to libraries, which look up this symbol in the executable.
///
/// An executable exports no symbols by default. It must be linked with `--export-dynamic-symbol`.
/// Code in the executable must also refer to this function, because the linker drops it otherwise.
/// [`verify_exports`] refers to it and checks the export.
// SAFETY: the name has the prefix of the project, so it cannot collide with another symbol.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn reld_allocator_v1() -> *const abi::Allocator {
    &raw const ALLOCATOR
}

/// Checks that libraries find the daemon's allocator. Must be called once, before the first library
/// is opened.
///
/// # Errors
/// [`Refusal::NotExported`]: the program was linked without the export, or the linker dropped it.
/// Libraries would then allocate with one allocator and the daemon would free with another.
pub fn verify_exports() -> Result<(), Refusal> {
    let program = libloading::os::unix::Library::this();
    // SAFETY: the address is only compared.
    let found = unsafe { program.get::<*const c_void>(abi::ALLOCATOR_SYMBOL) };
    let expected = reld_allocator_v1 as *const c_void;
    if found.is_ok_and(|symbol| symbol.as_raw_ptr().cast_const() == expected) {
        return Ok(());
    }
    Err(Refusal::NotExported { symbol: abi::ALLOCATOR_SYMBOL })
}

/// Returns the layout of a valid request: not empty, not too large, with a valid alignment.
fn layout(size: usize, align: usize) -> Option<Layout> {
    if size == 0 { None } else { Layout::from_size_align(size, align).ok() }
}

unsafe extern "C" fn alloc(size: usize, align: usize) -> *mut u8 {
    let Some(layout) = layout(size, align) else { return ptr::null_mut() };
    // SAFETY: the layout is not empty.
    unsafe { alloc::alloc(layout) }
}

unsafe extern "C" fn alloc_zeroed(size: usize, align: usize) -> *mut u8 {
    let Some(layout) = layout(size, align) else { return ptr::null_mut() };
    // SAFETY: the layout is not empty.
    unsafe { alloc::alloc_zeroed(layout) }
}

unsafe extern "C" fn realloc(block: *mut u8, size: usize, align: usize, new_size: usize) -> *mut u8 {
    let (Some(old), Some(_)) = (layout(size, align), layout(new_size, align)) else { return ptr::null_mut() };
    // SAFETY: the caller owns the block with that layout, by the contract of the table; the new
    // size is valid.
    unsafe { alloc::realloc(block, old, new_size) }
}

unsafe extern "C" fn dealloc(block: *mut u8, size: usize, align: usize) {
    let Some(layout) = layout(size, align).filter(|_| !block.is_null()) else { return };
    // SAFETY: the caller owns the block with that layout, by the contract of the table.
    unsafe { alloc::dealloc(block, layout) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(size: usize, align: usize, granted: bool) {
        // SAFETY: alloc accepts any arguments.
        let block = unsafe { (allocator().alloc)(size, align) };
        assert_eq!(!block.is_null(), granted, "{size} bytes aligned to {align}");
        // SAFETY: the block came from this size and alignment, or is null.
        unsafe { (allocator().dealloc)(block, size, align) }
    }

    #[test]
    fn a_request_that_cannot_be_served_answers_null() {
        check(16, 8, true);
        check(4096, 4096, true);
        check(0, 1, false);
        check(16, 3, false);
        check(usize::MAX, 1, false);
    }

    #[test]
    fn a_block_keeps_its_bytes_when_it_grows() {
        // SAFETY: as above.
        let block = unsafe { (allocator().alloc_zeroed)(2, 1) };
        // SAFETY: the block has two bytes.
        unsafe { block.write(7) };
        // SAFETY: the block came from this size and alignment.
        let grown = unsafe { (allocator().realloc)(block, 2, 1, 4096) };
        // SAFETY: of the 4096 bytes the first two are initialised.
        assert_eq!(unsafe { grown.cast::<[u8; 2]>().read() }, [7, 0]);
        // SAFETY: the block came from this size and alignment.
        unsafe { (allocator().dealloc)(grown, 4096, 1) }
    }
}
