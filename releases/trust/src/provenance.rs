//! The record of a release about its origin.

use serde::{Deserialize, Serialize};

use crate::change::KeyChange;

/// The serial and the signatures of a release, and the keys that it brings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Its serial; 0 if it has none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub serial: u64,
    /// The names of the keys with a valid signature when it was unpacked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signed_by: Vec<String>,
    /// The floor that an operator has waived for it; 0 if none. A later, higher floor counts again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waived_floor: u64,
    /// The change of keys that its commit makes, if the node then still trusts it; empty after the
    /// commit.
    #[serde(default, skip_serializing_if = "KeyChange::is_empty")]
    pub keys: KeyChange,
}

impl Provenance {
    /// Returns whether the release has neither a serial nor signatures.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

// The signature that serde's `skip_serializing_if` requires.
fn is_zero(serial: &u64) -> bool {
    *serial == 0
}
