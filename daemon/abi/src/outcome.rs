//! The outcome of a callback.

use core::ffi::c_void;

use crate::value::{Buf, Exit};
#[cfg(doc)]
use crate::{EVENT_INIT, EVENT_TERMINATE, Host};

/// The result of a callback or a poll.
pub type Verdict = u32;
/// The callback is done; the `Outcome` holds the result.
pub const VERDICT_READY: Verdict = 0;
/// The callback waits; the daemon must poll `Outcome::future` again or drop it.
pub const VERDICT_PENDING: Verdict = 1;
/// The callback crashed; `Outcome::exit` holds the reason; the state is gone.
pub const VERDICT_CRASHED: Verdict = 2;

/// A callback that waits.
#[repr(C)]
#[derive(Debug)]
pub struct Future {
    /// Owned by the daemon from the moment it is handed out until `poll` returns another verdict
    /// than [`VERDICT_PENDING`] (the library has freed it then) or `drop` is called.
    pub data_app: *mut c_void,
    /// `[pool]` Polls again; `completed` are the references with answers ready for [`Host::take`].
    pub poll: Option<
        unsafe extern "C" fn(
            data_app: *mut c_void,
            completed: *const u64,
            count: usize,
            out: *mut Outcome,
        ) -> Verdict,
    >,
    /// `[pool]` Cancels the callback at the point where it waits. Called outside any callback.
    pub drop: Option<unsafe extern "C" fn(data_app: *mut c_void)>,
}

/// The outcome of a callback; the daemon passes it zeroed.
#[repr(C)]
#[derive(Debug)]
pub struct Outcome {
    /// The state after a [`VERDICT_READY`]; null when the process ends now, and always for tasks.
    pub state_app: *mut c_void,
    /// One of the `NEXT_*` values after a [`VERDICT_READY`].
    pub next: u32,
    /// 1 when `reply` answers the call, or is the result of an init.
    pub has_reply: u32,
    /// MessagePack; [`EVENT_INIT`] describes the values of applications and supervisors.
    pub reply: Buf,
    /// The reason, after [`VERDICT_CRASHED`] or [`NEXT_STOP`].
    pub exit: Exit,
    /// The rest of the callback, after [`VERDICT_PENDING`].
    pub future: Future,
}

/// Continue with the next message.
pub const NEXT_CONTINUE: u32 = 0;
/// End with `exit`; the state is kept for [`EVENT_TERMINATE`]. A task ends with this.
pub const NEXT_STOP: u32 = 1;
/// OTP: `ignore`, from init only.
pub const NEXT_IGNORE: u32 = 2;
