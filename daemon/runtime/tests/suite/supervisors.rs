//! Supervisors: restarts, shutdown, and requests.

use std::time::Duration;

use crate::kit::words::{Do, Said, text};
use crate::kit::{Kit, SOON, child, latch, name, one_for_one};
use reld_runtime::{ChildSpec, SupervisorSpec, term};
use reld_wire::spec::{ChildType, Restart, Shutdown, Strategy};
use reld_wire::supervisor::{Counts, Error as RequestError, Reason, Reply, Request};
use reld_wire::{Exit, Pid};
use serde_bytes::ByteBuf;

fn ids(kit: &Kit, supervisor: Pid) -> Vec<ByteBuf> {
    kit.node.which_children(supervisor).expect("a supervisor").into_iter().map(|row| row.id).collect()
}

fn count(kit: &Kit, supervisor: Pid) -> Counts {
    match kit.request(supervisor, &Request::CountChildren) {
        Reply::Ok(counts) => counts,
        Reply::Error(error) => panic!("{error:?}"),
    }
}

fn start(kit: &Kit, supervisor: Pid, spec: ChildSpec) -> Reply<Option<Pid>> {
    kit.request(supervisor, &Request::StartChild(spec.into()))
}

#[track_caller]
fn refused<T: std::fmt::Debug>(reply: Reply<T>, reason: Reason) -> RequestError {
    match reply {
        Reply::Error(error) if error.reason == reason => error,
        other => panic!("{reason:?} expected, not {other:?}"),
    }
}

// --- restarts
// --------------------------------------------------------------------------------------------------------

/// The final state of a row.
#[derive(Debug, PartialEq, Eq)]
enum Row {
    Restarted,
    Stopped,
    Gone,
}

#[track_caller]
fn check_restart(restart: Restart, end: &Exit, expected: &Row) {
    let kit = Kit::new();
    let spec = ChildSpec { restart, ..child("a", &[Do::Add(7)]) };
    let supervisor = kit.supervisor(&one_for_one(vec![spec]));
    let before = kit.child(supervisor, "a").expect("it runs");
    kit.cast(before, Do::Add(1));
    match end {
        Exit::Killed => assert!(kit.node.exit(before, Exit::Killed)),
        Exit::Panic(why) => kit.cast(before, Do::Crash(why.clone())),
        exit => kit.cast(before, Do::Stop(exit.clone())),
    }
    let seen = || match kit.node.which_children(supervisor).expect("it lives").first() {
        None => Some(Row::Gone),
        Some(row) if row.pid.is_none() && !row.restarting => Some(Row::Stopped),
        Some(row) => (row.pid.is_some_and(|pid| pid != before)).then_some(Row::Restarted),
    };
    kit.until(|| seen().is_some());
    assert_eq!(seen().as_ref(), Some(expected), "{restart:?} after {end}");
    if let Some(after) = kit.child(supervisor, "a") {
        assert_eq!(kit.ask(after, Do::Get), Said::Number(7), "it starts with its first state");
    }
}

#[test]
fn a_child_that_ends_is_restarted_kept_or_forgotten_by_its_restart_type() {
    for end in [Exit::Normal, Exit::shutdown()] {
        check_restart(Restart::Permanent, &end, &Row::Restarted);
        check_restart(Restart::Transient, &end, &Row::Stopped);
        check_restart(Restart::Temporary, &end, &Row::Gone);
    }
    for end in [Exit::Panic(text("x")), Exit::Killed] {
        check_restart(Restart::Permanent, &end, &Row::Restarted);
        check_restart(Restart::Transient, &end, &Row::Restarted);
        check_restart(Restart::Temporary, &end, &Row::Gone);
    }
}

#[test]
fn more_restarts_than_the_intensity_end_the_supervisor_and_its_children() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![child("a", &[]), child("b", &[Do::Trap(true)])]));
    let (done, told) = std::sync::mpsc::channel();
    kit.node.on_exit(supervisor, move |exit| done.send(exit).unwrap_or(()));
    for _ in 0..4 {
        kit.until(|| kit.child(supervisor, "a").is_some_and(|pid| kit.ask(pid, Do::Get) == Said::Number(0)));
        let pid = kit.child(supervisor, "a").expect("it was restarted");
        kit.node.exit(pid, Exit::Killed);
        kit.gone(pid);
    }
    let exit = told.recv_timeout(SOON).expect("it ends");
    assert_eq!(exit, Exit::Shutdown(text("reached_max_restart_intensity")));
    kit.expect("terminate shutdown at 0");
    kit.until(|| kit.node.processes().is_empty());
}

