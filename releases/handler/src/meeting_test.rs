//! Tests of meetings with other nodes: what a node does before, within and after one.

use std::sync::Arc;

use reld_error_codes::ErrorCode;
use reld_plan::Windows;

use crate::error::Obstacle;
use crate::fake::{Course, Fake, FakeMeetings};
use crate::fixture::{booted, program_to, quiet, release, run_with};
use crate::handler::ReleaseHandler;
use crate::meeting::Verdict;
use crate::options::InstallOptions;
use crate::order::{End, Order};
use crate::report::{Outcome, Report};
use crate::settle::Settle;
use crate::settle_test::probing;
use crate::site::{Site, Target, both_ways, classes, options, vsn};
use crate::step::Program;

const MEETING: &str = "{ sync_nodes = \"all\", nodes = [\"n1\", \"n2\"] }";

/// Returns an upgrade of a counter that meets another node.
fn up() -> Program {
    let entries = format!(
        "[[up]]\nfrom = \"0.1.0\"\ninstructions = [{MEETING}, {{ update = \"counter\", change = {{ advanced = 1 }} }}]\n"
    );
    let new = release("1.1.0", &[("shop", "0.1.1", &["counter"], &entries)]);
    program_to(Some(&old()), &new, options())
}

fn old() -> reld_plan::Release {
    release("1.0.0", &[("shop", "0.1.0", &["counter"], "")])
}

fn shop() -> Fake {
    let mut fake = booted(&old());
    fake.spawn("counter", None);
    fake.spawn("counter", None);
    fake
}

fn run(course: Course) -> (Fake, Report, Vec<String>) {
    let (mut fake, meetings) = (shop(), FakeMeetings::new(course));
    let report = run_with(&mut fake, &up(), Some(&meetings));
    (fake, report, meetings.calls())
}

/// Expects a rollback to exactly the world before, with this failure.
#[track_caller]
fn check_back(course: Course, code: ErrorCode, verdict: Option<Verdict>, calls: &[&str]) {
    let (fake, report, called) = run(course);
    assert_eq!(report.outcome, Outcome::RolledBack, "{report}");
    assert_eq!(report.failure.as_ref().unwrap().code, code, "{report}");
    assert_eq!(report.meetings.last().map(|meeting| meeting.verdict), verdict);
    assert_eq!(called, calls);
    assert_eq!(quiet(&fake), quiet(&shop()));
}

#[test]
fn a_node_joins_before_its_processes_are_held_and_decides_right_before_the_switch() {
    let (fake, report, calls) = run(Course::Go);
    assert_eq!(report.outcome, Outcome::Installed, "{report}");
    let titles: Vec<&str> = report.steps.iter().map(|step| step.title.as_str()).collect();
    let from = titles.iter().position(|title| title.starts_with("precopy")).unwrap();
    let expected = [
        "precopy [counter]",
        "sync_nodes \"all\"",
        "suspend [counter]",
        "code_change counter (up from 0.1.0)",
        "compare",
        "sync_nodes \"all\": the decision",
        "switch",
    ];
    assert_eq!(titles[from..from + expected.len()], expected);
    assert_eq!(calls, ["join \"all\" up", "decide", "gone 1"]);
    let [meeting] = &report.meetings[..] else { panic!("{:?}", report.meetings) };
    assert_eq!((meeting.verdict, meeting.round, meeting.nodes.len()), (Verdict::Go, 1, 2));
    assert!(fake.world.processes.values().all(|process| process.state.contains("up from")));
}

#[test]
fn a_node_goes_back_if_the_others_do_not_come_or_refuse_or_cannot_be_heard() {
    check_back(Course::Late, ErrorCode::NotMet, None, &["join \"all\" up"]);
    check_back(Course::No, ErrorCode::NotMet, Some(Verdict::No), &["join \"all\" up", "decide"]);
    check_back(Course::InDoubt, ErrorCode::InDoubt, Some(Verdict::InDoubt), &["join \"all\" up", "decide"]);
}

