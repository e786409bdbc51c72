//! Converts between the types of the boundary and those of the runtime.
//!
//! Only this module implements the ownership of buffers. An [`abi::Buf`] that arrives becomes a
//! `Vec` of the daemon's allocator, and a `Vec` that leaves becomes a `Buf`, both without a copy. A
//! function that receives a `Buf` must convert it before it does anything else, even if it fails
//! later; otherwise the buffer leaks.

use std::slice;

use reld_abi as abi;
use reld_runtime::{Bytes, From};
use reld_wire::{Exit, Pid};

/// An invalid value from a library. It ends the process whose code has passed the value, but never
/// the daemon.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("a buffer of {len} bytes in {cap} at {ptr:#x}")]
    Buf { ptr: usize, len: usize, cap: usize },
    #[error("{len} bytes at {ptr:#x}")]
    Bytes { ptr: usize, len: usize },
    #[error("bytes that are not UTF-8")]
    Text,
    #[error("the exit kind {0}")]
    ExitKind(u32),
    #[error("the verdict {0}")]
    Verdict(u32),
    #[error("the next step {0}")]
    Next(u32),
    #[error("the status {0}")]
    Status(i32),
}

/// Takes ownership of a buffer.
#[inline]
pub(crate) fn take_buf(buf: abi::Buf) -> Result<Bytes, Malformed> {
    let abi::Buf { ptr, len, cap } = buf;
    if cap == 0 && len == 0 {
        return Ok(Bytes::new());
    }
    if ptr.is_null() || len > cap || isize::try_from(cap).is_err() {
        return Err(Malformed::Buf { ptr: ptr.addr(), len, cap });
    }
    // SAFETY: by the contract of Buf it is a block of `cap` bytes with alignment 1 from the
    // daemon's allocator, `len` of them initialised, and the daemon owns it from now on.
    Ok(unsafe { Vec::from_raw_parts(ptr, len, cap) })
}

/// Passes ownership of a buffer to the library.
pub(crate) fn give_buf(bytes: Bytes) -> abi::Buf {
    let (ptr, len, cap) = bytes.into_raw_parts();
    abi::Buf { ptr, len, cap }
}

/// Lends bytes to the library for one call.
pub(crate) fn lend(bytes: &[u8]) -> abi::Bytes {
    abi::Bytes { ptr: bytes.as_ptr(), len: bytes.len() }
}

/// Borrows bytes that the library lends.
///
/// # Safety
/// By the contract of `Bytes`, `len` bytes at `ptr` stay readable and unchanged for `'a`.
pub(crate) unsafe fn borrow<'a>(bytes: abi::Bytes) -> Result<&'a [u8], Malformed> {
    let abi::Bytes { ptr, len } = bytes;
    if len == 0 {
        return Ok(&[]);
    }
    if ptr.is_null() || isize::try_from(len).is_err() {
        return Err(Malformed::Bytes { ptr: ptr.addr(), len });
    }
    // SAFETY: not null, of a valid length, and readable by the caller's promise.
    Ok(unsafe { slice::from_raw_parts(ptr, len) })
}

/// Borrows text that the library lends.
///
/// # Safety
/// As for [`borrow`].
pub(crate) unsafe fn borrow_str<'a>(bytes: abi::Bytes) -> Result<&'a str, Malformed> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { borrow(bytes) }?;
    str::from_utf8(bytes).map_err(|_| Malformed::Text)
}

/// Takes ownership of an exit.
#[inline]
pub(crate) fn take_exit(exit: abi::Exit) -> Result<Exit, Malformed> {
    if is_empty(&exit) { Ok(Exit::Normal) } else { take_full_exit(exit) }
}

/// Returns whether an exit is as the daemon has prepared it. Nearly all calls leave it so.
#[inline]
pub(crate) fn is_empty(exit: &abi::Exit) -> bool {
    exit.kind == abi::EXIT_NORMAL && exit.text.len == 0 && exit.text.cap == 0
}

fn take_full_exit(exit: abi::Exit) -> Result<Exit, Malformed> {
    let text = String::from_utf8(take_buf(exit.text)?)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    match exit.kind {
        abi::EXIT_NORMAL => Ok(Exit::Normal),
        abi::EXIT_SHUTDOWN => Ok(Exit::Shutdown(text)),
        abi::EXIT_KILLED => Ok(Exit::Killed),
        abi::EXIT_NOPROC => Ok(Exit::Noproc),
        abi::EXIT_ERROR => Ok(Exit::Error(text)),
        abi::EXIT_PANIC => Ok(Exit::Panic(text)),
        abi::EXIT_UNDECODABLE => Ok(Exit::Undecodable(text)),
        abi::EXIT_OVERLOADED => Ok(Exit::Overloaded),
        kind => Err(Malformed::ExitKind(kind)),
    }
}

