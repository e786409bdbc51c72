//! The callback table of a module.

use core::ffi::c_void;

use crate::event::Event;
use crate::outcome::{Outcome, Verdict};
use crate::value::{Buf, Bytes, Exit, Status};
#[cfg(doc)]
use crate::{App, EVENT_CALL, EVENT_CAST, EVENT_INFO, EVENT_INIT};

/// Callbacks and a state driven by the daemon's loop. OTP: gen_server.
pub const BEHAVIOUR_GEN_SERVER: u32 = 1;
/// Only `init`, a plain function; the loop is the daemon's supervisor.
pub const BEHAVIOUR_SUPERVISOR: u32 = 2;
/// start, prep_stop, stop and config_change of an application.
pub const BEHAVIOUR_APPLICATION: u32 = 3;
/// A home-brewed process: one `async fn` that stays on its version until it ends.
pub const BEHAVIOUR_TASK: u32 = 4;
/// A state machine; to the daemon a gen_server whose engine is the library's. Since ABI 1.2. OTP: gen_statem.
pub const BEHAVIOUR_GEN_STATEM: u32 = 5;
/// Hands events to its handlers; to the daemon a gen_server. Since ABI 1.2. OTP: the process of gen_event.
pub const BEHAVIOUR_GEN_EVENT: u32 = 6;
/// A handler of such events, in a process below the one that hands them out; to the daemon a gen_server. Since ABI 1.2.
pub const BEHAVIOUR_EVENT_HANDLER: u32 = 7;

/// One callback table: the unit that `load`, `update` and `purge` name.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Module {
    /// `sizeof(Module)` where the library was built.
    pub size: u32,
    /// One of the `BEHAVIOUR_*` values.
    pub behaviour: u32,
    /// UTF-8, unique in a release.
    pub name: Bytes,
    /// `[pool]` Runs one callback. Takes `state_app` (null for [`EVENT_INIT`]) and gives a state back in `out`.
    pub callback: Option<
        unsafe extern "C" fn(state_app: *mut c_void, event: *const Event, out: *mut Outcome) -> Verdict,
    >,
    /// `[pool]` Writes the state as MessagePack. The state stays as it is. Null for supervisors and tasks.
    pub export_state:
        Option<unsafe extern "C" fn(state_app: *const c_void, out: *mut Buf, why: *mut Exit) -> Status>,
    /// `[pool]` Makes a state from bytes of the same meaning; every field must be read or declared dropped.
    pub import_state:
        Option<unsafe extern "C" fn(state: Bytes, out_app: *mut *mut c_void, why: *mut Exit) -> Status>,
    /// `[pool]` Makes a state of this version from the bytes of version `from`. Going up, in the
    /// newer library. May run again, and as a trial whose state is dropped, like the next one.
    pub change_code: Option<
        unsafe extern "C" fn(
            from: Bytes,
            state: Bytes,
            extra: Bytes,
            out_app: *mut *mut c_void,
            why: *mut Exit,
        ) -> Status,
    >,
    /// `[pool]` Makes bytes for version `to` from bytes of this version. Going down, in the newer library.
    pub change_code_down: Option<
        unsafe extern "C" fn(to: Bytes, state: Bytes, extra: Bytes, out: *mut Buf, why: *mut Exit) -> Status,
    >,
    /// `[pool]` Says whether `body` would be decoded as the body of that `EVENT_*` kind; runs nothing else.
    pub accepts: Option<unsafe extern "C" fn(kind: u32, body: Bytes, why: *mut Exit) -> Status>,
    /// `[pool]` Frees a state. Called outside any callback.
    pub drop_state: Option<unsafe extern "C" fn(state_app: *mut c_void)>,
    /// Writes what the module reads and writes, as a JSON object; leaves `out` empty when it is not known. May be
    /// null. No node calls it, but who looks into a library without loading it, so before [`App::load`]. Since ABI
    /// 1.1.
    pub schema: Option<unsafe extern "C" fn(out: *mut Buf, why: *mut Exit) -> Status>,
    /// `[pool]` Writes what people are shown instead of `body`: of a state ([`STATUS_STATE`]), or of a message, whose kind
    /// is one of [`EVENT_CALL`], [`EVENT_CAST`] and [`EVENT_INFO`]. Leaves `out` empty for what may be shown as it is; after a
    /// failure nothing of it is shown. Null: all may be shown. Called outside any callback. Since ABI 1.5. OTP:
    /// `format_status/1`.
    pub format_status:
        Option<unsafe extern "C" fn(kind: u32, body: Bytes, out: *mut Buf, why: *mut Exit) -> Status>,
}

// SAFETY: the table is immutable data; its pointers lead to other immutable data of the same library.
#[expect(unsafe_code, reason = "an App block and its tables are statics of the library")]
unsafe impl Sync for Module {}
/// A state, for [`Module::format_status`]. Since ABI 1.5.
pub const STATUS_STATE: u32 = 32;
