//! The parts of the membership that all its threads use: the client of etcd, and the last look.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::SystemTime;

use anyhow::Context as _;
use parking_lot::Mutex;
use reld_etcd::{Client, Committed, KeyValue};
use reld_fleet::ledger::{self, Entry, Keys, Name, Txn, Unreadable, View};
use tokio::sync::oneshot;

use super::facts::Facts;
use super::link::Link;
use super::membership::Membership;
use crate::alarms::Alarms;

/// The number of attempts to write a change while others write too.
pub(super) const ATTEMPTS: usize = 10;

/// The parts of the membership that all threads use.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) membership: Membership,
    pub(super) keys: Keys,
    pub(super) client: Client,
    pub(super) alarms: Alarms,
    pub(super) wakes: Sender<Wake>,
    /// The revision of etcd at the last look.
    pub(super) revision: AtomicU64,
    pub(super) seen: Mutex<Seen>,
}

/// The knowledge of the agent, for requests of the API.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) link: Link,
    /// The members that are not connected, and the times since which this daemon misses them.
    pub(super) missing: BTreeMap<Name, SystemTime>,
}

/// A reason to look at once.
#[derive(Debug)]
pub(super) enum Wake {
    /// Keys have changed.
    Etcd,
    /// The state of the node has changed.
    Node(Facts),
    /// The order has ended.
    Ended,
    /// The daemon stops. The sender is answered when the presence has ended.
    Leave(oneshot::Sender<()>),
}

/// A look or a change failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// etcd did not answer, or refused.
    #[error(transparent)]
    Etcd(#[from] reld_etcd::Error),
    /// A key has no readable value.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Other changes came first, again and again.
    #[error("cannot change the fleet: other changes came first {ATTEMPTS} times; try again")]
    Contended,
    /// Another daemon has the name of this node.
    #[error(
        "cannot join the fleet as {node}: another daemon has this name since {since}; give this node another name \
         with `node`"
    )]
    Twice { node: Name, since: String },
    /// The thread of the fleet has panicked.
    #[error(
        "the daemon panicked in its work for the fleet; this is a bug in reld, and its log has the place"
    )]
    Panicked,
}

impl Shared {
    /// Reads all keys of the fleet.
    pub(super) fn look(&self) -> Result<(Vec<Entry>, View), Fault> {
        let range = self.client.range(self.keys.prefix())?;
        self.revision.store(range.revision, Ordering::Relaxed);
        let entries = of_etcd(range.keys);
        let view = View::read(self.keys.clone(), &entries)?;
        Ok((entries, view))
    }

    pub(super) fn write(&self, txn: &Txn) -> Result<Committed, reld_etcd::Error> {
        self.client.txn(&in_etcd(txn))
    }
}

/// Returns whether all values of a transaction are there, and all deleted keys are absent. Each
/// change of a rollout has a value of its own, so the values are those of no other change.
pub(super) fn is_written(txn: &Txn, entries: &[Entry]) -> bool {
    let is_there =
        |put: &ledger::Put| entries.iter().any(|entry| entry.key == put.key && entry.value == put.value);
    let is_gone = |delete: &ledger::Delete| match delete {
        ledger::Delete::Key(key) => entries.iter().all(|entry| entry.key != *key),
        ledger::Delete::Below(prefix) => !entries.iter().any(|entry| entry.key.starts_with(prefix)),
    };
    let is_empty = txn.puts.is_empty() && txn.deletes.is_empty();
    !is_empty && txn.puts.iter().all(is_there) && txn.deletes.iter().all(is_gone)
}

/// Translates keys of etcd.
pub(super) fn of_etcd(keys: Vec<KeyValue>) -> Vec<Entry> {
    let entry = |kv: KeyValue| Entry { key: kv.key, value: kv.value, revision: kv.mod_revision };
    keys.into_iter().map(entry).collect()
}

/// Translates a transaction of the ledger.
pub(super) fn in_etcd(txn: &Txn) -> reld_etcd::Txn {
    use reld_etcd::{Compare, Delete, Put};
    let compare = |compare: &ledger::Compare| Compare::at(&*compare.key, compare.revision);
    let put = |put: &ledger::Put| Put { key: put.key.clone(), value: put.value.clone(), lease: None };
    let delete = |delete: &ledger::Delete| match delete {
        ledger::Delete::Key(key) => Delete::Key(key.clone()),
        ledger::Delete::Below(prefix) => Delete::Below(prefix.clone()),
    };
    reld_etcd::Txn {
        compares: txn.compares.iter().map(compare).collect(),
        puts: txn.puts.iter().map(put).collect(),
        deletes: txn.deletes.iter().map(delete).collect(),
    }
}

/// Returns a random name.
pub(super) fn random_name() -> anyhow::Result<String> {
    let name = fs::read_to_string("/proc/sys/kernel/random/uuid").context("cannot make a random name")?;
    Ok(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_written_if_its_values_are_there_and_its_deleted_keys_are_not() {
        let entry = |key: &str| Entry { key: key.to_owned(), value: "v".to_owned(), revision: 1 };
        let keys = [entry("a"), entry("b/1")];
        let is_written = |txn: Txn| is_written(&txn, &keys);
        assert!(!is_written(Txn::default().when("a", 1)), "it changes nothing");
        assert!(is_written(Txn::default().put("a", "v")));
        assert!(!is_written(Txn::default().put("a", "w")));
        assert!(is_written(Txn::default().delete("c").delete_below("d/")));
        assert!(!is_written(Txn::default().delete("a")), "the removal of a node was not written");
        assert!(!is_written(Txn::default().put("a", "v").delete_below("b/")));
    }
}
