//! A consistent look at all keys of a fleet.

use std::collections::{BTreeMap, BTreeSet};

use reld_plan::Rollout;
use serde::de::DeserializeOwned;

use super::direction::Direction;
use super::document::{Document, Ending, Member, Outcome, Presence, Slot, Standing};
use super::keys::{Keys, Name};
use super::txn::Entry;
use crate::next::State;
use crate::policy::Policy;

/// A key with a value that this version of reld cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the key {key} in etcd: {why}; if a newer reld wrote it, upgrade this daemon")]
pub struct Unreadable {
    /// The key.
    pub key: String,
    /// The fault.
    pub why: String,
}

/// A value and the revision of its last write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen<T> {
    /// The value.
    pub value: T,
    /// The revision.
    pub revision: u64,
}

/// The state of a fleet at one revision of etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub(super) keys: Keys,
    /// The revision of the key that names the current rollout, or 0.
    pub(super) current: u64,
    /// The current rollout.
    pub rollout: Option<Run>,
    /// The nodes that are connected.
    pub presences: BTreeMap<Name, Presence>,
    /// The nodes that have joined the fleet.
    pub members: BTreeMap<Name, Member>,
}

/// A rollout, with everything that its nodes have written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The id.
    pub id: String,
    /// The document.
    pub document: Document,
    /// The document's `rollout.toml`.
    pub rollout: Rollout,
    /// The state.
    pub standing: Seen<Standing>,
    /// The slots that are held, by their number.
    pub slots: BTreeMap<usize, Seen<Slot>>,
    /// The results of the way forward.
    pub forward: BTreeMap<Name, Seen<Outcome>>,
    /// The results of the way back.
    pub back: BTreeMap<Name, Seen<Outcome>>,
    /// The results of nodes that had lost their slot.
    pub late: BTreeMap<Name, Seen<Outcome>>,
}

impl View {
    /// Reads the keys of a fleet. All entries are of one revision of etcd.
    ///
    /// # Errors
    /// A key of this ledger has a value that is no document of it.
    pub fn read(keys: Keys, entries: &[Entry]) -> Result<Self, Unreadable> {
        let below = |part: &str| format!("{}{part}/", keys.prefix());
        let presences = plain(table(entries, &below("nodes"))?);
        let members = plain(table(entries, &below("members"))?);
        let current = entries.iter().find(|entry| entry.key == keys.current());
        let rollout = current.map(|entry| Run::read(&keys, entries, &entry.value)).transpose()?;
        let current = current.map_or(0, |entry| entry.revision);
        Ok(Self { keys, current, rollout, presences, members })
    }

    /// Returns the keys of the fleet.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Returns the nodes of the current rollout's direction, in the order of their moves, with
    /// their states. The first line that holds decides:
    ///
    /// | the node | state |
    /// |---|---|
    /// | was left out by an operator | skipped |
    /// | holds a slot | busy, even if it is not connected |
    /// | has failed in this direction | failed |
    /// | is not connected | missing |
    /// | has reached the goal of this direction | committed |
    /// | otherwise | waits |
    ///
    /// The nodes of the way back are those that the rollout has moved, the last one first.
    #[must_use]
    pub fn lineup(&self) -> Vec<(&Name, State)> {
        let Some(run) = &self.rollout else { return Vec::new() };
        let names = match run.standing.value.direction {
            Direction::Forward => run.document.members.iter().collect(),
            Direction::Back => run.moved(),
        };
        names.into_iter().map(|node| (node, self.state(run, node))).collect()
    }

    fn state(&self, run: &Run, node: &Name) -> State {
        let ending = run.outcome(node).map(|outcome| outcome.ending);
        if run.standing.value.skipped.contains_key(node) {
            State::Skipped
        } else if run.slot_of(node).is_some() {
            State::Busy
        } else if ending.is_some_and(Ending::is_failure) {
            State::Failed
        } else if !self.presences.contains_key(node) {
            State::Missing
        } else {
            ending.map_or(State::Waiting, |_| State::Committed)
        }
    }
}

