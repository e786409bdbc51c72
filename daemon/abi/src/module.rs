//! The callback table of a module.

use core::ffi::c_void;

use crate::event::{Event, Series};
use crate::outcome::{Outcome, Verdict};
use crate::value::{Buf, Bytes, Exit, Status};
#[cfg(doc)]
use crate::{App, EVENT_CALL, EVENT_CAST, EVENT_INFO, EVENT_INIT, NEXT_CONTINUE};

/// A module with callbacks and a state. The daemon runs the message loop. OTP: gen_server.
pub const BEHAVIOUR_GEN_SERVER: u32 = 1;
/// A module with only an `init`, which must not wait. The daemon runs the rest of the supervisor.
pub const BEHAVIOUR_SUPERVISOR: u32 = 2;
/// The callbacks of an application: start, prep_stop, stop and config_change.
pub const BEHAVIOUR_APPLICATION: u32 = 3;
/// A process with a loop of its own: one `async fn`. It keeps its version until it ends.
pub const BEHAVIOUR_TASK: u32 = 4;
/// A state machine. The daemon treats it as a gen_server; the library implements the state machine.
/// Since ABI 1.2. OTP: gen_statem.
pub const BEHAVIOUR_GEN_STATEM: u32 = 5;
/// An event manager. The daemon treats it as a gen_server. Since ABI 1.2. OTP: the process of
/// gen_event.
pub const BEHAVIOUR_GEN_EVENT: u32 = 6;
/// A handler of an event manager. It runs in a child process of the manager. The daemon treats it
/// as a gen_server. Since ABI 1.2.
pub const BEHAVIOUR_EVENT_HANDLER: u32 = 7;

/// A callback table. It is the unit of the instructions `load`, `update` and `purge`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Module {
    /// `sizeof(Module)` where the library was built.
    pub size: u32,
    /// One of the `BEHAVIOUR_*` values.
    pub behaviour: u32,
    /// The name of the module in UTF-8, unique within a release.
    pub name: Bytes,
    /// `[pool]` Runs one callback. Takes ownership of `state_app`, which is null for
    /// [`EVENT_INIT`], and returns the new state in `out`.
    pub callback: Option<
        unsafe extern "C" fn(state_app: *mut c_void, event: *const Event, out: *mut Outcome) -> Verdict,
    >,
    /// `[pool]` Writes the state as MessagePack, and leaves the state unchanged. Null for
    /// supervisors and tasks.
    pub export_state:
        Option<unsafe extern "C" fn(state_app: *const c_void, out: *mut Buf, why: *mut Exit) -> Status>,
    /// `[pool]` Builds a state from bytes of this version. Every field must be read, or declared
    /// dropped.
    pub import_state:
        Option<unsafe extern "C" fn(state: Bytes, out_app: *mut *mut c_void, why: *mut Exit) -> Status>,
    /// `[pool]` Builds a state of this version from the bytes of version `from`. On an upgrade it
    /// is called in the newer library. This function and `change_code_down` may run several times
    /// for the same state, and as a trial whose result is dropped.
    pub change_code: Option<
        unsafe extern "C" fn(
            from: Bytes,
            state: Bytes,
            extra: Bytes,
            out_app: *mut *mut c_void,
            why: *mut Exit,
        ) -> Status,
    >,
    /// `[pool]` Converts bytes of this version to bytes of version `to`. On a downgrade it is
    /// called in the newer library.
    pub change_code_down: Option<
        unsafe extern "C" fn(to: Bytes, state: Bytes, extra: Bytes, out: *mut Buf, why: *mut Exit) -> Status,
    >,
    /// `[pool]` Checks whether `body` can be decoded as the body of this `EVENT_*` kind. Runs no
    /// callback.
    pub accepts: Option<unsafe extern "C" fn(kind: u32, body: Bytes, why: *mut Exit) -> Status>,
    /// `[pool]` Frees a state. It is called outside any callback.
    pub drop_state: Option<unsafe extern "C" fn(state_app: *mut c_void)>,
    /// Writes the schema of the values that the module reads and writes, as a JSON object. Leaves
    /// `out` empty if the schema is not known. Only programs that inspect a library without loading
    /// it call this, before [`App::load`]; a node never does. May be null. Since ABI 1.1.
    pub schema: Option<unsafe extern "C" fn(out: *mut Buf, why: *mut Exit) -> Status>,
    /// `[pool]` Writes a copy of `body` for display, without the secrets. `body` is a state
    /// ([`STATUS_STATE`]) or a message of kind [`EVENT_CALL`], [`EVENT_CAST`] or [`EVENT_INFO`].
    /// Leaves `out` empty if `body` may be displayed unchanged. If the function fails, `body` is
    /// not displayed. If it is null, every body may be displayed. It is called outside any
    /// callback. Since ABI 1.5. OTP: `format_status/1`.
    pub format_status:
        Option<unsafe extern "C" fn(kind: u32, body: Bytes, out: *mut Buf, why: *mut Exit) -> Status>,
    /// `[pool]` Handles several events, like that many calls of `callback`: the state of each event
    /// is the result of the one before. Takes ownership of `state_app`.
    ///
    /// It returns after the last event, or earlier: when a flag in [`Series::stop`] is set, and
    /// after an event that has any other result than [`NEXT_CONTINUE`] without a reply, such as one
    /// that waits or crashes. `out` and the verdict are those of the last event that it has begun,
    /// and [`Series::begun`] counts that event. The daemon keeps the other events. Requests that an
    /// event leaves open end with the series. May be null. Since ABI 1.7.
    pub callback_many: Option<
        unsafe extern "C" fn(state_app: *mut c_void, series: *mut Series, out: *mut Outcome) -> Verdict,
    >,
}

// SAFETY: the table is immutable data; its pointers lead to other immutable data of the same
// library.
#[expect(unsafe_code, reason = "an App block and its tables are statics of the library")]
unsafe impl Sync for Module {}
/// The kind that [`Module::format_status`] gets for a state. Since ABI 1.5.
pub const STATUS_STATE: u32 = 32;
