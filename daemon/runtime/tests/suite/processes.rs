//! Processes: messages, calls, names, links, monitors, timers, and how they end.

use std::time::{Duration, Instant};

use crate::kit::words::{Do, Said, text};
use crate::kit::{Kit, SOON, latch, soon};
use reld_runtime::{Answer, Place, RequestKind, Status, Wait, term};
use reld_wire::{Exit, Pid};

// --- messages
// --------------------------------------------------------------------------------------------------------

#[test]
fn a_call_is_answered_and_casts_and_infos_are_handled_before_it_in_order() {
    let kit = Kit::new();
    let pid = kit.counter(&[]);
    kit.cast(pid, Do::Remember(text("cast")));
    kit.info(pid, Do::Remember(text("info")));
    kit.cast(pid, Do::Add(2));
    assert_eq!(kit.ask(pid, Do::Add(1)), Said::Number(3));
    assert_eq!(kit.ask(pid, Do::Log), Said::Texts(vec![text("cast@1"), text("info@1")]));
}

#[test]
fn a_call_to_a_missing_process_is_answered_with_noproc() {
    let kit = Kit::new();
    let pid = kit.counter(&[]);
    kit.cast(pid, Do::Stop(Exit::Normal));
    kit.gone(pid);
    let missing = [Pid { slot: 4000, generation: 1 }, Pid { slot: pid.slot, generation: 99 }, Pid::NONE];
    for pid in missing.into_iter().chain([pid]) {
        assert_eq!(kit.ask(pid, Do::Get), Said::Ended(Exit::Noproc), "{pid}");
    }
    let caller = kit.counter(&[]);
    assert_eq!(kit.ask(caller, Do::Call(pid, Box::new(Do::Get), None)), Said::Ended(Exit::Noproc));
}

#[test]
fn a_deferred_reply_answers_its_caller() {
    let kit = Kit::new();
    let server = kit.counter(&[]);
    let caller = kit.counter(&[]);
    kit.cast(caller, Do::All(vec![Do::Call(server, Box::new(Do::Defer), None), Do::Note(text("answered"))]));
    kit.until(|| kit.node.process(caller).is_some_and(|p| p.status == Status::Waiting));
    kit.until(|| kit.ask(server, Do::Settle(5)) == Said::Flag(true));
    kit.expect("answered");
}

#[test]
fn a_call_may_be_answered_by_another_process_than_its_server() {
    let kit = Kit::new();
    let [server, caller, other] = [(); 3].map(|()| kit.counter(&[]));
    let unanswered =
        || kit.node.details(server).and_then(|all| all.inside).map(|inside| inside.unanswered.len());
    kit.cast(caller, Do::All(vec![Do::Call(server, Box::new(Do::Defer), None), Do::Note(text("answered"))]));
    kit.until(|| unanswered() == Some(1));
    kit.cast(server, Do::Delegate(other));
    kit.expect("answered");
    kit.until(|| unanswered() == Some(0));
}

#[test]
fn a_reply_before_the_end_of_the_callback_is_the_only_one() {
    let kit = Kit::new();
    let server = kit.counter(&[]);
    assert_eq!(kit.ask(server, Do::Early(7)), Said::Number(7));
    assert_eq!(kit.ask(server, Do::Get), Said::Number(0));
}

#[test]
fn a_server_that_ends_answers_all_its_callers_with_its_reason() {
    let kit = Kit::new();
    let server = kit.counter(&[]);
    let why = Exit::Panic(text("enough"));
    let (answers, answered) = std::sync::mpsc::channel();
    // The first is kept open, the second crashes, the third is still queued.
    for what in [Do::Defer, Do::Crash(text("enough")), Do::Get] {
        let answers = answers.clone();
        let done = move |answer| answers.send(answer).unwrap_or(());
        kit.node.call_then(RequestKind::Call, server, term::encode(&what), None, done);
    }
    for _ in 0..3 {
        let answer = answered.recv_timeout(SOON).expect("every call is answered");
        assert!(answer == Answer::Exit(why.clone()) || answer == Answer::Exit(Exit::Noproc), "{answer:?}");
    }
}