impl Run {
    fn read(keys: &Keys, entries: &[Entry], id: &str) -> Result<Self, Unreadable> {
        let key = keys.document(id);
        let document: Document = one(entries, &key)?.value;
        let rollout = Rollout::parse("rollout.toml", &document.policy)
            .map_err(|fault| Unreadable { key, why: fault.to_string() })?;
        let below = |part: &str| format!("{}/{part}/", keys.document(id));
        Ok(Self {
            id: id.to_owned(),
            document,
            rollout,
            standing: one(entries, &keys.state(id))?,
            slots: table(entries, &below("slot"))?,
            forward: table(entries, &below("forward"))?,
            back: table(entries, &below("back"))?,
            late: table(entries, &below("late"))?,
        })
    }

    /// Returns the rules of the present direction.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let policy = Policy::from(&self.rollout);
        match self.standing.value.direction {
            Direction::Forward => policy,
            Direction::Back => policy.back(),
        }
    }

    /// Returns the result of a node in the present direction.
    #[must_use]
    pub fn outcome(&self, node: &Name) -> Option<&Outcome> {
        self.outcomes(self.standing.value.direction).get(node).map(|seen| &seen.value)
    }

    /// Returns the results of a direction.
    #[must_use]
    pub const fn outcomes(&self, direction: Direction) -> &BTreeMap<Name, Seen<Outcome>> {
        match direction {
            Direction::Forward => &self.forward,
            Direction::Back => &self.back,
        }
    }

    /// Returns the slot of a node, with its number.
    #[must_use]
    pub fn slot_of(&self, node: &Name) -> Option<(usize, &Slot)> {
        let (number, seen) = self.slots.iter().find(|(_, seen)| seen.value.node == *node)?;
        Some((*number, &seen.value))
    }

    /// Returns the nodes that the rollout has moved or is moving, the last one first.
    #[must_use]
    pub fn moved(&self) -> Vec<&Name> {
        let has_moved = |Outcome { ending, direction, .. }: &Outcome| {
            *direction == Direction::Forward && ending.has_moved()
        };
        let is_under_way = |seen: &&Seen<Slot>| seen.value.direction == Direction::Forward;
        // A late result is that of a node which has none in time.
        let ended = self.forward.iter().chain(&self.late).filter(|(_, seen)| has_moved(&seen.value));
        let ended = ended.map(|(node, seen)| (seen.revision, node));
        let under_way =
            self.slots.values().filter(is_under_way).map(|seen| (seen.revision, &seen.value.node));
        let mut nodes: Vec<_> = ended.chain(under_way).collect();
        nodes.sort_by(|one, other| other.cmp(one));
        let mut nodes: Vec<_> = nodes.into_iter().map(|(_, node)| node).collect();
        let mut known = BTreeSet::new();
        nodes.retain(|node| known.insert(*node));
        nodes
    }
}

fn plain<T>(table: BTreeMap<Name, Seen<T>>) -> BTreeMap<Name, T> {
    table.into_iter().map(|(name, seen)| (name, seen.value)).collect()
}

/// Reads the documents below a prefix, by the last segments of their keys.
fn table<K, T>(entries: &[Entry], prefix: &str) -> Result<BTreeMap<K, Seen<T>>, Unreadable>
where
    K: std::str::FromStr<Err: std::fmt::Display> + Ord,
    T: DeserializeOwned,
{
    let named = entries.iter().filter_map(|entry| Some((entry.key.strip_prefix(prefix)?, entry)));
    named
        .map(|(name, entry)| {
            let fault = |why: String| Unreadable { key: entry.key.clone(), why };
            Ok((name.parse::<K>().map_err(|why| fault(why.to_string()))?, seen(entry)?))
        })
        .collect()
}

fn one<T: DeserializeOwned>(entries: &[Entry], key: &str) -> Result<Seen<T>, Unreadable> {
    let absent = || Unreadable { key: key.to_owned(), why: "it is missing".to_owned() };
    seen(entries.iter().find(|entry| entry.key == key).ok_or_else(absent)?)
}

fn seen<T: DeserializeOwned>(entry: &Entry) -> Result<Seen<T>, Unreadable> {
    let fault = |fault: serde_json::Error| Unreadable { key: entry.key.clone(), why: fault.to_string() };
    Ok(Seen { value: serde_json::from_str(&entry.value).map_err(fault)?, revision: entry.revision })
}
