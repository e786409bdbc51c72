//! Tests of the saga over a fake node: after any failure before the switch the node is as before.

use std::collections::BTreeSet;

use reld_plan::ModuleName;

use crate::fake::{Fake, World};
use crate::fixture::{booted, program_to, quiet, run, shop_1_0, shop_1_1, shop_1_1_with};
use crate::node::{ChangedChildren, OrphanPolicy, OutsiderKind, Unrest};
use crate::options::InstallOptions;
use crate::process::Pid;
use crate::report::{NotTried, Outcome, Report, Trial};
use crate::step::Program;

/// Returns a node that runs shop 1.0.0: two counters, their supervisor, a helper and a till.
pub(crate) fn shop() -> Fake {
    let mut fake = booted(&shop_1_0());
    for module in ["counter_sup", "counter", "counter", "helper", "till"] {
        fake.spawn(module, None);
    }
    fake
}

pub(crate) fn up() -> Program {
    up_with(InstallOptions::default())
}

fn up_with(options: InstallOptions) -> Program {
    program_to(Some(&shop_1_0()), &shop_1_1(), options)
}

fn up_settling() -> Program {
    up_with(InstallOptions { settles: true, ..InstallOptions::default() })
}

fn module(name: &str) -> ModuleName {
    name.parse().unwrap()
}

fn pid(slot: u32) -> Pid {
    Pid { slot, generation: 1 }
}

/// Runs `program` on `fake` and expects a rollback to exactly the world before.
#[track_caller]
fn check_rolled_back(mut fake: Fake, program: &Program) -> Report {
    let mut before = quiet(&fake);
    let report = run(&mut fake, program);
    assert_eq!(report.outcome, Outcome::RolledBack, "{report}");
    before.processes.retain(|pid, _| !fake.deaths.values().any(|dead| dead == pid));
    assert_eq!(quiet(&fake), before, "{report}");
    assert!(report.failure.is_some() && report.not_undone.is_empty(), "{report}");
    report
}

/// Runs `program` on `fake` and expects it to succeed.
#[track_caller]
fn check_installed(fake: &mut Fake, program: &Program) -> Report {
    let report = run(fake, program);
    assert_eq!(report.outcome, Outcome::Installed, "{report}");
    assert_eq!(quiet(fake).staged, None);
    report
}

/// Returns the fallible calls of a successful upgrade.
fn calls() -> Vec<&'static str> {
    calls_of(&up())
}

fn calls_of(program: &Program) -> Vec<&'static str> {
    let mut fake = shop();
    run(&mut fake, program);
    fake.calls
}

#[test]
fn an_upgrade_moves_code_states_and_apps_and_leaves_nothing_old() {
    let mut fake = shop();
    fake.has_traffic = true;
    let report = check_installed(&mut fake, &up());
    let state = |slot| fake.world.processes[&pid(slot)].state.as_str();
    assert_eq!(state(1), "state 1, supervisor");
    assert_eq!([state(2), state(3)], ["state 2, up from 0.1.0", "state 3, up from 0.1.0"]);
    assert_eq!(state(4), "state 4, soft");
    assert!(fake.world.modules.values().all(|slots| slots.old.is_none() && slots.condemned.is_none()));
    assert!(!fake.world.modules.contains_key(&module("till")));
    let vsn = |app: &str| fake.world.apps.get(&app.parse().unwrap()).map(|(vsn, _)| vsn.to_string());
    assert_eq!([vsn("shop"), vsn("bank"), vsn("till")], [Some("0.1.1".into()), Some("1.0.0".into()), None]);
    assert_eq!((report.converted, report.pause.processes), (4, 4));
    assert_eq!(report.exits.len(), 1, "the till's process ended: {:?}", report.exits);
}

#[test]
fn a_downgrade_restores_the_previous_code() {
    let mut fake = shop();
    check_installed(&mut fake, &up());
    check_installed(&mut fake, &program_to(Some(&shop_1_1()), &shop_1_0(), InstallOptions::default()));
    assert_eq!(fake.world.processes[&pid(2)].state, "state 2, up from 0.1.0, down to 0.1.0");
    let names = |world: &World| world.modules.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&fake.world), names(&shop().world));
    assert_eq!(fake.world.images.len(), 2);
}

#[test]
fn after_any_failure_before_the_switch_the_node_is_as_before() {
    for (program, trial) in [(up(), &[][..]), (up_settling(), &["trial"])] {
        let calls = calls_of(&program);
        let last = calls.iter().position(|call| *call == "stop_application").unwrap();
        for number in 0..last {
            for has_traffic in [false, true] {
                let mut fake = shop();
                fake.failing = BTreeSet::from([number]);
                fake.has_traffic = has_traffic;
                check_rolled_back(fake, &program);
            }
        }
        let before = ["load", "load", "stage", "start_application", "precopy"];
        let expected = [&before, trial, &["raise", "convert", "convert", "convert"]].concat();
        assert_eq!(calls[..last], expected);
    }
}