#[test]
fn calls_time_out_each_at_its_own_time() {
    let kit = Kit::new();
    let deaf = kit.counter(&[]);
    let latch = kit.block(deaf);
    let caller = kit.counter(&[]);
    assert_eq!(kit.ask(caller, Do::CallMany(deaf, 100, 5)), Said::Number(100));
    assert_eq!(kit.ask(caller, Do::Call(deaf, Box::new(Do::Get), Some(1))), Said::TimedOut);
    latch::open(latch);
    assert_eq!(kit.ask(caller, Do::Call(deaf, Box::new(Do::Get), Some(60_000))), Said::Number(0));
}

#[test]
fn a_late_answer_is_dropped() {
    let kit = Kit::new();
    let (server, caller) = (kit.counter(&[]), kit.counter(&[]));
    let late = Do::Call(server, Box::new(Do::Defer), Some(1));
    assert_eq!(kit.ask(caller, late), Said::TimedOut);
    assert_eq!(kit.ask(server, Do::Settle(1)), Said::Flag(true));
    assert_eq!(kit.ask(caller, Do::Call(server, Box::new(Do::Add(4)), None)), Said::Number(4));
}

#[test]
fn a_callback_that_waits_lets_its_mail_wait() {
    let kit = Kit::new();
    let (slow, server) = (kit.counter(&[]), kit.counter(&[]));
    kit.cast(slow, Do::All(vec![Do::Call(server, Box::new(Do::Defer), None), Do::Add(1)]));
    kit.until(|| kit.node.process(slow).is_some_and(|p| p.status == Status::Waiting));
    kit.cast(slow, Do::Add(10));
    let queued = kit.node.process(slow).expect("it lives").queued;
    assert_eq!(queued, 1);
    kit.until(|| kit.ask(server, Do::Settle(0)) == Said::Flag(true));
    assert_eq!(kit.ask(slow, Do::Get), Said::Number(11));
}

#[test]
fn a_thousand_messages_from_one_sender_arrive_in_order() {
    let kit = Kit::new();
    let pid = kit.counter(&[]);
    let words: Vec<_> = (0..1000).map(|n| n.to_string()).collect();
    words.iter().for_each(|word| kit.cast(pid, Do::Remember(word.clone())));
    let expected = words.iter().map(|word| format!("{word}@1")).collect();
    assert_eq!(kit.ask(pid, Do::Log), Said::Texts(expected));
}

#[test]
fn a_process_with_much_mail_lets_others_run() {
    let kit = Kit::new();
    let (busy, other) = (kit.counter(&[]), kit.counter(&[]));
    // One worker is blocked, so both processes share the other; the busy one yields between
    // messages.
    let latch = kit.block(kit.counter(&[]));
    for _ in 0..10_000 {
        kit.cast(busy, Do::Add(1));
    }
    assert_eq!(kit.ask(other, Do::Get), Said::Number(0));
    assert_eq!(kit.ask(busy, Do::Get), Said::Number(10_000));
    latch::open(latch);
}

#[test]
fn pids_are_never_used_again() {
    let kit = Kit::new();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..100 {
        let pid = kit.counter(&[]);
        assert!(seen.insert(pid), "{pid} came back");
        kit.node.exit(pid, Exit::Killed);
        kit.gone(pid);
    }
}

#[test]
fn the_number_of_processes_is_counted_as_they_start_and_end() {
    let kit = Kit::new();
    let pids = [(); 5].map(|()| kit.counter(&[]));
    assert_eq!((kit.node.figures().processes, kit.node.processes().len()), (5, 5));
    for pid in &pids[..3] {
        kit.node.exit(*pid, Exit::Killed);
        kit.gone(*pid);
    }
    kit.until(|| kit.node.figures().processes == 2);
    kit.counter(&[]);
    assert_eq!((kit.node.figures().processes, kit.node.processes().len()), (3, 3));
}

// --- birth
// -----------------------------------------------------------------------------------------------------------

#[track_caller]
fn check_start(init: Do, expected: Result<bool, Exit>) {
    let kit = Kit::new();
    let started = kit.node.spawn("counter", term::encode(&vec![init]), SOON);
    assert_eq!(started.map(|pid| pid.is_some()), expected);
    kit.until(|| kit.node.processes().len() == usize::from(expected == Ok(true)));
}

