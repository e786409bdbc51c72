//! Process ids.

use std::fmt;

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A process id. A pid is never reused for another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct Pid {
    /// The slot in the process table.
    pub slot: u32,
    /// The number of processes that have used the slot. It is never 0 for a process.
    pub generation: u32,
}

impl Pid {
    /// A pid that stands for no process.
    pub const NONE: Self = Self { slot: 0, generation: 0 };

    /// The sender of messages that come from the API or the release handler, not from a process.
    pub const OUTSIDE: Self = Self { slot: u32::MAX, generation: u32::MAX };
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}.{}>", self.slot, self.generation)
    }
}
