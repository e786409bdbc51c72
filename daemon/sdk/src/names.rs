//! Handles of the daemon's objects: processes, open calls, timers and monitors.
//!
//! Handles are plain values, so a state may keep them across an upgrade. Dropping one does nothing.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The identifier of a process. A pid is never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Pid(pub(crate) reld_wire::Pid);

impl Pid {
    /// No process.
    pub(crate) const NONE: Self = Self(reld_wire::Pid::NONE);

    pub(crate) const fn new(slot: u32, generation: u32) -> Self {
        Self(reld_wire::Pid { slot, generation })
    }

    pub(crate) const fn slot(self) -> u32 {
        self.0.slot
    }

    pub(crate) const fn generation(self) -> u32 {
        self.0.generation
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The origin of a call, which [`reply`](crate::reply) needs. OTP: `From`.
///
/// Importing this type shadows the trait of the prelude; write `reld_sdk::From` if you need both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct From {
    pub(crate) caller: Pid,
    pub(crate) server: Pid,
    pub(crate) reference: u64,
}

impl From {
    /// Returns the pid of the caller.
    pub fn pid(&self) -> Pid {
        self.caller
    }
}

/// A running timer. Pass it to [`cancel_timer`](crate::cancel_timer).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Timer {
    pub(crate) id: u64,
    pub(crate) at_ns: u64,
}

/// A monitor. Pass it to [`demonitor`](crate::demonitor); it also identifies a `Down`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct MonitorRef(pub(crate) u64);

/// The receiver of a message: a process or a registered name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// A process.
    Pid(Pid),
    /// The process that has this name when the message is sent.
    Name(String),
}

impl std::convert::From<Pid> for To {
    fn from(pid: Pid) -> Self {
        Self::Pid(pid)
    }
}

impl std::convert::From<&str> for To {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}
