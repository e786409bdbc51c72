//! The cases of OTP's `supervisor_SUITE`, line by line.
//!
//! | line of the suite | test here, or in `supervisors` where named |
//! |---|---|
//! | sup_start_* | `sup_start`, `sup_start_ignore_child`, `sup_start_error`, `sup_start_map` |
//! | sup_stop_infinity, _timeout, _brutal_kill | `supervisors::a_child_that_does_not_shut_down_in_its_time_is_killed`, `sup_stop` |
//! | child_adm | `supervisors::a_child_is_added_terminated_restarted_and_deleted_by_id`, `requests_about_unknown_children_answer_not_found` |
//! | child_adm_simple | `child_adm_simple` |
//! | child_specs, sup_flags | `child_specs`, `sup_flags` |
//! | extra_return | none: a child is started by the daemon from its module, so there is no start function that could add to its pid |
//! | permanent/transient/temporary x normal/shutdown/abnormal | `supervisors::a_child_that_ends_is_restarted_kept_or_forgotten_by_its_restart_type`, `restart_types_count` |
//! | faulty_application_shutdown | `faulty_application_shutdown` |
//! | multiple_restarts | `multiple_restarts` |
//! | one_for_one, one_for_all, rest_for_one, simple_one_for_one | the tests of these names |
//! | ..._escalation | `escalation` |
//! | ..._other_child_fails_restart | `other_child_fails_restart` |
//! | simple_one_for_one_shutdown | `simple_one_for_one_shutdown` |
//! | simple_one_for_one_extra | none, as for extra_return |
//! | temporary_bystander | `temporary_bystander` |
//! | child_unlink | `child_unlink` |
//! | tree | `tree` |
//! | count_children, count_children_supervisor, count_restarting_children | `count_children`, `count_restarting_children` |
//! | get_callback_module | `get_callback_module` |
//! | do_not_save_start_parameters_for_temporary_children, do_not_save_child_specs_... | `do_not_save_for_temporary_children` |
//! | simple_one_for_one_scale_many_temporary_children, scale_start_stop_many_children | `scale_many_children` |
//! | simple_global_supervisor | `named_supervisor`: names are of one node here |
//! | hanging_restart_loop, _rest_for_one, _simple | `hanging_restart_loop` |
//! | code_change, code_change_map | `code_change`, `upgrades::an_updated_supervisor_merges_its_rows_by_id_and_touches_no_child` |
//! | code_change_simple, code_change_simple_map | `code_change_simple` |
//! | order_of_children | `order_of_children` |
//! | later versions: significant children | `significant_children`, `significant_children_end_by_others`, `significant_children_nested` |

use std::cell::Cell;
use std::sync::mpsc::Receiver;

use crate::kit::double::{Change, Double};
use crate::kit::words::{Do, Said, text};
use crate::kit::{Kit, SOON, child, latch, members, name, one_for_one, soon};
use reld_runtime::{AppSpec, Child, ChildSpec, Conversion, Converted, Status, SupervisorSpec, Unrest, term};
use reld_wire::application::StopCause;
use reld_wire::spec::{AutoShutdown, ChildType, Restart, Shutdown, Strategy};
use reld_wire::supervisor::{Counts, Error as RequestError, Reason, Reply, Request};
use reld_wire::{Exit, Pid};
use rmpv::Value;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

const BY_ID: [Strategy; 3] = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];

fn sup(strategy: Strategy, children: Vec<ChildSpec>) -> SupervisorSpec {
    SupervisorSpec { strategy, ..one_for_one(children) }
}

/// A child that notes its start, as `start 1`, and its end, as `terminate shutdown at 1`.
fn loud(id: &str, number: u64) -> ChildSpec {
    child(id, &[Do::Trap(true), Do::Note(format!("start {number}")), Do::Add(number)])
}

fn loud_three() -> Vec<ChildSpec> {
    vec![loud("a", 1), loud("b", 2), loud("c", 3)]
}

fn simple(template: ChildSpec) -> SupervisorSpec {
    sup(Strategy::SimpleOneForOne, vec![template])
}

fn inner(id: &str, spec: &SupervisorSpec) -> ChildSpec {
    ChildSpec {
        module: text("sup"),
        args: ByteBuf::from(term::encode(spec)),
        shutdown: Shutdown::Infinity,
        child_type: ChildType::Supervisor,
        ..child(id, &[])
    }
}

impl Kit {
    /// Waits until a child is started; a child that is still in init has a pid already.
    #[track_caller]
    fn runs(&self, supervisor: Pid, id: &str) -> Pid {
        let id = name(id).into_vec();
        let running = Cell::new(None);
        self.until(|| {
            let tree = self.node.tree(supervisor);
            let rows = tree.map(|tree| tree.children).unwrap_or_default();
            running.set(rows.iter().find(|row| row.id.as_ref() == Some(&id)).map(|row| row.child));
            matches!(running.get(), Some(Child::Running(_)))
        });
        running.get().and_then(Child::pid).expect("it runs")
    }

    /// Kills a child and waits until its supervisor has reacted.
    #[track_caller]
    fn kill(&self, supervisor: Pid, id: &str) {
        let before = self.runs(supervisor, id);
        assert!(self.node.exit(before, Exit::Killed));
        self.gone(before);
        self.until(|| self.child(supervisor, id) != Some(before));
        self.until(|| self.node.process(supervisor).is_none_or(|info| info.status == Status::Idle));
    }

    fn heard(&self) -> Vec<String> {
        self.notes().into_iter().filter(|note| !note.starts_with("dropped")).collect()
    }

