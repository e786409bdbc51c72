//! The block that a library exports.

use core::sync::atomic::AtomicU64;

use crate::host::Host;
use crate::module::Module;
use crate::value::{Bytes, Status};
#[cfg(doc)]
use crate::{ABI_MAJOR, ABI_MINOR, Buf};

/// The first bytes of every [`App`] block.
pub const MAGIC: [u8; 8] = *b"reldapp\0";
/// The name of the only function that a library exports. Its type is [`EntryFn`].
pub const ENTRY_SYMBOL: &str = "reld_app_v1";

/// The type of [`ENTRY_SYMBOL`]. The function returns the library's block, which is valid as long
/// as the library is mapped.
pub type EntryFn = unsafe extern "C" fn() -> *const App;

/// A flag in [`App::flags`]: the library unwinds on panic. The daemon requires this.
pub const FLAG_PANIC_UNWIND: u32 = 1;

/// The magic block of a library.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct App {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// `sizeof(App)` where the library was built.
    pub size: u32,
    /// [`ABI_MAJOR`] where the library was built.
    pub abi_major: u32,
    /// [`ABI_MINOR`] where the library was built.
    pub abi_minor: u32,
    /// A combination of the `FLAG_*` values.
    pub flags: u32,
    /// The app's name, UTF-8.
    pub name: Bytes,
    /// The app's version, a semantic version.
    pub vsn: Bytes,
    /// The compiler and SDK version that built the library, for display.
    pub built_by: Bytes,
    /// The callback tables of its modules. There are `module_count` tables.
    pub modules: *const *const Module,
    /// The length of `modules`.
    pub module_count: usize,
    /// `[loader thread]` Gives the library the daemon's table. Called once, before any callback.
    pub load: Option<unsafe extern "C" fn(host: *const Host) -> Status>,
    /// `[loader thread]` Called once, when the daemon has no more references into the library. The
    /// library should end its threads and flush its buffers here. The library is unmapped when its
    /// threads have ended. Until then its thread-local destructors may run. May be null.
    pub unload: Option<unsafe extern "C" fn()>,
    /// Counters of the memory that the library has allocated and not freed. They are an array of
    /// `usage_count` counters in a static of the library. The daemon may read them at any time, for
    /// display. Null if the library does not count. Since ABI 1.4.
    pub usage: *const Usage,
    /// The length of `usage`.
    pub usage_count: usize,
}

// SAFETY: the block is immutable data; its pointers lead to other immutable data of the same
// library.
#[expect(unsafe_code, reason = "an App block and its tables are statics of the library")]
unsafe impl Sync for App {}
/// One of several counters of the memory that a library has allocated and not freed. There are
/// several counters so that threads need not share one. A thread may free a block that another
/// thread has allocated, so only the sums over all counters are meaningful, modulo 2^64.
///
/// A [`Buf`] counts for its owner: the library subtracts one when it gives a buffer away, and adds
/// one when it receives a buffer.
#[repr(C)]
#[derive(Debug)]
pub struct Usage {
    /// The number of blocks.
    pub blocks: AtomicU64,
    /// The number of bytes in these blocks.
    pub bytes: AtomicU64,
    /// Filled with 0. It pads the counter to the size of a cache line.
    pub reserved: [u64; 6],
}