#[test]
fn a_restart_that_fails_is_tried_again_and_counted() {
    let kit = Kit::new();
    // The first start opens the latch, so every restart of `picky` fails.
    let picky = child("picky", &[Do::Once(latch::new())]);
    let supervisor = kit.supervisor(&one_for_one(vec![picky, child("b", &[])]));
    let (done, told) = std::sync::mpsc::channel();
    kit.node.on_exit(supervisor, move |exit| done.send(exit).unwrap_or(()));
    kit.node.exit(kit.child(supervisor, "picky").expect("it runs"), Exit::Killed);
    let exit = told.recv_timeout(SOON).expect("it ends");
    assert_eq!(exit, Exit::Shutdown(text("reached_max_restart_intensity")));
    // One start, and as many restarts as the intensity allows.
    assert_eq!(kit.notes().iter().filter(|note| *note == "once").count(), 4);
}

#[test]
fn a_failed_start_ends_the_children_started_before_and_names_the_failed_one() {
    let kit = Kit::new();
    let children = vec![
        child("a", &[Do::Trap(true), Do::Add(1)]),
        child("b", &[Do::Trap(true), Do::Add(2)]),
        child("c", &[Do::Crash(text("no"))]),
        child("d", &[Do::Note(text("started"))]),
    ];
    let started = kit.node.spawn("sup", term::encode(&one_for_one(children)), SOON);
    assert_eq!(started, Err(Exit::Shutdown(text("failed_to_start_child \"c\": panic: no"))));
    assert_eq!([kit.note(), kit.note()], ["terminate shutdown at 2", "terminate shutdown at 1"]);
    kit.until(|| kit.node.processes().is_empty());
    assert_eq!(kit.notes(), Vec::<String>::new());
}

#[test]
fn a_spec_with_equal_ids_is_refused_and_nothing_runs() {
    let kit = Kit::new();
    let spec = one_for_one(vec![child("a", &[]), child("a", &[])]);
    let started = kit.node.spawn("sup", term::encode(&spec), SOON);
    assert_eq!(started, Err(Exit::Error(text("supervisor sup: duplicate_child_name: \"a\""))));
    kit.until(|| kit.node.processes().is_empty());
}

// --- ending
// ----------------------------------------------------------------------------------------------------------

#[test]
fn a_supervisor_ends_its_children_in_reverse_order_and_only_those_that_trap_exits_run_terminate() {
    let kit = Kit::new();
    let children = vec![
        child("a", &[Do::Trap(true), Do::Add(1)]),
        child("b", &[Do::Add(2)]),
        child("c", &[Do::Trap(true), Do::Add(3)]),
    ];
    let inner = ChildSpec {
        module: text("sup"),
        args: ByteBuf::from(term::encode(&one_for_one(children))),
        shutdown: Shutdown::Infinity,
        child_type: ChildType::Supervisor,
        ..child("inner", &[])
    };
    let outer = kit.supervisor(&one_for_one(vec![inner]));
    let reply: Reply<()> = kit.request(outer, &Request::TerminateChild(name("inner")));
    assert_eq!(reply, Reply::Ok(()));
    assert_eq!(kit.notes(), ["terminate shutdown at 3", "terminate shutdown at 1"]);
    assert_eq!(kit.node.processes().len(), 1);
}

#[track_caller]
fn check_shutdown(shutdown: Shutdown, at_terminate: Do, notes: &[&str]) {
    let kit = Kit::new();
    let init = [Do::Trap(true), Do::AtTerminate(Box::new(at_terminate))];
    let supervisor = kit.supervisor(&one_for_one(vec![ChildSpec { shutdown, ..child("a", &init) }]));
    let reply: Reply<()> = kit.request(supervisor, &Request::TerminateChild(name("a")));
    assert_eq!(reply, Reply::Ok(()));
    assert_eq!(kit.notes(), notes);
    assert_eq!(kit.node.processes().len(), 1);
}

