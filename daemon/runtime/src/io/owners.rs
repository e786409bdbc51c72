//! The processes, as ports and tables see them.

use crate::words::code::{Bytes, Ref};
use crate::words::pid::Pid;

/// The processes, which own ports and tables.
pub(crate) trait Owners: Send + Sync {
    fn is_alive(&self, pid: Pid) -> bool;

    /// Sends an event of the node to a process.
    fn tell(&self, pid: Pid, told: Bytes);

    /// Answers an open request of a process.
    fn answer(&self, pid: Pid, reference: Ref, answer: Bytes);
}
