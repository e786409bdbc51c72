//! The functions that a callback can call. OTP: the functions of `erlang`, `gen_server` and
//! `supervisor` that apps call.
//!
//! Every function acts for the running process, which has its callback on the calling thread.
//! Outside a callback (for example in the drop of an old state) there is no such process: the
//! function does nothing and returns [`Refused`].

mod bonds;
mod messages;
mod requests;
mod running;

pub use self::bonds::{
    Tie, demonitor, exit, find, link, monitor, register, search, spawn, stop, trap_exit, unlink, unregister,
    whereis,
};
pub(crate) use self::bonds::{await_exit, rename, start_child};
pub use self::messages::{
    MAIL, Message, SendKind, bound_mailbox, continue_with, receive_timeout, recv, send,
};
pub(crate) use self::requests::{answer, started};
pub use self::requests::{
    blocking, call, cancel_timer, forget, port, read_timer, reply, send_after, send_interval, sleep, table,
    take,
};
pub(super) use self::running::with;
pub use self::running::{Refused, get_env, self_module, self_pid};
pub(crate) use self::running::{publish_rows, resolve, rest, restarted, serve};