#[test]
fn a_state_that_cannot_go_back_fails_the_upgrade_before_any_member_is_held() {
    let at = calls_of(&up_settling()).iter().position(|call| *call == "trial").unwrap();
    let mut fake = shop();
    fake.failing = BTreeSet::from([at]);
    let report = check_rolled_back(fake, &up_settling());
    assert_eq!((report.pause.processes, report.trial), (0, None));
    let failure = report.failure.unwrap();
    assert_eq!(failure.title, "precopy [helper counter counter_sup], and back");
    assert_eq!(
        failure.cause,
        "<4.1> (shop:helper): its new state has no way back from 0.1.1 to 0.1.0: app shop 0.1.0 answered: \
         unknown field `extra`; fix this conversion, or pass --one-way"
    );
    assert_eq!(failure.process.map(|process| process.pid), Some(pid(4)));
}

#[test]
fn the_report_counts_the_states_tried_on_the_way_back_and_gives_the_reason_for_the_others() {
    let not_tried = |processes, why: &str| NotTried { processes, why: why.to_owned() };
    let trial = |fake: &mut Fake, program: &Program| check_installed(fake, program).trial;
    let tried = |tried, not_tried| Some(Trial { tried, not_tried, duration_us: 7 });
    assert_eq!(trial(&mut shop(), &up()), None);
    assert_eq!(trial(&mut shop(), &up_settling()), tried(4, vec![]));
    // All members have run since the pre-copy.
    let mut fake = shop();
    fake.has_traffic = true;
    assert_eq!(trial(&mut fake, &up_settling()), tried(0, vec![not_tried(4, "converted inside the pause")]));

    let mut program = up_settling();
    let precopy = &mut program.gate.as_mut().unwrap().what;
    precopy.passages[0].back = None;
    precopy.untried = Some("helper: for a reason".to_owned());
    assert_eq!(trial(&mut shop(), &program), tried(3, vec![not_tried(1, "helper: for a reason")]));
}

#[test]
fn a_failed_stop_after_the_switch_is_listed_and_the_upgrade_stands() {
    let mut fake = shop();
    fake.failing = BTreeSet::from([calls().len() - 1]);
    let report = check_installed(&mut fake, &up());
    assert_eq!(report.warnings.len(), 1);
    assert_eq!(report.lingering.len(), 1, "the till, which did not stop, is in removed code");
}

#[test]
fn a_conversion_that_fails_names_the_process_the_app_and_the_answer() {
    let mut fake = shop();
    // All members have run since the pre-copy.
    fake.has_traffic = true;
    fake.failing = BTreeSet::from([calls().iter().position(|call| *call == "convert").unwrap() + 1]);
    let failure = check_rolled_back(fake, &up()).failure.unwrap();
    assert_eq!(failure.title, "code_change counter (up from 0.1.0)");
    assert_eq!(
        failure.cause,
        "change_code <3.1> (shop:counter): app shop 0.1.1 did not return within 5000 ms"
    );
    assert_eq!(failure.process.map(|process| process.pid), Some(pid(3)));
}

#[test]
fn a_conversion_that_fails_before_the_gate_names_the_process_and_holds_no_member() {
    let at = calls().iter().position(|call| *call == "precopy").unwrap();
    let mut fake = shop();
    fake.failing = BTreeSet::from([at]);
    let mut before = fake.clone();
    let report = run(&mut fake, &up());
    assert_eq!(fake.calls[at..], ["precopy", "stop_application", "unload", "unload"]);
    assert_eq!((report.outcome, report.pause.processes), (Outcome::RolledBack, 0));
    let failure = report.failure.unwrap();
    assert_eq!(failure.title, "precopy [helper counter counter_sup]");
    assert_eq!(
        failure.cause,
        "change_code <1.1> (shop:counter_sup): app shop 0.1.1 did not return within 5000 ms"
    );
    before.failing.clear();
    check_installed(&mut before, &up());
}

#[test]
fn a_member_that_does_not_run_after_the_pre_copy_is_not_converted_again() {
    let mut fake = shop();
    let report = check_installed(&mut fake, &up());
    assert_eq!((report.converted, report.precopied.processes, report.precopied.rounds), (4, 4, 1));
    let mut fake = shop();
    fake.has_traffic = true;
    let report = check_installed(&mut fake, &up());
    assert_eq!((report.converted, report.precopied.processes), (4, 0));
}

