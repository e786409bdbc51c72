//! System messages, by the table in `sys.rs`, and code loaded by hand.
//!
//! The cases of OTP's `sys_SUITE`.
//!
//! | line of the suite | test here, or in `processes` where named |
//! |---|---|
//! | log | `statistics_and_log_record_messages_while_they_are_on` |
//! | log_to_file | none: a log is read by `relctl sys log`, and its output can be redirected |
//! | stats | `statistics_and_log_record_messages_while_they_are_on` |
//! | trace | `a_trace_shows_messages_until_it_is_dropped_and_only_one_runs_at_a_time` |
//! | install | none, see `sys.rs`; its filters: `a_trace_shows_only_the_events_it_was_started_for` |
//! | suspend: twice, status shows it, resume twice, queued work is done after | `a_suspended_process_keeps_its_mail_and_handles_it_in_order_when_resumed`, `resuming_a_running_process_changes_nothing` |
//! | suspend: calls time out meanwhile | `a_call_to_a_suspended_process_times_out` |
//! | get_status | `get_status_returns_all_settings_of_sys` |
//! | no_debug | `get_status_returns_all_settings_of_sys` |
//! | special_process: statistics, get_state, replace_state | the tests of servers: a supervisor's loop is the daemon's, and is tested in `get_status_returns_all_settings_of_sys` and `a_state_is_replaced_unless_the_code_cannot_read_it` |
//! | special_process: a task, which has its own loop | `system_messages_to_dead_processes_tasks_and_running_callbacks_are_refused_with_the_reason`, and `processes::a_parked_callback_is_shown_with_its_event_and_its_waits` |
//! | failing accessors: callback_failed | `a_state_is_replaced_unless_the_code_cannot_read_it` |
//! | terminate | `a_process_is_terminated_in_order_also_while_it_is_suspended` |

use std::time::Duration;

use crate::kit::double::Change;
use crate::kit::words::{Do, Said, text};
use crate::kit::{Kit, SOON, latch, soon};
use reld_runtime::{
    Answer, Behaviour, CodeError, Place, Purge, RequestKind, Status, SysError, TraceKind, TraceOnly, Traced,
    Way, term,
};
use reld_wire::{Exit, Pid};

const SHORT: Duration = Duration::from_millis(20);

#[derive(serde::Deserialize)]
struct Count {
    #[serde(alias = "n")]
    count: u64,
}

/// Returns the count in the state that `get_state` shows.
#[track_caller]
fn count(kit: &Kit, pid: Pid) -> u64 {
    let state = kit.node.get_state(pid, SOON).expect("it has a state");
    term::decode::<Count>(&state).expect("a state with a count").count
}

fn load(kit: &Kit, version: u32) -> Result<(), CodeError> {
    kit.node.load(vec![kit.module("counter", version)], soon())
}

// --- the table
// -------------------------------------------------------------------------------------------------------

#[test]
fn a_suspended_process_keeps_its_mail_and_handles_it_in_order_when_resumed() {
    let kit = Kit::new();
    let pid = kit.counter(&[]);
    assert_eq!(kit.node.suspend(pid, SOON), Ok(()));
    assert_eq!(kit.node.suspend(pid, SOON), Ok(()));
    let (answered, answer) = std::sync::mpsc::channel();
    let call = term::encode(&Do::Remember(text("call")));
    kit.node.call_then(RequestKind::Call, pid, call, None, move |answer| answered.send(answer).unwrap_or(()));
    kit.cast(pid, Do::Remember(text("cast")));
    kit.info(pid, Do::Remember(text("info")));
    let info = kit.node.process(pid).expect("it lives");
    assert_eq!((info.status, info.queued), (Status::Suspended, 3));
    assert_eq!(count(&kit, pid), 0);
    assert_eq!(kit.node.resume(pid, SOON), Ok(()));
    assert!(answer.recv_timeout(SOON).is_ok());
    let log = ["call@1", "cast@1", "info@1"].map(text).to_vec();
    assert_eq!(kit.ask(pid, Do::Log), Said::Texts(log));
}

#[test]
fn a_call_to_a_suspended_process_times_out() {
    let kit = Kit::new();
    let pid = kit.counter(&[]);
    assert_eq!(kit.node.suspend(pid, SOON), Ok(()));
    let answer = kit.node.call(RequestKind::Call, pid, term::encode(&Do::Add(1)), Some(SHORT));
    assert_eq!(answer, Answer::Timeout);
    assert_eq!(kit.node.resume(pid, SOON), Ok(()));
    // The call is handled all the same, and its late answer dropped.
    assert_eq!(kit.ask(pid, Do::Add(1)), Said::Number(2));
}

