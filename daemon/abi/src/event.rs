//! The events that a callback receives.

use crate::value::{Bytes, Pid};
#[cfg(doc)]
use crate::{Host, REQUEST_PORT, REQUEST_TABLE};

/// What a callback is called with.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// One of the `EVENT_*` values.
    pub kind: u32,
    /// Filled with 0; room to grow.
    pub reserved: u32,
    /// Who sent it; the dead process for [`EVENT_EXIT`] and [`EVENT_DOWN`].
    pub from: Pid,
    /// The call's reference, or the monitor's for [`EVENT_DOWN`].
    pub reference: u64,
    /// MessagePack; for [`EVENT_EXIT`], [`EVENT_DOWN`] and [`EVENT_TERMINATE`] the exit's UTF-8 text.
    pub body: Bytes,
    /// The exit's kind for [`EVENT_EXIT`], [`EVENT_DOWN`] and [`EVENT_TERMINATE`].
    pub exit_kind: u32,
}

/// Start: `body` is the start argument, `state` is null. All behaviours.
///
/// Of two behaviours the daemon reads and writes the values itself. BIN is a bin with MessagePack in it, which is passed on
/// as it is; what stands in `[]` may be left out and has OTP's default. A pid is `{slot, generation}`.
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

/// A request that wants a reply. gen_server.
pub const EVENT_CALL: u32 = 1;
/// A request without reply. gen_server.
pub const EVENT_CAST: u32 = 2;
/// Any other message, timers included. gen_server.
pub const EVENT_INFO: u32 = 3;
/// A linked process ended and this one traps exits. gen_server.
pub const EVENT_EXIT: u32 = 4;
/// A monitored process ended. gen_server.
pub const EVENT_DOWN: u32 = 5;
/// The process is about to end. gen_server; application (after its tree has stopped, OTP: `stop/1`).
pub const EVENT_TERMINATE: u32 = 6;

/// The application is about to be stopped; `body` is `{root, cause}`: the root supervisor's pid or nil, and who stops it,
/// `by_hand`, `node_stops`, `node_restarts`, `upgrade`, or `tree_ended` when the tree has ended by itself and there is no
/// root, which a library before ABI 1.4 is not told. application. Before ABI 1.3 `body` is what `root` is now, and a
/// library of an older ABI still receives that.
pub const EVENT_PREP_STOP: u32 = 7;

/// The application's environment changed; `body` is `{changed, new, removed}`. application, since ABI 1.1: a library of
/// ABI 1.0 does not receive it.
pub const EVENT_CONFIG_CHANGE: u32 = 8;
/// What the process put before all else by [`Host::send`], as soon as the callback that did it is over. gen_server. Since
/// ABI 1.2. OTP: `handle_continue`.
pub const EVENT_CONTINUE: u32 = 9;
/// Nothing came for as long as the process said by [`Host::send`]. gen_server. Since ABI 1.2. OTP: the message `timeout`.
pub const EVENT_TIMEOUT: u32 = 10;

/// The application is started and comes to a phase that its app.toml lists; `body` is `{phase, type, arg}`, `arg` being
/// MessagePack in bytes. A crash is a
/// failed start. application. Since ABI 1.3; an application with phases in a library of an older ABI does not start. OTP:
/// `start_phase/3`.
pub const EVENT_START_PHASE: u32 = 11;

/// What the node itself tells; `body` is `{port: EVENT}`, see [`REQUEST_PORT`], or `{table: EVENT}`, see
/// [`REQUEST_TABLE`]. gen_server. Since ABI 1.2: a library of an older ABI does not receive it.
pub const EVENT_TOLD: u32 = 16;
