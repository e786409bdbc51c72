//! Places of a state that are dropped in a downgrade.

use std::fmt;

use serde::Serialize;

/// Places of a state that only the source version has, in the notation of the SDK's
/// `GenServer::DROPPED`: the node removes them before the older version reads the state. Empty in
/// an upgrade.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Dropped(pub Vec<String>);

impl Dropped {
    /// Returns whether no place is dropped.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Prints `, drops ..` after an action; prints nothing if no place is dropped.
impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<_> = self.0.iter().map(|place| format!("`{place}`")).collect();
        if places.is_empty() { Ok(()) } else { write!(f, ", drops {}", places.join(" ")) }
    }
}
