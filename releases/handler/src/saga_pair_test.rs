//! Tests of the saga with a failure at every effect, combined with failures of the undos: each undo
//! alone, and all at once.

use std::collections::{BTreeSet, HashSet};

use crate::fake::Fake;
use crate::fixture::{quiet, run};
use crate::report::{Outcome, Report};
use crate::saga_call_test;
use crate::saga_test;
use crate::step::Program;

/// An upgrade and the node that it begins on.
struct Case {
    node: fn() -> Fake,
    program: Program,
    /// The first call after the switch.
    switch: usize,
}

/// Two cases that cover every effect and its undo.
fn cases() -> [Case; 2] {
    let case = |node: fn() -> Fake, program: Program, after: &str| {
        let mut fake = node();
        run(&mut fake, &program);
        let switch = fake.calls.iter().position(|call| *call == after).unwrap();
        Case { node, program, switch }
    };
    [
        case(saga_test::shop, saga_test::up(), "stop_application"),
        case(saga_call_test::shop, saga_call_test::up(), "stop_children"),
    ]
}

impl Case {
    fn go(&self, failing: BTreeSet<usize>, has_traffic: bool) -> (Fake, Report) {
        let mut fake = (self.node)();
        (fake.failing, fake.has_traffic) = (failing, has_traffic);
        let report = run(&mut fake, &self.program);
        (fake, report)
    }

    /// Runs with failing undos, and tests that the other undos are done all the same.
    #[track_caller]
    fn check(&self, alone: &Fake, effect: usize, undos: &BTreeSet<usize>, has_traffic: bool) {
        let failing = undos.iter().copied().chain([effect]).collect();
        let (fake, report) = self.go(failing, has_traffic);
        let what = format!(
            "{} fails, then {undos:?} of {:?}: {report}",
            alone.calls[effect],
            &alone.calls[effect..]
        );
        assert_eq!(fake.calls, alone.calls, "every undo is tried: {what}");
        assert_eq!(report.outcome, Outcome::NeedsRestart, "{what}");
        assert_eq!(report.not_undone.len(), undos.len(), "each failed undo is reported: {what}");
        assert!(report.failure.is_some(), "{what}");
        let (after, before) = (quiet(&fake), (self.node)().world);
        assert_eq!(after.staged, None, "{what}");
        assert!(after.gate.is_empty(), "{what}");
        assert!(after.processes.values().all(|process| process.shadow.is_none()), "{what}");
        let code = |world: &crate::fake::World| world.modules.clone();
        assert_eq!(code(&after), code(&before), "{what}");
    }
}

/// Returns the kind of effect from the title of a step. A rename prints as a call but has an undo
/// of its own.
fn kind(title: String) -> String {
    let word = if title.contains(":rename_child(") { "rename_child" } else { &title };
    word.split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn the_cases_cover_every_effect() {
    let kinds = |program: &Program| -> Vec<String> {
        let Program { before, stage, staged, gate, held, .. } = program;
        let effects = before.iter().chain(staged).map(|effect| effect.what.to_string());
        let held = held.iter().map(|inside| inside.what.to_string());
        let gate = gate
            .iter()
            .flat_map(|gate| [gate.what.to_string(), gate.what.gate.to_string(), "compare".to_owned()]);
        let titles = effects.chain([stage.what.to_string()]).chain(gate).chain(held);
        titles.map(kind).collect()
    };
    let all: HashSet<_> = cases().iter().flat_map(|case| kinds(&case.program)).collect();
    // The number of rows in the table of effects and undos in `step.rs`.
    let table = include_str!("step.rs").lines().filter(|line| line.starts_with("//! | ")).skip(1);
    assert_eq!(all.len(), table.count());
}

#[test]
fn every_effect_fails_with_every_undo() {
    let mut pairs = 0;
    for case in cases() {
        for has_traffic in [false, true] {
            for effect in 0..case.switch {
                let (alone, report) = case.go(BTreeSet::from([effect]), has_traffic);
                if report.outcome == Outcome::Installed {
                    // No state was left to convert inside the window.
                    assert_eq!((alone.calls[effect], has_traffic), ("convert", false));
                    continue;
                }
                assert_eq!(report.outcome, Outcome::RolledBack, "{report}");
                let undos: BTreeSet<usize> = (effect + 1..alone.calls.len()).collect();
                for undo in &undos {
                    case.check(&alone, effect, &BTreeSet::from([*undo]), has_traffic);
                    pairs += 1;
                }
                if !undos.is_empty() {
                    case.check(&alone, effect, &undos, has_traffic);
                }
            }
        }
    }
    assert!(pairs > 100, "{pairs}");
}

#[test]
fn any_two_failing_calls_end_in_one_of_three_outcomes() {
    for case in cases() {
        let (all, _) = case.go(BTreeSet::new(), true);
        for first in 0..all.calls.len() {
            for second in first + 1..all.calls.len() + 8 {
                let (fake, report) = case.go(BTreeSet::from([first, second]), true);
                let failed = |number: usize| number < fake.calls.len();
                match report.outcome {
                    Outcome::Installed => assert!(first >= case.switch, "{report}"),
                    Outcome::RolledBack => assert!(first < case.switch && !failed(second), "{report}"),
                    Outcome::NeedsRestart => assert!(first < case.switch && failed(second), "{report}"),
                    Outcome::TakenBack | Outcome::NotTakenBack => {
                        panic!("a saga does not take back a finished upgrade: {report}")
                    }
                }
            }
        }
    }
}
