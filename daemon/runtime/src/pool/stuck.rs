//! App code that does not return.

use std::time::Instant;

use crate::pool::scheduler::Computing;
use crate::process::card::Card;
use crate::words::pid::Pid;

/// App code that does not return. It occupies a thread and keeps its library in use. OTP does not
/// have this problem, because the emulator can interrupt any code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// The process that the code works for.
    pub pid: Pid,
    /// The module.
    pub module: String,
    /// The version of the module.
    pub version: String,
    /// The app.
    pub app: String,
    /// The time at which the code began to run.
    pub since: Instant,
    /// Whether the code was given up: its process goes on, or has ended, without waiting for it.
    pub is_detached: bool,
    /// The stack at the time of the report, innermost function first; empty if unknown.
    pub frames: Vec<String>,
}

impl Stuck {
    /// Describes a callback that has not returned.
    pub(crate) fn of(pid: Pid, card: &Card, computing: Computing) -> Self {
        let module = &card.code.module;
        let Computing { since, frames, .. } = computing;
        Self {
            pid,
            module: module.name().to_owned(),
            version: module.version().to_owned(),
            app: module.app().to_owned(),
            since,
            is_detached: false,
            frames,
        }
    }
}
