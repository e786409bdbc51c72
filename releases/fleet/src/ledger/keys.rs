//! The keys of a fleet.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::direction::Direction;

/// The beginning of all keys of all fleets.
const ROOT: &str = "/reld/";

/// A name that cannot be a segment of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a fleet or a node: a name has letters, digits, `-`, `_` and `.`")]
pub struct UnknownName(pub String);

/// The name of a fleet or a node: letters, digits, `-`, `_` and `.`, so that it is one segment of a
/// key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = UnknownName;

    fn try_from(text: String) -> Result<Self, UnknownName> {
        let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let fits = (1..=253).contains(&text.len()) && text.bytes().all(is_usual);
        if fits { Ok(Self(text)) } else { Err(UnknownName(text)) }
    }
}

impl std::str::FromStr for Name {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::try_from(text.to_owned())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

/// The keys of a fleet, all below one prefix.
///
/// | key | value | lease |
/// |---|---|---|
/// | `nodes/N` | presence | that of the node |
/// | `members/N` | member | none |
/// | `current` | the id of the rollout | none |
/// | `r/ID` | document, written by each start | none |
/// | `r/ID/state` | standing | none |
/// | `r/ID/slot/K` | slot | none |
/// | `r/ID/forward/N`, `r/ID/back/N` | outcome | none |
/// | `r/ID/late/N` | outcome of a node that had lost its slot | none |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// Returns the keys of a fleet.
    #[must_use]
    pub fn of(fleet: &Name) -> Self {
        Self { prefix: format!("{ROOT}{fleet}/") }
    }

    /// Returns the beginning of all keys of the fleet.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the key of a node's presence.
    #[must_use]
    pub fn presence(&self, node: &Name) -> String {
        format!("{}nodes/{node}", self.prefix)
    }

    /// Returns the key of a member.
    #[must_use]
    pub fn member(&self, node: &Name) -> String {
        format!("{}members/{node}", self.prefix)
    }

    pub(super) fn current(&self) -> String {
        format!("{}current", self.prefix)
    }

    pub(super) fn document(&self, id: &str) -> String {
        format!("{}r/{id}", self.prefix)
    }

    pub(super) fn state(&self, id: &str) -> String {
        format!("{}r/{id}/state", self.prefix)
    }

    pub(super) fn slot(&self, id: &str, number: usize) -> String {
        format!("{}r/{id}/slot/{number}", self.prefix)
    }

    pub(super) fn outcome(&self, id: &str, direction: Direction, node: &Name) -> String {
        format!("{}r/{id}/{direction}/{node}", self.prefix)
    }

    pub(super) fn late(&self, id: &str, node: &Name) -> String {
        format!("{}r/{id}/late/{node}", self.prefix)
    }
}
