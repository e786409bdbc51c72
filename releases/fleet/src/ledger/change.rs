//! The changes that operators make.

use super::direction::Direction;
use super::document::{Document, Note, Phase, Standing};
use super::keys::Name;
use super::txn::{Txn, json};
use super::view::{Run, View};
use crate::next::State;
use crate::policy::rollout_name;

/// The reason against a change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A rollout is under way.
    #[error("rollout {id} is under way, begun by {by} at {since}")]
    UnderWay {
        /// The id.
        id: String,
        /// The operator.
        by: String,
        /// The time of its start.
        since: String,
    },
    /// A node still holds a slot of the last rollout.
    #[error("{node} still holds a slot of rollout {id}")]
    Held {
        /// The id.
        id: String,
        /// The node.
        node: Name,
    },
    /// The fleet has no rollout.
    #[error("the fleet has no rollout")]
    NoRollout,
    /// The rollout has no node.
    #[error("the fleet has no node")]
    NoNode,
    /// The rollout does not have the node.
    #[error("rollout {id} does not have the node {node}")]
    UnknownNode {
        /// The id.
        id: String,
        /// The node.
        node: Name,
    },
    /// The fleet does not have the node.
    #[error("the fleet does not have the node {0}")]
    NoMember(Name),
    /// The node is connected.
    #[error("{0} is connected; stop its daemon first")]
    Connected(Name),
    /// The node has a part in a rollout under way.
    #[error("{node} has a part in rollout {id}, which is under way")]
    TakesPart {
        /// The id.
        id: String,
        /// The node.
        node: Name,
    },
    /// The rollout is in another state.
    #[error("rollout {id} is {state}")]
    State {
        /// The id.
        id: String,
        /// The state, in one word.
        state: &'static str,
    },
}

impl View {
    /// Begins a rollout, and forgets the last one. If that had the same release and was not taken
    /// back, it goes on instead: nodes that have the release stay as they are, failed ones try
    /// again, and a way back takes the release from all of them.
    ///
    /// # Errors
    /// A rollout is under way, or a node still holds a slot of the last one, or a node to leave out
    /// is unknown.
    pub fn start(&self, document: &Document, skip: &[Name]) -> Result<(String, Txn), Refused> {
        let id = self.id_for(document);
        if document.members.is_empty() {
            return Err(Refused::NoNode);
        }
        if let Some(node) = skip.iter().find(|node| !document.members.contains(node)) {
            return Err(Refused::UnknownNode { id, node: node.clone() });
        }
        let mut txn = Txn::default().when(self.keys.current(), self.current);
        if let Some(run) = &self.rollout {
            run.gives_way()?;
            if run.id == id {
                return Ok((id, self.start_again(run, document, skip)));
            }
            txn = txn.when(self.keys.state(&run.id), run.standing.revision);
            txn = txn
                .delete(self.keys.document(&run.id))
                .delete_below(format!("{}/", self.keys.document(&run.id)));
        }
        txn = txn.put(self.keys.current(), &*id).put(self.keys.document(&id), json(document));
        txn = txn.put(self.keys.state(&id), json(&first(document, skip)));
        Ok((id, txn))
    }

    /// Begins the last rollout again. A node that has gone back by hand begins anew too.
    fn start_again(&self, run: &Run, document: &Document, skip: &[Name]) -> Txn {
        let txn = self.change(run, first(document, skip)).put(self.keys.document(&run.id), json(document));
        let has_left = |node: &Name| {
            let presence = self.presences.get(node);
            presence.is_some_and(|presence| presence.identity.as_ref() != Some(&document.identity))
        };
        let forward = run.forward.iter();
        let left = forward.filter(|(node, seen)| !seen.value.ending.is_failure() && has_left(node));
        let key = |node: &Name| self.keys.outcome(&run.id, Direction::Forward, node);
        let txn = left.fold(txn, |txn, (node, _)| txn.delete(key(node)));
        self.try_again(txn, run, Direction::Forward)
    }

    /// Forgets the failures of a direction.
    fn try_again(&self, txn: Txn, run: &Run, direction: Direction) -> Txn {
        let failed = run.outcomes(direction).iter().filter(|(_, seen)| seen.value.ending.is_failure());
        failed.fold(txn, |txn, (node, _)| txn.delete(self.keys.outcome(&run.id, direction, node)))
    }

    /// Returns the id of a rollout: that of the last one if it goes on, or else another one.
    fn id_for(&self, document: &Document) -> String {
        let base = rollout_name(&document.name, &document.version, &document.identity);
        let Some((run, rest)) =
            self.rollout.as_ref().and_then(|run| Some((run, run.id.strip_prefix(&*base)?)))
        else {
            return base;
        };
        let is_same = run.document.identity == document.identity;
        if is_same && run.standing.value.direction == Direction::Forward {
            return run.id.clone();
        }
        let number = rest.strip_prefix('.').and_then(|number| number.parse().ok()).unwrap_or(1_u64);
        format!("{base}.{}", number + 1)
    }