#[test]
fn get_status_returns_all_settings_of_sys() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Add(4)]);
    let seen = || {
        let status = kit.node.sys_status(pid, SOON).expect("it answers");
        let count = term::decode::<Count>(&status.state).expect("a state with a count").count;
        (status.is_suspended, status.counts, status.log_max, count)
    };
    assert_eq!(seen(), (false, false, None, 4));
    assert_eq!((kit.node.count(pid, true, SOON), kit.node.keep_log(pid, Some(3), SOON)), (Ok(()), Ok(())));
    assert_eq!(kit.node.suspend(pid, SOON), Ok(()));
    assert_eq!(seen(), (true, true, Some(3), 4));
    assert_eq!(kit.node.no_debug(pid, SOON), Ok(()));
    assert_eq!(seen(), (true, false, None, 4));
    let supervisor = kit.supervisor(&crate::kit::one_for_one(vec![]));
    assert!(kit.node.sys_status(supervisor, SOON).is_ok_and(|status| !status.is_suspended));
    let task = kit.spawn("task", &[Do::Recv]);
    assert_eq!(kit.node.sys_status(task, SOON), Err(SysError::Task(task)));
}

#[test]
fn resuming_a_running_process_changes_nothing() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Add(3)]);
    assert_eq!(kit.node.resume(pid, SOON), Ok(()));
    assert_eq!(kit.ask(pid, Do::Get), Said::Number(3));
}

#[test]
fn the_code_of_a_running_process_is_not_changed() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Add(3)]);
    let refused = kit.node.change_code(pid, "1", Vec::new(), SOON);
    assert_eq!(refused, Err(SysError::NotSuspended(pid)));
    assert_eq!(kit.ask(pid, Do::Get), Said::Number(3));
}

#[test]
fn suspend_load_change_code_and_resume_by_hand_carry_the_state_over() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Add(3)]);
    kit.node.suspend(pid, SOON).expect("it runs");
    load(&kit, 2).expect("there is room");
    kit.cast(pid, Do::Remember(text("late")));
    kit.node.change_code(pid, "1", Vec::new(), SOON).expect("it is suspended");
    kit.node.resume(pid, SOON).expect("it is suspended");
    assert_eq!(kit.ask(pid, Do::All(vec![Do::Add(1)])), Said::Number(4));
    assert_eq!(kit.ask(pid, Do::Log), Said::Texts(vec![text("late@2")]));
}

#[test]
fn a_change_code_by_hand_that_fails_leaves_the_process_suspended_with_its_state() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Add(3)]);
    kit.node.suspend(pid, SOON).expect("it runs");
    let mut new = kit.double("counter", 2);
    new.change = Change::FailsAt(3);
    kit.node.load(vec![std::sync::Arc::new(new)], soon()).expect("there is room");
    let exit = Exit::Error(text("no 3"));
    let refused = kit.node.change_code(pid, "1", Vec::new(), SOON);
    assert_eq!(refused, Err(SysError::Refused { pid, exit }));
    assert_eq!(count(&kit, pid), 3);
    let info = kit.node.process(pid).expect("it lives");
    assert_eq!((info.status, info.version.as_str()), (Status::Suspended, "1"));
}

#[test]
fn system_messages_to_dead_processes_tasks_and_running_callbacks_are_refused_with_the_reason() {
    let kit = Kit::new();
    let dead = Pid { slot: 900, generation: 1 };
    assert_eq!(kit.node.suspend(dead, SOON), Err(SysError::Noproc(dead)));
    let task = kit.spawn("task", &[Do::Recv]);
    assert_eq!(kit.node.get_state(task, SOON), Err(SysError::Task(task)));
    let pid = kit.counter(&[]);
    let latch = kit.block(pid);
    assert_eq!(kit.node.suspend(pid, SHORT), Err(SysError::TimedOut { pid, after: SHORT }));
    latch::open(latch);
    // A request has no effect once its caller has given up.
    assert_eq!(kit.ask(pid, Do::Get), Said::Number(0));
    assert_ne!(kit.node.process(pid).expect("it lives").status, Status::Suspended);
}

