//! The library's allocator, which is the daemon's.
//!
//! Because both sides share one allocator, a buffer that changes owner at the boundary needs no
//! copy. The daemon's table is looked up once, at the first allocation. That may be before `load`,
//! because static initialisers allocate too. Allocations are counted (`usage.rs`).
#![expect(
    unsafe_code,
    reason = "an allocator is unsafe by its trait, and forwards through function pointers"
)]

use std::alloc::{GlobalAlloc, Layout, System, handle_alloc_error};
use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, Ordering};

use reld_abi::{Allocator as Table, AllocatorFn};

use crate::usage;

/// Forwards to the daemon's allocator; without a daemon, as in your `cargo test`, to the system's.
///
/// [`export_app!`](crate::export_app) installs this type as the app's global allocator.
#[derive(Debug, Clone, Copy, Default)]
pub struct DaemonAllocator;

static FOUND: AtomicPtr<Table> = AtomicPtr::new(std::ptr::null_mut());

/// `ALLOCATOR_SYMBOL` as a C string; a test compares the two.
const SYMBOL: &CStr = c"reld_allocator_v1";

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
}

/// The handle with which glibc searches all objects of the program in their order.
const RTLD_DEFAULT: *mut c_void = std::ptr::null_mut();

fn table() -> &'static Table {
    let found = FOUND.load(Ordering::Acquire);
    let table = if found.is_null() { find() } else { found };
    // SAFETY: either our own static or the daemon's, which it keeps for its life.
    unsafe { &*table }
}

/// Finds the table. Two threads may do this at the same time, with the same result.
#[cold]
fn find() -> *mut Table {
    // SAFETY: the name ends in 0. dlsym may allocate, but not with this allocator.
    let symbol = unsafe { dlsym(RTLD_DEFAULT, SYMBOL.as_ptr()) };
    let table = if symbol.is_null() { std::ptr::null() } else { ask(symbol) };
    let table = if table.is_null() { &raw const SYSTEM } else { table }.cast_mut();
    FOUND.store(table, Ordering::Release);
    table
}

fn ask(symbol: *mut c_void) -> *const Table {
    // SAFETY: the daemon exports a function of this type under that name, and nothing else.
    let allocator = unsafe { std::mem::transmute::<*mut c_void, AllocatorFn>(symbol) };
    // SAFETY: it takes nothing and may be called at any time.
    unsafe { allocator() }
}

// SAFETY: each function forwards to an allocator that keeps the contract of GlobalAlloc for size
// and alignment.
unsafe impl GlobalAlloc for DaemonAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about the layout.
        gained(unsafe { (table().alloc)(layout.size(), layout.align()) }, layout)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about the layout.
        gained(unsafe { (table().alloc_zeroed)(layout.size(), layout.align()) }, layout)
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise about the block and its layout.
        let new = unsafe { (table().realloc)(ptr, layout.size(), layout.align(), new_size) };
        if !new.is_null() {
            usage::resized(layout.size(), new_size);
        }
        new
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        usage::lost(layout.size());
        // SAFETY: the caller's promise about the block and its layout.
        unsafe { (table().dealloc)(ptr, layout.size(), layout.align()) }
    }
}

/// Allocates a block of bytes that does not count as memory of this library.
#[inline]
pub(crate) fn block(size: usize) -> NonNull<u8> {
    let layout = Layout::array::<u8>(size).expect("no message is that long");
    // SAFETY: the size is that of a layout.
    let block = unsafe { (table().alloc)(layout.size(), layout.align()) };
    NonNull::new(block).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Frees a block.
///
/// # Safety
/// The block came from [`block`] with this size, or from the daemon as a buffer of this size. It is
/// not used again.
#[inline]
pub(crate) unsafe fn free(block: NonNull<u8>, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { (table().dealloc)(block.as_ptr(), size, 1) }
}

/// Counts a block, unless it is null.
#[inline]
fn gained(block: *mut u8, layout: Layout) -> *mut u8 {
    if !block.is_null() {
        usage::gained(layout.size());
    }
    block
}

/// The system's allocator, in the form of the daemon's table.
static SYSTEM: Table = Table {
    size: size_of::<Table>() as u32,
    reserved: 0,
    alloc: system_alloc,
    alloc_zeroed: system_alloc_zeroed,
    realloc: system_realloc,
    dealloc: system_dealloc,
};

unsafe extern "C" fn system_alloc(size: usize, align: usize) -> *mut u8 {
    // SAFETY: they come from a Layout.
    let layout = unsafe { Layout::from_size_align_unchecked(size, align) };
    // SAFETY: the caller's promise, passed on.
    unsafe { System.alloc(layout) }
}

unsafe extern "C" fn system_alloc_zeroed(size: usize, align: usize) -> *mut u8 {
    // SAFETY: they come from a Layout.
    let layout = unsafe { Layout::from_size_align_unchecked(size, align) };
    // SAFETY: the caller's promise, passed on.
    unsafe { System.alloc_zeroed(layout) }
}

unsafe extern "C" fn system_realloc(ptr: *mut u8, size: usize, align: usize, new_size: usize) -> *mut u8 {
    // SAFETY: they come from a Layout.
    let layout = unsafe { Layout::from_size_align_unchecked(size, align) };
    // SAFETY: the caller's promise, passed on.
    unsafe { System.realloc(ptr, layout, new_size) }
}

unsafe extern "C" fn system_dealloc(ptr: *mut u8, size: usize, align: usize) {
    // SAFETY: they come from a Layout.
    let layout = unsafe { Layout::from_size_align_unchecked(size, align) };
    // SAFETY: the caller's promise, passed on.
    unsafe { System.dealloc(ptr, layout) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_symbol_is_the_one_of_the_boundary() {
        assert_eq!(SYMBOL.to_str(), Ok(reld_abi::ALLOCATOR_SYMBOL));
    }

    #[test]
    fn without_a_daemon_the_system_serves() {
        assert!(std::ptr::eq(table(), &SYSTEM));
    }
}
