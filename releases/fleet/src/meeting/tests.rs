//! Tests of the tables of meetings.

use reld_plan::Mode;
use serde_json::json;

use super::{Deciding, Joining, Meeting, NODES_MAX, NoMeeting, Verdict};
use crate::ledger::{Delete, Entry, Keys, Name, Txn};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn meeting(node: &str, attempt: &str) -> Meeting {
    of(node, attempt, &["n2", "n1"])
}

fn of(node: &str, attempt: &str, nodes: &[&str]) -> Meeting {
    let nodes: Vec<Name> = nodes.iter().map(|node| name(node)).collect();
    let keys = Keys::of(&name("shop"));
    Meeting::new(&keys, ("0123", Mode::Up, &json!("a/b")), name(node), &nodes, attempt.to_owned()).unwrap()
}

/// A store without conflicts.
#[derive(Default)]
struct Store(Vec<Entry>, u64);

impl Store {
    #[track_caller]
    fn write(&mut self, txn: &Txn) {
        let of = |key: &str| self.0.iter().find(|entry| entry.key == key).map_or(0, |entry| entry.revision);
        for compare in &txn.compares {
            assert_eq!(of(&compare.key), compare.revision, "{}", compare.key);
        }
        self.1 += 1;
        for delete in &txn.deletes {
            let Delete::Below(prefix) = delete else { panic!("{delete:?}") };
            self.0.retain(|entry| !entry.key.starts_with(prefix));
        }
        for put in &txn.puts {
            self.0.retain(|entry| entry.key != put.key);
            self.0.push(Entry { key: put.key.clone(), value: put.value.clone(), revision: self.1 });
        }
    }

    /// Joins as far as the node can alone.
    #[track_caller]
    fn join(&mut self, meeting: &Meeting) -> Joining {
        for _ in 0..3 {
            match meeting.join(&self.0).unwrap() {
                Joining::Write(txn) => self.write(&txn),
                joining => return joining,
            }
        }
        panic!("{meeting:?} writes without an end")
    }

    #[track_caller]
    fn decide(&mut self, meeting: &Meeting, round: u64) -> Deciding {
        for _ in 0..3 {
            match meeting.decide(round, &self.0).unwrap() {
                Deciding::Write(txn) => self.write(&txn),
                deciding => return deciding,
            }
        }
        panic!("{meeting:?} writes without an end")
    }

    fn go(&mut self, attempt: &str, round: u64) {
        let (n1, n2) = (meeting("n1", attempt), meeting("n2", attempt));
        self.join(&n1);
        assert_eq!(self.join(&n2), Joining::Met(round));
        assert_eq!(self.decide(&n1, round), Deciding::Missing(vec![name("n2")]));
        assert_eq!(self.decide(&n2, round), Deciding::Go);
        assert_eq!(self.decide(&n1, round), Deciding::Go);
    }

    /// Records that a node has switched.
    fn leave(&mut self, meeting: &Meeting, round: u64) {
        let txn = meeting.gone(round, &self.0).unwrap().unwrap();
        self.write(&txn);
        assert_eq!(meeting.gone(round, &self.0), Ok(None));
    }

    fn refuse(&mut self, meeting: &Meeting, why: &str) {
        let txn = meeting.refuse(why, &self.0).unwrap().unwrap();
        self.write(&txn);
    }
}

#[test]
fn nodes_that_are_prepared_and_ready_go() {
    let mut store = Store::default();
    let (n1, n2) = (meeting("n1", "a"), meeting("n2", "b"));
    assert_eq!(n1.nodes(), [name("n1"), name("n2")]);
    assert_eq!(store.join(&n1), Joining::Missing(vec![name("n2")]));
    assert_eq!(store.join(&n2), Joining::Met(1));
    assert_eq!(store.join(&n1), Joining::Met(1));
    assert_eq!(store.decide(&n1, 1), Deciding::Missing(vec![name("n2")]));
    let Deciding::Write(last) = n2.decide(1, &store.0).unwrap() else { panic!("n2 votes") };
    assert_eq!(last.puts.len(), 2, "the last vote and the decision are one transaction");
    store.write(&last);
    assert_eq!((store.decide(&n1, 1), store.decide(&n2, 1)), (Deciding::Go, Deciding::Go));
    assert_eq!(n1.refuse("late", &store.0), Ok(None));
}

#[test]
fn a_refused_round_is_refused_for_all_and_the_next_attempt_begins_another_one() {
    let mut store = Store::default();
    let (n1, n2) = (meeting("n1", "a"), meeting("n2", "b"));
    store.join(&n1);
    store.join(&n2);
    store.decide(&n1, 1);
    store.refuse(&n2, "its state is damaged");
    let Deciding::No(no) = store.decide(&n1, 1) else { panic!("n1 goes") };
    assert_eq!((no.verdict, no.by.as_str()), (Verdict::No, "n2"));
    assert_eq!(no.to_string(), "node n2 has refused: its state is damaged");
    assert_eq!(store.join(&n2), Joining::Refused(no));
    store.go("c", 2);
}

