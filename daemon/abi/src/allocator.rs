//! The daemon's allocator, as libraries use it.

#[cfg(doc)]
use crate::Buf;

/// The one function that the daemon exports to libraries: [`AllocatorFn`].
pub const ALLOCATOR_SYMBOL: &str = "reld_allocator_v1";

/// The type of [`ALLOCATOR_SYMBOL`]: returns the daemon's allocator, which is valid for as long as
/// the daemon runs.
pub type AllocatorFn = unsafe extern "C" fn() -> *const Allocator;

/// The daemon's allocator. C libraries allocate every [`Buf`] with it; the Rust SDK forwards all
/// allocations to it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Allocator {
    /// `sizeof(Allocator)` in the daemon.
    pub size: u32,
    /// Filled with 0.
    pub reserved: u32,
    /// Returns null when out of memory. `align` is a power of two.
    pub alloc: unsafe extern "C" fn(size: usize, align: usize) -> *mut u8,
    /// Like `alloc`, with zeroed memory.
    pub alloc_zeroed: unsafe extern "C" fn(size: usize, align: usize) -> *mut u8,
    /// Returns null when out of memory, and leaves the old block untouched.
    pub realloc: unsafe extern "C" fn(ptr: *mut u8, size: usize, align: usize, new_size: usize) -> *mut u8,
    /// Frees a block; `size` and `align` are those of its allocation.
    pub dealloc: unsafe extern "C" fn(ptr: *mut u8, size: usize, align: usize),
}
