//! Places of a state that are left out on the way down.

use std::fmt;

use serde::Serialize;

/// Places of a state that only the version left has, spelled as the SDK's `GenServer::DROPPED`
/// spells them: the node cuts them out before the older version reads it. Going up there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Dropped(pub Vec<String>);

impl Dropped {
    /// Returns whether nothing is left out.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Prints `, drops ..` behind what is done; nothing where there are none.
impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<_> = self.0.iter().map(|place| format!("`{place}`")).collect();
        if places.is_empty() { Ok(()) } else { write!(f, ", drops {}", places.join(" ")) }
    }
}