#[test]
fn a_start_returns_how_init_ended() {
    check_start(Do::Add(1), Ok(true));
    check_start(Do::Sleep(1), Ok(true));
    check_start(Do::Ignore, Ok(false));
    check_start(Do::Crash(text("no")), Err(Exit::Panic(text("no"))));
    check_start(Do::Stop(Exit::Error(text("bad"))), Err(Exit::Error(text("bad"))));
}

#[test]
fn a_start_of_an_unknown_module_names_it() {
    let kit = Kit::new();
    let error = kit.node.spawn("missing", term::encode(&Vec::<Do>::new()), SOON);
    assert_eq!(error, Err(Exit::Error(text("module missing is not loaded"))));
    let starter = kit.counter(&[]);
    assert_eq!(kit.ask(starter, Do::Spawn(text("missing"), vec![], false)), Said::Flag(false));
}

#[test]
fn a_start_that_takes_too_long_is_given_up_and_the_process_killed() {
    let kit = Kit::new();
    let started =
        kit.node.spawn("counter", term::encode(&vec![Do::Hang]), std::time::Duration::from_millis(20));
    assert_eq!(started, Err(Exit::Error(text("init of counter took longer than 20 ms"))));
    kit.until(|| kit.node.processes().is_empty());
}

// --- links, monitors, exit signals
// -----------------------------------------------------------------------------------

#[test]
fn an_exit_signal_acts_by_reason_and_trap() {
    let kit = Kit::new();
    let plain = || kit.counter(&[]);
    let trapping = || kit.counter(&[Do::Trap(true)]);
    #[track_caller]
    fn check(kit: &Kit, pid: Pid, exit: Exit, dies: bool) {
        assert!(kit.node.exit(pid, exit.clone()), "{pid} is there");
        if dies {
            kit.gone(pid);
        } else {
            assert_eq!(kit.ask(pid, Do::Get), Said::Number(0), "{exit}");
        }
    }
    check(&kit, plain(), Exit::Normal, false);
    check(&kit, plain(), Exit::shutdown(), true);
    check(&kit, plain(), Exit::Error(text("x")), true);
    check(&kit, plain(), Exit::Killed, true);
    check(&kit, trapping(), Exit::Normal, false);
    check(&kit, trapping(), Exit::shutdown(), false);
    check(&kit, trapping(), Exit::Error(text("x")), false);
    check(&kit, trapping(), Exit::Killed, true);
}

#[test]
fn a_link_carries_the_end_of_one_to_the_other() {
    let kit = Kit::new();
    let (one, two) = (kit.counter(&[]), kit.counter(&[]));
    let watcher = kit.counter(&[Do::Trap(true), Do::Link(two)]);
    kit.ask(one, Do::Link(two));
    kit.cast(one, Do::Crash(text("x")));
    kit.gone(one);
    kit.gone(two);
    kit.expect(&format!("exit {two} panic: x"));
    assert_eq!(kit.ask(watcher, Do::Get), Said::Number(0));
}

#[test]
fn a_link_to_the_dead_is_an_exit_with_noproc() {
    let kit = Kit::new();
    let dead = kit.counter(&[]);
    kit.node.exit(dead, Exit::Killed);
    kit.gone(dead);
    kit.counter(&[Do::Trap(true), Do::Link(dead)]);
    kit.expect(&format!("exit {dead} noproc"));
    let plain = kit.counter(&[]);
    kit.cast(plain, Do::Link(dead));
    kit.gone(plain);
}

#[test]
fn an_unlinked_process_lives_on() {
    let kit = Kit::new();
    let (one, two) = (kit.counter(&[]), kit.counter(&[]));
    kit.ask(one, Do::Link(two));
    kit.ask(one, Do::Unlink(two));
    kit.node.exit(two, Exit::Killed);
    kit.gone(two);
    assert_eq!(kit.ask(one, Do::Get), Said::Number(0));
}

