//! Panics of the daemon's own code, on each kind of thread. A double has no library around it, so
//! its panics stand for bugs of the daemon.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use reld_runtime::{Answer, RequestKind, Runtime, term};
use reld_wire::{Exit, Pid};

use crate::kit::words::{Do, Said};
use crate::kit::{Kit, SOON, child, latch, one_for_one};

/// A message that the double cannot decode; its callback panics.
fn nonsense(kit: &Kit, to: Pid) -> Answer {
    kit.node.call(RequestKind::Call, to, term::encode(&"nonsense"), Some(SOON))
}

#[track_caller]
fn check_panicked(answer: &Answer) {
    let Answer::Exit(Exit::Error(text)) = answer else { panic!("{answer:?}") };
    assert!(text.starts_with("the daemon panicked: messages of the test are words"), "{text}");
}

#[test]
fn a_panic_of_the_daemon_in_a_callback_ends_the_process_and_its_supervisor_restarts_it() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![child("a", &[])]));
    let first = kit.child(supervisor, "a").expect("it runs");
    let other = kit.counter(&[]);
    kit.ask(other, Do::Add(1));
    check_panicked(&nonsense(&kit, first));
    kit.gone(first);
    kit.until(|| kit.child(supervisor, "a").is_some_and(|pid| pid != first));
    // More of them than the pool has threads.
    for _ in 0..10 {
        check_panicked(&nonsense(&kit, kit.counter(&[])));
    }
    assert_eq!(kit.ask(other, Do::Get), Said::Number(1));
    // None of them counts as a callback that still computes.
    kit.until(|| kit.node.stuck(Duration::ZERO).is_empty());
}

#[test]
fn a_thread_of_the_pool_outlives_a_job_that_panics() {
    let node = Runtime::new(1);
    let (beat, felt) = mpsc::channel();
    let next = || felt.recv_timeout(SOON).expect("the pool runs what it is given");
    let goes_on = || {
        let (first, second) = (beat.clone(), beat.clone());
        node.pulse(move || {
            first.send(thread::current().id()).unwrap_or(());
            panic!("a bug in a job")
        });
        node.pulse(move || second.send(thread::current().id()).unwrap_or(()));
        next() == next()
    };
    // On a machine that is busy, the watchdog may replace a thread while its panic is reported.
    assert!((0..100).any(|_| goes_on()));
}

#[test]
fn a_panic_in_the_handler_of_an_answer_does_not_end_the_process_that_answered() {
    let kit = Kit::new();
    let pid = kit.counter(&[]);
    let ask = |what: &Do, ms| {
        let timeout = Duration::from_millis(ms);
        kit.node.call_then(RequestKind::Call, pid, term::encode(what), Some(timeout), |_| panic!("a bug"));
    };
    ask(&Do::Add(1), 10_000);
    assert_eq!(kit.ask(pid, Do::Get), Said::Number(1));
    // The timer gives this answer; timers fire on.
    ask(&Do::Defer, 1);
    assert_eq!(kit.ask(pid, Do::Sleep(5)), Said::Flag(true));
    assert_eq!(kit.ask(pid, Do::Get), Said::Number(1));
}

#[test]
fn work_that_panics_costs_no_spare_thread_and_its_process_goes_on() {
    let kit = Kit::new();
    let pid = kit.counter(&[]);
    // More often than there are threads.
    for _ in 0..70 {
        assert_eq!(kit.ask(pid, Do::PanicOnSpareThread), Said::Flag(true));
    }
    assert_eq!(kit.node.blocking(), []);
}

#[test]
fn a_report_of_a_slow_callback_that_panics_is_lost_and_nothing_else() {
    static ASKED: AtomicBool = AtomicBool::new(false);
    let kit = Kit::new();
    kit.node.on_frames(|_| {
        ASKED.store(true, Ordering::Relaxed);
        panic!("a bug in a look at a thread")
    });
    let pid = kit.counter(&[]);
    let latch = kit.block(pid);
    kit.until(|| ASKED.load(Ordering::Relaxed));
    latch::open(latch);
    assert_eq!(kit.ask(pid, Do::Get), Said::Number(0));
}