#[test]
fn a_failed_undo_does_not_stop_the_others_and_restarts_the_node() {
    let at = calls().iter().position(|call| *call == "convert").unwrap();
    let mut fallible_undos = 0;
    for undo in at + 1..at + 4 {
        let mut fake = shop();
        let before = fake.world.clone();
        fake.failing = BTreeSet::from([at, undo]);
        let report = run(&mut fake, &up());
        assert_eq!(report.outcome, Outcome::NeedsRestart);
        assert_eq!(report.not_undone.len(), 1, "{report}");
        fallible_undos += fake.calls.len() - at - 1;
        assert_eq!(fake.calls[at + 1..], ["stop_application", "unload", "unload"]);
        let after = quiet(&fake);
        assert_eq!((after.staged, after.modules), (None, before.modules));
        assert!(after.processes.values().all(|process| process.shadow.is_none()));
    }
    assert_eq!(fallible_undos, 9);
}

#[test]
fn a_process_that_dies_in_the_window_is_a_recorded_fact() {
    let calls = calls();
    for (number, call) in calls.iter().enumerate() {
        for slot in 1..=5 {
            let mut fake = shop();
            fake.deaths.insert(number, pid(slot));
            let report = check_installed(&mut fake, &up());
            assert!(!fake.world.processes.contains_key(&pid(slot)));
            // The journal begins at staging.
            let is_recorded = report.exits.iter().any(|exited| exited.process.pid == pid(slot));
            assert!(is_recorded || number <= 2, "{slot} before {call}");
        }
    }
}

#[test]
fn after_a_failed_window_only_a_dead_process_differs() {
    let last = calls().iter().rposition(|call| *call == "convert").unwrap();
    for number in 0..last {
        for slot in 1..=5 {
            let mut fake = shop();
            fake.has_traffic = true;
            fake.deaths.insert(number, pid(slot));
            fake.failing = BTreeSet::from([last]);
            check_rolled_back(fake, &up());
        }
    }
}

#[test]
fn a_member_that_does_not_come_to_rest_aborts_and_is_named() {
    let mut fake = shop();
    fake.restless = BTreeSet::from([pid(2)]);
    let report = check_rolled_back(fake, &up());
    let failure = report.failure.unwrap();
    assert_eq!(failure.cause, "not at rest after 1000 ms: <2.1> (shop:counter)");
}

#[test]
fn a_user_of_a_merely_loaded_module_that_does_not_come_to_rest_lingers() {
    let mut fake = shop();
    fake.restless = BTreeSet::from([pid(4)]);
    let report = check_installed(&mut fake, &up());
    let pids = |processes: Vec<Pid>| processes.into_iter().map(|pid| pid.slot).collect::<Vec<_>>();
    assert_eq!(pids(report.left.iter().map(|process| process.pid).collect()), [4]);
    assert_eq!(pids(report.lingering.iter().map(|lingerer| lingerer.process.pid).collect()), [4]);
    assert_eq!(fake.world.processes[&pid(4)].state, "state 4");
}

#[test]
fn a_restless_member_that_may_be_killed_is_killed_after_the_switch_only() {
    let options = InstallOptions { unrest: Unrest::Kill, ..InstallOptions::default() };
    let mut fake = shop();
    fake.restless = BTreeSet::from([pid(2)]);
    let mut failing = fake.clone();
    let report = check_installed(&mut fake, &up_with(options));
    assert_eq!(report.killed.iter().map(|process| process.pid).collect::<Vec<_>>(), [pid(2)]);
    assert!(!fake.world.processes.contains_key(&pid(2)));
    failing.failing = BTreeSet::from([calls().iter().rposition(|call| *call == "convert").unwrap()]);
    check_rolled_back(failing, &up_with(options));
}

#[test]
fn a_member_that_was_not_converted_takes_the_upgrade_back() {
    let mut fake = shop();
    fake.skips_conversion = BTreeSet::from([module("counter")]);
    let failure = check_rolled_back(fake, &up()).failure.unwrap();
    assert_eq!(failure.title, "compare");
    assert!(
        failure.cause.ends_with("not converted: <2.1> (shop:counter), <3.1> (shop:counter)"),
        "{}",
        failure.cause
    );
}

#[test]
fn a_child_that_changes_without_an_instruction_takes_the_upgrade_back() {
    let mut fake = shop();
    let supervisor = fake.process(pid(1));
    fake.children = vec![ChangedChildren { supervisor, vanished: vec!["a".into()], added: vec![] }];
    let failure = check_rolled_back(fake, &up()).failure.unwrap();
    assert_eq!(failure.title, "code_change counter_sup (supervisor)");
    assert!(failure.cause.contains("\"a\" vanishes"), "{}", failure.cause);
}

