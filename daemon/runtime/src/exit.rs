//! Exit reasons: why a process ended or is to end.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a process ended or is to end. OTP: exit reason.
///
/// Unlike OTP, where any term will do, the reasons that a supervisor or an operator reacts to are told apart by kind;
/// the text is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "text", rename_all = "snake_case")]
pub enum Exit {
    /// OTP: `normal`.
    Normal,
    /// OTP: `shutdown`, or `{shutdown, text}` when the text is not empty.
    Shutdown(String),
    /// OTP: `killed`.
    Killed,
    /// OTP: `noproc`: the process was never there, or had ended.
    Noproc,
    /// The app's own code gave up and says why.
    Error(String),
    /// The app's code panicked: message and place.
    Panic(String),
    /// A state, message or argument could not be decoded.
    Undecodable(String),
    /// The answer to a call of a process whose mailbox is full: it was not sent. See [`bound_mailbox`](crate::context::bound_mailbox).
    Overloaded,
}

impl Exit {
    /// Returns OTP's `shutdown`.
    pub fn shutdown() -> Self {
        Self::Shutdown(String::new())
    }

    /// Says whether a transient child that ends like this is restarted. OTP: g.2, "unless normal or shutdown".
    pub fn is_abnormal(&self) -> bool {
        !matches!(self, Self::Normal | Self::Shutdown(_))
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
