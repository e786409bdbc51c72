//! The threads of a node: workers that run processes and jobs, spare threads for blocking work, and
//! timers.
//!
//! **Knows** `words` and `process`. The functions that run a process and fire a timer are passed
//! in.

pub(crate) mod blocking;
pub(crate) mod lanes;
pub(crate) mod scheduler;
pub(crate) mod sleepers;
pub(crate) mod stuck;
pub(crate) mod timer;