    fn ends(&self, pid: Pid) -> Receiver<Exit> {
        let (done, told) = std::sync::mpsc::channel();
        self.node.on_exit(pid, move |exit| done.send(exit).unwrap_or(()));
        told
    }

    fn counts(&self, supervisor: Pid) -> Counts {
        self.done(supervisor, &Request::CountChildren)
    }

    /// Sends a request that must succeed.
    #[track_caller]
    fn done<T: DeserializeOwned + std::fmt::Debug>(&self, supervisor: Pid, request: &Request) -> T {
        match self.request(supervisor, request) {
            Reply::Ok(value) => value,
            Reply::Error(error) => panic!("{request:?}: {error:?}"),
        }
    }

    #[track_caller]
    fn refused(&self, supervisor: Pid, request: &Request, reason: Reason) -> RequestError {
        match self.request::<serde::de::IgnoredAny>(supervisor, request) {
            Reply::Error(error) if error.reason == reason => error,
            other => panic!("{request:?}: {reason:?} expected, not {other:?}"),
        }
    }

    #[track_caller]
    fn start_args(&self, supervisor: Pid, init: &[Do]) -> Option<Pid> {
        self.done(supervisor, &Request::StartChildArgs(ByteBuf::from(term::encode(&init))))
    }

    fn is_restarting(&self, supervisor: Pid) -> bool {
        self.node.which_children(supervisor).is_some_and(|rows| rows.iter().any(|row| row.restarting))
    }
}

fn shutdown(why: &str) -> Exit {
    Exit::Shutdown(text(why))
}

fn too_often() -> Exit {
    shutdown("reached_max_restart_intensity")
}

// --- start and stop
// --------------------------------------------------------------------------------------------------

#[test]
fn sup_start() {
    let kit = Kit::new();
    let start = |args: &Do| kit.node.spawn("sup", term::encode(args), SOON);
    assert!(matches!(kit.node.spawn("sup", term::encode(&one_for_one(vec![])), SOON), Ok(Some(_))));
    assert_eq!(start(&Do::Ignore), Ok(None));
    assert_eq!(start(&Do::Stop(Exit::Error(text("no")))), Err(Exit::Error(text("no"))));
    assert_eq!(start(&Do::Crash(text("no"))), Err(Exit::Panic(text("no"))));
    assert!(matches!(start(&Do::Get), Err(Exit::Undecodable(_))), "an answer that is no spec");
    kit.until(|| kit.node.processes().len() == 1);
}

#[test]
fn sup_start_ignore_child() {
    let kit = Kit::new();
    let temporary = ChildSpec { restart: Restart::Temporary, ..child("b", &[Do::Ignore]) };
    let supervisor = kit.supervisor(&one_for_one(vec![child("a", &[Do::Ignore]), temporary.clone()]));
    let ids = || kit.node.which_children(supervisor).expect("it lives").into_iter().map(|row| row.id);
    assert_eq!(ids().collect::<Vec<_>>(), [name("a")]);
    assert_eq!(kit.done::<Option<Pid>>(supervisor, &Request::StartChild(temporary.into())), None);
    assert_eq!(ids().collect::<Vec<_>>(), [name("a")]);
    let supervisor = kit.supervisor(&simple(child("t", &[])));
    assert_eq!(kit.start_args(supervisor, &[Do::Ignore]), None);
    assert_eq!(kit.counts(supervisor).workers, 0);
}

#[test]
fn sup_start_error() {
    let kit = Kit::new();
    let fails = child("a", &[Do::FailsAt(latch::new(), vec![2])]);
    let supervisor = kit.supervisor(&one_for_one(vec![fails]));
    kit.done::<()>(supervisor, &Request::TerminateChild(name("a")));
    let error = kit.refused(supervisor, &Request::RestartChild(name("a")), Reason::StartFailed);
    assert_eq!(error.text, "panic: fails the 2. time");
    // Its row stays, so the start can be retried.
    assert!(kit.done::<Option<Pid>>(supervisor, &Request::RestartChild(name("a"))).is_some());
    let crash = Request::StartChild(child("b", &[Do::Crash(text("x"))]).into());
    kit.refused(supervisor, &crash, Reason::StartFailed);
    assert_eq!(kit.counts(supervisor).specs, 1);
}

fn map(fields: &[(&str, Value)]) -> Value {
    Value::Map(fields.iter().map(|(key, value)| ((*key).into(), value.clone())).collect())
}

fn start_map(kit: &Kit, fields: &[(&str, Value)]) -> Result<Option<Pid>, Exit> {
    kit.node.spawn("sup", term::encode(&map(fields)), SOON)
}

fn child_map(fields: &[(&str, Value)]) -> Value {
    let id = ("id", Value::Binary(term::encode(&"a")));
    let args = ("args", Value::Binary(term::encode(&Vec::<Do>::new())));
    map(&[&[id, ("module", "counter".into()), args], fields].concat())
}

#[test]
fn sup_start_map() {
    let kit = Kit::new();
    let supervisor = start_map(&kit, &[("children", Value::Array(vec![child_map(&[])]))]);
    let supervisor = supervisor.expect("all else has its default").expect("it does not ignore");
    let spec: ChildSpec = kit.done(supervisor, &Request::GetChildspec(name("a")));
    assert_eq!(spec, child("a", &[]));
    let pid = kit.runs(supervisor, "a");
    assert_eq!(kit.done::<ChildSpec>(supervisor, &Request::GetChildspecOf(pid)), spec);
    kit.refused(supervisor, &Request::GetChildspec(name("b")), Reason::NotFound);
    kit.refused(supervisor, &Request::GetChildspecOf(supervisor), Reason::NotFound);
}

