//! The basic types of the process world: pids, exit reasons, terms, the traits of loaded code and
//! the code server.
//!
//! **Knows** no other part of the runtime.

pub(crate) mod child_spec;
pub(crate) mod code;
pub(crate) mod code_server;
pub(crate) mod contain;
pub(crate) mod cut;
pub(crate) mod exit;
pub(crate) mod figures;
pub(crate) mod name;
pub(crate) mod nearest;
pub(crate) mod path;
pub(crate) mod pid;
pub(crate) mod sync;
pub mod term;
