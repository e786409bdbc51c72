//! The views of a node for people, and the system messages to one process.
//!
//! **Knows** `words`, `process`, `world`, `tree` and `upgrade`.

pub(crate) mod census;
pub(crate) mod details;
pub(crate) mod inspect;
pub(crate) mod sys;
pub(crate) mod trace;