#[track_caller]
fn check_faulty(fields: &[(&str, Value)], word: &str) {
    let kit = Kit::new();
    match start_map(&kit, fields) {
        Err(Exit::Undecodable(why) | Exit::Error(why)) => assert!(why.contains(word), "{why}"),
        other => panic!("{other:?}"),
    }
    kit.until(|| kit.node.processes().is_empty());
}

#[test]
fn sup_flags() {
    check_faulty(&[("strategy", "one_for_al".into())], "one_for_al");
    check_faulty(&[("intensity", Value::from(-1))], "intensity");
    check_faulty(&[("period_ms", Value::from(0))], "period_ms is 0");
    check_faulty(&[("auto_shutdown", "some".into())], "some");
    check_faulty(&[("intensty", Value::from(1))], "intensty");
    check_faulty(&[("strategy", "simple_one_for_one".into())], "0 given");
}

#[test]
fn child_specs() {
    let check = |fields: &[(&str, Value)], word| {
        check_faulty(&[("children", Value::Array(vec![child_map(fields)]))], word);
    };
    check(&[("restart", "forever".into())], "forever");
    check(&[("shutdown", "brutal".into())], "brutal");
    check(&[("type", "manager".into())], "manager");
    check(&[("significant", "yes".into())], "children[0].significant");
    check(&[("shutdwn", Value::from(1))], "shutdwn");
    check(&[("significant", true.into())], "bad_combination");
    check_faulty(&[("children", Value::Array(vec![map(&[])]))], "missing field `id`");
    check_faulty(&[("children", Value::Array(vec![child_map(&[]), child_map(&[])]))], "duplicate_child_name");
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![]));
    let significant = ChildSpec { significant: true, restart: Restart::Transient, ..child("a", &[]) };
    let error = kit.refused(supervisor, &Request::StartChild(significant.into()), Reason::BadSpec);
    assert_eq!(error.text, "bad_combination: child \"a\" is significant, but auto_shutdown is never");
}

#[test]
fn sup_stop() {
    let kit = Kit::new();
    for spec in [sup(Strategy::OneForAll, loud_three()), sup(Strategy::RestForOne, loud_three())] {
        let supervisor = kit.supervisor(&one_for_one(vec![inner("inner", &spec)]));
        kit.done::<()>(supervisor, &Request::TerminateChild(name("inner")));
        let ends = [3, 2, 1].map(|number| format!("terminate shutdown at {number}"));
        assert_eq!(kit.heard()[3..], ends);
    }
}

#[test]
fn child_adm_simple() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&simple(child("t", &[])));
    let pid = kit.start_args(supervisor, &[]).expect("it starts");
    let id = || name("t");
    for request in [
        Request::StartChild(child("a", &[]).into()),
        Request::TerminateChild(id()),
        Request::RestartChild(id()),
        Request::DeleteChild(id()),
    ] {
        kit.refused(supervisor, &request, Reason::SimpleOneForOne);
    }
    assert_eq!(kit.done::<ChildSpec>(supervisor, &Request::GetChildspec(id())), child("t", &[]));
    assert_eq!(kit.done::<ChildSpec>(supervisor, &Request::GetChildspecOf(pid)), child("t", &[]));
    kit.done::<()>(supervisor, &Request::TerminatePid(pid));
    kit.refused(supervisor, &Request::TerminatePid(pid), Reason::NotFound);
    kit.refused(supervisor, &Request::GetChildspecOf(pid), Reason::NotFound);
    kit.refused(
        supervisor,
        &Request::StartChildArgs(ByteBuf::from(term::encode(&[Do::Crash(text("x"))]))),
        Reason::StartFailed,
    );
    assert_eq!(kit.counts(supervisor), Counts { specs: 1, active: 0, supervisors: 0, workers: 0 });
}

// --- restarts
// --------------------------------------------------------------------------------------------------------

#[test]
fn restart_types_count() {
    let kit = Kit::new();
    let of = |id: &str, restart| ChildSpec { restart, ..child(id, &[]) };
    let children =
        vec![of("p", Restart::Permanent), of("t", Restart::Transient), of("x", Restart::Temporary)];
    let supervisor = kit.supervisor(&one_for_one(children));
    for id in ["p", "t", "x"] {
        kit.cast(kit.runs(supervisor, id), Do::Stop(Exit::shutdown()));
    }
    let after = Counts { specs: 2, active: 1, supervisors: 0, workers: 2 };
    kit.until(|| kit.counts(supervisor) == after && !kit.is_restarting(supervisor));
}

#[test]
fn faulty_application_shutdown() {
    let kit = Kit::new();
    let faulty = child("a", &[Do::Trap(true), Do::AtTerminate(Box::new(Do::Crash(text("badly"))))]);
    let spec = AppSpec {
        name: text("faulty"),
        start: Some(text("app")),
        env: [(text("root"), term::encode(&root(&one_for_one(vec![faulty]))))].into(),
        ..AppSpec::default()
    };
    kit.node.load_application(spec);
    kit.node.start_application("faulty", soon()).expect("it starts");
    assert_eq!(kit.node.stop_application("faulty", StopCause::ByHand, soon()), Ok(()));
    let crash = kit.node.crashes().into_iter().map(|crash| crash.exit).collect::<Vec<_>>();
    assert_eq!(crash, [Exit::Panic(text("badly"))], "it is reported");
    assert_eq!(kit.node.processes(), []);
}

fn root(spec: &SupervisorSpec) -> Value {
    map(&[("module", "sup".into()), ("args", Value::Binary(term::encode(spec)))])
}

