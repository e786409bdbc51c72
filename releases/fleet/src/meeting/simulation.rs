//! Simulations of meetings: nodes that look and write in any order, crash, are cut off, fail, come
//! late, and give up writes that arrive all the same. Every round has one decision, no node
//! switches against it, and every node ends.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use reld_plan::Mode;
use serde_json::json;

use super::{Deciding, Joining, Meeting};
use crate::ledger::{Delete, Entry, Keys, Name, Txn};

/// Changes a transaction, to plant a fault.
type Fault = fn(Txn) -> Txn;

/// etcd, as far as meetings use it.
#[derive(Debug, Default)]
struct Store {
    revision: u64,
    keys: BTreeMap<String, (String, u64)>,
    /// All decisions that were ever written, by their key.
    decisions: BTreeMap<String, Vec<String>>,
}

impl Store {
    fn read(&self, prefix: &str) -> Vec<Entry> {
        let below = self.keys.iter().filter(|(key, _)| key.starts_with(prefix));
        let entry = |(key, (value, revision)): (&String, &(String, u64))| Entry {
            key: key.clone(),
            value: value.clone(),
            revision: *revision,
        };
        below.map(entry).collect()
    }

    fn write(&mut self, txn: &Txn) {
        let current = |key: &String| self.keys.get(key).map_or(0, |(_, revision)| *revision);
        if txn.compares.iter().any(|compare| current(&compare.key) != compare.revision) {
            return;
        }
        self.revision += 1;
        for delete in &txn.deletes {
            match delete {
                Delete::Key(gone) => self.keys.retain(|key, _| key != gone),
                Delete::Below(prefix) => self.keys.retain(|key, _| !key.starts_with(prefix)),
            }
        }
        for put in &txn.puts {
            self.keys.insert(put.key.clone(), (put.value.clone(), self.revision));
            if put.key.ends_with("/decision") {
                self.decisions.entry(put.key.clone()).or_default().push(put.value.clone());
            }
        }
    }

    /// Returns the verdicts of a round, and whether its `ready` keys are there.
    fn decided(&self, prefix: &str, number: u64) -> Vec<bool> {
        let all = self.decisions.get(&format!("{prefix}{number}/decision"));
        all.into_iter().flatten().map(|decision| decision.contains("\"go\"")).collect()
    }
}

/// The phase of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Joining,
    /// Its processes are held, in this round.
    Held(u64),
    /// It has left this round and tries to refuse it.
    Refusing(u64),
    /// It has left before it was held, and tries to refuse the round that waits for it.
    Declining,
    /// It runs the old release. Holds the round that it may have voted `ready` in.
    Back(Option<u64>),
    Switched(u64),
}

#[derive(Debug)]
struct Node {
    name: Name,
    attempt: u32,
    phase: Phase,
    is_cut: bool,
    /// The transaction that it has decided on, and not sent yet.
    pending: Option<Txn>,
    has_voted: bool,
}

/// One event at one node.
#[derive(Debug, Clone, Copy)]
enum Event {
    Look,
    Send,
    /// The oldest write that its node has given up arrives.
    Arrive,
    Fail,
    Deadline,
    Cut,
    Heal,
    Crash,
    Again,
}

#[derive(Debug)]
struct World {
    store: Store,
    nodes: Vec<Node>,
    /// Writes that their nodes no longer wait for. They may still arrive.
    in_flight: Vec<Txn>,
    fault: Fault,
    /// Whether a node takes `prepared` for `ready`: a fault.
    is_hasty: bool,
}

impl World {
    fn new(count: usize, fault: Fault, is_hasty: bool) -> Self {
        let node = |number: usize| Node {
            name: format!("n{number}").parse().unwrap(),
            attempt: 1,
            phase: Phase::Joining,
            is_cut: false,
            pending: None,
            has_voted: false,
        };
        let nodes = (0..count).map(node).collect();
        Self { store: Store::default(), nodes, in_flight: Vec::new(), fault, is_hasty }
    }

    fn meeting(&self, at: usize) -> Meeting {
        let names: Vec<Name> = self.nodes.iter().map(|node| node.name.clone()).collect();
        let keys = Keys::of(&"shop".parse().unwrap());
        let attempt = self.nodes[at].attempt.to_string();
        Meeting::new(&keys, ("0123", Mode::Up, &json!("all")), names[at].clone(), &names, attempt).unwrap()
    }

