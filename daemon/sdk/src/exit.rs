//! Exit reasons.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::codec::Undecodable;

/// Why a process ended or is to end. OTP: exit reason.
///
/// Unlike OTP, where any term will do, what a supervisor reacts to is told apart by kind; the text is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "text", rename_all = "snake_case")]
pub enum Exit {
    /// OTP: `normal`.
    Normal,
    /// OTP: `shutdown`, or `{shutdown, text}` when the text is not empty.
    Shutdown(String),
    /// OTP: `killed`. Cannot be trapped.
    Killed,
    /// OTP: `noproc`: the process was never there, or had ended.
    Noproc,
    /// The app's own code gave up and says why.
    Error(String),
    /// The app's code panicked: message and place.
    Panic(String),
    /// A state, message or argument could not be decoded.
    Undecodable(String),
    /// The answer to a call of a process whose mailbox is full: it was not sent. See [`bound_mailbox`](crate::bound_mailbox).
    Overloaded,
}

impl Exit {
    /// Returns OTP's `shutdown`.
    pub fn shutdown() -> Self {
        Self::Shutdown(String::new())
    }

    /// Returns the reason of code that gives up.
    pub fn error(why: impl fmt::Display) -> Self {
        Self::Error(why.to_string())
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, text) = match self {
            Self::Normal => ("normal", ""),
            Self::Shutdown(text) => ("shutdown", text.as_str()),
            Self::Killed => ("killed", ""),
            Self::Noproc => ("noproc", ""),
            Self::Error(text) => ("error", text.as_str()),
            Self::Panic(text) => ("panic", text.as_str()),
            Self::Undecodable(text) => ("undecodable", text.as_str()),
            Self::Overloaded => ("overloaded", ""),
        };
        f.write_str(word)?;
        if text.is_empty() { Ok(()) } else { write!(f, ": {text}") }
    }
}

impl std::error::Error for Exit {}

impl From<Undecodable> for Exit {
    fn from(error: Undecodable) -> Self {
        Self::Undecodable(error.to_string())
    }
}

/// Why an init made no process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotStarted {
    /// There is nothing to do; whoever starts it carries on. OTP: `ignore`.
    #[error("ignored")]
    Ignore,
    /// It failed. OTP: `{stop, Reason}`.
    #[error("{0}")]
    Stop(#[source] Exit),
}

/// Whatever can end a process can keep it from being started: `?` works in init as in every callback.
impl<E: Into<Exit>> From<E> for NotStarted {
    fn from(error: E) -> Self {
        Self::Stop(error.into())
    }
}