#[test]
fn multiple_restarts() {
    let kit = Kit::new();
    let spec = SupervisorSpec { intensity: 3, period_ms: 60_000, ..one_for_one(vec![child("a", &[])]) };
    let supervisor = kit.supervisor(&spec);
    let told = kit.ends(supervisor);
    (0..3).for_each(|_| kit.kill(supervisor, "a"));
    kit.runs(supervisor, "a");
    assert_eq!(kit.counts(supervisor).active, 1);
    kit.node.exit(kit.runs(supervisor, "a"), Exit::Killed);
    assert_eq!(told.recv_timeout(SOON), Ok(too_often()));
}

#[track_caller]
fn check_round(strategy: Strategy, killed: &str, expected: &[&str]) {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&sup(strategy, loud_three()));
    kit.heard();
    kit.kill(supervisor, killed);
    for id in ["a", "b", "c"] {
        kit.runs(supervisor, id);
    }
    assert_eq!(kit.heard(), expected, "{strategy:?} {killed}");
    let ids: Vec<_> =
        kit.node.which_children(supervisor).expect("it lives").into_iter().map(|row| row.id).collect();
    assert_eq!(ids, ["c", "b", "a"].map(name));
}

#[test]
fn one_for_one_restarts() {
    check_round(Strategy::OneForOne, "a", &["start 1"]);
    check_round(Strategy::OneForOne, "b", &["start 2"]);
}

#[test]
fn one_for_all() {
    let all = ["start 1", "start 2", "start 3"];
    let ends = |first: [&'static str; 2]| [&first[..], &all[..]].concat();
    check_round(Strategy::OneForAll, "a", &ends(["terminate shutdown at 3", "terminate shutdown at 2"]));
    check_round(Strategy::OneForAll, "b", &ends(["terminate shutdown at 3", "terminate shutdown at 1"]));
    check_round(Strategy::OneForAll, "c", &ends(["terminate shutdown at 2", "terminate shutdown at 1"]));
}

#[test]
fn rest_for_one() {
    let ends = ["terminate shutdown at 3", "terminate shutdown at 2"];
    check_round(Strategy::RestForOne, "a", &[&ends[..], &["start 1", "start 2", "start 3"]].concat());
    check_round(Strategy::RestForOne, "b", &["terminate shutdown at 3", "start 2", "start 3"]);
    check_round(Strategy::RestForOne, "c", &["start 3"]);
}

#[test]
fn simple_one_for_one() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&simple(child("t", &[])));
    let [a, b] = [4, 5].map(|n| kit.start_args(supervisor, &[Do::Add(n)]).expect("it starts"));
    kit.node.exit(a, Exit::Killed);
    let new = || {
        let rows = kit.node.which_children(supervisor).expect("it lives");
        rows.into_iter().filter_map(|row| row.pid).find(|pid| ![a, b].contains(pid))
    };
    kit.until(|| new().is_some());
    assert_eq!(kit.ask(new().expect("it runs"), Do::Get), Said::Number(4));
    assert_eq!(kit.ask(b, Do::Get), Said::Number(5));
}

/// One crash more than the intensity allows ends the supervisor and its children.
#[test]
fn escalation() {
    for strategy in BY_ID {
        let kit = Kit::new();
        let spec = SupervisorSpec { intensity: 1, ..sup(strategy, loud_three()) };
        let supervisor = kit.supervisor(&spec);
        let told = kit.ends(supervisor);
        kit.kill(supervisor, "b");
        for id in ["a", "b", "c"] {
            kit.runs(supervisor, id);
        }
        kit.heard();
        kit.node.exit(kit.runs(supervisor, "b"), Exit::Killed);
        assert_eq!(told.recv_timeout(SOON), Ok(too_often()), "{strategy:?}");
        kit.until(|| kit.node.processes().is_empty());
        assert_eq!(kit.heard(), ["terminate shutdown at 3", "terminate shutdown at 1"]);
    }
    let kit = Kit::new();
    let supervisor = kit.supervisor(&SupervisorSpec { intensity: 0, ..simple(child("t", &[])) });
    let told = kit.ends(supervisor);
    let pids = [1, 2].map(|_| kit.start_args(supervisor, &[]).expect("it starts"));
    kit.node.exit(pids[0], Exit::Killed);
    assert_eq!(told.recv_timeout(SOON), Ok(too_often()));
    kit.until(|| kit.node.processes().is_empty());
}

/// If a sibling fails to start, a new round begins with it.
#[track_caller]
fn check_other_fails(strategy: Strategy, expected: &[&str]) {
    let kit = Kit::new();
    let picky = child("b", &[Do::FailsAt(latch::new(), vec![2]), Do::Note(text("start 2")), Do::Add(2)]);
    let supervisor = kit.supervisor(&sup(strategy, vec![loud("a", 1), picky, loud("c", 3)]));
    kit.heard();
    kit.kill(supervisor, "a");
    for id in ["a", "b", "c"] {
        kit.runs(supervisor, id);
    }
    assert_eq!(kit.heard(), expected, "{strategy:?}");
    assert_eq!(kit.counts(supervisor), Counts { specs: 3, active: 3, supervisors: 0, workers: 3 });
}

#[test]
fn other_child_fails_restart() {
    // The round of `a` has restarted `a` when `b` fails; the next round begins with `b`.
    check_other_fails(
        Strategy::OneForAll,
        &["terminate shutdown at 3", "start 1", "terminate shutdown at 1", "start 1", "start 2", "start 3"],
    );
    check_other_fails(Strategy::RestForOne, &["terminate shutdown at 3", "start 1", "start 2", "start 3"]);
}