#[test]
fn a_node_that_has_failed_before_it_joins_refuses_the_round_that_waits_for_it() {
    let mut store = Store::default();
    let (n1, n2) = (meeting("n1", "a"), meeting("n2", "b"));
    assert_eq!(n2.refuse("it has failed", &store.0), Ok(None));
    store.join(&n1);
    assert_eq!(of("n3", "c", &["n3"]).refuse("it has failed", &store.0), Ok(None));
    store.refuse(&n2, "it has failed");
    assert!(matches!(store.join(&n1), Joining::Refused(_)));
}

#[test]
fn a_node_that_comes_again_ends_its_round_and_does_not_vote_in_it() {
    let mut store = Store::default();
    store.join(&meeting("n1", "a"));
    assert_eq!(store.join(&meeting("n1", "again")), Joining::Missing(vec![name("n2")]));
    assert_eq!(store.join(&meeting("n2", "b")), Joining::Met(2));
}

#[test]
fn a_node_in_doubt_follows_a_go_and_a_node_that_has_gone_meets_anew() {
    let mut store = Store::default();
    store.go("a", 1);
    store.leave(&meeting("n1", "a"), 1);
    assert_eq!(store.join(&meeting("n2", "again")), Joining::Follow(1));
    assert_eq!(store.join(&meeting("n1", "again")), Joining::Missing(vec![name("n2")]));
    assert_eq!(store.join(&meeting("n2", "again")), Joining::Met(2));
}

#[test]
fn the_keys_of_the_two_latest_rounds_stay() {
    let mut store = Store::default();
    for round in 1..=4 {
        let attempt = round.to_string();
        store.go(&attempt, round);
        store.leave(&meeting("n1", &attempt), round);
        store.leave(&meeting("n2", &attempt), round);
    }
    let begins = |part: &str| store.0.iter().any(|entry| entry.key.contains(&format!("/\"a/b\"/{part}/")));
    assert_eq!([1, 2, 3, 4].map(|round| begins(&round.to_string())), [false, false, true, true]);
    assert_eq!(meeting("n1", "1").decide(1, &store.0), Ok(Deciding::Over));
}

#[test]
fn a_write_that_arrives_late_brings_no_old_round_back() {
    let mut store = Store::default();
    store.join(&meeting("n1", "a"));
    let again = meeting("n1", "b");
    let Joining::Write(late) = again.join(&store.0).unwrap() else { panic!("n1 refuses") };
    store.refuse(&meeting("n1", "a"), "aborted");
    for attempt in ["2", "3"] {
        store.join(&meeting("n1", attempt));
        store.refuse(&meeting("n1", attempt), "aborted");
    }
    store.join(&meeting("n1", "4"));
    assert!(late.compares.iter().any(|compare| {
        let current = store.0.iter().find(|entry| entry.key == compare.key);
        current.map_or(0, |entry| entry.revision) != compare.revision
    }));
}

#[test]
fn nodes_that_disagree_about_the_nodes_do_not_meet() {
    let mut store = Store::default();
    store.join(&meeting("n1", "a"));
    store.join(&of("n2", "b", &["n2", "n3"]));
    let Joining::Refused(no) = store.join(&meeting("n1", "a")) else { panic!("n1 waits") };
    assert_eq!(no.to_string(), "node n2 has refused: it meets n2, n3, and not n1, n2");
}

#[test]
fn no_transaction_has_more_than_128_comparisons() {
    let all: Vec<String> = (1..=NODES_MAX).map(|number| format!("n{number}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let (mut store, mut longest) = (Store::default(), 0);
    all.iter().for_each(|node| drop(store.join(&of(node, "a", &all))));
    for node in &all {
        let Deciding::Write(vote) = of(node, "a", &all).decide(1, &store.0).unwrap() else {
            panic!("{node}")
        };
        longest = longest.max(vote.compares.len());
        store.write(&vote);
    }
    assert_eq!(longest, 128);
    assert_eq!(store.decide(&of("n1", "a", &all), 1), Deciding::Go);
    store.0.retain(|entry| !entry.key.ends_with("decision"));
    let Deciding::Write(go) = of("n1", "a", &all).decide(1, &store.0).unwrap() else { panic!("it goes") };
    assert_eq!(go.compares.len(), 128);
}

#[test]
fn a_meeting_has_this_node_and_at_most_127() {
    let keys = Keys::of(&name("shop"));
    let of = |nodes: &[Name]| {
        let place = ("0123", Mode::Down, &json!(1));
        Meeting::new(&keys, place, name("n1"), nodes, "a".to_owned())
            .map(|meeting| meeting.prefix().to_owned())
    };
    assert_eq!(of(&[name("n2")]), Err(NoMeeting::Uninvited(name("n1"))));
    let many: Vec<Name> = (1..=128).map(|number| name(&format!("n{number}"))).collect();
    assert_eq!(of(&many), Err(NoMeeting::TooMany(128)));
    assert_eq!(of(&many[..127]).unwrap(), "/reld/shop/sync/0123/down/1/");
}
