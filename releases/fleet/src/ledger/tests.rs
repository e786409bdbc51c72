//! The changes of operators, and results that come late.

use std::time::Duration;

use super::txn::json;
use super::*;

const IDENTITY: &str = "5fd924625f6ab16a19cc9807c7c506ae1813490e4ba675f843d5a10e0baacdb8";

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn keys() -> Keys {
    Keys::of(&name("shop"))
}

fn note() -> Note {
    Note { by: "ann".to_owned(), at: "2026-11-30T18:00:00Z".to_owned() }
}

fn document() -> Document {
    let Note { by, at } = note();
    Document {
        policy: "release = 'shop-1.1.0.tar.gz'".to_owned(),
        name: "shop".to_owned(),
        version: "1.1.0".to_owned(),
        identity: IDENTITY.to_owned(),
        source: "/srv/shop-1.1.0.tar.gz".to_owned(),
        members: vec![name("n1"), name("n2")],
        by,
        at,
    }
}

fn own(node: &str) -> Own {
    Own {
        node: name(node),
        life: "first".to_owned(),
        identity: Some("other".to_owned()),
        is_busy: false,
        tx: None,
        new_tx: format!("tx-{node}"),
        follows: false,
        quiet: Duration::ZERO,
        now: note().at,
    }
}

/// The keys of a fleet with two connected nodes.
#[derive(Debug, Clone)]
struct Ledger {
    entries: Vec<Entry>,
    revision: u64,
}

impl Ledger {
    fn new() -> Self {
        let mut ledger = Self { entries: Vec::new(), revision: 0 };
        ["n1", "n2"].iter().for_each(|node| ledger.connect(node, None));
        ledger
    }

    /// Lets a node be connected, with a permanent release of this identity.
    fn connect(&mut self, node: &str, identity: Option<&str>) {
        let presence = Presence {
            running: None,
            permanent: None,
            identity: identity.map(str::to_owned),
            daemon: "0.1.0".to_owned(),
            busy: None,
            life: "first".to_owned(),
            since: note().at,
        };
        self.write(&Txn::default().put(keys().presence(&name(node)), json(&presence)));
    }

    fn view(&self) -> View {
        View::read(keys(), &self.entries).unwrap()
    }

    fn write(&mut self, txn: &Txn) {
        let revision =
            |key: &str| self.entries.iter().find(|entry| entry.key == key).map_or(0, |e| e.revision);
        assert!(txn.compares.iter().all(|compare| revision(&compare.key) == compare.revision));
        self.revision += 1;
        let is_gone = |key: &str| {
            txn.deletes.iter().any(|delete| match delete {
                Delete::Key(gone) => gone == key,
                Delete::Below(prefix) => key.starts_with(prefix.as_str()),
            }) || txn.puts.iter().any(|put| put.key == key)
        };
        self.entries.retain(|entry| !is_gone(&entry.key));
        for Put { key, value } in txn.puts.clone() {
            self.entries.push(Entry { key, value, revision: self.revision });
        }
    }

    fn step(&mut self, own: &Own) {
        let Step::Write(txn) = self.view().step(own) else { panic!("{:?}", self.view().step(own)) };
        self.write(&txn);
    }

    fn give(&mut self, node: &str, ending: Ending) {
        let run = self.view().rollout.unwrap();
        let (_, slot) = run.slot_of(&name(node)).unwrap();
        let Given::Write(txn) = self.view().give(&run.id, slot, &ended(ending, slot, "")) else { panic!() };
        self.write(&txn);
    }

    fn started() -> Self {
        let mut ledger = Self::new();
        let (id, txn) = ledger.view().start(&document(), &[]).unwrap();
        assert_eq!(id, "shop-1.1.0-5fd92462");
        ledger.write(&txn);
        ledger
    }

    fn word(&self) -> &'static str {
        self.view().rollout.unwrap().standing.value.word()
    }
}