#[test]
fn a_monitor_delivers_the_exit_reason_once() {
    let kit = Kit::new();
    let (server, watcher) = (kit.counter(&[]), kit.counter(&[]));
    let Said::Number(reference) = kit.ask(watcher, Do::Monitor(server)) else { panic!("a reference") };
    kit.cast(server, Do::Stop(Exit::shutdown()));
    kit.expect("terminate shutdown at 0");
    kit.expect(&format!("down {reference} {server} shutdown"));
    let Said::Number(late) = kit.ask(watcher, Do::Monitor(server)) else { panic!("a reference") };
    kit.expect(&format!("down {late} {server} noproc"));
}

#[test]
fn after_demonitor_no_down_comes_even_if_it_was_queued() {
    let kit = Kit::new();
    let (server, watcher) = (kit.counter(&[]), kit.counter(&[]));
    let Said::Number(reference) = kit.ask(watcher, Do::Monitor(server)) else { panic!("a reference") };
    let latch = latch::new();
    kit.cast(watcher, Do::All(vec![Do::Block(latch), Do::Demonitor(reference)]));
    kit.expect("blocked");
    kit.node.exit(server, Exit::Killed);
    kit.until(|| kit.node.process(watcher).is_some_and(|p| p.queued == 1));
    latch::open(latch);
    assert_eq!(kit.ask(watcher, Do::Get), Said::Number(0));
    assert_eq!(kit.notes(), Vec::<String>::new());
}

#[test]
fn stop_runs_terminate_and_a_kill_does_not() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Add(3)]);
    kit.cast(pid, Do::Stop(Exit::Normal));
    kit.expect("terminate normal at 3");
    let pid = kit.counter(&[Do::Trap(true)]);
    kit.node.exit(pid, Exit::Killed);
    kit.gone(pid);
    assert_eq!(kit.notes(), Vec::<String>::new());
}

#[test]
fn a_kill_drops_the_parked_callback_outside_of_every_callback() {
    let kit = Kit::new();
    let pid = kit.counter(&[]);
    kit.cast(pid, Do::Hang);
    kit.until(|| kit.node.process(pid).is_some_and(|p| p.status == Status::Waiting));
    kit.node.exit(pid, Exit::Killed);
    kit.expect("dropped None");
}

#[test]
fn on_exit_gets_the_reason_once_and_noproc_for_dead_processes() {
    let kit = Kit::new();
    let pid = kit.counter(&[]);
    for expected in [Exit::Error(text("x")), Exit::Noproc] {
        let (done, told) = std::sync::mpsc::channel();
        kit.node.on_exit(pid, move |exit| done.send(exit).unwrap_or(()));
        kit.node.exit(pid, Exit::Error(text("x")));
        assert_eq!(told.recv_timeout(SOON), Ok(expected));
        kit.gone(pid);
    }
}

// --- names and timers
// ------------------------------------------------------------------------------------------------

#[test]
fn a_name_leads_to_its_process_while_that_lives() {
    let kit = Kit::new();
    let (one, two) = (kit.counter(&[Do::Register(text("a"))]), kit.counter(&[]));
    assert_eq!(kit.node.whereis("a"), Some(one));
    assert_eq!(kit.ask(two, Do::Register(text("a"))), Said::Flag(false));
    assert_eq!(kit.ask(two, Do::Unregister(text("a"))), Said::Flag(false));
    kit.node.exit(one, Exit::Killed);
    kit.gone(one);
    assert_eq!(kit.ask(two, Do::Whereis(text("a"))), Said::Pid(None));
    assert_eq!(kit.ask(two, Do::Register(text("a"))), Said::Flag(true));
    assert_eq!(kit.node.process(two).expect("it lives").names, ["a"]);
}

#[test]
fn a_timer_sends_its_message_and_a_cancelled_one_does_not() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::After(1, Box::new(Do::Note(text("tick"))))]);
    kit.expect("tick");
    assert_eq!(kit.ask(pid, Do::Cancel), Said::Flag(false));
    kit.ask(pid, Do::After(60_000, Box::new(Do::Note(text("never")))));
    assert_eq!(kit.timers(pid).len(), 1);
    assert_eq!(kit.ask(pid, Do::Cancel), Said::Flag(true));
    assert_eq!(kit.timers(pid).len(), 0);
}

#[test]
fn a_sleep_ends() {
    let kit = Kit::new();
    let pid = kit.counter(&[]);
    assert_eq!(kit.ask(pid, Do::All(vec![Do::Sleep(2), Do::Add(1)])), Said::Number(1));
}

