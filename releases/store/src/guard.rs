//! The guard at the door of a node: which releases may be unpacked and installed.
//!
//! | release | unpack | install |
//! |---|---|---|
//! | its signatures are not sufficient | by the policy: refused, a warning, or accepted | as unpack |
//! | its serial is below the floor | refused, unless the floor is ignored | refused, unless that floor was ignored |
//! | it was permanent on this node | accepted with a warning: its files are repaired | accepted: the way back stays open. A rollout of a fleet installs it as a new one |
//! | the node goes back to it after a failure | | not asked |

use reld_plan::Vsn;
use reld_trust::{Policy, PolicyFile, Ring, Verdict};

use crate::error::Error;
use crate::fault::Fault;
use crate::lifecycle::{KnownRelease, StatusTable};
use crate::manifest::Manifest;
use crate::package::Head;

/// The place of a node's policy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guard {
    /// The `trust.toml`; without one, nothing is required.
    pub(crate) file: Option<PolicyFile>,
}

/// The rules for one decision.
#[derive(Debug)]
pub(crate) struct Rules {
    policy: Policy,
    ring: Ring,
}

/// An accepted release.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// The judgement about its signatures.
    pub(crate) verdict: Verdict,
    /// The floor that is waived for it; 0 if none.
    pub(crate) waived_floor: u64,
    /// Warnings for the operator.
    pub(crate) warnings: Vec<String>,
}

impl Guard {
    /// Reads the policy.
    ///
    /// # Errors
    /// [`Error::Policy`]: a node with an unreadable policy accepts no release.
    pub(crate) fn rules(&self, table: &StatusTable) -> Result<Rules, Error> {
        let policy = self.file.as_ref().map(|file| file.read(&table.keys)).transpose()?.unwrap_or_default();
        let ring = Ring::new(policy.keys.clone(), &table.keys);
        Ok(Rules { policy, ring })
    }
}

impl Rules {
    /// Returns the keys that may sign.
    pub(crate) const fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Returns the policy.
    pub(crate) const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Judges the signatures of a release.
    pub(crate) fn judge(&self, head: &Head) -> Verdict {
        head.judge(&self.ring, self.policy.threshold)
    }

    /// Decides whether a release may be unpacked. `known` is the same release, if the node has it.
    pub(crate) fn unpack(
        &self,
        table: &StatusTable,
        head: &Head,
        known: Option<&KnownRelease>,
        ignores_floor: bool,
    ) -> Result<Accepted, Fault> {
        let verdict = self.judge(head);
        let was_permanent = known.is_some_and(KnownRelease::was_permanent);
        let warnings = match self.signatures(&verdict) {
            Err(fault) if was_permanent => vec![distrusted(&fault)],
            warnings => warnings?,
        };
        let manifest = &head.manifest;
        let mut waived_floor = 0;
        if !was_permanent && let Some(floor) = floor_above(table, manifest) {
            if !ignores_floor {
                return Err(below(manifest, floor));
            }
            waived_floor = floor;
        }
        Ok(Accepted { verdict, waived_floor, warnings })
    }

    /// Decides whether a known release may be installed, whether it was permanent or not. `head` is
    /// read from its folder.
    pub(crate) fn install(
        &self,
        table: &StatusTable,
        release: &KnownRelease,
        head: &Head,
    ) -> Result<Vec<String>, Fault> {
        let mut warnings = self.signatures(&self.judge(head))?;
        let Some(floor) = floor_above(table, &head.manifest) else { return Ok(warnings) };
        let below = below(&head.manifest, floor);
        if release.provenance.waived_floor < floor {
            return Err(below);
        }
        warnings.push(format!("release {}: {below}, as it was unpacked", release.version));
        Ok(warnings)
    }

    /// Decides whether a release may change the keys of the node. The commit asks, because the
    /// policy may have changed since the unpack.
    ///
    /// # Errors
    /// The reason why its keys are ignored.
    pub(crate) fn change_keys(&self, table: &StatusTable, head: &Head) -> Result<(), String> {
        // An old release may bring keys that were lost since.
        if let Some(floor) = floor_above(table, &head.manifest) {
            return Err(below(&head.manifest, floor).to_string());
        }
        match self.judge(head) {
            Verdict { fault: Some(fault), .. } => Err(fault.to_string()),
            Verdict { may_change_keys: false, .. } => {
                Err("too few keys without limits have signed it".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Refuses insufficient signatures, or returns a warning about them.
    fn signatures(&self, verdict: &Verdict) -> Result<Vec<String>, Fault> {
        match (self.policy.refuses(verdict), self.policy.warns(verdict)) {
            (Some(fault), _) => Err(Fault::Untrusted(fault.clone())),
            (None, Some(fault)) => Ok(vec![distrusted(fault)]),
            (None, None) => Ok(Vec::new()),
        }
    }
}

/// Returns the warning about keys that a release does not bring.
pub(crate) fn ignored(vsn: &Vsn, why: &str) -> String {
    format!("the keys of release {vsn} are ignored: {why}")
}

/// Returns the warning about a release that is accepted although the policy would refuse it.
pub(crate) fn distrusted(why: &impl std::fmt::Display) -> String {
    format!("the release is not trusted: {why}")
}

/// Returns the floor of a release if its serial is lower.
fn floor_above(table: &StatusTable, manifest: &Manifest) -> Option<u64> {
    Some(table.floor(&manifest.name)).filter(|floor| manifest.serial < *floor)
}

fn below(manifest: &Manifest, floor: u64) -> Fault {
    Fault::OlderThanFloor { name: manifest.name.clone(), serial: manifest.serial, floor }
}

#[cfg(test)]
mod broken_test;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod hostile_test;
#[cfg(test)]
mod tests;