    /// Lets no further upgrade begin until the rollout is resumed.
    ///
    /// # Errors
    /// There is no rollout, or it does not run.
    pub fn pause(&self, by: &str) -> Result<Txn, Refused> {
        let (run, standing) = self.in_phase(&[Phase::Running])?;
        let why = Some(format!("{by} has paused it"));
        Ok(self.change(run, Standing { phase: Phase::Paused, why, ..standing }))
    }

    /// Lets upgrades begin again.
    ///
    /// # Errors
    /// There is no rollout, or it is not paused.
    pub fn resume(&self) -> Result<Txn, Refused> {
        let (run, standing) = self.in_phase(&[Phase::Paused])?;
        Ok(self.change(run, Standing { phase: Phase::Running, why: None, ..standing }))
    }

    /// Ends the rollout. Upgrades under way end on their nodes.
    ///
    /// # Errors
    /// There is no rollout, or it has ended.
    pub fn halt(&self, by: &str) -> Result<Txn, Refused> {
        let (run, standing) = self.in_phase(&[Phase::Running, Phase::Paused])?;
        let why = Some(format!("{by} has halted it"));
        Ok(self.change(run, Standing { phase: Phase::Halted, why, ..standing }))
    }

    /// Takes the release back from the nodes that the rollout has moved. Nodes that have failed to
    /// go back try again.
    ///
    /// # Errors
    /// There is no rollout, or it is on its way back, or it was taken back.
    pub fn take_back(&self, by: &str) -> Result<Txn, Refused> {
        let run = self.rollout.as_ref().ok_or(Refused::NoRollout)?;
        let Standing { phase, direction, .. } = run.standing.value;
        let is_home = |(_, state): (&Name, State)| matches!(state, State::Committed | State::Skipped);
        let is_back =
            phase != Phase::Halted && (phase != Phase::Done || self.lineup().into_iter().all(is_home));
        if direction == Direction::Back && is_back {
            return Err(run.refused());
        }
        let why = Some(format!("{by} takes it back"));
        let txn = self.change(run, Standing { phase: Phase::Running, why, ..run.turned() });
        Ok(self.try_again(txn, run, Direction::Back))
    }

    /// Leaves a node out, and frees its slot.
    ///
    /// # Errors
    /// There is no rollout, or it does not have the node.
    pub fn skip(&self, node: &Name, note: Note) -> Result<Txn, Refused> {
        let run = self.rollout.as_ref().ok_or(Refused::NoRollout)?;
        let slot = run.slot_of(node);
        if slot.is_none() && !run.document.members.contains(node) {
            return Err(Refused::UnknownNode { id: run.id.clone(), node: node.clone() });
        }
        let mut standing = run.standing.value.clone();
        standing.skipped.insert(node.clone(), note);
        let txn = self.change(run, standing);
        Ok(match slot {
            Some((number, _)) => txn.delete(self.keys.slot(&run.id, number)),
            None => txn,
        })
    }

    /// Forgets a node that is gone for good.
    ///
    /// # Errors
    /// The fleet does not have the node, or it is connected, or a rollout waits for it.
    pub fn remove(&self, node: &Name) -> Result<Txn, Refused> {
        if !self.members.contains_key(node) {
            return Err(Refused::NoMember(node.clone()));
        }
        if self.presences.contains_key(node) {
            return Err(Refused::Connected(node.clone()));
        }
        let waits = |run: &&Run| {
            let is_left_out = run.standing.value.skipped.contains_key(node);
            run.gives_way().is_err() && !is_left_out && run.document.members.contains(node)
        };
        if let Some(run) = self.rollout.as_ref().filter(waits) {
            return Err(Refused::TakesPart { id: run.id.clone(), node: node.clone() });
        }
        Ok(Txn::default().when(self.keys.presence(node), 0).delete(self.keys.member(node)))
    }

    fn in_phase(&self, phases: &[Phase]) -> Result<(&Run, Standing), Refused> {
        let run = self.rollout.as_ref().ok_or(Refused::NoRollout)?;
        let standing = &run.standing.value;
        if phases.contains(&standing.phase) { Ok((run, standing.clone())) } else { Err(run.refused()) }
    }
}

/// Returns the first state of a rollout.
fn first(document: &Document, skip: &[Name]) -> Standing {
    let note = || Note { by: document.by.clone(), at: document.at.clone() };
    Standing {
        phase: Phase::Running,
        direction: Direction::Forward,
        why: None,
        skipped: skip.iter().map(|node| (node.clone(), note())).collect(),
        changes: 0,
    }
}

impl Run {
    /// Checks that the rollout has ended, and that no node is on its way.
    fn gives_way(&self) -> Result<(), Refused> {
        let Document { by, at, .. } = &self.document;
        if !self.standing.value.phase.has_ended() {
            return Err(Refused::UnderWay { id: self.id.clone(), by: by.clone(), since: at.clone() });
        }
        match self.slots.values().next() {
            Some(slot) => Err(Refused::Held { id: self.id.clone(), node: slot.value.node.clone() }),
            None => Ok(()),
        }
    }

    fn refused(&self) -> Refused {
        Refused::State { id: self.id.clone(), state: self.standing.value.word() }
    }
}