#[test]
fn a_child_that_does_not_shut_down_in_its_time_is_killed() {
    check_shutdown(Shutdown::Ms(5000), Do::Sleep(1), &["terminate shutdown at 0"]);
    check_shutdown(Shutdown::Infinity, Do::Sleep(1), &["terminate shutdown at 0"]);
    check_shutdown(Shutdown::Ms(5), Do::Hang, &["terminate shutdown at 0", "dropped None"]);
    check_shutdown(Shutdown::BrutalKill, Do::Hang, &[]);
}

#[test]
fn s33_a_child_that_computes_on_when_it_is_killed_is_ended_without_its_callback_and_reported() {
    let kit = Kit::new();
    let latch = latch::new();
    let other = kit.counter(&[]);
    let last = Do::All(vec![Do::Block(latch), Do::Cast(other, Box::new(Do::Note(text("late"))))]);
    let init = [Do::Trap(true), Do::Register(text("x")), Do::AtTerminate(Box::new(last))];
    let stubborn = ChildSpec { shutdown: Shutdown::Ms(5), ..child("a", &init) };
    let supervisor = kit.supervisor(&one_for_one(vec![stubborn]));
    let pid = kit.child(supervisor, "a").expect("it runs");
    let reply: Reply<()> = kit.request(supervisor, &Request::TerminateChild(name("a")));
    assert_eq!(reply, Reply::Ok(()));
    kit.gone(pid);
    assert_eq!(kit.node.whereis("x"), None, "its name is free");
    let stuck = kit.node.stuck(Duration::ZERO);
    assert!(stuck.iter().any(|stuck| stuck.pid == pid && stuck.is_detached), "{stuck:?}");
    kit.notes();
    latch::open(latch);
    kit.until(|| kit.node.stuck(Duration::ZERO).is_empty());
    kit.ask(other, Do::Get);
    assert_eq!(kit.notes(), Vec::<String>::new(), "an ended process sends nothing");
}

#[test]
fn an_abandoned_process_handles_no_further_cast_even_when_its_slot_has_a_new_process() {
    let kit = Kit::new();
    let brutal = ChildSpec { shutdown: Shutdown::BrutalKill, ..child("a", &[]) };
    let supervisor = kit.supervisor(&one_for_one(vec![brutal]));
    let pid = kit.child(supervisor, "a").expect("it runs");
    let (first, second) = (kit.block(pid), latch::new());
    kit.cast(pid, Do::Block(second));
    for _ in 0..10 {
        kit.cast(pid, Do::Note(text("late")));
    }
    latch::open(first);
    kit.expect("blocked");
    let reply: Reply<()> = kit.request(supervisor, &Request::TerminateChild(name("a")));
    assert_eq!(reply, Reply::Ok(()));
    assert_eq!(kit.counter(&[]).slot, pid.slot, "the slot is the only free one");
    latch::open(second);
    kit.until(|| kit.node.stuck(Duration::ZERO).is_empty());
    assert_eq!(kit.notes(), Vec::<String>::new());
}

#[test]
fn when_a_supervisor_is_killed_its_children_end() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![child("a", &[]), child("b", &[Do::Trap(true)])]));
    kit.node.exit(supervisor, Exit::Killed);
    kit.expect("terminate killed at 0");
    kit.until(|| kit.node.processes().is_empty());
}

#[test]
fn an_outside_exit_signal_cannot_end_a_supervisor_unless_it_is_a_kill() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![child("a", &[])]));
    kit.node.exit(supervisor, Exit::shutdown());
    assert_eq!(count(&kit, supervisor).active, 1);
}

// --- requests
// --------------------------------------------------------------------------------------------------------

