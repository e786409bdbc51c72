//! The parts of a process, and the protocols by which threads share it: claims, custody, the gate.
//!
//! **Knows** `words`. No thread runs here, and no process knows another one.

pub(crate) mod batch;
pub(crate) mod body;
pub(crate) mod card;
pub(crate) mod current;
pub(crate) mod custody;
pub(crate) mod debug;
pub(crate) mod gate;
pub(crate) mod link;
pub(crate) mod mail;
pub(crate) mod queue;
pub(crate) mod registry;
pub(crate) mod rows;
pub(crate) mod shadow;
pub(crate) mod shown;
pub(crate) mod slot;
pub(crate) mod system;
pub(crate) mod table;
