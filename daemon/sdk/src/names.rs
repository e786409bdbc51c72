//! Plain values that name things of the daemon: processes, open calls, timers, monitors.
//!
//! A state may keep them over an upgrade. Dropping one does nothing.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A process. Never reused for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Pid(pub(crate) reld_wire::Pid);

impl Pid {
    /// Says no process.
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

/// Where the reply to a call goes: for [`reply`](crate::reply). OTP: `From`.
///
/// Shadows the trait of the prelude where it is imported; write `reld_sdk::From` where both are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct From {
    pub(crate) caller: Pid,
    pub(crate) server: Pid,
    pub(crate) reference: u64,
}

impl From {
    /// Returns the process that called.
    pub fn pid(&self) -> Pid {
        self.caller
    }
}

/// A running timer: for [`cancel_timer`](crate::cancel_timer).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Timer {
    pub(crate) id: u64,
    pub(crate) at_ns: u64,
}

/// A monitor: for [`demonitor`](crate::demonitor), and to tell one `Down` from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct MonitorRef(pub(crate) u64);

/// Whom a message is for: a process or a registered name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// A process.
    Pid(Pid),
    /// Whoever has the name when the message is sent.
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
