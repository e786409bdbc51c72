//! App code that does not come back.

use std::time::Instant;

use crate::pool::scheduler::Computing;
use crate::process::card::Card;
use crate::words::pid::Pid;

/// App code that does not come back, and so holds a thread and its library. OTP has no such thing: the emulator
/// interrupts any code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Whose state or message it works on.
    pub pid: Pid,
    /// The module.
    pub module: String,
    /// The version of that code.
    pub version: String,
    /// The app.
    pub app: String,
    /// Since when.
    pub since: Instant,
    /// Whether it was given up: the process goes on, or has ended, without it.
    pub is_detached: bool,
    /// Where it was when it was reported, the innermost function first; empty where that is not known.
    pub frames: Vec<String>,
}

impl Stuck {
    /// Returns a callback that has not come back.
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
