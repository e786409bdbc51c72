//! Processes.

use std::fmt;

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A process. Never reused for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct Pid {
    /// Its place in the process table.
    pub slot: u32,
    /// How often that place has been used; never 0 for a process.
    pub generation: u32,
}

impl Pid {
    /// The pid that no process has.
    pub const NONE: Self = Self { slot: 0, generation: 0 };

    /// The sender of what comes from outside the process world: the API, the release handler.
    pub const OUTSIDE: Self = Self { slot: u32::MAX, generation: u32::MAX };
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}.{}>", self.slot, self.generation)
    }
}
