//! The state of a fleet, in the terms of the API. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use reld_api::response as r;
use reld_fleet::ledger::{Direction, Ending, Member, Name, Outcome, Phase, Run, Slot, View};
use reld_fleet::{Next, Seen, State, Wait, next};

use crate::fleet::Fleet;

/// A view with the knowledge of the node that has it.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    view: &'a View,
    /// The time since which this node misses each member that is not connected.
    missing: BTreeMap<Name, String>,
}

impl<'a> Shown<'a> {
    pub(super) fn new(fleet: &Fleet, view: &'a View) -> Self {
        let since = |node: &Name| {
            let since = fleet.missing_since(node).filter(|_| !view.presences.contains_key(node))?;
            Some((node.clone(), humantime::format_rfc3339_seconds(since).to_string()))
        };
        Self { view, missing: view.members.keys().filter_map(since).collect() }
    }

    pub(super) fn nodes(&self) -> Vec<r::FleetNode> {
        let node = |(name, member): (&Name, &Member)| {
            let presence = self.view.presences.get(name);
            r::FleetNode {
                node: name.to_string(),
                labels: member.labels.clone(),
                connected: presence.is_some(),
                since: presence.map(|presence| presence.since.clone()),
                missing_since: self.missing_since(name),
                running: presence.and_then(|presence| presence.running.clone()),
                permanent: presence.and_then(|presence| presence.permanent.clone()),
                daemon: presence.map(|presence| presence.daemon.clone()),
                busy: presence.and_then(|presence| presence.busy.clone()),
            }
        };
        self.view.members.iter().map(node).collect()
    }

    pub(super) fn rollout(&self) -> Option<r::Rollout> {
        let run = self.view.rollout.as_ref()?;
        let standing = &run.standing.value;
        let lineup = lineup(self.view, run);
        let waits = self.waits(run, &lineup);
        let node = |(name, state): &(&Name, State)| self.node(run, name, *state, waits.as_ref());
        Some(r::Rollout {
            rollout: run.id.clone(),
            name: run.document.name.clone(),
            version: run.document.version.clone(),
            identity: run.document.identity.clone(),
            by: run.document.by.clone(),
            since: run.document.at.clone(),
            phase: match standing.phase {
                Phase::Running => r::RolloutPhase::Running,
                Phase::Paused => r::RolloutPhase::Paused,
                Phase::Halted => r::RolloutPhase::Halted,
                Phase::Done => r::RolloutPhase::Done,
            },
            direction: match standing.direction {
                Direction::Forward => r::RolloutDirection::Forward,
                Direction::Back => r::RolloutDirection::Back,
            },
            ended: has_ended(run),
            why: standing.why.clone(),
            nodes: lineup.iter().map(node).collect(),
            holders: run.slots.iter().map(|(slot, seen)| self.holder(*slot, &seen.value)).collect(),
            waits: waits.filter(|_| run.slots.is_empty()),
        })
    }

    fn holder(&self, slot: usize, holder: &Slot) -> r::SlotHolder {
        r::SlotHolder {
            slot,
            node: holder.node.to_string(),
            since: holder.since.clone(),
            attempt: holder.attempt,
            connected: self.view.presences.contains_key(&holder.node),
            missing_since: self.missing_since(&holder.node),
        }
    }

    /// Returns the reason for which no upgrade begins now, in words. The time since the last event
    /// is not known here, so a pause between two waves counts as not over.
    fn waits(&self, run: &Run, lineup: &[(&Name, State)]) -> Option<String> {
        let standing = &run.standing.value;
        match standing.phase {
            Phase::Halted | Phase::Done => return None,
            Phase::Paused => return standing.why.clone().or_else(|| Some("it is paused".to_owned())),
            Phase::Running => {}
        }
        let states: Vec<_> = lineup.iter().map(|(_, state)| *state).collect();
        let named = |nodes: &[usize]| {
            let names: Vec<_> = nodes.iter().map(|node| self.in_words(run, lineup[*node])).collect();
            names.join("; ")
        };
        match next(&run.policy(), &states, &Seen { quiet: Duration::ZERO, is_halted: false }) {
            Next::Begin(nodes) => {
                let names: Vec<_> = nodes.iter().map(|node| lineup[*node].0.as_str()).collect();
                Some(format!("{} begins", names.join(", ")))
            }
            Next::Wait(Wait::Upgrades(nodes) | Wait::Unavailable(nodes)) => {
                Some(format!("waits for {}", named(&nodes)))
            }
            Next::Wait(Wait::Halting(_, nodes)) => Some(format!("halts after {}", named(&nodes))),
            Next::Wait(Wait::Pause(_)) => Some("pauses before the next wave".to_owned()),
            Next::Halt(_) | Next::Done => None,
        }
    }

