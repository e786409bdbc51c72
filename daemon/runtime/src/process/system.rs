//! System messages: requests of the daemon that a process carries out at its next callback
//! boundary.

use std::time::Duration;

use thiserror::Error;

use crate::words::exit::Exit;
use crate::words::pid::Pid;

/// The reason why a system message was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SysError {
    /// The process has ended, or never existed.
    #[error("{0} is not alive")]
    Noproc(Pid),
    /// The process is inside a callback and did not reach a boundary in time.
    #[error("{pid} did not answer within {} ms: it is inside a callback", .after.as_millis())]
    TimedOut {
        /// The process.
        pid: Pid,
        /// The time limit.
        after: Duration,
    },
    /// The process is a task, which has no callback boundaries.
    #[error("{0} is a task and takes no system messages")]
    Task(Pid),
    /// The process is not suspended, so its code cannot be changed. OTP: unknown system message.
    #[error("{0} is running; suspend it first")]
    NotSuspended(Pid),
    /// The app's code refused.
    #[error("{pid}: {exit}")]
    Refused {
        /// The process.
        pid: Pid,
        /// The reason.
        exit: Exit,
    },
}
