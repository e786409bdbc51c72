//! Meetings: nodes agree in etcd that all of them switch, or none. OTP: `sync_nodes`.
//!
//! ```text
//!            all nodes have        all nodes have
//!            `prepared`            `ready`
//! join ----------------> convert ----------------> decision = go ---> all switch
//!   |  no process is held   | processes are held
//!   +-----------------------+--------------------> decision = no ---> all go back
//!      a failed or late node
//! ```
//!
//! | key below the meeting | value | written |
//! |---|---|---|
//! | `round` | the number and the nodes of the latest round | when the former round is decided |
//! | `R/prepared/N` | the attempt of node N | once |
//! | `R/ready/N` | the same | once |
//! | `R/decision` | `go` or `no`, by which node, and the reason | once |
//! | `R/gone/N` | the same as in `prepared` | once, after the node's switch |
//!
//! Every key of a round is written once, by a transaction that compares its absence. The decision
//! is therefore the first one, for every node. A `go` also compares all `ready` keys. Each write
//! compares a key that ends with its round, so that a late one brings no old round back.
//!
//! A node votes once in a round: if it comes again, it ends the undecided round with a `no`. The
//! next round begins by a transaction that compares the former decision. A node that voted `ready`
//! and then lost etcd or its life is in doubt: it goes back. If the decision was `go`, its next
//! attempt follows the others without a meeting.

mod record;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use reld_plan::Mode;
use serde_json::Value;

pub use self::record::{Decision, Verdict};
use self::record::{Record, Round};
use crate::ledger::{Entry, Keys, Name, Txn, Unreadable};

/// The most nodes of a meeting: a decision compares one key of each node, and one of its own. etcd:
/// `max-txn-ops` is 128.
pub const NODES_MAX: usize = 127;

/// A meeting, as one attempt of one node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    prefix: String,
    node: Name,
    /// Sorted, with the node itself.
    nodes: Vec<Name>,
    attempt: String,
}

/// The reason why no meeting of these nodes is possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoMeeting {
    /// The node is not one of the nodes.
    #[error("node {0} is not one of the nodes that meet")]
    Uninvited(Name),
    /// There are too many nodes.
    #[error("{0} nodes cannot meet; at most {NODES_MAX} can")]
    TooMany(usize),
}

/// The next step before the processes are held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joining {
    /// Write this, and look again, however the write ended.
    Write(Txn),
    /// These nodes are missing. Look again when they have written, or refuse.
    Missing(Vec<Name>),
    /// All nodes are there, in the round of this number.
    Met(u64),
    /// The other nodes have switched in this round. The node follows them without a meeting.
    Follow(u64),
    /// The round was refused.
    Refused(Decision),
}

/// The next step while the processes are held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deciding {
    /// Write this, and look again, however the write ended.
    Write(Txn),
    /// These nodes are not ready. Look again when they have written, or refuse.
    Missing(Vec<Name>),
    /// Switch.
    Go,
    /// Go back.
    No(Decision),
    /// Two later rounds have begun, so the decision of this one is no longer kept.
    Over,
}

impl Meeting {
    /// Returns the meeting with this id, of the upgrade to a release in one direction.
    ///
    /// `attempt` is a name that no other attempt of the node has.
    ///
    /// # Errors
    /// These nodes cannot meet.
    pub fn new(
        keys: &Keys,
        (identity, mode, id): (&str, Mode, &Value),
        node: Name,
        nodes: &[Name],
        attempt: String,
    ) -> Result<Self, NoMeeting> {
        let mut nodes = nodes.to_vec();
        nodes.sort();
        nodes.dedup();
        match nodes.len() {
            _ if !nodes.contains(&node) => Err(NoMeeting::Uninvited(node)),
            count if count > NODES_MAX => Err(NoMeeting::TooMany(count)),
            _ => {
                // The JSON of an id is followed by a slash, so no key of one id is one of another.
                let prefix = format!("{}sync/{identity}/{}/{id}/", keys.prefix(), mode.as_str());
                Ok(Self { prefix, node, nodes, attempt })
            }
        }
    }

    /// Returns the beginning of all keys of the meeting. Read them at one revision for every step.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the nodes, sorted.
    #[must_use]
    pub fn nodes(&self) -> &[Name] {
        &self.nodes
    }

    /// Decides the next step before the processes are held. The first line that holds decides:
    ///
    /// | the meeting | step |
    /// |---|---|
    /// | this attempt has joined a round, and it was refused | refused |
    /// | this attempt has joined a round, and all nodes have | met |
    /// | this attempt has joined a round | wait for the others |
    /// | there is no round | begin the first one, and join it |
    /// | the latest round is a `go`, and this node has not gone with it | follow |
    /// | the latest round is decided | begin the next one, and join it |
    /// | another attempt of this node has joined the latest round | refuse it |
    /// | the latest round has other nodes | refuse it |
    /// | otherwise | join the latest round |
    ///
    /// # Errors
    /// A key has a value that is none of this protocol.
    pub fn join(&self, entries: &[Entry]) -> Result<Joining, Unreadable> {
        let record = Record::read(&self.prefix, entries)?;
        if let Some(round) = record.rounds().find(|round| round.prepared.is_by(&self.node, &self.attempt)) {
            return Ok(match &round.decision {
                Some(decision) if decision.verdict == Verdict::No => Joining::Refused(decision.clone()),
                _ => match round.prepared.missing(&self.nodes) {
                    missing if missing.is_empty() => Joining::Met(round.number),
                    missing => Joining::Missing(missing),
                },
            });
        }
        let Some((latest, nodes)) = record.latest() else {
            return Ok(Joining::Write(self.begin(1, Txn::default().when(self.round(), 0))));
        };
        let number = latest.number;
        Ok(match &latest.decision {
            Some(Decision { verdict: Verdict::Go, .. })
                if nodes.contains(&self.node) && !latest.gone.contains(&self.node) =>
            {
                Joining::Follow(number)
            }
            Some(_) => {
                let former = Txn::default()
                    .when(self.round(), record.revision)
                    .when(self.decision(number), latest.decided);
                // A node in doubt may still look for the decision of the former round.
                let former = match number.checked_sub(1) {
                    None | Some(0) => former,
                    Some(earlier) => former.delete_below(format!("{}{earlier}/", self.prefix)),
                };
                Joining::Write(self.begin(number + 1, former))
            }
            None if latest.prepared.contains(&self.node) => {
                Joining::Write(self.no(&record, number, "it has begun anew"))
            }
            None if nodes != self.nodes => {
                let why = format!("it meets {}, and not {}", names(&self.nodes), names(nodes));
                Joining::Write(self.no(&record, number, &why))
            }
            None => {
                let joined = self.key(number, "prepared");
                let open = self.open(&record, number).when(joined.clone(), 0);
                Joining::Write(open.put(joined, self.attempt.clone()))
            }
        })
    }

