//! The file that outlives the daemon: its life, and a result that is not in etcd yet.

use std::fs;

use reld_fleet::ledger::{Outcome, Slot};
use reld_store::Root;
use serde::{Deserialize, Serialize};

/// The result of an order, for etcd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) rollout: String,
    pub(super) slot: Slot,
    pub(super) outcome: Outcome,
}

/// The content of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    /// The life of the last daemon that was connected. It holds no presence any more, because the
    /// root is locked.
    #[serde(default)]
    life: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<Part>,
}

/// The content of the file, in memory and on disk.
#[derive(Debug)]
pub(super) struct Kept {
    root: Root,
    content: Content,
}

impl Kept {
    /// Reads the file. An unreadable file counts as empty, because it must not keep the node out of
    /// its fleet: the ledger then judges the node by its permanent release.
    pub(super) fn read(root: Root) -> Self {
        let text = fs::read_to_string(root.fleet_file()).unwrap_or_default();
        Self { root, content: serde_json::from_str(&text).unwrap_or_default() }
    }

    pub(super) fn life(&self) -> &str {
        &self.content.life
    }

    pub(super) const fn result(&self) -> Option<&Part> {
        self.content.result.as_ref()
    }

    pub(super) fn set_life(&mut self, life: &str) {
        if self.content.life != life {
            life.clone_into(&mut self.content.life);
            self.write();
        }
    }

    pub(super) fn set_result(&mut self, result: Option<Part>) {
        if self.content.result != result {
            self.content.result = result;
            self.write();
        }
    }

    /// A result that cannot be written to disk is still in memory, and goes to etcd from there.
    fn write(&self) {
        let text = serde_json::to_string_pretty(&self.content).unwrap_or_default();
        if let Err(error) = self.root.replace(&self.root.fleet_file(), &text) {
            tracing::error!(name: "fleet.keep", %error, "cannot keep the node's part in the rollout on disk");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_outlives_the_daemon_and_nonsense_counts_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        let slot = r#"{"node":"n1","direction":"forward","tx":"t","life":"a","attempt":1,"since":"now"}"#;
        let outcome = r#"{"ending":"failed","tx":"t","at":"now"}"#;
        let result = Part {
            rollout: "shop".to_owned(),
            slot: serde_json::from_str(slot).unwrap(),
            outcome: serde_json::from_str(outcome).unwrap(),
        };
        let mut kept = Kept::read(root.clone());
        assert_eq!((kept.life(), kept.result()), ("", None));
        kept.set_life("a");
        kept.set_result(Some(result.clone()));
        let again = Kept::read(root.clone());
        assert_eq!((again.life(), again.result()), ("a", Some(&result)));
        kept.set_result(None);
        assert_eq!(Kept::read(root.clone()).result(), None);
        fs::write(root.fleet_file(), "{").unwrap();
        assert_eq!(Kept::read(root).life(), "");
    }
}