#[test]
fn s118_nodes_begin_in_their_order_and_the_rollout_ends() {
    let mut ledger = Ledger::started();
    assert!(matches!(ledger.view().step(&own("n2")), Step::Wait(Why::Others(_))));
    ledger.step(&own("n1"));
    assert!(matches!(ledger.view().step(&own("n1")), Step::Carry(slot) if slot.attempt == 1));
    assert!(matches!(ledger.view().step(&own("n2")), Step::Wait(Why::Policy(_))));
    ledger.give("n1", Ending::Reached);
    ledger.step(&own("n2"));
    ledger.give("n2", Ending::Reached);
    assert_eq!(ledger.word(), "done");
    assert_eq!(ledger.view().step(&own("n1")), Step::Idle);
}

#[test]
fn s119_a_failure_halts_the_rollout_in_the_transaction_of_the_result_and_take_back_brings_all_home() {
    let mut ledger = Ledger::started();
    ledger.step(&own("n1"));
    ledger.give("n1", Ending::Reached);
    ledger.step(&own("n2"));
    ledger.give("n2", Ending::Failed);
    assert_eq!(ledger.word(), "halted");
    assert_eq!(ledger.view().rollout.unwrap().standing.value.why.as_deref(), Some("failed: n2"));
    ledger.write(&ledger.view().take_back("ann").unwrap());
    assert_eq!(ledger.word(), "taking_back");
    assert_eq!(ledger.view().lineup(), [(&name("n1"), crate::State::Waiting)]);
    ledger.step(&Own { identity: Some(IDENTITY.to_owned()), new_tx: "back".to_owned(), ..own("n1") });
    ledger.give("n1", Ending::Reached);
    assert_eq!(ledger.word(), "taken_back");
}

#[test]
fn s122_the_result_of_a_skipped_node_is_late_and_frees_no_slot_of_another_node() {
    let mut ledger = Ledger::started();
    ledger.step(&own("n1"));
    let run = ledger.view().rollout.unwrap();
    let slot = run.slot_of(&name("n1")).unwrap().1.clone();
    ledger.write(&ledger.view().skip(&name("n1"), note()).unwrap());
    ledger.step(&own("n2"));
    let outcome = ended(Ending::Reached, &slot, "");
    let Given::Write(txn) = ledger.view().give(&run.id, &slot, &outcome) else { panic!() };
    ledger.write(&txn);
    let run = ledger.view().rollout.unwrap();
    assert_eq!(run.late[&name("n1")].value, outcome);
    assert!(run.forward.is_empty() && run.slot_of(&name("n2")).is_some());
    assert_eq!(ledger.view().give(&run.id, &slot, &outcome), Given::Written);
    assert_eq!(ledger.view().give("another", &slot, &outcome), Given::Forgotten);
    ledger.give("n2", Ending::Failed);
    ledger.write(&ledger.view().take_back("ann").unwrap());
    assert_eq!(ledger.view().lineup(), [(&name("n1"), crate::State::Waiting)], "it runs the release");
}

#[test]
fn s123_a_daemon_that_ends_within_its_upgrade_tries_again_and_fails_after_three_attempts() {
    let mut ledger = Ledger::started();
    ledger.step(&own("n1"));
    for (attempt, life) in [(2, "second"), (3, "third")] {
        ledger.step(&Own { life: life.to_owned(), new_tx: life.to_owned(), ..own("n1") });
        let run = ledger.view().rollout.unwrap();
        assert_eq!(run.slot_of(&name("n1")).unwrap().1.attempt, attempt);
        assert!(matches!(ledger.view().step(&Own { life: life.to_owned(), ..own("n1") }), Step::Carry(_)));
    }
    ledger.step(&Own { life: "fourth".to_owned(), ..own("n1") });
    assert_eq!(ledger.word(), "halted");
    let outcome = ledger.view().rollout.unwrap().forward[&name("n1")].value.clone();
    assert_eq!(outcome.why.unwrap(), "the daemon has ended within each of 3 attempts");
}

#[test]
fn no_attempt_begins_after_a_halt_or_a_turn_and_none_while_the_rollout_is_paused() {
    type Change = fn(&View) -> Result<Txn, Refused>;
    let (halt, take_back): (Change, Change) = (|view| view.halt("ann"), |view| view.take_back("ann"));
    for change in [halt, take_back] {
        for life in ["first", "second"] {
            let mut ledger = Ledger::started();
            ledger.step(&own("n1"));
            ledger.write(&ledger.view().pause("ann").unwrap());
            let n1 = Own { life: life.to_owned(), ..own("n1") };
            let n1 = Own { new_tx: "again".to_owned(), ..n1 };
            assert_eq!(ledger.view().step(&n1), Step::Wait(Why::Paused));
            ledger.write(&change(&ledger.view()).unwrap());
            ledger.step(&n1);
            let run = ledger.view().rollout.unwrap();
            assert!(run.slots.is_empty());
            let outcome = &run.forward[&name("n1")].value;
            assert_eq!(outcome.why.as_deref(), Some("the rollout had ended before this attempt"));
            assert_eq!(run.moved(), [] as [&Name; 0]);
        }
    }
}

