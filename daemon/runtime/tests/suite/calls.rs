//! A call: its server runs inside the turn of the caller.

use std::time::Duration;

use reld_runtime::Status;
use reld_wire::Exit;

use crate::kit::words::{Do, Said, text};
use crate::kit::{Kit, latch};

fn call(to: reld_wire::Pid, what: Do) -> Do {
    Do::Call(to, Box::new(what), None)
}

#[test]
fn a_caller_is_parked_beside_a_server_that_computes_and_can_be_killed() {
    let kit = Kit::new();
    let (caller, server) = (kit.counter(&[]), kit.counter(&[]));
    let latch = latch::new();
    kit.cast(caller, call(server, Do::Block(latch)));
    kit.expect("blocked");
    let status = || kit.node.process(caller).map(|process| process.status);
    kit.until(|| status() == Some(Status::Waiting));
    assert!(kit.node.exit(caller, Exit::Killed));
    kit.gone(caller);
    latch::open(latch);
    assert_eq!(kit.ask(server, Do::Add(2)), Said::Number(2));
}

#[test]
fn a_call_times_out_while_its_server_computes_and_a_late_reply_is_dropped() {
    let kit = Kit::new();
    let (caller, server) = (kit.counter(&[]), kit.counter(&[]));
    let latch = latch::new();
    let late = Do::All(vec![Do::Block(latch), Do::Add(7)]);
    assert_eq!(kit.ask(caller, Do::Call(server, Box::new(late), Some(20))), Said::TimedOut);
    latch::open(latch);
    assert_eq!(kit.ask(caller, call(server, Do::Get)), Said::Number(7));
}

#[test]
fn a_call_ends_in_each_way_and_its_caller_goes_on() {
    let kit = Kit::new();
    let caller = kit.counter(&[]);
    let ask = |what| kit.ask(caller, call(kit.counter(&[]), what));
    assert_eq!(ask(Do::Add(3)), Said::Number(3));
    assert_eq!(ask(Do::Early(4)), Said::Number(4));
    assert_eq!(ask(Do::All(vec![Do::Sleep(1), Do::Add(5)])), Said::Number(5));
    assert_eq!(ask(Do::Crash(text("bad"))), Said::Ended(Exit::Panic(text("bad"))));
    assert_eq!(ask(Do::Stop(Exit::Shutdown(text("no")))), Said::Ended(Exit::Shutdown(text("no"))));
    // A process that calls itself waits for itself, as in OTP.
    assert_eq!(kit.ask(caller, Do::Call(caller, Box::new(Do::Get), Some(20))), Said::TimedOut);
    assert_eq!(kit.ask(caller, Do::Add(1)), Said::Number(1));
}

#[test]
fn a_reply_that_another_process_sends_later_reaches_a_caller() {
    let kit = Kit::new();
    let (caller, server) = (kit.counter(&[]), kit.counter(&[]));
    kit.cast(caller, Do::All(vec![call(server, Do::Defer), Do::Note(text("replied"))]));
    kit.until(|| kit.node.process(caller).is_some_and(|process| process.status == Status::Waiting));
    kit.cast(server, Do::Settle(1));
    kit.expect("replied");
}

#[test]
fn calls_may_be_nested_and_meet_in_a_circle() {
    let kit = Kit::new();
    let processes: Vec<_> = (0..8).map(|_| kit.counter(&[])).collect();
    let chain = processes.iter().fold(Do::Add(9), |what, process| call(*process, what));
    let first = kit.counter(&[]);
    assert_eq!(kit.ask(first, chain), Said::Number(9));
    let [a, b] = [processes[0], processes[1]];
    let back = Do::Call(a, Box::new(Do::Get), Some(20));
    assert_eq!(kit.ask(a, call(b, back)), Said::TimedOut);
    assert_eq!(kit.ask(a, call(b, Do::Get)), Said::Number(0));
}

#[test]
fn an_exit_signal_during_calls_takes_effect_when_the_turn_ends_with_the_last_call() {
    let kit = Kit::new();
    let parent = kit.counter(&[Do::Trap(true)]);
    let Said::Pid(Some(caller)) = kit.ask(parent, Do::SpawnChild(text("counter"), vec![Do::Trap(true)]))
    else {
        panic!("it spawns a child")
    };
    // A turn has 64 steps: the callback, and then its calls.
    let mut calls = vec![call(parent, Do::Exit(caller, Exit::shutdown()))];
    calls.resize(63, call(parent, Do::Get));
    kit.cast(caller, Do::All(calls));
    kit.gone(caller);
    assert_eq!(kit.ask(parent, Do::Get), Said::Number(0));
}

#[test]
fn a_caller_does_not_wait_for_the_continue_of_its_server() {
    let kit = Kit::new();
    let (caller, server) = (kit.counter(&[]), kit.counter(&[]));
    let latch = latch::new();
    let what = Do::All(vec![Do::Continue(Box::new(Do::Block(latch))), Do::Add(6)]);
    assert_eq!(kit.ask(caller, call(server, what)), Said::Number(6));
    kit.expect("blocked");
    latch::open(latch);
}

#[test]
fn each_of_many_calls_at_once_is_answered_once() {
    let kit = Kit::new();
    let server = kit.counter(&[]);
    let callers: Vec<_> = (0..100).map(|_| kit.counter(&[])).collect();
    for caller in &callers {
        let calls = (0..10).map(|_| call(server, Do::Add(1))).collect();
        kit.cast(*caller, Do::All(calls));
    }
    assert!(callers.iter().all(|caller| kit.ask(*caller, Do::Get) == Said::Number(0)));
    assert_eq!(kit.ask(server, Do::Get), Said::Number(1_000));
    assert!(kit.node.stuck(Duration::ZERO).is_empty());
}