#[test]
fn a_system_message_overtakes_the_mail_that_waits() {
    let kit = Kit::new();
    let pid = kit.counter(&[]);
    let latch = kit.block(pid);
    for _ in 0..100 {
        kit.cast(pid, Do::Add(1));
    }
    let node = kit.node.clone();
    let suspended = std::thread::spawn(move || node.suspend(pid, SOON));
    // The signal may arrive before or after the callback ends. In the second case some of the mail
    // is handled first, but never all of it.
    latch::open(latch);
    assert_eq!(suspended.join().expect("no panic"), Ok(()));
    let before = count(&kit, pid);
    assert_eq!(count(&kit, pid), before);
    kit.node.resume(pid, SOON).expect("it is suspended");
    assert_eq!(kit.ask(pid, Do::Get), Said::Number(100));
}

#[test]
fn a_system_message_to_a_process_in_its_init_is_handled_after_it() {
    let kit = Kit::new();
    let latch = latch::new();
    let starter = kit.counter(&[]);
    kit.cast(starter, Do::Spawn(text("counter"), vec![Do::Add(8), Do::Block(latch)], false));
    kit.expect("blocked");
    let unborn =
        kit.node.processes().into_iter().map(|p| p.pid).find(|pid| *pid != starter).expect("it is there");
    let node = kit.node.clone();
    let state = std::thread::spawn(move || node.get_state(unborn, SOON).is_ok());
    latch::open(latch);
    assert!(state.join().expect("no panic"));
}

// --- code by hand
// ----------------------------------------------------------------------------------------------------

#[test]
fn a_load_beside_old_code_is_refused_even_if_no_process_runs_it() {
    let kit = Kit::new();
    load(&kit, 2).expect("there is room");
    let refused = CodeError::NotPurged { module: text("counter"), old: text("1") };
    assert_eq!(load(&kit, 3), Err(refused));
    assert_eq!(kit.node.current_version("counter"), Some(text("2")));
    assert_eq!(kit.node.old_version("counter"), Some(text("1")));
}

#[test]
fn a_load_of_several_modules_is_all_or_nothing() {
    let kit = Kit::new();
    load(&kit, 2).expect("there is room");
    let both = vec![kit.module("task", 2), kit.module("counter", 3)];
    assert!(kit.node.load(both, soon()).is_err());
    assert_eq!(kit.node.current_version("task"), Some(text("1")));
}

#[test]
fn a_task_stays_in_old_code_and_soft_purge_names_it_until_it_ends() {
    let kit = Kit::new();
    let task = kit.spawn("task", &[Do::Recv, Do::Version]);
    kit.node.load(vec![kit.module("task", 2)], soon()).expect("there is room");
    let refused = Purge { killed: vec![], lingering: vec![task] };
    assert_eq!(kit.node.soft_purge("task", Place::Old), Ok(refused));
    assert_eq!(kit.ask(task, Do::Version), Said::Number(1));
    kit.gone(task);
    assert_eq!(kit.node.soft_purge("task", Place::Old), Ok(Purge::default()));
    assert_eq!(kit.node.old_version("task"), None);
}

#[test]
fn a_purge_kills_only_the_processes_in_old_code() {
    let kit = Kit::new();
    let old = kit.spawn("task", &[Do::Recv]);
    let other = kit.counter(&[]);
    kit.node.load(vec![kit.module("task", 2)], soon()).expect("there is room");
    let new = kit.spawn("task", &[Do::Recv]);
    let (done, told) = std::sync::mpsc::channel();
    kit.node.on_exit(old, move |exit| done.send(exit).unwrap_or(()));
    let killed = Purge { killed: vec![old], lingering: vec![] };
    assert_eq!(kit.node.purge("task", Place::Old, soon()), Ok(killed));
    assert_eq!(told.recv_timeout(SOON), Ok(Exit::Killed));
    assert_eq!(kit.node.purge("task", Place::Old, soon()), Ok(Purge::default()));
    assert!([new, other].iter().all(|pid| kit.node.process(*pid).is_some()));
    let unknown = kit.node.purge("missing", Place::Old, soon());
    assert_eq!(unknown, Err(CodeError::NotLoaded(text("missing"))));
}

#[test]
fn a_process_that_computes_without_end_is_named_and_its_code_stays() {
    let kit = Kit::new();
    let latch = latch::new();
    let task = kit.spawn("task", &[Do::Recv]);
    kit.cast(task, Do::Block(latch));
    kit.expect("blocked");
    kit.node.load(vec![kit.module("task", 2)], soon()).expect("there is room");
    // With an expired deadline, no process is taken out of its callback.
    let lingering = kit.node.soft_purge("task", Place::Old).expect("it is known");
    assert_eq!(lingering, Purge { killed: vec![], lingering: vec![task] });
    assert_eq!(kit.node.old_version("task"), Some(text("1")));
    latch::open(latch);
    kit.gone(task);
    assert_eq!(kit.node.soft_purge("task", Place::Old), Ok(Purge::default()));
}

