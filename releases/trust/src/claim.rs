//! The statement of a signature about a release.

use std::fmt;

use reld_plan::{AppName, Vsn};

/// The name, version, serial and identity of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The name of the release.
    pub name: AppName,
    /// Its version.
    pub version: Vsn,
    /// Its serial, which orders the releases of a name; 0 if its `release.toml` has none.
    pub serial: u64,
    /// Its identity: the digest over the list of its files.
    pub identity: String,
}

/// Prints the trusted comment of a signature.
impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, serial, identity } = self;
        write!(f, "reld {name} {version} serial={serial} identity={identity}")
    }
}
