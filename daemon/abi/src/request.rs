//! Requests that a library sends through the daemon, and their answers.

use crate::value::{Buf, Exit};
#[cfg(doc)]
use crate::{EVENT_INIT, EVENT_TOLD, Host};

/// A call of a gen_server or a task, for [`Host::call`].
pub const REQUEST_CALL: u32 = 0;

/// A request to a supervisor, for [`Host::call`], named as in OTP.
///
/// The body is one of the following, as MessagePack with field names. SPEC and BIN are defined at
/// [`EVENT_INIT`]; a BIN here is an id, or the argument of a `simple_one_for_one` child:
///
/// ```text
/// {start_child: SPEC}  {start_child_args: BIN}  {restart_child: BIN}        pid
/// {terminate_child: BIN}  {terminate_pid: pid}  {delete_child: BIN}        nil
/// {rename_child: [BIN, BIN]}                                               nil
/// {get_childspec: BIN}  {get_childspec_of: pid}                            SPEC
/// "which_children"                                                         [{id, pid, restarting, type, module}, ..]
/// "count_children"                                                         {specs, active, supervisors, workers}
/// ```
///
/// The reply is `{ok: ..}` or `{error: {reason, pid, text}}`.
pub const REQUEST_SUPERVISOR: u32 = 1;

/// Stops a process, for [`Host::call`]: its terminate is called, and when it has ended the answer
/// is [`ANSWER_EXIT`] with the reason for which it ended.
///
/// The body is the requested reason, as MessagePack with field names: `{kind: "normal" | "shutdown"
/// | "killed" | "noproc" | "error" | "panic" | "undecodable" | "overloaded", text}`, with `text`
/// for the kinds that have one. Since ABI 1.5; an older daemon refuses it. OTP:
/// `gen_server:stop/3`.
pub const REQUEST_STOP: u32 = 2;

/// A request to a port, for [`Host::call`] with no process as `to`. Since ABI 1.2; an older daemon
/// refuses it.
///
/// The body is one of the following, as MessagePack with field names. PORT is a number. HOW is
/// `"now"` (answer nil at once if the port is not ready), `"wait"` (answer nil when the port is
/// ready; repeat the request then) or `"tell"` (answer nil at once, and send an [`EVENT_TOLD`] when
/// the port is ready):
///
/// ```text
/// {listen: {address, options, supervisor: bool}}        PORT
/// {connect: {address, options, how}}                    PORT; how: now or tell
/// {accept: {port, how}}                                 EVENT accepted, or nil
/// {read: {port, how}}                                   EVENT data, or nil
/// {write: {port, bytes}}                                nil
/// {writable: {port, how}}                               EVENT writable, or nil
/// {close: {port}}  {give: {port, to: pid}}              nil
/// {address: {port}}                                     {local, peer}
/// ```
///
/// An address is `"127.0.0.1:80"`, `"[::1]:80"` or `"unix:/run/x.sock"`; connect accepts host names
/// as well. The options, all optional, are `{framing: "raw" | {line: MAX} | {packet: 1 | 2 | 4},
/// buffer, nodelay, backlog, half_open}`. The reply is `{ok: ..}` or `{error: {reason, text}}`. An
/// EVENT is `{accepted: {listener, connection, peer}}`, `{connected: {connection}}`, `{data:
/// {connection, bytes}}`, `{writable: {connection}}` or `{closed: {port, error: {reason, text}}}`.
pub const REQUEST_PORT: u32 = 16;

/// A request to a shared table, for [`Host::call`] with no process as `to`. The answer is there
/// when the call returns. Since ABI 1.2; an older daemon refuses it.
///
/// The body is one of the following, as MessagePack with field names. TABLE is a number; KEY and
/// VALUE are bins of MessagePack:
///
/// ```text
/// {new: {name, kind: "set" | "ordered_set", access: "public" | "protected" | "private", heir: {pid, data}}}   TABLE
/// {whereis: {name}}                                       TABLE or nil
/// {insert: {table, key, value}}                           nil
/// {insert_new: {table, key, value}}                       bool
/// {lookup: {table, key}}  {take: {table, key}}            VALUE or nil
/// {replace: {table, key, old, new}}                       bool
/// {update_counter: {table, key, by, initial}}             the sum
/// {select: {table, wanted: {prefix, from, after, to, limit}}}   [[KEY, VALUE], ..]
/// {clear: {table}}  {size: {table}}                       a number
/// {drop: {table}}  {give_away: {table, to, data}}  {set_heir: {table, heir}}   nil
/// ```
///
/// The reply is `{ok: ..}` or `{error: {reason, text}}`. An EVENT is `{transferred: {table, from,
/// data}}`.
pub const REQUEST_TABLE: u32 = 17;

/// The answer to a request.
#[repr(C)]
#[derive(Debug)]
pub struct Answer {
    /// One of the `ANSWER_*` values.
    pub kind: u32,
    /// Filled with 0.
    pub reserved: u32,
    /// The reply as MessagePack, for [`ANSWER_REPLY`].
    pub reply: Buf,
    /// The exit reason of the server, for [`ANSWER_EXIT`].
    pub exit: Exit,
}

/// The server replied, or the sleep is over.
pub const ANSWER_REPLY: u32 = 0;
/// The timeout of the request expired.
pub const ANSWER_TIMEOUT: u32 = 1;
/// The server ended, or never existed.
pub const ANSWER_EXIT: u32 = 2;