#[test]
fn the_timers_of_a_process_end_with_it() {
    let kit = Kit::new();
    const LONG: u64 = 3_600_000;
    let silent = kit.counter(&[]);
    kit.cast(silent, Do::Hang);
    let waits = [Do::Call(silent, Box::new(Do::Get), Some(LONG)), Do::Sleep(LONG), Do::Idle(LONG)];
    let waiting = waits.map(|wait| {
        let pid = kit.counter(&[]);
        kit.cast(pid, wait);
        pid
    });
    kit.until(|| kit.node.figures().timers == 3);
    waiting.into_iter().for_each(|pid| assert!(kit.node.exit(pid, Exit::Killed)));
    kit.until(|| kit.node.figures().timers == 0);
}

#[test]
fn a_process_needs_one_timer_for_all_that_it_waits_for() {
    let kit = Kit::new();
    let silent = kit.counter(&[]);
    kit.cast(silent, Do::Hang);
    let caller = kit.counter(&[]);
    assert_eq!(kit.ask(caller, Do::CallMany(silent, 5, 20)), Said::Number(5));
    kit.cast(caller, Do::CallMany(silent, 5, 3_600_000));
    kit.until(|| kit.node.figures().timers == 1);
}

// --- starting from callbacks
// -----------------------------------------------------------------------------------------

#[test]
fn a_callback_starts_processes_and_gets_their_pids() {
    let kit = Kit::new();
    let starter = kit.counter(&[]);
    let Said::Pid(Some(pid)) = kit.ask(starter, Do::Spawn(text("counter"), vec![Do::Add(9)], false)) else {
        panic!("a pid")
    };
    assert_eq!(kit.ask(pid, Do::Get), Said::Number(9));
    assert_eq!(kit.ask(starter, Do::Spawn(text("counter"), vec![Do::Ignore], false)), Said::Pid(None));
    let crash = Do::Spawn(text("counter"), vec![Do::Crash(text("x"))], false);
    assert_eq!(kit.ask(starter, crash), Said::Ended(Exit::Panic(text("x"))));
}

#[test]
fn a_linked_start_binds_both() {
    let kit = Kit::new();
    let starter = kit.counter(&[]);
    let Said::Pid(Some(pid)) = kit.ask(starter, Do::Spawn(text("counter"), vec![], true)) else {
        panic!("a pid")
    };
    kit.cast(pid, Do::Crash(text("x")));
    kit.gone(starter);
}

// --- tasks
// -----------------------------------------------------------------------------------------------------------

#[test]
fn a_task_receives_in_order_and_ends_when_its_function_does() {
    let kit = Kit::new();
    let task = kit.spawn("task", &[Do::Recv, Do::Recv, Do::Recv]);
    kit.cast(task, Do::Note(text("one")));
    kit.info(task, Do::Note(text("two")));
    assert_eq!((kit.note(), kit.note()), (text("one"), text("two")));
    assert_eq!(kit.ask(task, Do::Add(5)), Said::Number(5));
    kit.gone(task);
}

#[test]
fn mail_that_comes_while_a_task_waits_for_an_answer_is_kept_for_its_next_receive() {
    let kit = Kit::new();
    let server = kit.counter(&[]);
    let call = Do::Call(server, Box::new(Do::Defer), None);
    let task = kit.spawn("task", &[call, Do::Note(text("answered")), Do::Recv, Do::Recv]);
    kit.cast(task, Do::Note(text("one")));
    kit.cast(task, Do::Note(text("two")));
    kit.until(|| kit.ask(server, Do::Settle(0)) == Said::Flag(true));
    assert_eq!([kit.note(), kit.note(), kit.note()], ["answered", "one", "two"]);
    kit.gone(task);
}

#[test]
fn a_call_received_by_a_task_is_answered_when_the_task_ends() {
    let kit = Kit::new();
    let task = kit.spawn("task", &[Do::Recv]);
    assert_eq!(kit.ask(task, Do::Stop(Exit::Error(text("x")))), Said::Ended(Exit::Error(text("x"))));
}