#[test]
fn after_a_load_a_server_of_the_same_shape_moves_before_its_next_message() {
    let kit = Kit::new();
    load(&kit, 2).expect("there is room");
    kit.node.purge("counter", Place::Old, soon()).expect("it is known");
    let idle = kit.counter(&[Do::Add(2)]);
    let busy = kit.counter(&[Do::Add(5)]);
    let latch = kit.block(busy);
    load(&kit, 3).expect("there is room");
    // Idle processes have moved when the load returns.
    assert_eq!(kit.node.process(idle).expect("it lives").version, "3");
    assert_eq!(kit.node.process(busy).expect("it lives").version, "2");
    kit.cast(busy, Do::Remember(text("next")));
    latch::open(latch);
    assert_eq!(kit.ask(busy, Do::Log), Said::Texts(vec![text("next@3")]));
    assert_eq!(kit.ask(idle, Do::Add(1)), Said::Number(3));
    assert_eq!(kit.node.soft_purge("counter", Place::Old), Ok(Purge::default()));
}

#[test]
fn after_a_load_a_server_whose_state_has_another_shape_crashes_and_names_the_field() {
    let kit = Kit::new();
    let pid = kit.counter(&[Do::Add(2)]);
    let (done, told) = std::sync::mpsc::channel();
    kit.node.on_exit(pid, move |exit| done.send(exit).unwrap_or(()));
    load(&kit, 2).expect("there is room");
    let exit = told.recv_timeout(SOON).expect("it ends");
    assert!(matches!(&exit, Exit::Undecodable(why) if why.contains("count")), "{exit}");
}

#[test]
fn code_lists_every_version_with_its_place_and_users() {
    let kit = Kit::new();
    let pid = kit.spawn("task", &[Do::Recv]);
    kit.node.load(vec![kit.module("task", 2)], soon()).expect("there is room");
    let list = kit.node.code();
    let tasks: Vec<_> = list.iter().filter(|v| v.module == "task").collect();
    let seen: Vec<_> = tasks.iter().map(|v| (v.version.as_str(), v.place)).collect();
    assert_eq!(seen, [("2", Place::Current), ("1", Place::Old)]);
    assert!(tasks.iter().all(|v| v.behaviour == Behaviour::Task && v.app == "test"));
    assert_eq!(kit.node.users("task", Place::Old), [pid]);
    assert_eq!(kit.node.users("task", Place::Current), []);
}

// --- statistics, log, another state, an end
// --------------------------------------------------------------------------

#[test]
fn statistics_and_log_record_messages_while_they_are_on() {
    let kit = Kit::new();
    let [pid, other] = [1, 2].map(|n| kit.counter(&[Do::Add(n)]));
    assert_eq!(kit.node.statistics(pid, SOON), Ok(None));
    assert_eq!(kit.node.log(pid, SOON), Ok(None));
    assert_eq!(kit.node.count(pid, true, SOON), Ok(()));
    assert_eq!(kit.node.keep_log(pid, Some(3), SOON), Ok(()));
    kit.cast(pid, Do::Info(other, Box::new(Do::Get)));
    kit.ask(pid, Do::Get);
    let counted = kit.node.statistics(pid, SOON).expect("it answers").expect("it counts");
    assert_eq!((counted.messages_in, counted.messages_out), (2, 2));
    let log = kit.node.log(pid, SOON).expect("it answers").expect("it keeps them");
    let seen: Vec<_> = log.iter().map(|event| (event.way, event.what)).collect();
    assert_eq!(seen, [(Way::Out, "info"), (Way::In, "call"), (Way::Out, "reply")], "the cast is forgotten");
    assert_eq!(log[0].other, Some(other));
    assert_eq!(term::decode::<Said>(&log[2].body), Ok(Said::Number(1)));
    assert_eq!((kit.node.count(pid, false, SOON), kit.node.keep_log(pid, None, SOON)), (Ok(()), Ok(())));
    kit.ask(pid, Do::Get);
    assert_eq!((kit.node.statistics(pid, SOON), kit.node.log(pid, SOON)), (Ok(None), Ok(None)));
}