#[test]
fn an_abort_ends_the_wait_for_the_others_and_refuses_a_meeting_that_was_joined() {
    check_back(Course::AbortedBefore, ErrorCode::Interrupted, None, &["join \"all\" up"]);
    let refused = "refuse: aborted by the operator";
    let calls = ["join \"all\" up", refused];
    check_back(Course::AbortedWithin, ErrorCode::Interrupted, Some(Verdict::No), &calls);
}

#[test]
fn a_node_that_was_left_behind_follows_without_a_decision() {
    let (_, report, calls) = run(Course::Follows);
    assert_eq!(report.outcome, Outcome::Installed, "{report}");
    assert_eq!(report.meetings[0].verdict, Verdict::Follows);
    assert_eq!(calls, ["join \"all\" up", "gone 1"]);
}

#[test]
fn a_step_that_fails_inside_the_pause_refuses_the_switch_with_its_reason() {
    let fallible = run(Course::Go).0.calls;
    let convert = fallible.iter().position(|call| *call == "convert").unwrap();
    let (mut fake, meetings) = (shop(), FakeMeetings::new(Course::Go));
    // The pre-copied states are lost, so that there is one to convert inside the pause.
    fake.has_traffic = true;
    fake.failing = [convert].into();
    let report = run_with(&mut fake, &up(), Some(&meetings));
    assert_eq!(report.outcome, Outcome::RolledBack, "{report}");
    let [join, refuse] = &meetings.calls()[..] else { panic!("{report}") };
    assert_eq!(join, "join \"all\" up");
    assert_eq!(*refuse, format!("refuse: {}", report.failure.unwrap().cause));
}

#[test]
fn a_step_that_fails_before_the_node_joins_refuses_the_switch_too() {
    let (mut fake, meetings) = (shop(), FakeMeetings::new(Course::Go));
    fake.failing = [0].into();
    let report = run_with(&mut fake, &up(), Some(&meetings));
    assert_eq!(report.outcome, Outcome::RolledBack, "{report}");
    assert_eq!(meetings.calls(), [format!("refuse: {}", report.failure.unwrap().cause)]);
}

/// Returns a node of a fleet that runs 1.0.0, and its unpacked 1.1.0 with these instructions.
fn site(instructions: &str, course: Course) -> (Site, ReleaseHandler<Fake>, Arc<FakeMeetings>) {
    let site = Site::new();
    let modules = &["counter", "till"];
    let new = site.pack_modules(1, modules, &both_ways(1, instructions));
    let mut handler = site.handler();
    handler.goes(&site.pack_modules(0, modules, ""), Outcome::Installed);
    handler.unpacks(&new);
    for module in ["counter", "till"] {
        handler.node_mut().spawn(module, None);
    }
    let meetings = Arc::new(FakeMeetings::new(course));
    handler.meet_by(meetings.clone());
    (site, handler, meetings)
}

const UPDATES: &str = "{ update = \"counter\" }, { update = \"till\" }";

#[test]
fn a_downgrade_meets_and_a_way_back_from_a_faulty_release_does_not() {
    let (_site, mut handler, meetings) = site(&format!("{UPDATES}, {MEETING}"), Course::Go);
    let target = Target::Version(vsn(1));
    let report = handler.upgrade_settled(&target, options(), probing(Some("bad")), &mut |_| ()).unwrap();
    assert_eq!(report.outcome, Outcome::TakenBack, "{report}");
    assert_eq!(meetings.calls(), ["join \"all\" up", "decide", "gone 1"]);
    handler.goes(&target, Outcome::Installed);
    meetings.calls();
    let down = Order::Downgrade { to: None, options: options(), end: End::Commit(Settle::default()) };
    let report = handler.moves(down, &mut |_| ()).unwrap();
    assert_eq!(report.outcome, Outcome::Installed, "{report}");
    assert_eq!(meetings.calls(), ["join \"all\" down", "decide", "gone 1"]);
}