#[test]
fn s2_a_task_goes_on_in_current_code_as_the_same_process_with_its_mail_and_names() {
    let kit = Kit::new();
    let rounds = vec![Do::Recv, Do::Recv];
    let own = kit.spawn("task", &[Do::Recv, Do::Recv]);
    let moves = [Do::Register(text("mover")), Do::Recv, Do::GoOn(text("task"), rounds)];
    let mover = kit.spawn("task", &moves);
    assert_eq!(kit.node.load(vec![kit.module("task", 2)], soon()), Ok(()));
    let version = |pid| kit.node.process(pid).expect("it lives").version;
    kit.cast(own, Do::Note(text("own round")));
    kit.cast(mover, Do::Note(text("last round")));
    kit.cast(mover, Do::Note(text("first round of the new code")));
    ["own round", "last round", "first round of the new code"].iter().for_each(|note| kit.expect(note));
    assert_eq!((version(own), version(mover)), (text("1"), text("2")));
    assert_eq!(kit.node.whereis("mover"), Some(mover));
    assert_eq!(kit.ask(mover, Do::Version), Said::Number(2));
    kit.gone(mover);
    // Only the task with its own loop is still in old code.
    let purge = kit.node.soft_purge("task", Place::Old).expect("it is known");
    assert_eq!(purge.lingering, [own]);
}

#[test]
fn a_task_goes_on_nowhere_else_and_not_after_a_failure() {
    let kit = Kit::new();
    for nowhere in ["missing", "counter"] {
        let refused = kit.spawn("task", &[Do::Recv]);
        assert_eq!(kit.ask(refused, Do::GoOn(text(nowhere), vec![])), Said::Flag(false));
    }
    let failing = kit.spawn("task", &[Do::GoOn(text("task"), vec![Do::Hang]), Do::Crash(text("first"))]);
    kit.gone(failing);
    // A server has only the loop of its behaviour.
    let server = kit.counter(&[Do::Continue(Box::new(Do::Note(text("continued"))))]);
    kit.expect("continued");
    assert_eq!(kit.ask(server, Do::Get), Said::Number(0));
}

// --- a bound on the mailbox
// ------------------------------------------------------------------------------------------

#[test]
fn a_full_mailbox_drops_casts_refuses_calls_and_accepts_timers_and_downs() {
    let kit = Kit::new();
    let watched = kit.counter(&[]);
    let pid =
        kit.counter(&[Do::Bound(2), Do::Monitor(watched), Do::After(1, Box::new(Do::Note(text("timer"))))]);
    kit.expect("timer");
    kit.cast(pid, Do::After(1, Box::new(Do::Note(text("timer")))));
    let latch = kit.block(pid);
    kit.cast(pid, Do::Note(text("one")));
    kit.info(pid, Do::Note(text("two")));
    kit.cast(pid, Do::Note(text("lost")));
    kit.info(pid, Do::Note(text("lost")));
    assert_eq!(kit.ask(pid, Do::Get), Said::Ended(Exit::Overloaded));
    kit.node.exit(watched, Exit::Killed);
    kit.gone(watched);
    let waits = |queued: usize| kit.node.process(pid).is_some_and(|info| info.queued == queued);
    kit.until(|| waits(4));
    assert_eq!(kit.node.process(pid).and_then(|info| info.bound), Some((2, 3)));
    assert_eq!(kit.node.figures().mailbox_full, 3);
    latch::open(latch);
    kit.until(|| waits(0));
    assert_eq!(kit.ask(pid, Do::Bound(0)), Said::Flag(true));
    let mut heard = kit.notes();
    heard.sort();
    let down = heard.remove(0);
    assert!(down.starts_with("down "), "{down}");
    assert_eq!(heard, ["one", "timer", "two"]);
    assert_eq!(kit.node.process(pid).and_then(|info| info.bound), None);
}

