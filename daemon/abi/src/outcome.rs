//! The outcome of a callback.

use core::ffi::c_void;

use crate::value::{Buf, Exit};
#[cfg(doc)]
use crate::{EVENT_INIT, EVENT_TERMINATE, Host};

/// What a callback or a poll came to.
pub type Verdict = u32;
/// The callback is done; `Outcome` says how.
pub const VERDICT_READY: Verdict = 0;
/// The callback waits; `Outcome::future` must be polled again, or dropped, by the daemon.
pub const VERDICT_PENDING: Verdict = 1;
/// The callback crashed; `Outcome::exit` says why; the state is gone.
pub const VERDICT_CRASHED: Verdict = 2;

/// A callback that waits.
#[repr(C)]
#[derive(Debug)]
pub struct Future {
    /// Owned by the daemon from the moment it is handed out until `poll` answers something else than
    /// [`VERDICT_PENDING`] (which frees it) or `drop` is called.
    pub data_app: *mut c_void,
    /// `[pool]` Polls again; `completed` are the references whose answers wait for [`Host::take`].
    pub poll: Option<
        unsafe extern "C" fn(
            data_app: *mut c_void,
            completed: *const u64,
            count: usize,
            out: *mut Outcome,
        ) -> Verdict,
    >,
    /// `[pool]` Ends the callback at the point where it waits. Called outside any callback.
    pub drop: Option<unsafe extern "C" fn(data_app: *mut c_void)>,
}

/// What a callback answers; the daemon passes it zeroed.
#[repr(C)]
#[derive(Debug)]
pub struct Outcome {
    /// The state after a [`VERDICT_READY`], null once the process ends here. Always null for tasks.
    pub state_app: *mut c_void,
    /// One of the `NEXT_*` values after a [`VERDICT_READY`].
    pub next: u32,
    /// 1 when `reply` answers the call (or is the result of an init).
    pub has_reply: u32,
    /// MessagePack; what applications and supervisors answer to [`EVENT_INIT`] stands there.
    pub reply: Buf,
    /// Why, after [`VERDICT_CRASHED`] or [`NEXT_STOP`].
    pub exit: Exit,
    /// The rest, after [`VERDICT_PENDING`].
    pub future: Future,
}

/// Go on with the next message.
pub const NEXT_CONTINUE: u32 = 0;
/// End with `exit`; the state is still there for [`EVENT_TERMINATE`]. Ends a task.
pub const NEXT_STOP: u32 = 1;
/// OTP: `ignore`, from init only.
pub const NEXT_IGNORE: u32 = 2;