    /// Carries out an event. Returns a broken promise.
    fn step(&mut self, at: usize, event: Event) -> Result<(), String> {
        match event {
            Event::Look => self.look(at),
            Event::Send => {
                let is_cut = self.nodes[at].is_cut;
                if let Some(txn) = self.nodes[at].pending.take().filter(|_| !is_cut) {
                    self.store.write(&(self.fault)(txn));
                }
            }
            Event::Arrive => {
                if !self.in_flight.is_empty() {
                    let txn = self.in_flight.remove(0);
                    self.store.write(&(self.fault)(txn));
                }
            }
            Event::Fail => self.leave(at, false),
            Event::Deadline => self.leave(at, true),
            Event::Cut => self.nodes[at].is_cut = true,
            Event::Heal => self.nodes[at].is_cut = false,
            Event::Crash => {
                let has_switched = matches!(self.nodes[at].phase, Phase::Switched(_));
                if !has_switched {
                    self.again(at);
                }
            }
            Event::Again => {
                if matches!(self.nodes[at].phase, Phase::Back(_)) {
                    self.again(at);
                }
            }
        }
        self.check()
    }

    /// Begins the next attempt: after a crash, or by an order.
    fn again(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        self.in_flight.extend(node.pending.take());
        (node.attempt, node.phase, node.has_voted) = (node.attempt + 1, Phase::Joining, false);
    }

    fn look(&mut self, at: usize) {
        let meeting = self.meeting(at);
        if self.nodes[at].is_cut {
            return;
        }
        let mut entries = self.store.read(meeting.prefix());
        if self.is_hasty {
            let prepared = entries.iter().filter(|entry| entry.key.contains("/prepared/"));
            let ready = prepared
                .map(|entry| Entry { key: entry.key.replace("/prepared/", "/ready/"), ..entry.clone() });
            let ready: Vec<Entry> = ready.collect();
            entries.extend(ready);
        }
        let node = &mut self.nodes[at];
        match node.phase {
            Phase::Joining => match meeting.join(&entries).unwrap() {
                Joining::Write(txn) => node.pending = Some(txn),
                Joining::Missing(_) => {}
                Joining::Met(number) => node.phase = Phase::Held(number),
                Joining::Follow(number) => node.phase = Phase::Switched(number),
                Joining::Refused(_) => node.phase = Phase::Back(None),
            },
            Phase::Held(number) => match meeting.decide(number, &entries).unwrap() {
                Deciding::Write(txn) => {
                    node.has_voted = true;
                    node.pending = Some(txn);
                }
                Deciding::Missing(_) => {}
                Deciding::Go => node.phase = Phase::Switched(number),
                Deciding::No(_) | Deciding::Over => node.phase = Phase::Back(None),
            },
            Phase::Refusing(number) => match meeting.decide(number, &entries).unwrap() {
                // A node that has voted may reach its deadline just before it sees the decision.
                Deciding::Go => node.phase = Phase::Switched(number),
                Deciding::No(_) | Deciding::Over => node.phase = Phase::Back(None),
                Deciding::Write(_) | Deciding::Missing(_) => {
                    node.pending = meeting.refuse("late", &entries).unwrap();
                }
            },
            Phase::Declining => match meeting.refuse("it has failed", &entries).unwrap() {
                None => node.phase = Phase::Back(None),
                txn => node.pending = txn,
            },
            Phase::Switched(number) => node.pending = meeting.gone(number, &entries).unwrap(),
            Phase::Back(_) => {}
        }
    }

    /// Leaves the meeting: after a failure of its own, or at its deadline.
    fn leave(&mut self, at: usize, is_deadline: bool) {
        let node = &mut self.nodes[at];
        node.phase = match node.phase {
            // A node that has voted does not fail any more: it waits for the decision.
            Phase::Held(_) if node.has_voted && !is_deadline => return,
            Phase::Held(number) => Phase::Refusing(number),
            Phase::Joining if node.is_cut => Phase::Back(None),
            Phase::Joining => Phase::Declining,
            // The deadline of the refusal itself.
            Phase::Declining if is_deadline => Phase::Back(None),
            Phase::Refusing(number) if is_deadline => Phase::Back(node.has_voted.then_some(number)),
            other => other,
        };
        self.in_flight.extend(node.pending.take());
    }