#[test]
fn the_inbox_of_a_waiting_process_counts_against_its_bound() {
    let kit = Kit::new();
    let server = kit.counter(&[]);
    let pid = kit.counter(&[Do::Bound(2)]);
    kit.cast(pid, Do::Call(server, Box::new(Do::Defer), None));
    kit.until(|| kit.node.process(pid).is_some_and(|info| info.status == Status::Waiting));
    kit.cast(pid, Do::Note(text("one")));
    // Any signal makes it move its mail to the inbox.
    let other = kit.counter(&[]);
    assert_eq!(kit.ask(other, Do::Monitor(pid)), Said::Number(1));
    kit.until(|| kit.node.details(pid).and_then(|d| d.inside).is_some_and(|i| i.monitored_by == [other]));
    kit.cast(pid, Do::Note(text("two")));
    assert_eq!(kit.ask(pid, Do::Get), Said::Ended(Exit::Overloaded));
    kit.until(|| kit.ask(server, Do::Settle(0)) == Said::Flag(true));
    kit.expect("two");
    assert_eq!(kit.ask(pid, Do::Get), Said::Number(0));
    let task = kit.spawn("task", &[Do::Bound(1), Do::Recv, Do::Recv]);
    kit.cast(task, Do::Note(text("first")));
    kit.expect("first");
    kit.cast(task, Do::Note(text("second")));
    kit.expect("second");
}

// --- callbacks under way
// ---------------------------------------------------------------------------------------------

#[test]
fn a_parked_callback_is_shown_with_its_event_and_its_waits() {
    let kit = Kit::new();
    let callback = |pid| kit.node.process(pid).and_then(|info| info.callback);
    let server = kit.counter(&[]);
    assert_eq!(callback(server), None);
    let caller = kit.counter(&[]);
    kit.cast(caller, Do::Call(server, Box::new(Do::Defer), None));
    kit.until(|| callback(caller).is_some());
    let waits = callback(caller).expect("it waits");
    assert!(waits.about.as_ref().is_some_and(|about| about.starts_with("cast {\"Call\"")), "{waits:?}");
    assert_eq!(waits.waits_for, [Wait::Answer(server)]);
    let task = kit.spawn("task", &[Do::Recv]);
    kit.until(|| callback(task).is_some_and(|task| task.waits_for == [Wait::Message]));
    let latch = kit.block(server);
    kit.until(|| callback(server).is_some_and(|busy| busy.waits_for.is_empty()));
    assert_eq!(kit.node.sample(Duration::from_millis(20)).get(&server), Some(&1.0));
    latch::open(latch);
    kit.until(|| callback(server).is_none());
}

// --- the pool
// --------------------------------------------------------------------------------------------------------

#[test]
fn endless_callbacks_on_every_worker_do_not_stop_others() {
    let kit = Kit::new();
    let blocked: Vec<_> = (0..4).map(|_| kit.block(kit.counter(&[]))).collect();
    assert_eq!(kit.ask(kit.counter(&[]), Do::Add(1)), Said::Number(1));
    kit.until(|| !kit.node.stuck(Duration::ZERO).is_empty());
    blocked.into_iter().for_each(|latch| assert!(latch::open(latch)));
    kit.until(|| kit.node.stuck(Duration::ZERO).is_empty());
}

// --- functions
// -------------------------------------------------------------------------------------------------------

/// Runs a task of the module and waits for its end.
fn run_task(kit: &Kit, module: &str, what: &[Do]) -> Result<(), Exit> {
    kit.node.run_task(module, term::encode(&what), soon())
}

#[test]
fn a_task_that_is_run_answers_with_its_end() {
    let kit = Kit::new();
    assert_eq!(run_task(&kit, "task", &[Do::Note(text("done"))]), Ok(()));
    kit.expect("done");
    assert_eq!(run_task(&kit, "task", &[Do::Sleep(1), Do::Stop(Exit::Normal)]), Ok(()));
    assert_eq!(run_task(&kit, "task", &[Do::Crash(text("no"))]), Err(Exit::Panic(text("no"))));
    let moment = Instant::now() + Duration::from_millis(100);
    assert_eq!(kit.node.run_task("task", term::encode(&[Do::Hang]), moment), Err(Exit::Killed));
    kit.until(|| kit.node.processes().is_empty());
    let said = |module: &str| run_task(&kit, module, &[]).expect_err("it cannot be run").to_string();
    assert_eq!(said("counter"), "error: module counter is a GenServer, not a task");
    assert_eq!(said("missing"), "error: module missing is not loaded");
}