#[test]
fn a_failure_turns_a_paused_rollout_but_does_not_end_the_pause() {
    let mut ledger = Ledger::new();
    let policy = format!("{}\non_failure = 'take_back'\ncanary = 0\nmax_unavailable = 2", document().policy);
    let (_, txn) = ledger.view().start(&Document { policy, ..document() }, &[]).unwrap();
    ledger.write(&txn);
    ledger.step(&own("n1"));
    ledger.step(&own("n2"));
    ledger.give("n1", Ending::Reached);
    ledger.write(&ledger.view().pause("ann").unwrap());
    ledger.give("n2", Ending::Failed);
    let Standing { phase, direction, .. } = ledger.view().rollout.unwrap().standing.value;
    assert_eq!((phase, direction), (Phase::Paused, Direction::Back));
    let moved = Own { identity: Some(IDENTITY.to_owned()), ..own("n1") };
    assert_eq!(ledger.view().step(&moved), Step::Wait(Why::Paused));
}

#[test]
fn a_node_that_went_back_by_hand_begins_anew_when_the_rollout_is_started_again() {
    let mut ledger = Ledger::started();
    ledger.step(&own("n1"));
    ledger.give("n1", Ending::Reached);
    ledger.write(&ledger.view().halt("ann").unwrap());
    ledger.connect("n1", Some("other"));
    ledger.write(&ledger.view().start(&document(), &[]).unwrap().1);
    assert_eq!(ledger.view().lineup()[0], (&name("n1"), crate::State::Waiting));
}

#[test]
fn s123_a_daemon_that_ends_after_its_commit_gives_the_result_when_it_is_back() {
    let mut ledger = Ledger::started();
    ledger.step(&own("n1"));
    ledger.step(&Own { life: "second".to_owned(), identity: Some(IDENTITY.to_owned()), ..own("n1") });
    let run = ledger.view().rollout.unwrap();
    assert_eq!(run.forward[&name("n1")].value.ending, Ending::Reached);
    assert!(run.slots.is_empty());
}

#[test]
fn s125_a_second_rollout_is_refused_until_the_first_has_ended_and_no_slot_is_held() {
    let mut ledger = Ledger::started();
    ledger.step(&own("n1"));
    let refused = ledger.view().start(&document(), &[]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "rollout shop-1.1.0-5fd92462 is under way, begun by ann at 2026-11-30T18:00:00Z"
    );
    ledger.write(&ledger.view().halt("bob").unwrap());
    assert!(matches!(ledger.view().start(&document(), &[]).unwrap_err(), Refused::Held { .. }));
    ledger.give("n1", Ending::Reached);
    assert!(ledger.view().start(&document(), &[]).is_ok());
}

#[test]
fn a_rollout_that_is_started_again_goes_on_and_its_way_back_has_all_nodes_that_it_has_moved() {
    let mut ledger = Ledger::started();
    ledger.step(&own("n1"));
    ledger.give("n1", Ending::Reached);
    ledger.step(&own("n2"));
    ledger.give("n2", Ending::Failed);
    ledger.connect("n1", Some(IDENTITY));
    let (id, txn) = ledger.view().start(&document(), &[]).unwrap();
    assert_eq!(id, "shop-1.1.0-5fd92462", "the same release");
    ledger.write(&txn);
    assert_eq!(ledger.word(), "running");
    assert_eq!(
        ledger.view().lineup().iter().map(|(_, state)| *state).collect::<Vec<_>>(),
        [crate::State::Committed, crate::State::Waiting,]
    );
    ledger.step(&own("n2"));
    ledger.give("n2", Ending::Reached);
    let run = ledger.view().rollout.unwrap();
    assert_eq!(run.moved(), [&name("n2"), &name("n1")]);
}

