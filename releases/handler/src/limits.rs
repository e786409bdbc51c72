//! The time limits of steps.

use std::time::{Duration, Instant};

/// The time limit of each kind of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Loading one library.
    pub load: Duration,
    /// Starting one app.
    pub start: Duration,
    /// Waiting for a member to come to rest, unless an instruction has a timeout.
    pub rest: Duration,
    /// Converting the state of one process. OTP: `code_change_timeout`.
    pub convert: Duration,
    /// A call of an app's function, also inside the pause.
    pub apply: Duration,
    /// Stopping one app, including the shutdown times of its children.
    pub stop: Duration,
    /// Waiting for the other nodes of a meeting, before any process is held.
    pub join: Duration,
    /// Waiting for the decision of a meeting, while processes are held.
    pub decide: Duration,
    /// Holding members after the switch while children start.
    pub births: Duration,
    /// Moving the shadow states into place, and each purge.
    pub sweep: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            load: Duration::from_secs(30),
            start: Duration::from_secs(60),
            rest: Duration::from_secs(1),
            convert: Duration::from_secs(5),
            apply: Duration::from_secs(5),
            stop: Duration::from_secs(60),
            join: Duration::from_secs(300),
            decide: Duration::from_secs(2),
            births: Duration::from_millis(500),
            sweep: Duration::from_secs(30),
        }
    }
}

pub(crate) fn deadline(after: Duration) -> Instant {
    Instant::now() + after
}
