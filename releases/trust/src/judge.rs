//! The judgement about the signatures of a release.

use std::collections::BTreeMap;

use crate::claim::Claim;
use crate::key::{Key, KeyId};
use crate::ring::{Ring, Standing};
use crate::seal::{BadSeal, Block, Seal};

/// The signed parts of a release.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The bytes of its `manifest.toml`.
    pub manifest: &'a [u8],
    /// The claim that follows from the manifest.
    pub claim: &'a Claim,
    /// The text of its `manifest.toml.minisig`, if there is one.
    pub seal: Option<&'a str>,
}

/// The judgement about a release.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// The names of the keys with a valid signature.
    pub signed_by: Vec<String>,
    /// Whether keys without limits alone would be sufficient. Only then the release may change the
    /// keys of a node: else a key could bring another one that has no limits.
    pub may_change_keys: bool,
    /// The reason why the signatures are not sufficient.
    pub fault: Option<Fault>,
}

/// The reason why the signatures of a release are not sufficient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It has no signature.
    #[error("it has no signature; sign it with `relctl sign`")]
    Unsigned,
    /// Its signatures cannot be read.
    #[error(transparent)]
    BadSeal(#[from] BadSeal),
    /// A key is unknown.
    #[error("it is signed with key {0}, which this node does not know")]
    UnknownKey(KeyId),
    /// A key is retired.
    #[error("it is signed with key {0}, which a later release has retired")]
    Retired(KeyId),
    /// A signature belongs to other bytes, or its trusted comment was changed.
    #[error("the signature of key {key} is not a signature of its manifest.toml with this trusted comment")]
    NotGenuine {
        /// The name of the key.
        key: String,
    },
    /// A genuine signature of another claim.
    #[error("the trusted comment of key {key} is {found:?}, but its manifest.toml needs {expected:?}")]
    OtherClaim {
        /// The name of the key.
        key: String,
        /// The trusted comment.
        found: String,
        /// The claim of the manifest.
        expected: String,
    },
    /// The key may not sign releases of this name.
    #[error("key {key} may not sign releases of the name {name}")]
    OtherName {
        /// The name of the key.
        key: String,
        /// The name of the release.
        name: String,
    },
    /// The key has ended.
    #[error("key {key} may sign up to serial {last}, and it has serial {serial}")]
    Ended {
        /// The name of the key.
        key: String,
        /// The last serial of the key.
        last: u64,
        /// The serial of the release.
        serial: u64,
    },
    /// Too few keys have signed.
    #[error("it is signed with {}, but {threshold} keys have to sign; missing: {}", listed(.by), missing.join(", "))]
    TooFew {
        /// The names of the keys that have signed.
        by: Vec<String>,
        /// The required number.
        threshold: usize,
        /// The names of the keys that may sign this release and have not.
        missing: Vec<String>,
    },
}

fn listed(by: &[String]) -> String {
    if by.is_empty() { "no key of this node".to_owned() } else { by.join(", ") }
}

/// Judges the signatures of a release.
///
/// | signatures | verdict |
/// |---|---|
/// | none, or a block that cannot be read | fault |
/// | fewer valid ones than the threshold, and one with a fault | its fault |
/// | fewer valid ones than the threshold | too few, with the missing keys |
/// | as many valid ones as the threshold, and others | sufficient: a key may come or go |
///
/// A signature is valid if its key is present, may sign this release, and has signed exactly these
/// bytes with exactly this claim.
pub fn judge(ring: &Ring, threshold: usize, signed: Signed<'_>) -> Verdict {
    let Some(text) = signed.seal else { return Verdict::of(Fault::Unsigned) };
    let seal = match Seal::parse(text) {
        Ok(seal) => seal,
        Err(bad) => return Verdict::of(bad.into()),
    };
    let looks = seal.blocks().iter().map(|block| look(ring, block, signed));
    let (valid, faults): (Vec<_>, Vec<_>) = looks.partition(Result::is_ok);
    // By number: two signatures of one key count once.
    let valid: BTreeMap<KeyId, &Key> = valid.into_iter().flatten().map(|key| (key.id, key)).collect();
    let signed_by: Vec<String> = valid.values().map(|key| key.name.clone()).collect();
    let threshold = threshold.max(1);
    if valid.len() >= threshold {
        let free = valid.values().filter(|key| key.limits.is_empty()).count();
        return Verdict { signed_by, may_change_keys: free >= threshold, fault: None };
    }
    let too_few = || {
        let may = |key: &&Key| key.is_for(signed.claim) && !key.has_ended(signed.claim);
        let missing = ring.keys().iter().filter(may).filter(|key| !valid.contains_key(&key.id));
        let missing = missing.map(|key| key.name.clone()).collect();
        Fault::TooFew { by: signed_by.clone(), threshold, missing }
    };
    let fault = faults.into_iter().find_map(Result::err).unwrap_or_else(too_few);
    Verdict { signed_by, may_change_keys: false, fault: Some(fault) }
}

impl Verdict {
    fn of(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }
}

fn look<'a>(ring: &'a Ring, block: &Block, signed: Signed<'_>) -> Result<&'a Key, Fault> {
    let key = match ring.standing(block.by) {
        Standing::Present(key) => key,
        Standing::Retired => return Err(Fault::Retired(block.by)),
        Standing::Unknown => return Err(Fault::UnknownKey(block.by)),
    };
    let name = || key.name.clone();
    if !key.has_signed(signed.manifest, &block.signature) {
        return Err(Fault::NotGenuine { key: name() });
    }
    let (found, expected) = (block.signature.trusted_comment(), signed.claim.to_string());
    if found != expected {
        return Err(Fault::OtherClaim { key: name(), found: found.to_owned(), expected });
    }
    if !key.is_for(signed.claim) {
        return Err(Fault::OtherName { key: name(), name: signed.claim.name.to_string() });
    }
    match key.limits.not_after {
        Some(last) if key.has_ended(signed.claim) => {
            Err(Fault::Ended { key: name(), last, serial: signed.claim.serial })
        }
        _ => Ok(key),
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