#[test]
fn a_state_is_replaced_unless_the_code_cannot_read_it() {
    let kit = Kit::new();
    let [pid, other] = [1, 2].map(|n| kit.counter(&[Do::Add(n)]));
    let state = kit.node.get_state(other, SOON).expect("it has a state");
    assert_eq!(kit.node.suspend(pid, SOON), Ok(()));
    assert_eq!(kit.node.replace_state(pid, state, SOON), Ok(()));
    assert_eq!(kit.node.resume(pid, SOON), Ok(()));
    assert_eq!(kit.ask(pid, Do::Get), Said::Number(2));
    let refused = kit.node.replace_state(pid, term::encode(&7), SOON);
    assert!(matches!(refused, Err(SysError::Refused { exit: Exit::Undecodable(_), .. })), "{refused:?}");
    assert_eq!(kit.ask(pid, Do::Get), Said::Number(2));
    let supervisor = kit.supervisor(&crate::kit::one_for_one(vec![]));
    assert!(matches!(
        kit.node.replace_state(supervisor, term::encode(&7), SOON),
        Err(SysError::Refused { .. })
    ));
}

#[test]
fn a_process_is_terminated_in_order_also_while_it_is_suspended() {
    for suspended in [false, true] {
        let kit = Kit::new();
        let pid = kit.counter(&[Do::Add(5)]);
        if suspended {
            assert_eq!(kit.node.suspend(pid, SOON), Ok(()));
        }
        assert_eq!(kit.node.terminate(pid, Exit::shutdown(), SOON), Ok(()));
        kit.expect("terminate shutdown at 5");
        kit.gone(pid);
    }
}

// --- trace
// -----------------------------------------------------------------------------------------------------------

#[test]
fn a_trace_shows_messages_until_it_is_dropped_and_only_one_runs_at_a_time() {
    let kit = Kit::new();
    let [pid, other] = [1, 2].map(|n| kit.counter(&[Do::Add(n)]));
    let (tell, told) = std::sync::mpsc::channel();
    let watch = |processes: Vec<Pid>| {
        let only = TraceOnly { processes, ..TraceOnly::default() };
        let tell = tell.clone();
        kit.node.trace(only, move |traced| tell.send(traced).expect("the test listens"))
    };
    let seen = || -> Vec<(Option<Pid>, Option<Pid>, &str)> {
        told.try_iter().map(|traced: Traced| (traced.from, traced.to, traced.what)).collect()
    };
    let tracing = watch(vec![]).expect("no other trace runs");
    assert!(watch(vec![]).is_none());
    kit.cast(pid, Do::Info(other, Box::new(Do::Get)));
    kit.ask(pid, Do::Get);
    // Whether it receives the cast before the call is not defined.
    let mut seen_here = seen();
    seen_here.sort_unstable();
    assert_eq!(
        seen_here,
        [
            (None, Some(pid), "call"),
            (None, Some(pid), "cast"),
            (Some(pid), None, "reply"),
            (Some(pid), Some(other), "info"),
        ]
    );
    drop(tracing);
    kit.ask(pid, Do::Get);
    assert_eq!(seen(), []);

    let _tracing = watch(vec![other]).expect("the first trace has ended");
    kit.ask(pid, Do::Get);
    assert_eq!(kit.node.suspend(other, SOON), Ok(()));
    assert_eq!(kit.node.resume(other, SOON), Ok(()));
    kit.node.exit(other, Exit::Killed);
    kit.gone(other);
    let other = Some(other);
    assert_eq!(seen(), [(None, other, "suspend"), (None, other, "resume"), (None, other, "exit")]);
}

#[test]
fn a_trace_shows_only_the_events_it_was_started_for() {
    let kit = Kit::new();
    let [pid, other] = [1, 2].map(|n| kit.counter(&[Do::Add(n)]));
    let (tell, told) = std::sync::mpsc::channel();
    let only = TraceOnly { processes: vec![other], kinds: vec![TraceKind::Info, TraceKind::Sys] };
    let tracing = kit.node.trace(only, move |traced| tell.send(traced).expect("the test listens"));
    kit.cast(pid, Do::Info(other, Box::new(Do::Get)));
    kit.ask(pid, Do::Get);
    kit.ask(other, Do::Get);
    assert_eq!(kit.node.suspend(other, SOON), Ok(()));
    drop(tracing);
    let seen: Vec<_> = told.try_iter().map(|traced: Traced| (traced.from, traced.what)).collect();
    assert_eq!(seen, [(Some(pid), "info"), (None, "suspend")]);
}
