//! Exit reasons.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::codec::Undecodable;

/// The reason why a process ended, or is to end. OTP: exit reason.
///
/// In OTP a reason is any term. Here supervisors react only to the kind of the reason; the text is
/// for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "reld_wire::Exit", into = "reld_wire::Exit")]
pub enum Exit {
    /// OTP: `normal`.
    Normal,
    /// OTP: `shutdown`, or `{shutdown, text}` when the text is not empty.
    Shutdown(String),
    /// OTP: `killed`. Cannot be trapped.
    Killed,
    /// OTP: `noproc`: the process never existed, or had ended.
    Noproc,
    /// The app's own code gave up, with this explanation.
    Error(String),
    /// The app's code panicked. Holds the message and the location.
    Panic(String),
    /// A state, message or argument could not be decoded.
    Undecodable(String),
    /// The answer to a call when the mailbox of the process is full; the call was not delivered.
    /// See [`bound_mailbox`](crate::bound_mailbox).
    Overloaded,
}

impl Exit {
    /// Returns OTP's `shutdown`.
    pub fn shutdown() -> Self {
        Self::Shutdown(String::new())
    }

    /// Returns the exit reason of code that gives up, with an explanation.
    pub fn error(why: impl fmt::Display) -> Self {
        Self::Error(why.to_string())
    }
}

impl From<reld_wire::Exit> for Exit {
    fn from(exit: reld_wire::Exit) -> Self {
        use reld_wire::Exit as Wire;
        match exit {
            Wire::Normal => Self::Normal,
            Wire::Shutdown(text) => Self::Shutdown(text),
            Wire::Killed => Self::Killed,
            Wire::Noproc => Self::Noproc,
            Wire::Error(text) => Self::Error(text),
            Wire::Panic(text) => Self::Panic(text),
            Wire::Undecodable(text) => Self::Undecodable(text),
            Wire::Overloaded => Self::Overloaded,
        }
    }
}

impl From<Exit> for reld_wire::Exit {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Normal => Self::Normal,
            Exit::Shutdown(text) => Self::Shutdown(text),
            Exit::Killed => Self::Killed,
            Exit::Noproc => Self::Noproc,
            Exit::Error(text) => Self::Error(text),
            Exit::Panic(text) => Self::Panic(text),
            Exit::Undecodable(text) => Self::Undecodable(text),
            Exit::Overloaded => Self::Overloaded,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        reld_wire::Exit::from(self.clone()).fmt(f)
    }
}

/// Describes the serialized form, for states that contain an exit reason.
impl JsonSchema for Exit {
    fn schema_name() -> Cow<'static, str> {
        reld_wire::Exit::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        reld_wire::Exit::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        reld_wire::Exit::json_schema(generator)
    }
}

impl std::error::Error for Exit {}

impl From<Undecodable> for Exit {
    fn from(error: Undecodable) -> Self {
        Self::Undecodable(error.to_string())
    }
}

/// The reason why init started no process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotStarted {
    /// There is nothing to do. This is not an error. OTP: `ignore`.
    #[error("ignored")]
    Ignore,
    /// Init failed. OTP: `{stop, Reason}`.
    #[error("{0}")]
    Stop(#[source] Exit),
}

/// Every exit reason is also a reason not to start, so `?` works in init as in every callback.
impl<E: Into<Exit>> From<E> for NotStarted {
    fn from(error: E) -> Self {
        Self::Stop(error.into())
    }
}