#[test]
fn simple_one_for_one_shutdown() {
    let kit = Kit::new();
    let slow = [Do::Trap(true), Do::AtTerminate(Box::new(Do::Sleep(300)))];
    let template = ChildSpec { shutdown: Shutdown::Ms(5000), ..child("t", &[]) };
    let supervisor = kit.supervisor(&one_for_one(vec![inner("inner", &simple(template))]));
    let inner = kit.runs(supervisor, "inner");
    (0..300).for_each(|_| assert!(kit.start_args(inner, &slow).is_some()));
    let began = std::time::Instant::now();
    kit.done::<()>(supervisor, &Request::TerminateChild(name("inner")));
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "all are told at once");
    assert_eq!(kit.heard(), vec!["terminate shutdown at 0"; 300]);
    assert_eq!(kit.node.processes().len(), 1);
}

#[test]
fn simple_one_for_one_shutdown_in_time() {
    let kit = Kit::new();
    let hangs = [Do::Trap(true), Do::AtTerminate(Box::new(Do::Hang))];
    let template = ChildSpec { shutdown: Shutdown::Ms(30), ..child("t", &[]) };
    let supervisor = kit.supervisor(&one_for_one(vec![inner("inner", &simple(template))]));
    let inner = kit.runs(supervisor, "inner");
    (0..3).for_each(|_| assert!(kit.start_args(inner, &hangs).is_some()));
    kit.done::<()>(supervisor, &Request::TerminateChild(name("inner")));
    assert_eq!(kit.node.processes().len(), 1, "those that hang are killed");
}

#[test]
fn temporary_bystander() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let kit = Kit::new();
        let bystander = ChildSpec { restart: Restart::Temporary, ..loud("b", 2) };
        let supervisor = kit.supervisor(&sup(strategy, vec![loud("a", 1), bystander]));
        kit.heard();
        kit.kill(supervisor, "a");
        kit.runs(supervisor, "a");
        assert_eq!(kit.heard(), ["terminate shutdown at 2", "start 1"]);
        assert_eq!(kit.counts(supervisor), Counts { specs: 1, active: 1, supervisors: 0, workers: 1 });
    }
}

/// A child that was terminated, or ended for good, is started again with the others.
#[test]
fn a_terminated_child_comes_back_in_a_round() {
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let kit = Kit::new();
        let ended = ChildSpec { restart: Restart::Transient, ..child("b", &[]) };
        let supervisor = kit.supervisor(&sup(strategy, vec![child("a", &[]), ended, child("c", &[])]));
        kit.cast(kit.runs(supervisor, "b"), Do::Stop(Exit::Normal));
        kit.until(|| kit.child(supervisor, "b").is_none());
        kit.done::<()>(supervisor, &Request::TerminateChild(name("c")));
        kit.kill(supervisor, "a");
        for id in ["a", "b", "c"] {
            kit.runs(supervisor, id);
        }
    }
}

#[test]
fn child_unlink() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![inner("inner", &one_for_one(vec![child("a", &[])]))]));
    let inner = kit.runs(supervisor, "inner");
    let worker = kit.runs(inner, "a");
    kit.ask(worker, Do::Unlink(inner));
    kit.done::<()>(supervisor, &Request::TerminateChild(name("inner")));
    assert_eq!(kit.node.processes().len(), 1);
}

#[test]
fn tree() {
    let kit = Kit::new();
    let low = sup(Strategy::OneForAll, vec![loud("c", 3), loud("d", 4)]);
    let middle =
        SupervisorSpec { intensity: 1, ..sup(Strategy::RestForOne, vec![loud("b", 2), inner("low", &low)]) };
    let top = sup(Strategy::OneForAll, vec![loud("a", 1), inner("middle", &middle), loud("e", 5)]);
    let root = kit.supervisor(&one_for_one(vec![inner("top", &top)]));
    assert_eq!(kit.heard(), [1, 2, 3, 4, 5].map(|n| format!("start {n}")));
    let top = kit.runs(root, "top");
    let middle = kit.runs(top, "middle");
    let low = kit.runs(middle, "low");
    // The bottom supervisor handles its own failures.
    kit.kill(low, "c");
    for id in ["c", "d"] {
        kit.runs(low, id);
    }
    assert_eq!(kit.heard(), ["terminate shutdown at 4", "start 3", "start 4"]);
    assert_eq!(kit.child(middle, "low"), Some(low));
    // One failure too many in the middle makes the top restart it.
    kit.kill(middle, "b");
    for id in ["b", "low"] {
        kit.runs(middle, id);
    }
    kit.heard();
    kit.node.exit(kit.runs(middle, "b"), Exit::Killed);
    kit.gone(middle);
    let new = kit.runs(top, "middle");
    assert_ne!(new, middle);
    kit.runs(top, "e");
    let down = ["4", "3", "5", "1"].map(|n| format!("terminate shutdown at {n}"));
    let up = [1, 2, 3, 4, 5].map(|n| format!("start {n}"));
    assert_eq!(kit.heard(), [&down[..], &up[..]].concat());
    kit.done::<()>(root, &Request::TerminateChild(name("top")));
    assert_eq!(kit.heard(), [5, 4, 3, 2, 1].map(|n| format!("terminate shutdown at {n}")));
}

// --- looking
// ---------------------------------------------------------------------------------------------------------