#[track_caller]
fn check_orphan(orphans: OrphanPolicy, expected: Option<&str>) {
    let mut fake = shop();
    let orphan = fake.spawn("counter", Some(OutsiderKind::Orphan));
    let report =
        check_installed(&mut fake, &up_with(InstallOptions { orphans, ..InstallOptions::default() }));
    assert_eq!(fake.world.processes.get(&orphan).map(|process| process.state.as_str()), expected);
    assert_eq!(report.killed.iter().any(|process| process.pid == orphan), expected.is_none());
}

#[test]
fn an_orphan_is_killed_included_or_ignored_as_was_chosen() {
    check_orphan(OrphanPolicy::Kill, None);
    check_orphan(OrphanPolicy::Include, Some("state 6, up from 0.1.0"));
    check_orphan(OrphanPolicy::Ignore, Some("state 6"));
}

/// Returns a node with old code 0.0.9 of module counter, which a task (process 6) still runs.
fn with_lingerer() -> Fake {
    let mut fake = shop();
    let task = fake.spawn("counter", Some(OutsiderKind::Task));
    let image = crate::node::Image(99);
    fake.world.images.insert(image, ("shop".parse().unwrap(), "0.0.9".parse().unwrap()));
    fake.world.modules.get_mut(&module("counter")).unwrap().old = Some(image);
    fake.world.processes.get_mut(&task).unwrap().image = image;
    fake
}

#[test]
fn the_kills_of_a_brutal_pre_purge_are_held_back_until_after_the_switch() {
    let program = program_to(
        Some(&shop_1_0()),
        &shop_1_1_with(", change = { advanced = 1 }, pre_purge = \"brutal\""),
        InstallOptions::default(),
    );
    for number in 0..calls().len() - 1 {
        let mut fake = with_lingerer();
        fake.failing = BTreeSet::from([number]);
        check_rolled_back(fake, &program);
    }
    let mut fake = with_lingerer();
    let report = check_installed(&mut fake, &program);
    assert_eq!(report.killed.iter().map(|process| process.pid).collect::<Vec<_>>(), [pid(6)]);
    assert!(!fake.world.images.contains_key(&crate::node::Image(99)));
}

#[test]
fn a_brutal_post_purge_ends_the_lingerers_and_a_soft_one_lists_them() {
    for (words, is_killed) in [("", false), (", post_purge = \"brutal\"", true)] {
        let mut fake = shop();
        let task = fake.spawn("counter", Some(OutsiderKind::Task));
        let report = check_installed(
            &mut fake,
            &program_to(Some(&shop_1_0()), &shop_1_1_with(words), InstallOptions::default()),
        );
        assert_eq!(fake.world.processes.contains_key(&task), !is_killed);
        assert_eq!((report.killed.len(), report.lingering.len()), if is_killed { (1, 0) } else { (0, 1) });
    }
}

#[test]
fn going_back_to_the_version_in_the_old_slot_swaps_the_slots() {
    let mut fake = shop();
    let task = fake.spawn("counter", Some(OutsiderKind::Task));
    let first = fake.world.processes[&task].image;
    check_installed(&mut fake, &up());
    check_installed(&mut fake, &program_to(Some(&shop_1_1()), &shop_1_0(), InstallOptions::default()));
    assert_eq!(fake.world.modules[&module("counter")].current, Some(first));
    assert_eq!(fake.world.processes[&task].image, first);
}

#[test]
fn a_panic_of_the_node_at_any_call_is_a_failure_of_that_step_and_the_gate_comes_down() {
    let all = {
        let mut fake = shop();
        run(&mut fake, &up());
        fake.calls.len()
    };
    for number in 0..all {
        let mut fake = shop();
        let before = quiet(&fake);
        fake.panicking = [number].into();
        let report = run(&mut fake, &up());
        let failure = report.failure.as_ref().map(|failure| failure.cause.as_str()).unwrap_or_default();
        let is_warned = report.warnings.iter().any(|warning| warning.contains("panicked"));
        assert!(failure.contains("is to panic; this is a bug of reld") || is_warned, "{number}: {report}");
        assert!(fake.world.gate.is_empty(), "{number}: {report}");
        if report.outcome == Outcome::RolledBack {
            assert_eq!(quiet(&fake), before, "{number}: {report}");
        }
    }
}

#[test]
fn a_panic_in_an_undo_is_a_failed_undo_and_the_others_are_done() {
    let calls = {
        let mut fake = shop();
        fake.failing = [4].into();
        run(&mut fake, &up());
        fake.calls.clone()
    };
    for undo in 5..calls.len() {
        let mut fake = shop();
        fake.failing = [4].into();
        fake.panicking = [undo].into();
        let report = run(&mut fake, &up());
        assert_eq!(fake.calls, calls, "every undo is tried");
        assert_eq!(report.outcome, Outcome::NeedsRestart, "{report}");
        assert!(fake.world.gate.is_empty() && report.not_undone[0].contains("is to panic"), "{report}");
    }
}
