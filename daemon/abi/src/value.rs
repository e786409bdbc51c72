//! Values that cross in both directions.

#[cfg(doc)]
use crate::Host;

/// The result of a plain function: 0 is success, else `Exit` was filled.
pub type Status = i32;
/// Success.
pub const OK: Status = 0;
/// Failure; the out parameters say why.
pub const FAILED: Status = 1;
/// Nothing there yet.
pub const PENDING: Status = 2;
/// Refused: not in a callback, or an argument that names nothing.
pub const REFUSED: Status = 3;

/// A borrowed run of bytes, valid until the call it was passed to returns.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Bytes {
    /// First byte; may be dangling or null when `len` is 0.
    pub ptr: *const u8,
    /// Number of bytes.
    pub len: usize,
}

/// An owned run of bytes from the daemon's allocator (alignment 1). Whoever holds it frees it there.
#[repr(C)]
#[derive(Debug)]
pub struct Buf {
    /// First byte; dangling or null when `cap` is 0.
    pub ptr: *mut u8,
    /// Number of bytes in use.
    pub len: usize,
    /// Number of bytes allocated.
    pub cap: usize,
}

impl Buf {
    /// Returns a buffer that owns nothing.
    pub const EMPTY: Self = Self { ptr: core::ptr::null_mut(), len: 0, cap: 0 };
}

/// A process. Never reused for another process; `{0, 0}` is no process.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pid {
    /// Place in the daemon's table.
    pub slot: u32,
    /// How often that place has been used.
    pub generation: u32,
}

/// Why a process ended or is to end.
#[repr(C)]
#[derive(Debug)]
pub struct Exit {
    /// One of the `EXIT_*` values.
    pub kind: u32,
    /// UTF-8 that says more; owned.
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
/// The app's own code gave up; the text is its reason.
pub const EXIT_ERROR: u32 = 4;
/// The app's code panicked; the text is the panic's message and place.
pub const EXIT_PANIC: u32 = 5;
/// A state, message or argument could not be decoded; the text names the field.
pub const EXIT_UNDECODABLE: u32 = 6;
/// The answer to a call of a process whose mailbox is full ([`Host::bound_mailbox`]): it was not sent. Since ABI 1.4.
pub const EXIT_OVERLOADED: u32 = 7;

/// Where the answer to a call goes. Plain data: a state may keep it over an upgrade.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct From {
    /// The process that called.
    pub caller: Pid,
    /// The process that was called.
    pub server: Pid,
    /// The caller's reference of the open call.
    pub reference: u64,
}

/// A running timer. Plain data: a state may keep it over an upgrade.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// Names the timer in the daemon's life.
    pub id: u64,
    /// When it fires, in nanoseconds since the daemon started.
    pub at_ns: u64,
}
