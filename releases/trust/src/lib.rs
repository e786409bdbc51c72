//! Decides whether the signatures of a release satisfy the policy of a node.
//!
//! A signature is one of minisign over the bytes of `manifest.toml`, which has the digest of every
//! file. A tarball has the signatures in its second entry, `manifest.toml.minisig`: the files
//! behind it are verified while they stream. The trusted comment of a signature repeats the
//! [`Claim`] of the manifest, so a person sees the signed release in the output of minisign.
//!
//! ```text
//! /etc/reld/trust.toml      the policy                          belongs to the administrator
//! /etc/reld/keys.d/*.pub    keys, as minisign writes them       belong to the administrator
//! ROOT/releases/RELEASES.toml   keys that releases have brought, and the floors
//! ```
//!
//! The crate reads the policy and its keys. Apart from that it is pure. The store asks it before it
//! unpacks a tarball, and the release handler asks it before each install.

mod change;
mod claim;
mod floor;
mod judge;
mod key;
mod policy;
mod provenance;
mod ring;
mod seal;

pub use change::{KEYS, KeyChange, NewKey};
pub use claim::Claim;
pub use floor::Floor;
pub use judge::{Fault, Signed, Verdict, judge};
pub use key::{BadKey, Key, KeyId, KeyLine, Limits};
pub use policy::{Policy, PolicyError, PolicyFile, Require, check_owner};
pub use provenance::Provenance;
pub use ring::{BroughtKey, Keys, Ring};
pub use seal::{BadSeal, SEAL, SEAL_SIZE_MAX, Seal};
