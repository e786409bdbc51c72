//! Process ids.

use std::fmt;

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A process. A pid is never reused for another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct Pid {
    /// The slot in the process table.
    pub slot: u32,
    /// How often the slot has been used; never 0 for a process.
    pub generation: u32,
}

impl Pid {
    /// The pid of no process.
    pub const NONE: Self = Self { slot: 0, generation: 0 };

    /// The sender of messages from outside the process world: the API and the release handler.
    pub const OUTSIDE: Self = Self { slot: u32::MAX, generation: u32::MAX };
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}.{}>", self.slot, self.generation)
    }
}
