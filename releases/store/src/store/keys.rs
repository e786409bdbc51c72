//! The keys of a node, and the change of keys that a committed release brings.

use std::mem;

use reld_plan::Vsn;
use reld_trust::{Key, Policy, Require, Ring};

use super::Store;
use crate::error::Error;
use crate::guard::ignored;
use crate::lifecycle::StatusTable;
use crate::verify;

impl Store {
    /// Returns the required signatures with the number of keys that have to sign, and the keys that
    /// may sign. If the policy cannot be read, these are the keys of releases.
    pub fn keys(&self) -> (Result<(Require, usize), Error>, Vec<Key>) {
        match self.guard.rules(&self.table) {
            Ok(rules) => {
                let Policy { require, threshold, .. } = rules.policy();
                (Ok((*require, (*threshold).max(1))), rules.ring().keys().to_vec())
            }
            Err(error) => (Err(error), Ring::new(Vec::new(), &self.table.keys).keys().to_vec()),
        }
    }

    /// Raises the floor to the serial of a release, and takes its keys over, into the table that
    /// makes it permanent. Returns a warning about the keys.
    ///
    /// An insufficiently signed release raises the floor only where nothing is required: its
    /// author could end its name with a high serial. If its signatures cannot be judged, the floor
    /// waits for the next boot.
    pub(super) fn take_over(&self, table: &mut StatusTable, vsn: &Vsn) -> Option<String> {
        if self.may_raise_floor(vsn).unwrap_or(false) {
            table.raise_floor(vsn);
        }
        self.take_keys(table, vsn)
    }

    fn may_raise_floor(&self, vsn: &Vsn) -> Result<bool, Error> {
        let rules = self.guard.rules(&self.table)?;
        if rules.policy().require == Require::Off {
            return Ok(true);
        }
        let head = verify::head(&self.root, self.release(vsn)?)?;
        Ok(rules.judge(&head).fault.is_none())
    }

    /// Takes the keys of a release over into the table that makes it permanent. Returns a warning
    /// if the keys are ignored or wait. A release brings its keys once: when the node goes back to
    /// it later, the keys of newer releases stay.
    ///
    /// | signatures of the release | keys |
    /// |---|---|
    /// | may change keys by the policy of this moment | taken over |
    /// | may not | ignored for good |
    /// | cannot be judged: policy or manifest cannot be read | wait for the next boot or commit |
    fn take_keys(&self, table: &mut StatusTable, vsn: &Vsn) -> Option<String> {
        let release = table.releases.iter_mut().find(|release| release.version == *vsn)?;
        if release.provenance.keys.is_empty() {
            return None;
        }
        match self.may_change_keys(vsn) {
            Ok(judged) => {
                let keys = mem::take(&mut release.provenance.keys);
                match judged {
                    Ok(()) => table.keys.take(vsn, &keys),
                    Err(why) => return Some(ignored(vsn, &why)),
                }
                None
            }
            Err(error) => Some(format!(
                "the keys of release {vsn} wait until its signatures can be judged: {error}; then repeat `relctl commit`"
            )),
        }
    }

    fn may_change_keys(&self, vsn: &Vsn) -> Result<Result<(), String>, Error> {
        let head = verify::head(&self.root, self.release(vsn)?)?;
        Ok(self.guard.rules(&self.table)?.change_keys(&self.table, &head))
    }
}
