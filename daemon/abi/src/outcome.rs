//! The outcome of a callback.

use core::ffi::c_void;

use crate::value::{Buf, Exit};
#[cfg(doc)]
use crate::{EVENT_INIT, EVENT_TERMINATE, Host};

/// The result of a callback or a poll.
pub type Verdict = u32;
/// The callback is done. The `Outcome` holds the result.
pub const VERDICT_READY: Verdict = 0;
/// The callback waits. The daemon must poll `Outcome::future` again, or drop it.
pub const VERDICT_PENDING: Verdict = 1;
/// The callback crashed. `Outcome::exit` holds the reason, and the state is gone.
pub const VERDICT_CRASHED: Verdict = 2;

/// A callback that waits.
#[repr(C)]
#[derive(Debug)]
pub struct Future {
    /// The data of the future. The daemon owns it until `poll` returns a verdict other than
    /// [`VERDICT_PENDING`], which means that the library has freed it, or until the daemon calls
    /// `drop`.
    pub data_app: *mut c_void,
    /// `[pool]` Polls the callback again. `completed` holds the references with answers ready for
    /// [`Host::take`].
    pub poll: Option<
        unsafe extern "C" fn(
            data_app: *mut c_void,
            completed: *const u64,
            count: usize,
            out: *mut Outcome,
        ) -> Verdict,
    >,
    /// `[pool]` Cancels the callback at the point where it waits. It is called outside any
    /// callback.
    pub drop: Option<unsafe extern "C" fn(data_app: *mut c_void)>,
}

/// The outcome of a callback. The daemon passes it zeroed.
#[repr(C)]
#[derive(Debug)]
pub struct Outcome {
    /// The state after [`VERDICT_READY`]. It is null if the process ends now, and always for tasks.
    pub state_app: *mut c_void,
    /// One of the `NEXT_*` values after a [`VERDICT_READY`].
    pub next: u32,
    /// 1 if `reply` is the reply to the call, or the result of an init; otherwise 0.
    pub has_reply: u32,
    /// The reply as MessagePack. [`EVENT_INIT`] describes the replies of applications and
    /// supervisors.
    pub reply: Buf,
    /// The exit reason, after [`VERDICT_CRASHED`] or [`NEXT_STOP`].
    pub exit: Exit,
    /// The rest of the callback, after [`VERDICT_PENDING`].
    pub future: Future,
}

/// Continue with the next message.
pub const NEXT_CONTINUE: u32 = 0;
/// End with the reason in `exit`. The state is kept for [`EVENT_TERMINATE`]. A task always ends in
/// this way.
pub const NEXT_STOP: u32 = 1;
/// Do not start the process. Only an init may return this. OTP: `ignore`.
pub const NEXT_IGNORE: u32 = 2;
