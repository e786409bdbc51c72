//! Plain values that cross the boundary in both directions.

#[cfg(doc)]
use crate::Host;

/// The result of a function that is not a callback.
pub type Status = i32;
/// Success.
pub const OK: Status = 0;
/// The function failed. The `Exit` out parameter holds the reason.
pub const FAILED: Status = 1;
/// There is no answer or message yet.
pub const PENDING: Status = 2;
/// The function was called outside a callback, or with an invalid argument.
pub const REFUSED: Status = 3;

/// Borrowed bytes. They are valid until the call that they were passed to returns.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Bytes {
    /// The first byte. May be dangling or null if `len` is 0.
    pub ptr: *const u8,
    /// The number of bytes.
    pub len: usize,
}

/// Owned bytes, allocated by the daemon's allocator with alignment 1. The owner frees them with
/// that allocator.
#[repr(C)]
#[derive(Debug)]
pub struct Buf {
    /// The first byte. May be dangling or null if `cap` is 0.
    pub ptr: *mut u8,
    /// The number of bytes in use.
    pub len: usize,
    /// The number of bytes allocated.
    pub cap: usize,
}

impl Buf {
    /// A buffer that owns nothing.
    pub const EMPTY: Self = Self { ptr: core::ptr::null_mut(), len: 0, cap: 0 };
}

/// A process id. A pid is never reused for another process, and `{0, 0}` stands for no process.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pid {
    /// The index in the daemon's process table.
    pub slot: u32,
    /// The number of processes that have used this index.
    pub generation: u32,
}

/// The reason why a process ended or is to end.
#[repr(C)]
#[derive(Debug)]
pub struct Exit {
    /// One of the `EXIT_*` values.
    pub kind: u32,
    /// The details as UTF-8. The receiver owns them.
    pub text: Buf,
}

/// OTP: `normal`.
pub const EXIT_NORMAL: u32 = 0;
/// OTP: `shutdown`, or `{shutdown, text}` when the text is not empty.
pub const EXIT_SHUTDOWN: u32 = 1;
/// OTP: `killed`.
pub const EXIT_KILLED: u32 = 2;
/// OTP: `noproc`.
pub const EXIT_NOPROC: u32 = 3;
/// The app's own code gave up. The text is its reason.
pub const EXIT_ERROR: u32 = 4;
/// The app's code panicked. The text is the panic's message and location.
pub const EXIT_PANIC: u32 = 5;
/// A state, message or argument could not be decoded. The text names the field.
pub const EXIT_UNDECODABLE: u32 = 6;
/// A call was not delivered, because the mailbox of the server is full ([`Host::bound_mailbox`]).
/// Since ABI 1.4.
pub const EXIT_OVERLOADED: u32 = 7;

/// The data that a reply to a call needs. It is plain data, so a state may keep it across an
/// upgrade.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct From {
    /// The process that called.
    pub caller: Pid,
    /// The process that was called.
    pub server: Pid,
    /// The caller's reference of the call.
    pub reference: u64,
}

/// A running timer. It is plain data, so a state may keep it across an upgrade.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// The id of the timer. It is never reused while the daemon runs.
    pub id: u64,
    /// The time at which it fires, in nanoseconds since the daemon started.
    pub at_ns: u64,
}