/// Passes ownership of an exit to the library.
pub(crate) fn give_exit(exit: Exit) -> abi::Exit {
    let kind = exit_kind(&exit);
    abi::Exit { kind, text: give_buf(into_text(exit).into_bytes()) }
}

/// Returns the boundary's number for a kind of exit.
pub(crate) fn exit_kind(exit: &Exit) -> u32 {
    match exit {
        Exit::Normal => abi::EXIT_NORMAL,
        Exit::Shutdown(_) => abi::EXIT_SHUTDOWN,
        Exit::Killed => abi::EXIT_KILLED,
        Exit::Noproc => abi::EXIT_NOPROC,
        Exit::Error(_) => abi::EXIT_ERROR,
        Exit::Panic(_) => abi::EXIT_PANIC,
        Exit::Undecodable(_) => abi::EXIT_UNDECODABLE,
        Exit::Overloaded => abi::EXIT_OVERLOADED,
    }
}

/// The text for libraries of an ABI before 1.4, in which this kind of exit does not exist.
const OVERLOADED: &str = "overloaded";

/// Lends the text of an exit.
pub(crate) fn exit_text(exit: &Exit) -> &str {
    match exit {
        Exit::Normal | Exit::Killed | Exit::Noproc => "",
        Exit::Overloaded => OVERLOADED,
        Exit::Shutdown(text) | Exit::Error(text) | Exit::Panic(text) | Exit::Undecodable(text) => text,
    }
}

/// Returns the text of an exit, without copying it.
pub(crate) fn into_text(exit: Exit) -> String {
    match exit {
        Exit::Normal | Exit::Killed | Exit::Noproc => String::new(),
        Exit::Overloaded => OVERLOADED.to_owned(),
        Exit::Shutdown(text) | Exit::Error(text) | Exit::Panic(text) | Exit::Undecodable(text) => text,
    }
}

pub(crate) fn pid_in(pid: abi::Pid) -> Pid {
    Pid { slot: pid.slot, generation: pid.generation }
}

pub(crate) fn pid_out(pid: Pid) -> abi::Pid {
    abi::Pid { slot: pid.slot, generation: pid.generation }
}

pub(crate) fn from_in(from: abi::From) -> From {
    From { caller: pid_in(from.caller), server: pid_in(from.server), reference: from.reference }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(buf: abi::Buf, expected: Result<&[u8], Malformed>) {
        assert_eq!(take_buf(buf), expected.map(<[u8]>::to_vec));
    }

    #[test]
    fn a_valid_buffer_is_taken_and_an_invalid_one_is_refused_and_never_freed() {
        let byte = std::ptr::dangling_mut::<u8>();
        check(abi::Buf::EMPTY, Ok(b""));
        check(abi::Buf { ptr: byte, len: 0, cap: 0 }, Ok(b""));
        check(give_buf(b"bytes".to_vec()), Ok(b"bytes"));
        check(abi::Buf { ptr: byte, len: 2, cap: 1 }, Err(Malformed::Buf { ptr: 1, len: 2, cap: 1 }));
        check(abi::Buf { len: 1, cap: 1, ..abi::Buf::EMPTY }, Err(Malformed::Buf { ptr: 0, len: 1, cap: 1 }));
        check(
            abi::Buf { ptr: byte, len: 1, cap: usize::MAX },
            Err(Malformed::Buf { ptr: 1, len: 1, cap: usize::MAX }),
        );
    }

    #[test]
    fn an_exit_survives_the_round_trip() {
        let text = || "why".to_owned();
        let exits = [
            Exit::Normal,
            Exit::Shutdown(text()),
            Exit::shutdown(),
            Exit::Killed,
            Exit::Noproc,
            Exit::Error(text()),
            Exit::Panic(text()),
            Exit::Undecodable(text()),
            Exit::Overloaded,
        ];
        for exit in exits {
            assert_eq!(take_exit(give_exit(exit.clone())), Ok(exit));
        }
        assert_eq!(take_exit(abi::Exit { kind: 8, text: abi::Buf::EMPTY }), Err(Malformed::ExitKind(8)));
    }

    #[test]
    fn bytes_at_null_are_refused_unless_their_length_is_0() {
        let ptr = std::ptr::null();
        // SAFETY: nothing is read at null.
        let none = unsafe { borrow(abi::Bytes { ptr, len: 0 }) };
        // SAFETY: as above.
        let three = unsafe { borrow(abi::Bytes { ptr, len: 3 }) };
        assert_eq!((none, three), (Ok(&b""[..]), Err(Malformed::Bytes { ptr: 0, len: 3 })));
    }
}