#[test]
fn count_children() {
    let kit = Kit::new();
    let low = one_for_one(vec![child("x", &[]), child("y", &[])]);
    let supervisor = kit.supervisor(&one_for_one(vec![child("a", &[]), inner("low", &low)]));
    assert_eq!(kit.counts(supervisor), Counts { specs: 2, active: 2, supervisors: 1, workers: 1 });
    kit.done::<()>(supervisor, &Request::TerminateChild(name("low")));
    assert_eq!(kit.counts(supervisor), Counts { specs: 2, active: 1, supervisors: 1, workers: 1 });
    let template = ChildSpec { args: ByteBuf::new(), ..inner("t", &low) };
    let supervisor = kit.supervisor(&simple(template));
    for _ in 0..2 {
        let args = ByteBuf::from(term::encode(&low));
        assert!(kit.done::<Option<Pid>>(supervisor, &Request::StartChildArgs(args)).is_some());
    }
    assert_eq!(kit.counts(supervisor), Counts { specs: 1, active: 2, supervisors: 2, workers: 0 });
}

/// Ends a child that never starts again, under a supervisor with an unlimited intensity.
fn hanging(strategy: Strategy) -> (Kit, Pid) {
    let kit = Kit::new();
    let dead = Do::Once(latch::new());
    let children = vec![child("a", &[]), child("dead", &[dead]), child("c", &[])];
    let supervisor = kit.supervisor(&SupervisorSpec { intensity: 100_000_000, ..sup(strategy, children) });
    kit.node.exit(kit.runs(supervisor, "dead"), Exit::Killed);
    kit.until(|| kit.is_restarting(supervisor));
    (kit, supervisor)
}

#[test]
fn count_restarting_children() {
    let (kit, supervisor) = hanging(Strategy::OneForOne);
    kit.until(|| kit.counts(supervisor) == Counts { specs: 3, active: 2, supervisors: 0, workers: 3 });
}

#[test]
fn hanging_restart_loop() {
    for strategy in BY_ID {
        let (kit, supervisor) = hanging(strategy);
        let id = || name("dead");
        assert_eq!(kit.counts(supervisor).specs, 3, "it answers");
        kit.refused(supervisor, &Request::StartChild(child("dead", &[]).into()), Reason::AlreadyPresent);
        kit.refused(supervisor, &Request::RestartChild(id()), Reason::Restarting);
        kit.refused(supervisor, &Request::DeleteChild(id()), Reason::Restarting);
        kit.done::<()>(supervisor, &Request::TerminateChild(id()));
        assert!(!kit.is_restarting(supervisor));
        kit.done::<()>(supervisor, &Request::DeleteChild(id()));
        assert_eq!(kit.counts(supervisor).specs, 2);
        // OTP: children that the round had not reached yet stay as they are.
        let after = kit.child(supervisor, "c").is_some();
        assert_eq!(after, strategy == Strategy::OneForOne, "{strategy:?}");
    }
    let kit = Kit::new();
    let supervisor = kit.supervisor(&SupervisorSpec { intensity: 100_000_000, ..simple(child("t", &[])) });
    let dead = kit.start_args(supervisor, &[Do::Once(latch::new())]).expect("it starts once");
    let other = kit.start_args(supervisor, &[]).expect("it starts");
    kit.node.exit(dead, Exit::Killed);
    kit.until(|| kit.is_restarting(supervisor));
    kit.done::<()>(supervisor, &Request::TerminatePid(other));
    assert_eq!(kit.counts(supervisor).active, 0, "it answers");
}

#[test]
fn get_callback_module() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(vec![]));
    assert_eq!(kit.node.process(supervisor).map(|info| info.module), Some(text("sup")));
}

#[test]
fn named_supervisor() {
    let kit = Kit::new();
    let named = child("a", &[Do::Register(text("alice"))]);
    let supervisor = kit.supervisor(&one_for_one(vec![named]));
    let before = kit.node.whereis("alice");
    kit.kill(supervisor, "a");
    kit.until(|| kit.node.whereis("alice").is_some_and(|pid| Some(pid) != before));
}

#[test]
fn do_not_save_for_temporary_children() {
    let kit = Kit::new();
    let big = [Do::Remember("x".repeat(1000))];
    let of = |id: &str, restart| ChildSpec { restart, ..child(id, &big) };
    let supervisor =
        kit.supervisor(&one_for_one(vec![of("kept", Restart::Transient), of("a", Restart::Temporary)]));
    kit.done::<Option<Pid>>(supervisor, &Request::StartChild(of("b", Restart::Temporary).into()));
    let args = |id| kit.done::<ChildSpec>(supervisor, &Request::GetChildspec(name(id))).args;
    let nothing = ByteBuf::from(term::encode(&()));
    assert_eq!((args("a"), args("b")), (nothing.clone(), nothing));
    assert_eq!(args("kept"), of("kept", Restart::Transient).args);
    // Their specs are removed with them.
    for id in ["a", "b"] {
        kit.cast(kit.runs(supervisor, id), Do::Stop(Exit::Normal));
    }
    kit.until(|| kit.counts(supervisor).specs == 1);
}

#[test]
fn scale_many_children() {
    const MANY: usize = 5_000;
    let kit = Kit::new();
    let template = ChildSpec { restart: Restart::Temporary, ..child("t", &[]) };
    let children = (0..MANY).map(|n| child(&n.to_string(), &[])).collect();
    let spec = one_for_one(vec![inner("simple", &simple(template)), inner("other", &one_for_one(children))]);
    let supervisor = kit.supervisor(&spec);
    let inner = kit.runs(supervisor, "simple");
    let pids: Vec<_> = (0..MANY).map(|_| kit.start_args(inner, &[]).expect("it starts")).collect();
    assert_eq!(kit.counts(inner).active, MANY);
    pids[MANY / 2..].iter().for_each(|pid| kit.cast(*pid, Do::Stop(Exit::Normal)));
    kit.until(|| kit.counts(inner).active == MANY / 2);
    for id in ["simple", "other"] {
        kit.done::<()>(supervisor, &Request::TerminateChild(name(id)));
    }
    assert_eq!(kit.node.processes().len(), 1);
}