#[test]
fn a_child_is_added_terminated_restarted_and_deleted_by_id() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![child("a", &[])]));
    let Reply::Ok(Some(pid)) = start(&kit, supervisor, child("b", &[Do::Add(3)])) else {
        panic!("it starts")
    };
    assert_eq!(kit.ask(pid, Do::Get), Said::Number(3));
    assert_eq!(ids(&kit, supervisor), [name("b"), name("a")]);
    let again = refused(start(&kit, supervisor, child("b", &[])), Reason::AlreadyStarted);
    assert_eq!(again.pid, Some(pid));
    let running = refused(kit.request::<()>(supervisor, &Request::DeleteChild(name("b"))), Reason::Running);
    assert_eq!(running.pid, Some(pid));
    refused(kit.request::<Option<Pid>>(supervisor, &Request::RestartChild(name("b"))), Reason::Running);

    assert_eq!(kit.request(supervisor, &Request::TerminateChild(name("b"))), Reply::Ok(()));
    assert_eq!(kit.node.process(pid), None);
    refused(start(&kit, supervisor, child("b", &[])), Reason::AlreadyPresent);
    assert_eq!(count(&kit, supervisor), Counts { specs: 2, active: 1, supervisors: 0, workers: 2 });
    let restarted: Reply<Option<Pid>> = kit.request(supervisor, &Request::RestartChild(name("b")));
    assert!(matches!(restarted, Reply::Ok(Some(new)) if new != pid), "{restarted:?}");
    assert_eq!(kit.request(supervisor, &Request::TerminateChild(name("b"))), Reply::Ok(()));
    assert_eq!(kit.request(supervisor, &Request::DeleteChild(name("b"))), Reply::Ok(()));
    assert_eq!(ids(&kit, supervisor), [name("a")]);
}

#[test]
fn requests_about_unknown_children_answer_not_found() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![]));
    let id = || name("missing");
    for request in [Request::TerminateChild(id()), Request::RestartChild(id()), Request::DeleteChild(id())] {
        refused(kit.request::<Option<Pid>>(supervisor, &request), Reason::NotFound);
    }
    let stranger = Request::TerminatePid(Pid { slot: 9, generation: 9 });
    refused(kit.request::<()>(supervisor, &stranger), Reason::NotFound);
}

#[test]
fn a_child_that_cannot_start_is_not_kept() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![]));
    let crash = refused(start(&kit, supervisor, child("a", &[Do::Crash(text("x"))])), Reason::StartFailed);
    assert_eq!(crash.text, "panic: x");
    let unknown = ChildSpec { module: text("missing"), ..child("a", &[]) };
    refused(start(&kit, supervisor, unknown), Reason::UnknownModule);
    let wrong = ChildSpec { child_type: ChildType::Supervisor, ..child("a", &[]) };
    refused(start(&kit, supervisor, wrong), Reason::BadSpec);
    assert_eq!(count(&kit, supervisor), Counts { specs: 0, active: 0, supervisors: 0, workers: 0 });
    // OTP: a child with an init that returns ignore is kept, not running.
    assert_eq!(start(&kit, supervisor, child("a", &[Do::Ignore])), Reply::Ok(None));
    assert_eq!(count(&kit, supervisor), Counts { specs: 1, active: 0, supervisors: 0, workers: 1 });
}

#[test]
fn a_temporary_child_that_is_terminated_is_forgotten() {
    let kit = Kit::new();
    let spec = ChildSpec { restart: Restart::Temporary, ..child("a", &[]) };
    let supervisor = kit.supervisor(&one_for_one(vec![spec]));
    assert_eq!(kit.request(supervisor, &Request::TerminateChild(name("a"))), Reply::Ok(()));
    assert_eq!(ids(&kit, supervisor), Vec::<ByteBuf>::new());
}

#[test]
fn an_invalid_request_to_a_supervisor_is_refused() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![]));
    assert!(matches!(kit.ask(supervisor, Do::Get), Said::Ended(Exit::Error(_))));
    kit.cast(supervisor, Do::Add(1));
    kit.info(supervisor, Do::Add(1));
    refused(kit.request::<()>(supervisor, &Request::StartChildArgs(ByteBuf::new())), Reason::BadRequest);
    assert_eq!(count(&kit, supervisor).specs, 0);
}

// --- simple_one_for_one
// ----------------------------------------------------------------------------------------------

fn simple(restart: Restart) -> SupervisorSpec {
    let template = ChildSpec { restart, ..child("template", &[]) };
    SupervisorSpec { strategy: Strategy::SimpleOneForOne, ..one_for_one(vec![template]) }
}

fn start_args(kit: &Kit, supervisor: Pid, init: &[Do]) -> Pid {
    let request = Request::StartChildArgs(ByteBuf::from(term::encode(&init)));
    match kit.request(supervisor, &request) {
        Reply::Ok(Some(pid)) => pid,
        other => panic!("{other:?}"),
    }
}

