//! A simulated fleet: nodes act on old views, lose requests and answers, are cut off, and end at
//! any time. Only the store of keys is reliable, as etcd is.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::txn::json;
use super::*;

const NODES: usize = 4;
const IDENTITY: &str = "5fd924625f6ab16a19cc9807c7c506ae1813490e4ba675f843d5a10e0baacdb8";

/// A store of keys with revisions and transactions.
#[derive(Debug, Default)]
struct Store {
    keys: BTreeMap<String, (String, u64)>,
    revision: u64,
}

impl Store {
    fn entries(&self) -> Vec<Entry> {
        let entry = |(key, (value, revision)): (&String, &(String, u64))| Entry {
            key: key.clone(),
            value: value.clone(),
            revision: *revision,
        };
        self.keys.iter().map(entry).collect()
    }

    fn commit(&mut self, txn: &Txn) -> bool {
        let revision = |key: &str| self.keys.get(key).map_or(0, |(_, revision)| *revision);
        if txn.compares.iter().any(|compare| revision(&compare.key) != compare.revision) {
            return false;
        }
        self.revision += 1;
        for delete in &txn.deletes {
            match delete {
                Delete::Key(key) => drop(self.keys.remove(key)),
                Delete::Below(prefix) => self.keys.retain(|key, _| !key.starts_with(prefix)),
            }
        }
        for Put { key, value } in &txn.puts {
            self.keys.insert(key.clone(), (value.clone(), self.revision));
        }
        true
    }
}

/// A node: everything but `has_release` and `unsent` is lost when its daemon ends.
#[derive(Debug, Default)]
struct Node {
    life: u32,
    is_cut_off: bool,
    view: Option<View>,
    doing: Option<(String, Slot)>,
    has_release: bool,
    unsent: Option<(String, Slot, Outcome)>,
    last_tx: Option<String>,
    last_state: Option<(u64, u64)>,
}

/// Changes a transaction before it is committed: a planted fault.
type Plant = fn(&mut Txn);

struct Fleet {
    keys: Keys,
    store: Store,
    nodes: Vec<Node>,
    random: u64,
    now: u64,
    plant: Plant,
    /// The parts of a hundred upgrades that fail.
    fails: u64,
}

fn name(node: usize) -> Name {
    format!("n{node}").parse().unwrap()
}