    /// Decides the next step while the processes are held. The first line that holds decides:
    ///
    /// | the round | step |
    /// |---|---|
    /// | has no keys any more | it is over |
    /// | is decided | go, or go back |
    /// | this node has not written `ready`, all others have | write it, and `go` |
    /// | this node has not written `ready` | write it |
    /// | all nodes have written `ready` | write `go` |
    /// | otherwise | wait for the others |
    ///
    /// # Errors
    /// A key has a value that is none of this protocol.
    pub fn decide(&self, number: u64, entries: &[Entry]) -> Result<Deciding, Unreadable> {
        let record = Record::read(&self.prefix, entries)?;
        let Some(round) = record.rounds().find(|round| round.number == number) else {
            return Ok(Deciding::Over);
        };
        if let Some(decision) = &round.decision {
            return Ok(match decision.verdict {
                Verdict::Go => Deciding::Go,
                Verdict::No => Deciding::No(decision.clone()),
            });
        }
        let missing = round.ready.missing(&self.nodes);
        let ready = self.key(number, "ready");
        let vote = || self.open(&record, number).put(ready.clone(), self.attempt.clone());
        Ok(match &missing[..] {
            // The number of comparisons is limited, and the `ready` keys end with the round.
            [] => Deciding::Write(self.go(round, Txn::default().when(self.decision(number), 0))),
            [node] if *node == self.node => Deciding::Write(self.go(round, vote())),
            _ if missing.contains(&self.node) => Deciding::Write(vote().when(ready.clone(), 0)),
            _ => Deciding::Missing(missing),
        })
    }

    /// Returns the refusal of the round that waits for this node, joined or not; `None` if there is
    /// none.
    ///
    /// # Errors
    /// A key has a value that is none of this protocol.
    pub fn refuse(&self, why: &str, entries: &[Entry]) -> Result<Option<Txn>, Unreadable> {
        let record = Record::read(&self.prefix, entries)?;
        let waits =
            |(round, nodes): &(&Round, &[Name])| round.decision.is_none() && nodes.contains(&self.node);
        let open = record.latest().filter(waits);
        Ok(open.map(|(round, _)| self.no(&record, round.number, why)))
    }

    /// Returns the record that this node has switched in a round; `None` if it is there, or if a
    /// later round has begun, for which it has no meaning.
    ///
    /// # Errors
    /// A key has a value that is none of this protocol.
    pub fn gone(&self, number: u64, entries: &[Entry]) -> Result<Option<Txn>, Unreadable> {
        let record = Record::read(&self.prefix, entries)?;
        let round = record.latest().filter(|(round, _)| round.number == number);
        let is_missing = round.is_some_and(|(round, _)| !round.gone.contains(&self.node));
        let gone = self.key(number, "gone");
        let txn = Txn::default().when(self.round(), record.revision).put(gone, self.attempt.clone());
        Ok(is_missing.then_some(txn))
    }

    fn begin(&self, number: u64, former: Txn) -> Txn {
        let round = record::round(number, &self.nodes);
        former.put(self.round(), round).put(self.key(number, "prepared"), self.attempt.clone())
    }

    /// Adds the decision `go`, which compares the `ready` keys that are there.
    fn go(&self, round: &Round, txn: Txn) -> Txn {
        let decision = Decision { verdict: Verdict::Go, by: self.node.clone(), why: None };
        let votes = round.ready.revisions();
        let compared = votes.fold(txn, |txn, (node, revision)| {
            txn.when(format!("{}{}/ready/{node}", self.prefix, round.number), revision)
        });
        compared.put(self.decision(round.number), decision.to_json())
    }

    fn no(&self, record: &Record, number: u64, why: &str) -> Txn {
        let decision = Decision { verdict: Verdict::No, by: self.node.clone(), why: Some(why.to_owned()) };
        self.open(record, number).put(self.decision(number), decision.to_json())
    }

    /// Returns the comparisons of a round that is the latest one, and undecided.
    fn open(&self, record: &Record, number: u64) -> Txn {
        Txn::default().when(self.round(), record.revision).when(self.decision(number), 0)
    }

    fn round(&self) -> String {
        format!("{}round", self.prefix)
    }

    fn decision(&self, number: u64) -> String {
        format!("{}{number}/decision", self.prefix)
    }

    fn key(&self, number: u64, part: &str) -> String {
        format!("{}{number}/{part}/{}", self.prefix, self.node)
    }
}

fn names(nodes: &[Name]) -> String {
    nodes.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
}
