//! The known damage of each release's files, for operators. Every check of the files updates this
//! record.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use reld_plan::Vsn;

use crate::lifecycle::StatusTable;
use crate::verify::Damage;

/// The damage that was found and not yet repaired. A clone is another handle to the same data.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<Vsn, Finding>>>);

/// The damage of one release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The release.
    pub version: Vsn,
    /// The first damaged file, with its damage and a remedy.
    pub first: String,
    /// The number of other damaged files among the checked ones.
    pub others: usize,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, first, others } = self;
        write!(f, "release {version} is damaged on disk: {first}")?;
        match others {
            0 => Ok(()),
            others => write!(f, "; `relctl verify {version}` lists {others} more"),
        }
    }
}

impl Health {
    /// Records the result of a check of a release's files.
    pub fn note(&self, version: &Vsn, damage: &[Damage]) {
        let mut findings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match damage {
            [] => drop(findings.remove(version)),
            [Damage { path, fault }, others @ ..] => {
                let first = format!("{} is {fault}; {}", path.display(), fault.remedy());
                let (version, others) = (version.clone(), others.len());
                findings.insert(version.clone(), Finding { version, first, others });
            }
        }
    }

    /// Returns the damage of the releases in a table.
    pub fn damaged(&self, table: &StatusTable) -> Vec<Finding> {
        let findings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        findings.values().filter(|finding| table.get(&finding.version).is_some()).cloned().collect()
    }
}