impl Fleet {
    fn new(seed: u64, policy: &str, fails: u64, plant: Plant) -> Self {
        let keys = Keys::of(&"shop".parse().unwrap());
        let nodes = (0..NODES).map(|_| Node::default()).collect();
        let mut fleet = Self { keys, store: Store::default(), nodes, random: seed | 1, now: 0, plant, fails };
        (0..NODES).for_each(|node| fleet.join(node));
        let document = Document {
            policy: format!("release = 'shop.tar.gz'\n{policy}"),
            name: "shop".to_owned(),
            version: "1.1.0".to_owned(),
            identity: IDENTITY.to_owned(),
            source: "/shop.tar.gz".to_owned(),
            members: (0..NODES).map(name).collect(),
            by: "ann".to_owned(),
            at: String::new(),
        };
        let (_, txn) = fleet.view().start(&document, &[]).unwrap();
        assert!(fleet.store.commit(&txn));
        fleet
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn view(&self) -> View {
        View::read(self.keys.clone(), &self.store.entries()).unwrap()
    }

    fn run(&self) -> Run {
        self.view().rollout.unwrap()
    }

    fn join(&mut self, node: usize) {
        let presence = Presence {
            running: None,
            permanent: None,
            identity: None,
            daemon: "0.1.0".to_owned(),
            busy: None,
            life: self.nodes[node].life.to_string(),
            since: String::new(),
        };
        self.store.commit(&Txn::default().put(self.keys.presence(&name(node)), json(&presence)));
    }

    fn own(&mut self, node: usize) -> Own {
        let new_tx = format!("tx{}", self.random(u64::MAX));
        let now = self.now;
        let member = &mut self.nodes[node];
        let run = member.view.as_ref().and_then(|view| view.rollout.as_ref());
        let revision = run.map_or(0, |run| run.standing.revision);
        let first = match member.last_state {
            Some((seen, first)) if seen == revision => first,
            _ => now,
        };
        member.last_state = Some((revision, first));
        Own {
            node: name(node),
            life: format!("{node}.{}", member.life),
            identity: member.has_release.then(|| IDENTITY.to_owned()),
            is_busy: false,
            tx: member.last_tx.clone(),
            new_tx,
            follows: false,
            quiet: Duration::from_secs(now - first),
            now: String::new(),
        }
    }

    /// Commits a transaction of a node. A request or an answer may be lost. Returns whether the
    /// node knows that it is committed.
    fn submit(&mut self, mut txn: Txn, is_reliable: bool) -> bool {
        (self.plant)(&mut txn);
        let loss = if is_reliable { 9 } else { self.random(10) };
        if loss == 0 {
            return false;
        }
        let takes_slot = txn.puts.iter().any(|put| put.key.contains("/slot/"));
        let before = takes_slot.then(|| self.run());
        let is_committed = self.store.commit(&txn);
        if let Some(before) = before.filter(|_| is_committed) {
            self.check(&before);
        }
        is_committed && loss != 1
    }

    /// Checks the promises after a transaction.
    fn check(&self, before: &Run) {
        let run = self.run();
        let policy = before.policy();
        assert!(run.slots.len() <= run.rollout.max_unavailable, "the budget holds");
        let known: Vec<_> = before.slots.values().map(|seen| &seen.value.tx).collect();
        let is_new = |number: &&usize| !known.contains(&&run.slots[*number].value.tx);
        let new: Vec<_> = run.slots.keys().filter(is_new).collect();
        if new.is_empty() {
            return;
        }
        assert_eq!(new.len(), 1, "one node begins at a time");
        assert_eq!(before.standing.value.phase, Phase::Running, "no node begins after the end");
        let outcomes = before.outcomes(before.standing.value.direction);
        let failed = outcomes.values().filter(|seen| seen.value.ending == Ending::Failed).count();
        assert!(failed <= policy.max_failures, "no node begins after too many known failures");
        let has_ended = |node: &Name| outcomes.contains_key(node);
        let canary = &run.document.members[0];
        let begins = &run.slots[new[0]].value;
        let is_first = begins.direction == Direction::Back || begins.node == *canary;
        assert!(is_first || has_ended(canary), "the canary begins first");
        let holders: Vec<_> = run.slots.values().map(|seen| &seen.value.node).collect();
        assert_eq!(holders.iter().filter(|node| ***node == begins.node).count(), 1, "one slot for a node");
    }

    fn look(&mut self, node: usize) {
        if !self.nodes[node].is_cut_off {
            self.nodes[node].view = Some(self.view());
        }
    }

    /// Acts on the last view, which may be old.
    fn act(&mut self, node: usize, is_reliable: bool) {
        let Some(view) = self.nodes[node].view.take() else { return };
        self.nodes[node].view = Some(view.clone());
        let own = self.own(node);
        match view.step(&own) {
            Step::Write(txn) if !self.nodes[node].is_cut_off => drop(self.submit(txn, is_reliable)),
            Step::Carry(slot) => {
                let id = view.rollout.as_ref().unwrap().id.clone();
                self.nodes[node].last_tx = Some(slot.tx.clone());
                self.nodes[node].doing = Some((id, slot));
                let inside = self.nodes.iter().filter(|node| node.doing.is_some()).count();
                assert!(inside <= self.run().rollout.max_unavailable, "the budget holds on the nodes");
            }
            _ => {}
        }
    }

    fn end_order(&mut self, node: usize) {
        let fails = self.random(100) < self.fails;
        let member = &mut self.nodes[node];
        let Some((id, slot)) = member.doing.take() else { return };
        let ending = if fails { Ending::Failed } else { Ending::Reached };
        if !fails {
            member.has_release = slot.direction == Direction::Forward;
        }
        let outcome = ended(ending, &slot, "");
        member.unsent = Some((id, slot, outcome));
    }

    fn give(&mut self, node: usize, is_reliable: bool) {
        let Some((id, slot, outcome)) = self.nodes[node].unsent.clone() else { return };
        if self.nodes[node].is_cut_off {
            return;
        }
        let view = self.view();
        let is_given = match view.give(&id, &slot, &outcome) {
            Given::Write(txn) => self.submit(txn, is_reliable),
            Given::Written | Given::Forgotten => true,
        };
        if is_given {
            self.nodes[node].unsent = None;
            let run = self.run();
            let is_written = |seen: &Seen<Outcome>| seen.value.tx == slot.tx;
            assert!(
                run.outcomes(slot.direction).get(&name(node)).is_some_and(is_written),
                "no result is lost"
            );
            assert!(run.late.is_empty(), "no slot was taken away");
        }
    }

    fn restart(&mut self, node: usize) {
        let member = &mut self.nodes[node];
        (member.view, member.doing, member.last_state) = (None, None, None);
        member.last_tx = member.unsent.as_ref().map(|(_, slot, _)| slot.tx.clone());
        member.life += 1;
    }

    fn random_event(&mut self) {
        let node = usize::try_from(self.random(NODES as u64)).unwrap();
        match self.random(40) {
            0 => self.nodes[node].is_cut_off = true,
            1 => {
                let key = self.keys.presence(&name(node));
                if self.nodes[node].is_cut_off {
                    self.store.commit(&Txn::default().delete(key));
                }
            }
            2 | 3 => {
                self.nodes[node].is_cut_off = false;
                self.join(node);
            }
            4 => self.restart(node),
            5 => self.now += 1,
            6..=10 => self.end_order(node),
            11..=14 => self.give(node, false),
            15..=24 => self.look(node),
            _ => self.act(node, false),
        }
    }

    /// Lets all nodes act in turn, until the rollout has ended.
    fn heal(&mut self) {
        for node in 0..NODES {
            self.nodes[node].is_cut_off = false;
            self.join(node);
        }
        for _ in 0..10_000 {
            self.now += 1;
            for node in 0..NODES {
                self.look(node);
                self.act(node, true);
                self.end_order(node);
                self.give(node, true);
            }
            let run = self.run();
            if run.standing.value.phase.has_ended() && run.slots.is_empty() {
                return;
            }
        }
        panic!("every rollout ends: {:?}", self.run());
    }

    /// Checks a rollout that has ended.
    fn check_end(&self) {
        let run = self.run();
        let Standing { phase, direction, .. } = run.standing.value;
        for (place, node) in self.nodes.iter().enumerate() {
            let ending = run.forward.get(&name(place)).map(|seen| seen.value.ending);
            if direction == Direction::Forward {
                let has_reached = matches!(ending, Some(Ending::Reached | Ending::WasThere));
                assert_eq!(has_reached, node.has_release, "the ledger knows where n{place} is");
            } else if phase == Phase::Done
                && run.back.values().all(|seen| seen.value.ending == Ending::Reached)
            {
                assert!(!node.has_release, "n{place} is home");
            }
        }
    }
}

fn simulate(seed: u64, policy: &str, fails: u64, events: usize, plant: Plant) {
    let mut fleet = Fleet::new(seed, policy, fails, plant);
    (0..events).for_each(|_| fleet.random_event());
    fleet.heal();
    fleet.check_end();
}

const POLICIES: [&str; 4] = [
    "max_unavailable = 1",
    "max_unavailable = 2\nmax_failures = 1",
    "max_unavailable = 3\nwaves = ['50%', '100%']",
    "max_unavailable = 2\non_failure = 'take_back'",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn s118_to_s123_the_promises_hold_when_nodes_are_cut_off_and_end_at_any_time(
        seed in any::<u64>(),
        policy in 0..POLICIES.len(),
        fails in prop_oneof![Just(0), Just(20), Just(60)],
        events in 0..800_usize,
    ) {
        simulate(seed, POLICIES[policy], fails, events, |_| ());
    }
}

/// Runs simulations with a planted fault until one breaks a promise.
fn finds(plant: Plant) -> bool {
    (0..400).any(|seed| {
        let policy = POLICIES[usize::try_from(seed).unwrap() % POLICIES.len()];
        std::panic::catch_unwind(|| simulate(seed * 7919 + 1, policy, 20, 400, plant)).is_err()
    })
}

#[test]
fn the_simulation_finds_a_transaction_that_does_not_compare_the_state() {
    assert!(finds(|txn| txn.compares.retain(|compare| !compare.key.ends_with("/state"))));
}

#[test]
fn the_simulation_finds_a_result_that_does_not_free_its_slot() {
    assert!(finds(|txn| txn.deletes.clear()));
}