#[test]
fn children_of_a_simple_one_for_one_are_started_by_argument_and_ended_by_pid() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&simple(Restart::Permanent));
    assert_eq!(count(&kit, supervisor), Counts { specs: 1, active: 0, supervisors: 0, workers: 0 });
    let pids = [1, 2, 3].map(|n| start_args(&kit, supervisor, &[Do::Add(n)]));
    assert_eq!(kit.ask(pids[1], Do::Get), Said::Number(2));
    assert_eq!(count(&kit, supervisor), Counts { specs: 1, active: 3, supervisors: 0, workers: 3 });
    assert_eq!(kit.request(supervisor, &Request::TerminatePid(pids[1])), Reply::Ok(()));
    assert_eq!(count(&kit, supervisor).active, 2);
    refused(start(&kit, supervisor, child("a", &[])), Reason::SimpleOneForOne);
    let id = || name("template");
    for request in [Request::TerminateChild(id()), Request::RestartChild(id()), Request::DeleteChild(id())] {
        refused(kit.request::<Option<Pid>>(supervisor, &request), Reason::SimpleOneForOne);
    }
}

#[test]
fn a_child_of_a_simple_one_for_one_is_restarted_with_its_own_argument() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&simple(Restart::Transient));
    let [a, b] = [5, 6].map(|n| start_args(&kit, supervisor, &[Do::Add(n)]));
    kit.cast(b, Do::Crash(text("x")));
    kit.gone(b);
    let others = || -> Vec<Pid> {
        let rows = kit.node.which_children(supervisor).expect("it lives");
        rows.into_iter().filter_map(|row| row.pid).filter(|pid| ![a, b].contains(pid)).collect()
    };
    kit.until(|| others().len() == 1);
    assert_eq!(kit.ask(others()[0], Do::Get), Said::Number(6));
    // After a normal end the row is removed, since it has no id.
    kit.cast(a, Do::Stop(Exit::Normal));
    kit.until(|| count(&kit, supervisor).workers == 1);
}

#[test]
fn a_child_that_blocks_does_not_hide_the_tree() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![]));
    let latch = latch::new();
    let slow = term::encode(&Request::StartChild(child("slow", &[Do::Block(latch)]).into()));
    let (done, answer) = std::sync::mpsc::channel();
    let done = move |answer| done.send(answer).unwrap_or(());
    kit.node.call_then(reld_runtime::RequestKind::Supervisor, supervisor, slow, None, done);
    kit.expect("blocked");
    assert_eq!(ids(&kit, supervisor), [name("slow")]);
    let tree = kit.node.tree(supervisor).expect("it lives");
    assert!(matches!(tree.children[0].child, reld_runtime::Child::Starting(_)));
    latch::open(latch);
    assert!(answer.recv_timeout(SOON).is_ok());
}

#[test]
fn a_renamed_child_runs_on_under_its_new_id() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![child("a", &[]), child("b", &[])]));
    let pid = kit.child(supervisor, "a");
    let rename = |from, to| kit.request::<()>(supervisor, &Request::RenameChild(name(from), name(to)));
    assert_eq!(rename("a", "c"), Reply::Ok(()));
    assert_eq!((kit.child(supervisor, "a"), kit.child(supervisor, "c")), (None, pid));
    refused(rename("a", "d"), Reason::NotFound);
    refused(rename("c", "b"), Reason::AlreadyPresent);
    kit.node.exit(pid.expect("it runs"), Exit::Killed);
    kit.until(|| kit.child(supervisor, "c").is_some_and(|new| Some(new) != pid));
}

#[test]
fn a_supervisor_has_its_name_before_its_children_start_and_until_it_ends() {
    let kit = Kit::new();
    let named = |children| SupervisorSpec { name: Some("sup".to_owned()), ..one_for_one(children) };
    let supervisor = kit.supervisor(&named(vec![child("a", &[])]));
    assert_eq!(kit.node.whereis("sup"), Some(supervisor));
    let refused = kit.node.spawn("sup", term::encode(&named(Vec::new())), SOON);
    let why = refused.expect_err("the name is taken").to_string();
    let reason = format!("supervisor sup cannot have the name sup: already_started: {supervisor} has it");
    assert!(why.contains(&reason), "{why}");
    kit.node.exit(supervisor, Exit::Killed);
    kit.until(|| kit.node.whereis("sup").is_none());
    // A start that fails leaves no name behind.
    let failing = named(vec![child("a", &[Do::Crash("why".to_owned())])]);
    kit.node.spawn("sup", term::encode(&failing), SOON).expect_err("its child does not start");
    assert_eq!(kit.node.whereis("sup"), None);
}