#[test]
fn each_window_has_its_own_meeting() {
    let other = MEETING.replace("all", "till");
    let instructions = format!("{MEETING}, {{ update = \"counter\" }}, {other}, {{ update = \"till\" }}");
    let (_site, mut handler, meetings) = site(&instructions, Course::Go);
    let by_group = InstallOptions { windows: Windows::Group, ..options() };
    let report = handler.upgrade(&Target::Version(vsn(1)), by_group, &mut |_| ()).unwrap();
    assert_eq!((report.outcome, report.windows.len()), (Outcome::Installed, 2), "{report}");
    assert_eq!(report.meetings.len(), 2);
    let expected = ["join \"all\" up", "decide", "gone 1", "join \"till\" up", "decide", "gone 1"];
    assert_eq!(meetings.calls(), expected);
}

#[test]
fn a_failed_window_refuses_the_meetings_of_later_windows() {
    let instructions = format!("{{ update = \"counter\" }}, {MEETING}, {{ update = \"till\" }}");
    let (_site, mut handler, meetings) = site(&instructions, Course::Go);
    let begun = handler.node().calls.len();
    handler.fail([begun]);
    let by_group = InstallOptions { windows: Windows::Group, ..options() };
    let report = handler.upgrade(&Target::Version(vsn(1)), by_group, &mut |_| ()).unwrap();
    assert_eq!(report.outcome, Outcome::RolledBack, "{report}");
    assert_eq!(meetings.calls(), [format!("refuse: {}", report.failure.unwrap().cause)]);
}

/// Expects that the check refuses these instructions, with this remedy.
#[track_caller]
fn check_refused(instructions: &str, remedy: &str) {
    let (_site, handler, meetings) = site(instructions, Course::Go);
    let obstacles = handler.check_install(&vsn(1), options()).unwrap().obstacles;
    assert_eq!(classes(&obstacles), ["unsupported"], "{obstacles:?}");
    let Obstacle::Unsupported { remedy: found, .. } = &obstacles[0] else { panic!("{obstacles:?}") };
    assert_eq!(found, remedy);
    assert_eq!(meetings.calls(), [""; 0]);
}

#[test]
fn the_check_refuses_a_meeting_that_cannot_be() {
    let meeting = |with: &str| format!("{UPDATES}, {{ sync_nodes = \"all\", {with} }}");
    check_refused(&meeting("nodes = [\"n2\"]"), "its nodes lack n1, which is this node; add it");
    let many: Vec<String> = (1..=128).map(|number| format!("\"n{number}\"")).collect();
    let many = format!("nodes = [{}]", many.join(", "));
    check_refused(&meeting(&many), "at most 127 nodes can meet; list fewer than 128");
    let returns = "functions of apps return no value; list the nodes, or write from = \"fleet:nodes\" for all \
                   nodes of the fleet";
    check_refused(&meeting("from = \"counter:nodes\""), returns);
    let once = "nodes meet once before a switch, and an earlier step does it; keep one of them";
    check_refused(&format!("{UPDATES}, {MEETING}, {MEETING}"), once);
    let restarts = "a script that restarts the daemon has no switch to meet before; remove it from the appup";
    check_refused(&format!("{UPDATES}, {MEETING}, \"restart_daemon\""), restarts);
}

#[test]
fn all_nodes_of_the_fleet_can_meet() {
    let (_site, mut handler, meetings) =
        site(&format!("{UPDATES}, {{ sync_nodes = 1, from = \"fleet:nodes\" }}"), Course::Go);
    let report = handler.goes(&Target::Version(vsn(1)), Outcome::Installed);
    assert_eq!(report.meetings[0].nodes, ["n1", "n2"]);
    assert_eq!(meetings.calls(), ["join 1 up", "decide", "gone 1"]);
}
