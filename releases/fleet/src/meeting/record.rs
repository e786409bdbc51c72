//! The keys of a meeting, read at one revision.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ledger::{Entry, Name, Unreadable};

/// The decision of a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether all nodes switch.
    pub verdict: Verdict,
    /// The node that wrote it.
    pub by: Name,
    /// The reason for a `no`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Whether all nodes of a round switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All nodes switch.
    Go,
    /// No node switches.
    No,
}

impl Decision {
    pub(super) fn to_json(&self) -> String {
        json!(self).to_string()
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.verdict, &self.why) {
            (Verdict::Go, _) => write!(f, "node {} has decided that all switch", self.by),
            (Verdict::No, Some(why)) => write!(f, "node {} has refused: {why}", self.by),
            (Verdict::No, None) => write!(f, "node {} has refused", self.by),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Latest {
    number: u64,
    nodes: Vec<Name>,
}

/// Returns the value of the key `round`.
pub(super) fn round(number: u64, nodes: &[Name]) -> String {
    json!(Latest { number, nodes: nodes.to_vec() }).to_string()
}

/// All keys of a meeting.
#[derive(Debug, Default)]
pub(super) struct Record {
    latest: Option<Latest>,
    /// The revision of the key `round`, or 0.
    pub(super) revision: u64,
    rounds: BTreeMap<u64, Round>,
}

/// The keys of one round.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) number: u64,
    pub(super) prepared: Votes,
    pub(super) ready: Votes,
    pub(super) gone: Votes,
    pub(super) decision: Option<Decision>,
    /// The revision of the decision, or 0.
    pub(super) decided: u64,
}

/// The nodes that have written one part of a round: their attempts, and the revisions.
#[derive(Debug, Default)]
pub(super) struct Votes(BTreeMap<Name, (String, u64)>);

impl Votes {
    pub(super) fn contains(&self, node: &Name) -> bool {
        self.0.contains_key(node)
    }

    pub(super) fn is_by(&self, node: &Name, attempt: &str) -> bool {
        self.0.get(node).is_some_and(|(by, _)| by == attempt)
    }

    pub(super) fn missing(&self, nodes: &[Name]) -> Vec<Name> {
        nodes.iter().filter(|node| !self.contains(node)).cloned().collect()
    }

    pub(super) fn revisions(&self) -> impl Iterator<Item = (&Name, u64)> {
        self.0.iter().map(|(node, (_, revision))| (node, *revision))
    }
}

impl Record {
    /// Reads the entries of a meeting. Unknown keys are ignored, so that a newer daemon can add
    /// some.
    pub(super) fn read(prefix: &str, entries: &[Entry]) -> Result<Self, Unreadable> {
        let mut record = Self::default();
        for entry in entries {
            let Some(below) = entry.key.strip_prefix(prefix) else { continue };
            match below.split('/').collect::<Vec<_>>()[..] {
                ["round"] => {
                    (record.latest, record.revision) = (Some(value(entry)?), entry.revision);
                }
                [number, "decision"] => {
                    let round = record.round(entry, number)?;
                    (round.decision, round.decided) = (Some(value(entry)?), entry.revision);
                }
                [number, part @ ("prepared" | "ready" | "gone"), node] => {
                    let node: Name = node.parse().map_err(|why| unreadable(entry, why))?;
                    let round = record.round(entry, number)?;
                    let votes = match part {
                        "prepared" => &mut round.prepared,
                        "ready" => &mut round.ready,
                        _ => &mut round.gone,
                    };
                    votes.0.insert(node, (entry.value.clone(), entry.revision));
                }
                _ => {}
            }
        }
        Ok(record)
    }

    fn round(&mut self, entry: &Entry, number: &str) -> Result<&mut Round, Unreadable> {
        let number = number.parse().map_err(|why| unreadable(entry, why))?;
        let round = self.rounds.entry(number).or_default();
        round.number = number;
        Ok(round)
    }

    /// Returns the rounds that have keys.
    pub(super) fn rounds(&self) -> impl Iterator<Item = &Round> {
        self.rounds.values()
    }

    /// Returns the latest round and its nodes.
    pub(super) fn latest(&self) -> Option<(&Round, &[Name])> {
        let latest = self.latest.as_ref()?;
        Some((self.rounds.get(&latest.number)?, &latest.nodes))
    }
}

fn value<T: serde::de::DeserializeOwned>(entry: &Entry) -> Result<T, Unreadable> {
    serde_json::from_str(&entry.value).map_err(|why| unreadable(entry, why))
}

fn unreadable(entry: &Entry, why: impl fmt::Display) -> Unreadable {
    Unreadable { key: entry.key.clone(), why: why.to_string() }
}