#[test]
fn order_of_children() {
    let kit = Kit::new();
    let supervisor = kit.supervisor(&sup(Strategy::RestForOne, loud_three()));
    kit.done::<Option<Pid>>(supervisor, &Request::StartChild(loud("d", 4).into()));
    kit.done::<()>(supervisor, &Request::TerminateChild(name("b")));
    kit.done::<()>(supervisor, &Request::DeleteChild(name("b")));
    kit.done::<Option<Pid>>(supervisor, &Request::StartChild(loud("b", 2).into()));
    kit.done::<()>(supervisor, &Request::TerminateChild(name("c")));
    kit.done::<Option<Pid>>(supervisor, &Request::RestartChild(name("c")));
    let ids = || -> Vec<_> {
        kit.node.which_children(supervisor).expect("it lives").into_iter().map(|row| row.id).collect()
    };
    // `c` keeps its old position, `b` gets a new one.
    assert_eq!(ids(), ["b", "d", "c", "a"].map(name));
    kit.heard();
    kit.kill(supervisor, "c");
    for id in ["c", "d", "b"] {
        kit.runs(supervisor, id);
    }
    let round = ["terminate shutdown at 2", "terminate shutdown at 4", "start 3", "start 4", "start 2"];
    assert_eq!(kit.heard(), round);
    assert_eq!(ids(), ["b", "d", "c", "a"].map(name));
}

// --- significant children
// --------------------------------------------------------------------------------------------

/// Two significant children; the exits of the first, then of the second. Returns after which exit
/// the supervisor ended.
fn ends_after(strategy: Strategy, restart: Restart, auto: AutoShutdown, end: &Do) -> Option<usize> {
    let kit = Kit::new();
    let significant = |id: &str| ChildSpec { significant: true, restart, ..child(id, &[]) };
    let is_simple = strategy == Strategy::SimpleOneForOne;
    let children = match is_simple {
        true => vec![significant("t")],
        false => vec![significant("a"), child("plain", &[]), significant("b")],
    };
    let spec = SupervisorSpec { auto_shutdown: auto, intensity: 10, ..sup(strategy, children) };
    let supervisor = kit.supervisor(&spec);
    let told = kit.ends(supervisor);
    if is_simple {
        (0..2).for_each(|_| assert!(kit.start_args(supervisor, &[]).is_some()));
    }
    for nth in 1..=2 {
        let rows = kit.node.which_children(supervisor).expect("it lives");
        let plain = name("plain");
        let pid = rows.iter().filter(|row| row.id != plain).find_map(|row| row.pid).expect("one runs");
        kit.cast(pid, end.clone());
        kit.gone(pid);
        let has_acted = || {
            kit.node
                .which_children(supervisor)
                .is_none_or(|rows| rows.iter().all(|row| row.pid != Some(pid) && !row.restarting))
        };
        kit.until(has_acted);
        kit.until(|| kit.node.process(supervisor).is_none_or(|info| info.status == Status::Idle));
        if kit.node.process(supervisor).is_none() {
            assert_eq!(told.recv_timeout(SOON), Ok(shutdown("auto_shutdown")));
            kit.until(|| kit.node.processes().is_empty());
            return Some(nth);
        }
    }
    None
}

#[test]
fn significant_children() {
    let crash = Do::Crash(text("x"));
    let normal = Do::Stop(Exit::Normal);
    for strategy in [&BY_ID[..], &[Strategy::SimpleOneForOne]].concat() {
        for (auto, after) in [(AutoShutdown::AnySignificant, 1), (AutoShutdown::AllSignificant, 2)] {
            let check = |restart, end: &Do, expected| {
                assert_eq!(
                    ends_after(strategy, restart, auto, end),
                    expected,
                    "{strategy:?} {restart:?} {auto:?} {end:?}"
                );
            };
            check(Restart::Temporary, &normal, Some(after));
            check(Restart::Temporary, &crash, Some(after));
            check(Restart::Transient, &normal, Some(after));
            check(Restart::Transient, &Do::Stop(Exit::shutdown()), Some(after));
            check(Restart::Transient, &crash, None);
        }
    }
}

/// Children ended by a request or by a sibling's round do not count.
#[test]
fn significant_children_end_by_others() {
    let kit = Kit::new();
    let significant = |id: &str, restart| ChildSpec { significant: true, restart, ..child(id, &[]) };
    let children =
        vec![child("a", &[]), significant("b", Restart::Transient), significant("c", Restart::Temporary)];
    let auto_shutdown = AutoShutdown::AnySignificant;
    let supervisor = kit.supervisor(&SupervisorSpec { auto_shutdown, ..sup(Strategy::OneForAll, children) });
    kit.done::<()>(supervisor, &Request::TerminateChild(name("b")));
    kit.kill(supervisor, "a");
    for id in ["a", "b"] {
        kit.runs(supervisor, id);
    }
    assert_eq!(kit.counts(supervisor), Counts { specs: 2, active: 2, supervisors: 0, workers: 2 });
}

