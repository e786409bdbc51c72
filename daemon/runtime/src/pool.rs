//! The threads of a node: workers that run processes and jobs, spare threads for work that blocks, timers.
//!
//! **Knows** `words` and `process`. What a worker does with a process, and what a timer does when it fires, is handed in.

pub(crate) mod blocking;
pub(crate) mod lanes;
pub(crate) mod scheduler;
pub(crate) mod sleepers;
pub(crate) mod stuck;
pub(crate) mod timer;
