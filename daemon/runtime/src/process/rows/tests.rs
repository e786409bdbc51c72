//! Random changes to rows, compared with a plain list.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_bytes::ByteBuf;

use super::{Child, Place, Rows, Seq};
use crate::words::child_spec::{ChildSpec, ChildType, Restart, Shutdown};
use crate::words::pid::Pid;

#[derive(Debug, Clone)]
enum Step {
    /// Adds a child with this restart type, so that some siblings are similar.
    Push(Restart),
    /// Each of these is done to the row at this index, counted modulo the number of rows.
    Remove(usize),
    Run(usize, u32),
    Stop(usize),
    Rename(usize),
    DropArgs(usize),
}

/// A row as a plain list holds it.
#[derive(Debug, Clone)]
struct Plain {
    seq: Seq,
    spec: ChildSpec,
    child: Child,
}

fn step() -> impl Strategy<Value = Step> {
    let restart = prop_oneof![Just(Restart::Permanent), Just(Restart::Temporary)];
    prop_oneof![
        4 => restart.prop_map(Step::Push),
        3 => any::<usize>().prop_map(Step::Remove),
        3 => (any::<usize>(), any::<u32>()).prop_map(|(at, slot)| Step::Run(at, slot)),
        1 => any::<usize>().prop_map(Step::Stop),
        1 => any::<usize>().prop_map(Step::Rename),
        1 => any::<usize>().prop_map(Step::DropArgs),
    ]
}

fn spec(number: u64, restart: Restart) -> ChildSpec {
    ChildSpec {
        id: ByteBuf::from(crate::words::term::encode(&number)),
        module: "m".to_owned(),
        args: ByteBuf::from(vec![7; 3]),
        restart,
        significant: false,
        shutdown: Shutdown::Ms(5000),
        child_type: ChildType::Worker,
    }
}

/// Does the same to the rows and to the list.
fn take(step: Step, rows: &mut Rows, list: &mut Vec<Plain>, number: u64) {
    if let Step::Push(restart) = step {
        let spec = spec(number, restart);
        let seq = if rows.is_anonymous() {
            rows.push_anonymous(&Arc::new(ChildSpec { args: ByteBuf::new(), ..spec.clone() }), vec![7; 3])
        } else {
            rows.push(spec.clone(), Child::Stopped)
        };
        return list.push(Plain { seq, spec, child: Child::Stopped });
    }
    if list.is_empty() {
        return;
    }
    let len = list.len();
    let plain = |at: usize| at % len;
    match step {
        Step::Push(_) => {}
        Step::Remove(at) => rows.remove(list.remove(plain(at)).seq),
        Step::Run(at, slot) => {
            let child = Child::Running(Pid { slot, generation: u32::try_from(number).expect("few steps") });
            rows.set(list[plain(at)].seq, child);
            list[plain(at)].child = child;
        }
        Step::Stop(at) => {
            rows.set(list[plain(at)].seq, Child::Stopped);
            list[plain(at)].child = Child::Stopped;
        }
        Step::Rename(at) if !rows.is_anonymous() => {
            let id = spec(number, Restart::Permanent).id;
            rows.rename(list[plain(at)].seq, &id);
            list[plain(at)].spec.id = id;
        }
        Step::Rename(_) => {}
        Step::DropArgs(at) => {
            let seq = list[plain(at)].seq;
            rows.drop_args(seq);
            let nil = if rows.is_anonymous() { Vec::new() } else { vec![0xc0] };
            list[plain(at)].spec.args = ByteBuf::from(nil);
        }
    }
}

#[track_caller]
fn check(rows: &Rows, list: &[Plain], removed: &[Plain]) {
    assert_eq!(rows.len(), list.len());
    let seqs: Vec<Seq> = list.iter().map(|plain| plain.seq).collect();
    assert_eq!(rows.seqs(), seqs, "the rows are in start order");
    for plain in list {
        let row = rows.get(plain.seq).expect("the row exists");
        assert_eq!((row.args(), row.child), (&**plain.spec.args, plain.child));
        let by_pid = plain.child.pid().and_then(|pid| rows.by_pid(pid));
        assert_eq!(by_pid.map(|(seq, _)| seq), plain.child.pid().map(|_| plain.seq));
        if !rows.is_anonymous() {
            assert_eq!(rows.by_id(&plain.spec.id).map(|(seq, _)| seq), Some(plain.seq));
            assert_eq!(rows.spec(row), plain.spec);
            assert!(row.is_of(&plain.spec));
        }
    }
    for plain in removed {
        assert!(rows.get(plain.seq).is_none());
        assert!(plain.child.pid().is_none_or(|pid| rows.by_pid(pid).is_none()));
        assert!(rows.by_id(&plain.spec.id).is_none());
    }
}

proptest! {
    #[test]
    fn rows_are_found_by_number_id_and_pid_in_start_order(
        is_anonymous: bool,
        steps in vec(step(), 1..120),
    ) {
        let (mut rows, mut list, mut removed) = (Rows::new(is_anonymous), Vec::new(), Vec::new());
        for (number, step) in steps.into_iter().enumerate() {
            let before: Vec<Plain> = list.clone();
            take(step, &mut rows, &mut list, number as u64);
            let is_gone = |plain: &Plain| list.iter().all(|left| left.seq != plain.seq);
            removed.extend(before.into_iter().filter(is_gone));
        }
        check(&rows, &list, &removed);
    }
}

#[test]
fn similar_siblings_share_their_terms_and_a_place_has_48_bytes() {
    let mut rows = Rows::new(false);
    let [first, second, other] = [(1, Restart::Permanent), (2, Restart::Permanent), (3, Restart::Temporary)]
        .map(|(number, restart)| rows.push(spec(number, restart), Child::Stopped));
    let terms = |seq| &rows.get(seq).expect("the row exists").terms;
    assert!(Arc::ptr_eq(terms(first), terms(second)));
    assert!(!Arc::ptr_eq(terms(second), terms(other)));
    assert_eq!(size_of::<Place>(), 48);
}

#[test]
fn rows_give_back_the_memory_of_removed_children() {
    let mut rows = Rows::new(false);
    let seqs: Vec<Seq> =
        (0..10_000).map(|number| rows.push(spec(number, Restart::Permanent), Child::Stopped)).collect();
    seqs[10..].iter().for_each(|seq| rows.remove(*seq));
    assert!(rows.places.capacity() < 100 && rows.by_id.capacity() < 100, "{}", rows.places.capacity());
    assert_eq!(rows.by_id(&spec(3, Restart::Permanent).id).map(|(seq, _)| seq), Some(seqs[3]));
}
