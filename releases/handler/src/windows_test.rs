//! Tests of upgrades group by group, over a real root and a fake node: after a failure in any
//! window the node is as before, or its states were converted back.

use std::collections::{BTreeMap, BTreeSet};

use reld_plan::{ModuleName, Windows};
use serde_json::json;

use crate::error::Error;
use crate::fake::{Fake, World};
use crate::fixture::quiet;
use crate::handler::ReleaseHandler;
use crate::node::{ChangedChildren, Exited};
use crate::options::InstallOptions;
use crate::process::{Pid, Process};
use crate::report::{Outcome, Report};
use crate::settle::CrashPolicy;
use crate::site::{Site, Target, both_ways, check, title, vsn};

const MODULES: &[&str] = &["counter", "helper", "till"];

/// The updates of two modules. The module `helper` has no instruction.
const UPDATES: &str = "{ update = \"counter\", change = { advanced = 1 } }, { update = \"till\" }";

/// Returns a node that runs 1.0.0 with three counters (the first is the app's process), a helper
/// and a till. The node has unpacked 1.1.0.
fn shop() -> (Site, ReleaseHandler<Fake>, Target) {
    let site = Site::new();
    let old = site.pack_modules(0, MODULES, "");
    let new = site.pack_modules(1, MODULES, &both_ways(1, UPDATES));
    let mut handler = site.handler();
    handler.goes(&old, Outcome::Installed);
    for module in ["counter", "counter", "helper", "till"] {
        handler.node_mut().spawn(module, None);
    }
    handler.node_mut().calls.clear();
    handler.unpacks(&new);
    (site, handler, Target::Version(vsn(1)))
}

fn by_group() -> InstallOptions {
    InstallOptions { windows: Windows::Group, ..InstallOptions::default() }
}

/// Upgrades group by group, while these calls fail.
fn upgrade(failing: &[usize], has_traffic: bool) -> (ReleaseHandler<Fake>, Report) {
    let (_site, mut handler, target) = shop();
    handler.node_mut().failing = failing.iter().copied().collect();
    handler.node_mut().has_traffic = has_traffic;
    let report = handler.upgrade(&target, by_group(), &mut |_| ()).unwrap();
    (handler, report)
}

/// Returns the current version of each module, and the states.
fn seen(world: &World) -> (BTreeMap<ModuleName, String>, BTreeMap<Pid, String>) {
    let version = |image| world.images[&image].1.to_string();
    let code = world.modules.iter().map(|(module, slots)| {
        assert!(slots.condemned.is_none());
        (module.clone(), slots.current.map(version).unwrap_or_default())
    });
    let states = world.processes.iter().map(|(pid, process)| {
        assert!(process.shadow.is_none() && !process.is_held);
        assert_eq!(world.modules[&process.module].current, Some(process.image), "{pid} is in old code");
        (*pid, process.state.clone())
    });
    (code.collect(), states.collect())
}

/// Returns the original state, and whether it was converted up and back.
#[track_caller]
fn went_there_and_back(state: &str) -> (&str, bool) {
    let ways = [", up from 0.1.0, down to 0.1.0", ", soft, soft"];
    let back = ways.iter().find_map(|way| state.strip_suffix(way));
    let first = back.unwrap_or(state);
    assert!(!first.contains(','), "{state}");
    (first, back.is_some())
}

fn calls() -> Vec<&'static str> {
    let (handler, report) = upgrade(&[], true);
    assert_eq!(report.outcome, Outcome::Installed, "{report}");
    handler.node().calls.clone()
}

#[test]
fn each_group_has_its_own_gate_switch_and_pause() {
    let (handler, report) = upgrade(&[], true);
    let one = ["load", "stage", "precopy", "trial", "raise", "convert", "convert"];
    let two = ["load", "stage", "precopy", "trial", "raise", "convert"];
    assert_eq!(handler.node().calls, [&one[..], &two].concat());
    let windows: Vec<_> = report
        .windows
        .iter()
        .map(|window| (window.window, window.modules.len(), window.pause.processes, window.converted))
        .collect();
    assert_eq!(windows, [(1, 2, 4, 4), (2, 1, 1, 1)], "counter and helper, then till");
    assert_eq!((report.converted, report.pause.processes), (5, 5));
    let steps: Vec<usize> = report.steps.iter().map(|step| step.step).collect();
    assert!(steps.is_sorted(), "numbered through: {steps:?}");
    let (code, states) = seen(&quiet(handler.node()));
    assert!(code.values().all(|version| version == "0.1.1"), "{code:?}");
    let changes: Vec<_> = states.values().map(|state| state.split_once(", ").unwrap().1).collect();
    assert_eq!(changes, ["up from 0.1.0", "up from 0.1.0", "up from 0.1.0", "soft", "soft"]);
    check(&handler, "1.1.0 permanent, 1.0.0 old");
}

