//! The start of a child: its init runs inside the turn of its supervisor.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use reld_runtime::{Answer, ChildSpec, RequestKind, Status, Unrest, term};
use reld_wire::supervisor::{Reply, Request};
use reld_wire::{Exit, Pid};
use serde_bytes::ByteBuf;

use crate::kit::words::{Do, Said, text};
use crate::kit::{Kit, SOON, child, latch, members, name, one_for_one, soon};
use crate::upgrades::{complete, up, version};

/// Sends a request to start a child with these commands in its init.
fn start(kit: &Kit, supervisor: Pid, id: &str, init: &[Do]) -> Receiver<Answer> {
    let (done, answer) = channel();
    let request = term::encode(&Request::StartChild(child(id, init).into()));
    let done = move |answer| done.send(answer).unwrap_or(());
    kit.node.call_then(RequestKind::Supervisor, supervisor, request, None, done);
    answer
}

/// Returns the child that was started, or the reason why it was not.
#[track_caller]
fn started(answer: &Receiver<Answer>) -> Result<Option<Pid>, String> {
    let Ok(Answer::Reply(reply)) = answer.recv_timeout(SOON) else { panic!("the supervisor answers") };
    match term::decode(&reply).expect("it is a reply") {
        Reply::Ok(pid) => Ok(pid),
        Reply::Error(error) => Err(error.text),
    }
}

fn status(kit: &Kit, pid: Pid) -> Option<Status> {
    kit.node.process(pid).map(|process| process.status)
}

#[test]
fn a_supervisor_is_parked_beside_an_init_that_computes_and_can_be_killed() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![]));
    let latch = latch::new();
    let answer = start(&kit, supervisor, "slow", &[Do::Block(latch)]);
    kit.expect("blocked");
    let slow = kit.child(supervisor, "slow").expect("its init runs");
    kit.until(|| status(&kit, supervisor) == Some(Status::Waiting));
    assert!(kit.node.exit(supervisor, Exit::Killed));
    kit.gone(supervisor);
    assert_eq!(answer.recv_timeout(SOON), Ok(Answer::Exit(Exit::Killed)));
    assert!(kit.node.process(slow).is_some(), "the init still runs");
    latch::open(latch);
    kit.gone(slow);
}

#[test]
fn the_answer_of_an_init_that_computed_for_long_wakes_its_supervisor() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![]));
    let latch = latch::new();
    let answer = start(&kit, supervisor, "slow", &[Do::Block(latch)]);
    kit.expect("blocked");
    let next = start(&kit, supervisor, "next", &[]);
    kit.until(|| status(&kit, supervisor) == Some(Status::Waiting));
    assert_eq!(next.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty), "starts come one by one");
    latch::open(latch);
    assert_eq!(started(&answer), Ok(kit.child(supervisor, "slow")));
    assert_eq!(started(&next), Ok(kit.child(supervisor, "next")));
}

#[test]
fn a_supervisor_goes_on_after_a_child_that_was_abandoned_in_its_init() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![]));
    let latch = latch::new();
    let answer = start(&kit, supervisor, "stuck", &[Do::Block(latch)]);
    kit.expect("blocked");
    let stuck = kit.child(supervisor, "stuck").expect("its init runs");
    kit.node.kill(&[stuck], soon());
    assert!(started(&answer).is_err_and(|why| why.contains("killed")));
    assert_eq!(kit.child(supervisor, "stuck"), None);
    assert!(started(&start(&kit, supervisor, "next", &[])).is_ok_and(|pid| pid.is_some()));
    latch::open(latch);
    kit.until(|| kit.node.stuck(Duration::ZERO).is_empty());
    assert_eq!(kit.node.processes().len(), 2);
}

