//! Exit reasons. Only the body of `RELD_REQUEST_STOP` (since ABI 1.5) contains one. Elsewhere the
//! boundary passes a reason as a kind and a text.

use std::fmt;

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The reason why a process ended or is to end. OTP: exit reason.
///
/// In OTP a reason is any term. Here supervisors react only to the kind, and the text is for
/// people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(tag = "kind", content = "text", rename_all = "snake_case")]
pub enum Exit {
    /// OTP: `normal`.
    Normal,
    /// OTP: `shutdown`, or `{shutdown, text}` when the text is not empty.
    Shutdown(String),
    /// OTP: `killed`. It cannot be trapped.
    Killed,
    /// OTP: `noproc`. The process never existed, or had ended.
    Noproc,
    /// The app's own code gave up. The text is its reason.
    Error(String),
    /// The app's code panicked. The text is the panic's message and location.
    Panic(String),
    /// A state, message or argument could not be decoded. The text names the field.
    Undecodable(String),
    /// A call was not delivered, because the mailbox of the process is full. Since ABI 1.4.
    Overloaded,
}

impl Exit {
    /// The names of all kinds.
    pub const KINDS: [&str; 8] =
        ["normal", "shutdown", "killed", "noproc", "error", "panic", "undecodable", "overloaded"];

    /// Returns OTP's `shutdown`, without a text.
    pub fn shutdown() -> Self {
        Self::Shutdown(String::new())
    }

    /// Returns the name of the kind.
    pub fn kind(&self) -> &'static str {
        Self::KINDS[self.number()]
    }

    /// Returns the index of the kind in [`Exit::KINDS`].
    pub fn number(&self) -> usize {
        match self {
            Self::Normal => 0,
            Self::Shutdown(_) => 1,
            Self::Killed => 2,
            Self::Noproc => 3,
            Self::Error(_) => 4,
            Self::Panic(_) => 5,
            Self::Undecodable(_) => 6,
            Self::Overloaded => 7,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Normal | Self::Killed | Self::Noproc | Self::Overloaded => "",
            Self::Shutdown(text) | Self::Error(text) | Self::Panic(text) | Self::Undecodable(text) => text,
        };
        f.write_str(self.kind())?;
        if text.is_empty() { Ok(()) } else { write!(f, ": {text}") }
    }
}
