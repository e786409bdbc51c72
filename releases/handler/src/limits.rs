//! How long the steps of an order may take.

use std::time::{Duration, Instant};

/// How long each kind of step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Loading one library.
    pub load: Duration,
    /// Starting one app.
    pub start: Duration,
    /// Bringing a member to rest, where no instruction gives a time.
    pub rest: Duration,
    /// Converting the state of one process. OTP: `code_change_timeout`.
    pub convert: Duration,
    /// A call of an app's function, inside the pause too.
    pub apply: Duration,
    /// Stopping one app, its children's own shutdown times included.
    pub stop: Duration,
    /// How long members wait for children that start before they go on.
    pub births: Duration,
    /// Moving the shadow states in, and each purge.
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
            births: Duration::from_millis(500),
            sweep: Duration::from_secs(30),
        }
    }
}

pub(crate) fn deadline(after: Duration) -> Instant {
    Instant::now() + after
}
