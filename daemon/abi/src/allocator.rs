//! The daemon's allocator, which libraries use.

#[cfg(doc)]
use crate::Buf;

/// The name of the only function that the daemon exports to libraries. Its type is [`AllocatorFn`].
pub const ALLOCATOR_SYMBOL: &str = "reld_allocator_v1";

/// The type of [`ALLOCATOR_SYMBOL`]. The function returns the daemon's allocator, which is valid as
/// long as the daemon runs.
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
    /// Allocates a block. Returns null if there is no memory. `align` is a power of two.
    pub alloc: unsafe extern "C" fn(size: usize, align: usize) -> *mut u8,
    /// Like `alloc`, but the block is zeroed.
    pub alloc_zeroed: unsafe extern "C" fn(size: usize, align: usize) -> *mut u8,
    /// Resizes a block. If there is no memory, returns null and leaves the old block unchanged.
    pub realloc: unsafe extern "C" fn(ptr: *mut u8, size: usize, align: usize, new_size: usize) -> *mut u8,
    /// Frees a block. `size` and `align` must be those of its allocation.
    pub dealloc: unsafe extern "C" fn(ptr: *mut u8, size: usize, align: usize),
}
