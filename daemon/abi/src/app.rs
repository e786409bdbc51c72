//! The block that a library exports.

use core::sync::atomic::AtomicU64;

use crate::host::Host;
use crate::module::Module;
use crate::value::{Bytes, Status};
#[cfg(doc)]
use crate::{ABI_MAJOR, ABI_MINOR, Buf};

/// The first bytes of every [`App`] block.
pub const MAGIC: [u8; 8] = *b"reldapp\0";
/// The one function that a library exports: [`EntryFn`].
pub const ENTRY_SYMBOL: &str = "reld_app_v1";

/// The type of [`ENTRY_SYMBOL`]: returns the library's block, valid for as long as the library is mapped.
pub type EntryFn = unsafe extern "C" fn() -> *const App;

/// Set in [`App::flags`] when the library unwinds on panic, as it must.
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
    /// `FLAG_*` values.
    pub flags: u32,
    /// The app's name, UTF-8.
    pub name: Bytes,
    /// The app's version, a semantic version.
    pub vsn: Bytes,
    /// What built it, for people: compiler and SDK version.
    pub built_by: Bytes,
    /// `module_count` tables.
    pub modules: *const *const Module,
    /// Length of `modules`.
    pub module_count: usize,
    /// `[loader thread]` Receives the daemon's table, once, before any callback.
    pub load: Option<unsafe extern "C" fn(host: *const Host) -> Status>,
    /// `[loader thread]` Called once, when the daemon refers to nothing of the library any more: its last chance to end
    /// its threads and write out what it holds. The library is unmapped when its threads have ended; until then its
    /// thread-local destructors may run. May be null.
    pub unload: Option<unsafe extern "C" fn()>,
    /// `usage_count` parts of what the library has allocated and not freed; a static of the library. May be null, where the
    /// library does not count. The daemon reads them at any time, for people. Since ABI 1.4.
    pub usage: *const Usage,
    /// Length of `usage`.
    pub usage_count: usize,
}

// SAFETY: the block is immutable data; its pointers lead to other immutable data of the same library.
#[expect(unsafe_code, reason = "an App block and its tables are statics of the library")]
unsafe impl Sync for App {}
/// A part of what a library has allocated and not freed; only the sums of all parts mean something, modulo 2^64: what one
/// thread allocates another may free. Several parts, so that threads need not wait for each other to count.
///
/// A [`Buf`] counts for who owns it: the library takes it off when it hands one out and adds it when it takes one in.
#[repr(C)]
#[derive(Debug)]
pub struct Usage {
    /// Blocks.
    pub blocks: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Filled with 0: keeps parts apart that different threads write.
    pub reserved: [u64; 6],
}
