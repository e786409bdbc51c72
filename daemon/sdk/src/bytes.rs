//! Passes byte buffers across the boundary.
//!
//! The library's allocator is the daemon's. So a `Vec` and a [`reld_abi::Buf`] are the same memory,
//! and nothing is copied when one becomes the other.
#![expect(
    unsafe_code,
    reason = "pointers and lengths of the boundary become slices and vectors here, nowhere else"
)]

use std::mem::ManuallyDrop;

use reld_abi::{Buf, Bytes, Exit as RawExit};

use crate::exit::Exit;
use crate::usage;

/// Passes a vector to the daemon.
pub(crate) fn give(bytes: Vec<u8>) -> Buf {
    let mut bytes = ManuallyDrop::new(bytes);
    if bytes.capacity() > 0 {
        usage::lost(bytes.capacity());
    }
    Buf { ptr: bytes.as_mut_ptr(), len: bytes.len(), cap: bytes.capacity() }
}

/// Takes ownership of a buffer.
///
/// # Safety
/// The buffer is empty, or a live allocation of the daemon's allocator that the caller owns, with
/// `len <= cap`.
pub(crate) unsafe fn take(buf: Buf) -> Vec<u8> {
    if buf.cap == 0 || buf.ptr.is_null() {
        return Vec::new();
    }
    usage::gained(buf.cap);
    // SAFETY: the caller's promise; the global allocator of this library is the daemon's
    // (`alloc.rs`).
    unsafe { Vec::from_raw_parts(buf.ptr, buf.len, buf.cap) }
}

/// Lends a slice for the duration of a call.
pub(crate) const fn lend(bytes: &[u8]) -> Bytes {
    Bytes { ptr: bytes.as_ptr(), len: bytes.len() }
}

/// Borrows a lent slice.
///
/// # Safety
/// The bytes are readable for as long as `'a`, or there are none.
pub(crate) unsafe fn borrow<'a>(bytes: Bytes) -> &'a [u8] {
    if bytes.len == 0 || bytes.ptr.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(bytes.ptr, bytes.len) }
}

/// Passes an exit reason to the daemon.
pub(crate) fn give_exit(exit: Exit) -> RawExit {
    let (kind, text) = match exit {
        Exit::Normal => (reld_abi::EXIT_NORMAL, String::new()),
        Exit::Shutdown(text) => (reld_abi::EXIT_SHUTDOWN, text),
        Exit::Killed => (reld_abi::EXIT_KILLED, String::new()),
        Exit::Noproc => (reld_abi::EXIT_NOPROC, String::new()),
        Exit::Error(text) => (reld_abi::EXIT_ERROR, text),
        Exit::Panic(text) => (reld_abi::EXIT_PANIC, text),
        Exit::Undecodable(text) => (reld_abi::EXIT_UNDECODABLE, text),
        Exit::Overloaded => (reld_abi::EXIT_OVERLOADED, String::new()),
    };
    RawExit { kind, text: give(text.into_bytes()) }
}

/// Converts an exit reason. A kind that only a newer daemon knows becomes an error with its number.
pub(crate) fn read_exit(kind: u32, text: &[u8]) -> Exit {
    let text = String::from_utf8_lossy(text).into_owned();
    match kind {
        reld_abi::EXIT_NORMAL => Exit::Normal,
        reld_abi::EXIT_SHUTDOWN => Exit::Shutdown(text),
        reld_abi::EXIT_KILLED => Exit::Killed,
        reld_abi::EXIT_NOPROC => Exit::Noproc,
        reld_abi::EXIT_ERROR => Exit::Error(text),
        reld_abi::EXIT_PANIC => Exit::Panic(text),
        reld_abi::EXIT_UNDECODABLE => Exit::Undecodable(text),
        reld_abi::EXIT_OVERLOADED => Exit::Overloaded,
        unknown => Exit::Error(format!("exit kind {unknown}: {text}")),
    }
}