    fn check(&self) -> Result<(), String> {
        let prefix = self.meeting(0).prefix().to_owned();
        if let Some((key, all)) = self.store.decisions.iter().find(|(_, all)| all.len() > 1) {
            return Err(format!("{key} has the decisions {all:?}"));
        }
        for node in &self.nodes {
            if let Phase::Switched(number) = node.phase
                && self.store.decided(&prefix, number) != [true]
            {
                return Err(format!("{} has switched in round {number} without a go", node.name));
            }
        }
        for (key, all) in self.store.decisions.iter().filter(|(_, all)| all[0].contains("\"go\"")) {
            let ready = key.replace("decision", "ready/");
            let votes = self.store.keys.keys().filter(|key| key.starts_with(&ready)).count();
            let is_kept = self.store.keys.contains_key(key);
            if is_kept && votes < self.nodes.len() {
                return Err(format!("{key} is {}, and {votes} nodes were ready", all[0]));
            }
        }
        Ok(())
    }

    /// Heals everything, and runs until every node has ended.
    fn end(&mut self) -> Result<(), String> {
        for node in &mut self.nodes {
            node.is_cut = false;
        }
        for round in 0..200 {
            for at in 0..self.nodes.len() {
                // A node in doubt tries again, and so does a node that had crashed.
                if matches!(self.nodes[at].phase, Phase::Back(Some(_))) {
                    self.again(at);
                }
                self.step(at, Event::Look)?;
                self.step(at, Event::Send)?;
                if round % 20 == 19 && !matches!(self.nodes[at].phase, Phase::Switched(_)) {
                    self.step(at, Event::Deadline)?;
                }
            }
            let has_ended = |node: &Node| matches!(node.phase, Phase::Back(None) | Phase::Switched(_));
            if self.nodes.iter().all(has_ended) {
                return self.agree();
            }
        }
        Err(format!("not every node ends: {:?}", self.nodes))
    }

    /// Tests that all nodes of a round that was decided as a go have switched.
    fn agree(&mut self) -> Result<(), String> {
        let rounds: BTreeSet<u64> = self
            .nodes
            .iter()
            .filter_map(|node| match node.phase {
                Phase::Switched(number) => Some(number),
                _ => None,
            })
            .collect();
        if rounds.is_empty() {
            return Ok(());
        }
        // A node that was back before the others agreed follows them at its next attempt.
        for at in 0..self.nodes.len() {
            if self.nodes[at].phase == Phase::Back(None) {
                self.again(at);
                self.step(at, Event::Look)?;
            }
        }
        let left = self.nodes.iter().find(|node| !matches!(node.phase, Phase::Switched(_)));
        left.map_or(Ok(()), |node| Err(format!("{} does not follow: {:?}", node.name, node.phase)))
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => Just(Event::Look),
        10 => Just(Event::Send),
        2 => Just(Event::Arrive),
        1 => Just(Event::Fail),
        1 => Just(Event::Deadline),
        1 => Just(Event::Cut),
        2 => Just(Event::Heal),
        1 => Just(Event::Crash),
        2 => Just(Event::Again),
    ]
}

fn run(count: usize, events: &[(usize, Event)], fault: Fault, is_hasty: bool) -> Result<(), String> {
    let mut world = World::new(count, fault, is_hasty);
    for (at, event) in events {
        world.step(at % count, *event)?;
    }
    world.end()
}

fn events() -> impl Strategy<Value = Vec<(usize, Event)>> {
    proptest::collection::vec((0..12_usize, event()), 0..160)
}

/// Tests that random simulations find a planted fault.
#[track_caller]
fn check_found(fault: Fault, is_hasty: bool, expected: &str) {
    let config = ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let found = TestRunner::new_with_rng(config, rng).run(&(2..4_usize, events()), |(count, events)| {
        run(count, &events, fault, is_hasty).map_err(TestCaseError::fail)
    });
    let found = found.expect_err("the fault is not found").to_string();
    assert!(found.contains(expected), "{found}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_round_has_one_decision_and_every_node_ends_by_it(count in 2..5_usize, events in events()) {
        run(count, &events, |txn| txn, false).map_err(TestCaseError::fail)?;
    }
}

#[test]
fn a_decision_that_does_not_compare_its_own_absence_is_found() {
    let fault = |mut txn: Txn| {
        txn.compares.retain(|compare| !compare.key.ends_with("/decision") || compare.revision > 0);
        txn
    };
    check_found(fault, false, "has the decisions");
}

#[test]
fn a_go_that_compares_no_ready_keys_is_found() {
    let fault = |mut txn: Txn| {
        txn.compares.retain(|compare| !compare.key.contains("/ready/"));
        txn
    };
    check_found(fault, true, "nodes were ready");
}
