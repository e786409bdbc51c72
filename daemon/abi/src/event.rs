//! The events that a callback receives.

use core::sync::atomic::AtomicU8;

use crate::value::{Bytes, Pid};
#[cfg(doc)]
use crate::{Host, Module, REQUEST_PORT, REQUEST_TABLE};

/// The event that a callback handles.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// One of the `EVENT_*` values.
    pub kind: u32,
    /// Filled with 0; reserved for later versions.
    pub reserved: u32,
    /// The sender, or the dead process for [`EVENT_EXIT`] and [`EVENT_DOWN`].
    pub from: Pid,
    /// The reference of the call, or of the monitor for [`EVENT_DOWN`].
    pub reference: u64,
    /// The body as MessagePack. For [`EVENT_EXIT`], [`EVENT_DOWN`] and [`EVENT_TERMINATE`] it is
    /// the UTF-8 text of the exit reason.
    pub body: Bytes,
    /// The kind of the exit reason, for [`EVENT_EXIT`], [`EVENT_DOWN`] and [`EVENT_TERMINATE`].
    pub exit_kind: u32,
    /// The process that handles the event, for [`EVENT_CALL`]. Since ABI 1.6.
    pub server: Pid,
}

/// Several events that a process handles in a row. Later versions add members only at the end.
/// Since ABI 1.7.
#[repr(C)]
#[derive(Debug)]
pub struct Series {
    /// Pointers to the events, in their order: each an [`EVENT_CAST`] or [`EVENT_INFO`]. All are
    /// lent until [`Module::callback_many`] returns.
    pub events: *const *const Event,
    /// The length of `events`, at least 1.
    pub count: usize,
    /// Flags of the daemon. While one of them is not 0, the library must not begin any event but
    /// the first. The daemon may set them at any time, on any thread.
    pub stop: [*const AtomicU8; 3],
    /// Written by [`Module::callback_many`]: how many events it has begun to handle, at least 1.
    pub begun: usize,
}

/// The process starts; `body` is the start argument, the state is null. All behaviours.
///
/// The daemon itself reads and writes the values of applications and supervisors. BIN is a bin that
/// contains MessagePack, which the daemon passes on unchanged. Members in `[]` are optional and
/// default as in OTP. A pid is `{slot, generation}`.
///
/// ```text
/// to an application's init    {type: "normal", env: {KEY: VALUE}}
/// from an application's init  {module, args: BIN}, the root of its tree, or nil for none
/// from a supervisor's init    {children: [SPEC], [strategy, intensity, period_ms, auto_shutdown]}
/// SPEC                        {id: BIN, module, [args: BIN, restart, significant, shutdown, type]}
/// strategy                    "one_for_one", "one_for_all", "rest_for_one" or "simple_one_for_one"
/// auto_shutdown               "never", "any_significant" or "all_significant"
/// restart                     "permanent", "transient" or "temporary"
/// shutdown                    {ms: N}, "infinity" or "brutal_kill"
/// type                        "worker" or "supervisor"
/// ```
pub const EVENT_INIT: u32 = 0;

/// A request that expects a reply. Sent to a gen_server.
pub const EVENT_CALL: u32 = 1;
/// A request without a reply. Sent to a gen_server.
pub const EVENT_CAST: u32 = 2;
/// Any other message, including those of timers. Sent to a gen_server.
pub const EVENT_INFO: u32 = 3;
/// A linked process ended, and this process traps exits. Sent to a gen_server.
pub const EVENT_EXIT: u32 = 4;
/// A monitored process ended. Sent to a gen_server.
pub const EVENT_DOWN: u32 = 5;
/// The process is about to end. Sent to a gen_server, and to an application after its supervision
/// tree has stopped (OTP: `stop/1`).
pub const EVENT_TERMINATE: u32 = 6;

/// The application is about to be stopped. Sent to an application.
///
/// `body` is `{root, cause}`: the pid of the root supervisor or nil, and the cause `by_hand`,
/// `node_stops`, `node_restarts`, `upgrade` or `tree_ended`. `tree_ended` means that the
/// supervision tree has ended by itself, so that there is no root. Libraries before ABI 1.4 do not
/// receive the event for this cause. For libraries before ABI 1.3 `body` is only `root`.
pub const EVENT_PREP_STOP: u32 = 7;

/// The environment of the application changed. `body` is `{changed, new, removed}`. Sent to an
/// application. Since ABI 1.1; libraries of ABI 1.0 do not receive it.
pub const EVENT_CONFIG_CHANGE: u32 = 8;
/// A message that the process sent to itself by [`Host::send`]. It is handled right after the
/// callback that sent it, before any other message. Sent to a gen_server. Since ABI 1.2. OTP:
/// `handle_continue`.
pub const EVENT_CONTINUE: u32 = 9;
/// No message came within the time that the process set by [`Host::send`]. Sent to a gen_server.
/// Since ABI 1.2. OTP: the message `timeout`.
pub const EVENT_TIMEOUT: u32 = 10;

/// The starting application enters a start phase that its app.toml lists. `body` is `{phase, type,
/// arg}`, where `arg` is a bin of MessagePack. If this callback crashes, the start fails. Sent to
/// an application. Since ABI 1.3; an application with start phases does not start if its library
/// was built for an older ABI. OTP: `start_phase/3`.
pub const EVENT_START_PHASE: u32 = 11;

/// A notification from the node itself. `body` is `{port: EVENT}`, see [`REQUEST_PORT`], or
/// `{table: EVENT}`, see [`REQUEST_TABLE`]. Sent to a gen_server. Since ABI 1.2; libraries of an
/// older ABI do not receive it.
pub const EVENT_TOLD: u32 = 16;