/// Runs a task and returns the version of its code.
fn version_of_task(kit: &Kit) -> String {
    let (latch, node) = (latch::new(), kit.node.clone());
    let args = term::encode(&[Do::Block(latch)]);
    let ended = std::thread::spawn(move || node.run_task("task", args, soon()));
    kit.expect("blocked");
    let version = kit.node.processes()[0].version.clone();
    latch::open(latch);
    assert_eq!(ended.join().expect("it answers"), Ok(()));
    version
}

#[test]
fn a_task_that_is_run_takes_staged_code() {
    let kit = Kit::new();
    let upgrade = kit.stage(vec![kit.double("task", 2)]);
    assert_eq!(version_of_task(&kit), "2");
    drop(upgrade);
    assert_eq!(version_of_task(&kit), "1");
}

// --- going on, and waiting for nothing
// -------------------------------------------------------------------------------

#[test]
fn a_continue_runs_after_the_reply_and_before_all_queued_messages() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Continue(Box::new(Do::Remember(text("init"))))]);
    let latch = kit.block(pid);
    kit.cast(
        pid,
        Do::All(vec![Do::Continue(Box::new(Do::Remember(text("continued")))), Do::Remember(text("cast"))]),
    );
    kit.cast(pid, Do::Remember(text("later")));
    latch::open(latch);
    let log = ["init@1", "cast@1", "continued@1", "later@1"].map(text).to_vec();
    assert_eq!(kit.ask(pid, Do::Log), Said::Texts(log));
    // Many rounds must not deepen the stack.
    let round = |left: u32| (0..left).fold(Do::Remember(text("end")), |what, _| Do::Continue(Box::new(what)));
    kit.cast(pid, round(50));
    assert!(
        matches!(kit.ask(pid, Do::Log), Said::Texts(log) if log.last().is_some_and(|last| last == "end@1"))
    );
}

#[test]
fn casts_that_wait_in_a_row_are_handled_in_their_order_also_around_a_wait() {
    let kit = Kit::new();
    let pid = kit.counter(&[]);
    let latch = kit.block(pid);
    let mut log = Vec::new();
    for n in 0..100 {
        if n % 30 == 10 {
            kit.cast(pid, Do::Sleep(1));
        }
        kit.cast(pid, Do::Remember(n.to_string()));
        log.push(format!("{n}@1"));
    }
    latch::open(latch);
    assert_eq!(kit.ask(pid, Do::Log), Said::Texts(log));
}

#[test]
fn a_kill_between_two_casts_in_a_row_comes_before_the_second() {
    let kit = Kit::new();
    let pid = kit.counter(&[]);
    let (latch, second) = (kit.block(pid), latch::new());
    kit.cast(pid, Do::Block(second));
    for _ in 0..10 {
        kit.cast(pid, Do::Note(text("late")));
    }
    latch::open(latch);
    kit.expect("blocked");
    kit.node.exit(pid, Exit::Killed);
    latch::open(second);
    kit.gone(pid);
    assert_eq!(kit.notes(), Vec::<String>::new());
}

#[test]
fn a_receive_timeout_fires_unless_a_message_arrives() {
    let kit = Kit::new();
    let pid = kit.counter(&[]);
    kit.cast(pid, Do::Idle(1));
    kit.expect("timeout");
    kit.cast(pid, Do::Idle(30));
    kit.ask(pid, Do::Get);
    std::thread::sleep(std::time::Duration::from_millis(60));
    assert_eq!(kit.ask(pid, Do::Get), Said::Number(0));
    assert_eq!(kit.notes(), Vec::<String>::new());
}

#[test]
fn a_child_of_a_process_that_is_no_supervisor_ends_with_it_and_is_no_orphan() {
    let kit = Kit::new();
    let parent = kit.counter(&[Do::Trap(true)]);
    let Said::Pid(Some(child)) = kit.ask(parent, Do::SpawnChild(text("counter"), vec![Do::Trap(true)]))
    else {
        panic!("it starts")
    };
    let info = kit.node.process(child).expect("it lives");
    assert_eq!((info.parent, info.is_orphan()), (Some(parent), false));
    kit.node.exit(parent, Exit::Killed);
    kit.expect("terminate killed at 0");
    kit.gone(child);
}