#[test]
fn an_init_ends_in_each_way_and_its_supervisor_goes_on() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![]));
    let try_start = |id: &str, init: &[Do]| started(&start(&kit, supervisor, id, init));
    assert!(try_start("a", &[Do::Crash(text("bad"))]).is_err_and(|why| why.contains("bad")));
    assert!(try_start("b", &[Do::Stop(Exit::Shutdown(text("no")))]).is_err_and(|why| why.contains("no")));
    assert_eq!(try_start("c", &[Do::Ignore]), Ok(None));
    let linked = try_start("d", &[Do::Link(supervisor)]).expect("it starts").expect("it runs");
    assert!(try_start("e", &[Do::Sleep(1), Do::Cast(linked, Box::new(Do::Add(3)))]).is_ok());
    // As in OTP, a child that calls its supervisor in its init waits for itself.
    let call = Do::Call(supervisor, Box::new(Do::Get), Some(20));
    assert!(try_start("f", &[call, Do::Note(text("timed out"))]).is_ok_and(|pid| pid.is_some()));
    kit.expect("timed out");
    assert_eq!(kit.ask(linked, Do::Get), Said::Number(3));
    let ids = kit.node.which_children(supervisor).expect("it lives").into_iter().map(|row| row.id);
    assert_eq!(ids.collect::<Vec<_>>(), ["f", "e", "d", "c"].map(name));
}

#[test]
fn a_supervisor_does_not_wait_for_the_continue_of_a_child() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![]));
    let latch = latch::new();
    let answer = start(&kit, supervisor, "a", &[Do::Continue(Box::new(Do::Block(latch)))]);
    assert!(started(&answer).is_ok_and(|pid| pid.is_some()));
    kit.expect("blocked");
    latch::open(latch);
}

#[test]
fn a_supervisor_below_a_supervisor_starts_its_children_in_order() {
    let kit = Kit::new();
    let low = one_for_one(["x", "y"].map(|id| child(id, &[Do::Note(text(id)), Do::Sleep(1)])).to_vec());
    let middle = ChildSpec {
        module: text("sup"),
        args: ByteBuf::from(term::encode(&low)),
        child_type: reld_wire::spec::ChildType::Supervisor,
        ..child("middle", &[])
    };
    let first = child("first", &[Do::Note(text("first"))]);
    kit.supervisor(&one_for_one(vec![first, middle, child("last", &[Do::Note(text("last"))])]));
    assert_eq!(kit.notes(), ["first", "x", "y", "last"]);
}

#[test]
fn a_gate_that_is_raised_during_an_init_holds_the_child_and_its_supervisor_afterwards() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![]));
    let latch = latch::new();
    let answer = start(&kit, supervisor, "a", &[Do::Add(4), Do::Block(latch)]);
    kit.expect("blocked");
    let mut upgrade = kit.stage(vec![kit.double("counter", 2)]);
    let raise = std::thread::scope(|scope| {
        let raise = scope.spawn(|| upgrade.raise(members(&["counter"], SOON, Unrest::Abort), |_, _| true));
        latch::open(latch);
        raise.join().expect("no panic")
    });
    assert_eq!(raise, Ok(()));
    let born = kit.child(supervisor, "a").expect("it was born");
    let next = start(&kit, supervisor, "b", &[]);
    assert_eq!(next.recv_timeout(Duration::from_millis(20)), Err(RecvTimeoutError::Timeout), "it is held");
    complete(upgrade, up());
    assert_eq!((started(&answer), version(&kit, born)), (Ok(Some(born)), text("2")));
    assert_eq!(kit.ask(born, Do::Get), Said::Number(4));
    assert!(started(&next).is_ok_and(|pid| pid.is_some_and(|pid| version(&kit, pid) == "2")));
}

#[test]
fn each_of_many_starts_at_once_is_answered_once() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![]));
    let inits =
        [vec![], vec![Do::Sleep(0)], vec![Do::Crash(text("x"))], vec![Do::Continue(Box::new(Do::Add(1)))]];
    let answers: Vec<_> = (0..400).map(|n| start(&kit, supervisor, &n.to_string(), &inits[n % 4])).collect();
    let started = answers.iter().filter(|answer| started(answer).is_ok()).count();
    assert_eq!(started, 300);
    assert!(answers.iter().all(|answer| answer.try_recv().is_err()), "no start is answered twice");
    assert_eq!(kit.node.which_children(supervisor).map(|rows| rows.len()), Some(300));
}
