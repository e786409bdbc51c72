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

/// The receiver of a message: a pid, a registered name or a place.
///
/// A text becomes a place if it contains a `/`, which no name does, and otherwise a name.
///
/// # Places
/// A place is a position in a supervision tree, written as a path: the name of an app or a
/// registered supervisor, then the ids of children, separated by `/`. The root supervisor of the
/// app `shop` is `shop`, its child with the id `tills` is `shop/tills`, and the child of that one
/// with the number 3 as its id is `shop/tills/3`. `relctl` and appups use the same places.
///
/// An id that is no text is written as JSON. A text is written in double quotes, as in JSON, if it
/// contains `/` or `"`, or reads as another JSON value: `shop/"a/b"`, `shop/tills/"3"`. Children of
/// a simple_one_for_one have no ids and no places; nor have children with bytes as their id.
///
/// A place is looked up when the message is sent. A place costs more than a name, and a name more
/// than a pid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// A process.
    Pid(Pid),
    /// The process that has this name when the message is sent.
    Name(String),
    /// The process at this place in a supervision tree when the message is sent.
    Path(String),
}

impl To {
    /// Returns a place. For the root supervisor of an app, the place is the name of the app.
    pub fn path(path: impl Into<String>) -> Self {
        Self::Path(path.into())
    }
}

/// No process has this name, or is at this place in a supervision tree. The text names the missing
/// part, and the nearest existing ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotFound(pub(crate) String);

impl std::convert::From<Pid> for To {
    fn from(pid: Pid) -> Self {
        Self::Pid(pid)
    }
}

impl std::convert::From<&str> for To {
    fn from(text: &str) -> Self {
        if text.contains('/') { Self::path(text) } else { Self::Name(text.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_a_slash_is_a_path_and_any_other_one_a_name() {
        assert_eq!(To::from("till"), To::Name("till".to_owned()));
        assert_eq!(To::from("shop/tills"), To::Path("shop/tills".to_owned()));
        assert_eq!(To::path("shop"), To::Path("shop".to_owned()));
    }
}