#[test]
fn a_rollout_of_a_release_that_was_taken_back_is_another_one() {
    let mut ledger = Ledger::started();
    ledger.write(&ledger.view().take_back("ann").unwrap());
    ledger.write(&ledger.view().halt("ann").unwrap());
    let (id, txn) = ledger.view().start(&document(), &[]).unwrap();
    assert_eq!(id, "shop-1.1.0-5fd92462.2");
    ledger.write(&txn);
    let keys = ledger.entries.iter().filter(|entry| entry.key.contains("/r/"));
    assert_eq!(keys.count(), 2, "the last one is gone");
    // A node that has the release takes no slot.
    ledger.step(&Own { identity: Some(IDENTITY.to_owned()), ..own("n1") });
    let run = ledger.view().rollout.unwrap();
    assert_eq!((run.forward[&name("n1")].value.ending, run.slots.len()), (Ending::WasThere, 0));
    assert_eq!(run.moved(), [] as [&Name; 0], "the rollout has not moved it");
}

#[test]
fn no_node_begins_while_the_rollout_is_paused_and_no_deadline_passes() {
    let mut ledger = Ledger::started();
    ledger.write(&ledger.view().pause("ann").unwrap());
    let late = Own { quiet: Duration::from_secs(1_000_000), ..own("n1") };
    assert_eq!(ledger.view().step(&late), Step::Wait(Why::Paused));
    assert_eq!(ledger.view().pause("ann").unwrap_err().to_string(), "rollout shop-1.1.0-5fd92462 is paused");
    ledger.write(&ledger.view().resume().unwrap());
    ledger.step(&late);
    assert_eq!(ledger.word(), "halted", "the deadline counts from the resumption that the node has seen");
}

#[test]
fn a_node_that_missed_a_finished_rollout_follows_it_if_it_is_told_to() {
    let mut ledger = Ledger::started();
    ledger.write(&ledger.view().skip(&name("n2"), note()).unwrap());
    ledger.step(&own("n1"));
    ledger.give("n1", Ending::Reached);
    assert_eq!(ledger.word(), "done");
    let follower = |node: &str| Own { follows: true, ..own(node) };
    assert_eq!(ledger.view().step(&follower("n2")), Step::Idle, "an operator has left it out");
    assert_eq!(ledger.view().step(&own("n3")), Step::Idle);
    ledger.step(&follower("n3"));
    assert!(matches!(ledger.view().step(&own("n3")), Step::Carry(_)));
    ledger.give("n3", Ending::Failed);
    assert_eq!(ledger.word(), "done");
    assert_eq!(ledger.view().step(&follower("n3")), Step::Idle, "it tries once");
    assert_eq!(ledger.view().step(&follower("n4")), Step::Idle, "a failure is known");
}

#[test]
fn a_value_that_is_no_document_is_named_with_its_key() {
    let mut ledger = Ledger::started();
    ledger.write(&Txn::default().put("/reld/shop/r/shop-1.1.0-5fd92462/state", "{}"));
    let fault = View::read(keys(), &ledger.entries).unwrap_err().to_string();
    assert!(
        fault.starts_with("cannot read the key /reld/shop/r/shop-1.1.0-5fd92462/state in etcd: "),
        "{fault}"
    );
}

#[test]
fn a_node_is_removed_once_it_is_gone_and_no_rollout_waits_for_it() {
    let mut ledger = Ledger::started();
    let node = name("n2");
    let refused = |ledger: &Ledger| ledger.view().remove(&node).unwrap_err();
    assert_eq!(refused(&ledger), Refused::NoMember(node.clone()));
    let member = Member { labels: std::collections::BTreeMap::new(), since: note().at };
    ledger.write(&Txn::default().put(keys().member(&node), json(&member)));
    assert_eq!(refused(&ledger), Refused::Connected(node.clone()));
    ledger.write(&Txn::default().delete(keys().presence(&node)));
    assert!(matches!(refused(&ledger), Refused::TakesPart { .. }));
    ledger.write(&ledger.view().skip(&node, note()).unwrap());
    ledger.write(&ledger.view().remove(&node).unwrap());
    assert!(ledger.view().members.is_empty());
}