#[test]
fn after_a_failure_in_any_window_the_node_is_as_before_or_converted_back() {
    let (_site, handler, _) = shop();
    let (code, states) = seen(&quiet(handler.node()));
    let calls = calls();
    let second = calls.iter().rposition(|call| *call == "load").unwrap();
    for (number, call) in calls.iter().enumerate() {
        for has_traffic in [false, true] {
            let (handler, report) = upgrade(&[number], has_traffic);
            let is_second = number >= second;
            // Without traffic, all states are converted before the pause, so some conversions
            // inside the window have nothing to do and do not fail.
            if report.outcome == Outcome::Installed {
                assert!(!has_traffic && *call == "convert", "{report}");
                continue;
            }
            let expected = if is_second { Outcome::TakenBack } else { Outcome::RolledBack };
            assert_eq!(report.outcome, expected, "{number}: {report}");
            let failed = report.failure.as_ref().unwrap();
            assert_eq!(report.windows.len(), 1 + usize::from(is_second), "{failed:?}");
            assert!(report.not_undone.is_empty());
            assert_eq!(report.windows_taken_back().is_some(), is_second);
            let (code_after, states_after) = seen(&quiet(handler.node()));
            assert_eq!(code_after, code, "{number}");
            for (pid, state) in &states {
                let (first, was_converted) = went_there_and_back(&states_after[pid]);
                assert_eq!(first, state);
                let is_till = handler.node().world.processes[pid].module.as_str() == "till";
                assert_eq!(was_converted, is_second && !is_till, "{number}: {pid} {state}");
            }
            check(&handler, "1.1.0 unpacked, 1.0.0 permanent");
        }
    }
}

#[test]
fn a_way_back_that_fails_at_any_effect_leaves_a_mixture_that_only_a_restart_by_the_operator_ends() {
    let calls = calls();
    let last = calls.len() - 1;
    let (handler, report) = upgrade(&[last], true);
    assert_eq!(report.outcome, Outcome::TakenBack, "{report}");
    let all = handler.node().calls.clone();
    let undo = all[last + 1..].iter().position(|call| *call == "load").unwrap() + last + 1;
    for (number, call) in all.iter().enumerate().skip(last + 1) {
        let (handler, report) = upgrade(&[last, number], true);
        // An undo of the failed window comes first.
        let expected = match (number >= undo, report.way_back.as_ref().map(|back| back.outcome)) {
            (false, _) | (true, Some(Outcome::NeedsRestart)) => Outcome::NeedsRestart,
            (true, _) => Outcome::NotTakenBack,
        };
        assert_eq!(report.outcome, expected, "{call}: {report}");
        assert_eq!(report.way_back.is_some(), number >= undo);
        if expected == Outcome::NotTakenBack {
            let text = report.to_string();
            assert!(text.contains("its first 1 windows are in force, the others are not"), "{text}");
            assert!(handler.trouble().is_some_and(|text| text.contains("not taken back")));
        }
        assert!(!report.not_undone.is_empty());
        assert!(matches!(handler.check_install(&vsn(1), by_group()), Err(Error::NeedsRestart)));
    }
}

#[test]
fn the_check_shows_the_windows_and_refuses_without_a_way_back() {
    let (site, handler, _) = shop();
    let found = handler.check_install(&vsn(1), by_group()).unwrap();
    let script = found.script.unwrap();
    assert_eq!((script.windows().count(), found.obstacles.len()), (2, 0), "{script}");
    let one = handler.check_install(&vsn(1), InstallOptions::default()).unwrap().script.unwrap();
    assert_eq!(one.windows().count(), 1);

    let mut handler = handler;
    let only_up = format!("[[up]]\nfrom = \"0.1.0\"\ninstructions = [{UPDATES}]\n");
    handler.unpacks(&site.pack_modules(2, MODULES, &only_up));
    let found = handler.check_install(&vsn(2), by_group()).unwrap();
    let classes: BTreeSet<_> = found.obstacles.iter().map(|obstacle| obstacle.code().as_str()).collect();
    assert_eq!(classes, BTreeSet::from(["no_way_back"]), "{:?}", found.obstacles);
    for options in [InstallOptions::default(), InstallOptions { one_way: true, ..by_group() }] {
        let found = handler.check_install(&vsn(2), options).unwrap();
        assert!(found.obstacles.is_empty(), "{:?}", found.obstacles);
        assert!(found.warnings.iter().any(|text| text.starts_with("there is no way back: ")));
    }
}

