//! System messages: what the daemon asks of a process at its next callback boundary.

use std::time::Duration;

use thiserror::Error;

use crate::words::exit::Exit;
use crate::words::pid::Pid;

/// Why a system message was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SysError {
    /// The process has ended, or never was.
    #[error("noproc: {0} is not alive")]
    Noproc(Pid),
    /// It is inside a callback and did not come to a boundary in time.
    #[error("{pid} did not answer within {} ms: it is inside a callback", .after.as_millis())]
    TimedOut {
        /// The process.
        pid: Pid,
        /// How long it had.
        after: Duration,
    },
    /// It is a task: its loop is its own.
    #[error("{0} is a task and takes no system messages")]
    Task(Pid),
    /// Code is changed only while the process is suspended. OTP: unknown system message.
    #[error("{0} is running; suspend it first")]
    NotSuspended(Pid),
    /// The app's code refused.
    #[error("{pid}: {exit}")]
    Refused {
        /// The process.
        pid: Pid,
        /// Why.
        exit: Exit,
    },
}