#[test]
fn significant_children_nested() {
    let kit = Kit::new();
    let worker = ChildSpec { significant: true, restart: Restart::Temporary, ..child("a", &[]) };
    let auto = |spec| SupervisorSpec { auto_shutdown: AutoShutdown::AnySignificant, ..spec };
    let low = auto(one_for_one(vec![worker]));
    let passes_on = ChildSpec { significant: true, restart: Restart::Transient, ..inner("low", &low) };
    let supervisor = kit.supervisor(&auto(one_for_one(vec![loud("x", 1), passes_on])));
    let told = kit.ends(supervisor);
    kit.cast(kit.runs(kit.runs(supervisor, "low"), "a"), Do::Stop(Exit::Normal));
    assert_eq!(told.recv_timeout(SOON), Ok(shutdown("auto_shutdown")));
    kit.until(|| kit.node.processes().is_empty());
    kit.expect("terminate shutdown at 1");
}

// --- code change
// -----------------------------------------------------------------------------------------------------

/// Installs a version of `sup`, or returns the reason of the refusal.
fn install(kit: &Kit, double: Double) -> Result<Converted, String> {
    let mut upgrade = kit.stage(vec![double]);
    upgrade.raise(members(&["sup"], SOON, Unrest::Abort), |_, _| true).expect("it rests");
    match upgrade.convert("sup", Conversion::Supervisor, SOON) {
        Ok(converted) => {
            upgrade.switch();
            upgrade.lower();
            upgrade.sweep(soon());
            upgrade.finish();
            Ok(converted)
        }
        Err(error) => {
            drop(upgrade);
            Err(error.to_string())
        }
    }
}

#[test]
fn code_change() {
    fn new_flags(spec: SupervisorSpec) -> SupervisorSpec {
        SupervisorSpec { strategy: Strategy::OneForAll, intensity: 2, ..spec }
    }
    fn bad_flags(spec: SupervisorSpec) -> SupervisorSpec {
        SupervisorSpec { period_ms: 0, ..spec }
    }
    fn bad_combination(mut spec: SupervisorSpec) -> SupervisorSpec {
        spec.children[0].significant = true;
        spec
    }
    let kit = Kit::new();
    let supervisor = kit.supervisor(&one_for_one(loud_three()));
    let pids = || ["a", "b", "c"].map(|id| kit.child(supervisor, id));
    let before = pids();
    let refused = install(&kit, Double { respec: bad_flags, ..kit.double("sup", 2) });
    assert!(refused.as_ref().is_err_and(|why| why.contains("period_ms is 0")), "{refused:?}");
    let refused = install(&kit, Double { respec: bad_combination, ..kit.double("sup", 2) });
    assert!(refused.as_ref().is_err_and(|why| why.contains("bad_combination")), "{refused:?}");
    install(&kit, Double { change: Change::Ignores, ..kit.double("sup", 2) }).expect("ignore is no error");
    assert_eq!(pids(), before);
    kit.heard();
    kit.kill(supervisor, "b");
    kit.runs(supervisor, "b");
    assert_eq!(kit.heard(), ["start 2"], "ignore leaves the strategy as it was");
    install(&kit, Double { respec: new_flags, ..kit.double("sup", 3) }).expect("its init answers");
    kit.kill(supervisor, "a");
    kit.runs(supervisor, "c");
    let round = ["terminate shutdown at 3", "terminate shutdown at 2", "start 1", "start 2", "start 3"];
    assert_eq!(kit.heard(), round);
    // The restarts before the code change still count.
    let told = kit.ends(supervisor);
    kit.node.exit(kit.runs(supervisor, "a"), Exit::Killed);
    assert_eq!(told.recv_timeout(SOON), Ok(too_often()));
}

#[test]
fn code_change_simple() {
    fn two(spec: SupervisorSpec) -> SupervisorSpec {
        let children = vec![spec.children[0].clone(), child("two", &[])];
        SupervisorSpec { children, ..spec }
    }
    fn by_id(spec: SupervisorSpec) -> SupervisorSpec {
        SupervisorSpec { strategy: Strategy::OneForOne, ..spec }
    }
    let kit = Kit::new();
    let supervisor = kit.supervisor(&simple(child("t", &[])));
    let pid = kit.start_args(supervisor, &[Do::Add(1)]).expect("it starts");
    let refused = install(&kit, Double { respec: two, ..kit.double("sup", 2) });
    assert!(refused.as_ref().is_err_and(|why| why.contains("2 given")), "{refused:?}");
    // Unlike OTP, which does not check it.
    let refused = install(&kit, Double { respec: by_id, ..kit.double("sup", 2) });
    assert!(refused.as_ref().is_err_and(|why| why.contains("to or from simple_one_for_one")), "{refused:?}");
    assert_eq!(kit.ask(pid, Do::Get), Said::Number(1));
}

/// A child without a kept start argument cannot be restarted, even if the new template is
/// permanent.
#[test]
fn a_temporary_child_stays_temporary_under_a_new_template() {
    fn permanent(spec: SupervisorSpec) -> SupervisorSpec {
        let template = ChildSpec { restart: Restart::Permanent, ..spec.children[0].clone() };
        SupervisorSpec { children: vec![template], ..spec }
    }
    let kit = Kit::new();
    let template = ChildSpec { restart: Restart::Temporary, ..child("t", &[]) };
    let supervisor = kit.supervisor(&simple(template));
    let old = kit.start_args(supervisor, &[Do::Add(1)]).expect("it starts");
    install(&kit, Double { respec: permanent, ..kit.double("sup", 2) }).expect("its init answers");
    let new = kit.start_args(supervisor, &[Do::Add(2)]).expect("it starts");
    for pid in [old, new] {
        kit.node.exit(pid, Exit::Killed);
    }
    kit.until(|| kit.counts(supervisor).workers == 1 && kit.counts(supervisor).active == 1);
    let rows = kit.node.which_children(supervisor).expect("it lives");
    assert_eq!(kit.ask(rows[0].pid.expect("it runs"), Do::Get), Said::Number(2));
}