#[test]
fn children_that_a_later_window_starts_or_deletes_are_expected_by_an_earlier_one() {
    let call = |function: &str, id: &str| {
        format!("{{ apply = \"supervisor:{function}\", args = [\"shop\", \"{id}\"] }}")
    };
    let supervisor = "{ update = \"counter\", change = \"supervisor\" }, { update = \"till\" }";
    let later = format!("{supervisor}, {}, {}", call("restart_child", "fresh"), call("delete_child", "gone"));
    for (instructions, outcome) in [(supervisor, Outcome::RolledBack), (&later, Outcome::Installed)] {
        let (site, mut handler, _) = shop();
        handler.removes(&vsn(1));
        let new = site.pack_modules(1, MODULES, &both_ways(1, instructions));
        let pid = *handler.node().world.processes.keys().next().unwrap();
        let supervisor = handler.node().process(pid);
        let (vanished, added) = (vec![json!("gone")], vec![json!("fresh")]);
        handler.node_mut().children = vec![ChangedChildren { supervisor, vanished, added }];
        let report = handler.upgrade(&new, by_group(), &mut |_| ()).unwrap();
        assert_eq!(
            (report.outcome, report.windows.len() > 1),
            (outcome, outcome == Outcome::Installed),
            "{report}"
        );
    }
}

#[test]
fn an_abort_between_two_windows_takes_the_first_one_back() {
    let (_site, mut handler, target) = shop();
    let interrupt = handler.interrupt();
    let report = handler
        .upgrade(&target, by_group(), &mut |event| {
            if title(&event).is_some_and(|title| title.starts_with("soft_purge")) {
                interrupt.ask(crate::interrupt::Wish::Abort);
            }
        })
        .unwrap();
    assert_eq!(report.outcome, Outcome::TakenBack, "{report}");
    let text = report.to_string();
    assert!(text.contains("caused by: aborted by the operator"), "{text}");
    assert!(text.contains("1 windows were in force: their states were converted back"), "{text}");
}

/// Upgrades group by group while a process of this app has crashed since the first switch.
fn upgrade_with_a_crash(app: &str, options: InstallOptions) -> (ReleaseHandler<Fake>, Report) {
    let (_site, mut handler, target) = shop();
    let pid = Pid { slot: 77, generation: 1 };
    let process = Process { pid, name: None, module: "counter".parse().unwrap(), app: app.parse().unwrap() };
    handler.node_mut().crashes = vec![Exited { process, reason: "panicked".to_owned() }];
    let report = handler.upgrade(&target, options, &mut |_| ()).unwrap();
    (handler, report)
}

#[test]
fn a_crash_after_one_window_takes_it_back_before_the_next_one_opens_unless_crashes_are_ignored() {
    let (handler, report) = upgrade_with_a_crash("shop", by_group());
    assert_eq!(report.outcome, Outcome::TakenBack, "{report}");
    let failure = report.failure.unwrap();
    assert_eq!(failure.cause, "<77.1> (shop:counter) crashed: panicked");
    assert_eq!(report.windows.len(), 2, "the second one was not begun: {:?}", report.steps);
    assert_eq!(handler.node().calls.iter().filter(|call| **call == "raise").count(), 2, "there and back");
    check(&handler, "1.1.0 unpacked, 1.0.0 permanent");

    let ignored = InstallOptions { crashes: CrashPolicy::Ignore, ..by_group() };
    let (handler, report) = upgrade_with_a_crash("shop", ignored);
    assert_eq!(report.outcome, Outcome::Installed, "{report}");
    let crashes = |report: &Report| report.warnings.iter().filter(|text| text.contains("crashed")).count();
    assert_eq!(crashes(&report), 1, "only reported: {:?}", report.warnings);
    check(&handler, "1.1.0 permanent, 1.0.0 old");

    let (_, report) = upgrade_with_a_crash("stranger", by_group());
    assert_eq!((report.outcome, crashes(&report)), (Outcome::Installed, 0), "another app");
    let (_, report) = upgrade_with_a_crash("shop", InstallOptions::default());
    assert_eq!(report.outcome, Outcome::Installed, "nothing comes after the only window");
}

#[test]
fn windows_are_taken_back_to_a_release_that_the_policy_of_today_refuses() {
    let (site, mut handler, _) = shop();
    handler.install(&vsn(1), by_group(), &mut |_| ()).unwrap();
    let next = site.pack_modules(2, MODULES, &both_ways(2, UPDATES));
    handler.node_mut().calls.clear();
    let second = calls().iter().rposition(|call| *call == "load").unwrap();
    handler.fail([second]);
    let on = InstallOptions { supersede: true, ..by_group() };
    let report = handler.upgrade(&next, on, &mut |_| site.require("signed")).unwrap();
    assert_eq!(report.outcome, Outcome::TakenBack, "{report}");
    check(&handler, "1.2.0 unpacked, 1.1.0 current, 1.0.0 permanent");
}
