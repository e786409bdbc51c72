//! Trees of processes: supervisors and applications.
//!
//! **Knows** `words`, `process` and `world`.

pub(crate) mod application;
pub(crate) mod native;
pub(crate) mod request;
pub(crate) mod supervisor;