    /// Describes a node that others wait for.
    fn in_words(&self, run: &Run, (node, state): (&Name, State)) -> String {
        let since = self.since(run, node, state);
        match state {
            State::Missing => format!("{node}: unreachable since {since}"),
            State::Failed => format!("{node}: failed at {since}"),
            _ => format!("{node}: under way since {since}"),
        }
    }

    fn node(&self, run: &Run, name: &Name, state: State, waits: Option<&String>) -> r::RolloutNode {
        let presence = self.view.presences.get(name);
        let outcome = run.outcome(name);
        let why = match state {
            State::Waiting => waits.cloned(),
            State::Busy if presence.is_none() => Some("it is not connected to etcd".to_owned()),
            State::Busy => presence.and_then(|presence| presence.busy.clone()),
            State::Missing => Some("it is not connected to etcd".to_owned()),
            State::Skipped => {
                let note = run.standing.value.skipped.get(name);
                note.map(|note| format!("{} has left it out", note.by))
            }
            State::Failed | State::Committed => outcome.and_then(|outcome| outcome.why.clone()),
        };
        let step = outcome.filter(|_| state == State::Failed).and_then(|outcome| outcome.step.clone());
        r::RolloutNode {
            node: name.to_string(),
            state: match state {
                State::Waiting => r::RolloutNodeState::Waiting,
                State::Busy => r::RolloutNodeState::Busy,
                State::Committed => r::RolloutNodeState::Committed,
                State::Failed => r::RolloutNodeState::Failed,
                State::Missing => r::RolloutNodeState::Missing,
                State::Skipped => r::RolloutNodeState::Skipped,
            },
            since: self.since(run, name, state),
            runs: presence.and_then(|presence| presence.running.clone()),
            why,
            step: step.and_then(|step| serde_json::from_value(step).ok()),
            begun: has_begun(run, name),
            moved: has_moved(run, name),
        }
    }

    fn since(&self, run: &Run, node: &Name, state: State) -> String {
        let since = match state {
            State::Busy => run.slot_of(node).map(|(_, slot)| slot.since.clone()),
            State::Committed | State::Failed => run.outcome(node).map(|outcome| outcome.at.clone()),
            State::Missing => self.missing_since(node),
            State::Skipped => run.standing.value.skipped.get(node).map(|note| note.at.clone()),
            State::Waiting => None,
        };
        since.unwrap_or_else(|| run.document.at.clone())
    }

    fn missing_since(&self, node: &Name) -> Option<String> {
        self.missing.get(node).cloned()
    }
}

/// Returns the nodes with their states. After the end of the rollout, its results remain, whether a
/// node is connected or not.
fn lineup<'a>(view: &'a View, run: &Run) -> Vec<(&'a Name, State)> {
    let lasting = |(name, state): (&'a Name, State)| {
        let has_reached = has_ended(run) && state == State::Missing && run.outcome(name).is_some();
        (name, if has_reached { State::Committed } else { state })
    };
    view.lineup().into_iter().map(lasting).collect()
}

/// Returns whether the rollout has ended, and no node is under way.
fn has_ended(run: &Run) -> bool {
    run.standing.value.phase.has_ended() && run.slots.is_empty()
}

/// Returns whether an order of the rollout has begun on a node.
fn has_begun(run: &Run, node: &Name) -> bool {
    let forward = run.forward.get(node).is_some_and(|seen| seen.value.ending != Ending::WasThere);
    forward || run.late.contains_key(node) || run.slot_of(node).is_some()
}

/// Returns whether a node runs the release, as far as its results show.
fn has_moved(run: &Run, node: &Name) -> bool {
    let ending = |outcome: Option<&Outcome>| outcome.map(|outcome| outcome.ending);
    let forward = ending(run.forward.get(node).map(|seen| &seen.value));
    let back = ending(run.back.get(node).map(|seen| &seen.value));
    let has_come = matches!(forward, Some(Ending::Reached | Ending::WasThere | Ending::FailedMoved))
        || run.moved().contains(&node) && run.slot_of(node).is_none();
    has_come && !matches!(back, Some(Ending::Reached | Ending::WasThere))
}
