//! The saga failed at every effect of every instruction, with every undo failing beside it: alone,
//! and all at once.

use std::collections::{BTreeSet, HashSet};

use crate::fake::Fake;
use crate::fixture::{quiet, run};
use crate::report::{Outcome, Report};
use crate::saga_call_test;
use crate::saga_test;
use crate::step::Program;

/// An upgrade, and a node that it begins on.
struct Road {
    node: fn() -> Fake,
    program: Program,
    /// The first call after the switch.
    switch: usize,
}

/// Between them the roads have every effect that there is, each with its undo.
fn roads() -> [Road; 2] {
    let road = |node: fn() -> Fake, program: Program, after: &str| {
        let mut fake = node();
        run(&mut fake, &program);
        let switch = fake.calls.iter().position(|call| *call == after).unwrap();
        Road { node, program, switch }
    };
    [
        road(saga_test::shop, saga_test::up(), "stop_application"),
        road(saga_call_test::shop, saga_call_test::up(), "stop_children"),
    ]
}

impl Road {
    fn go(&self, failing: BTreeSet<usize>, has_traffic: bool) -> (Fake, Report) {
        let mut fake = (self.node)();
        (fake.failing, fake.has_traffic) = (failing, has_traffic);
        let report = run(&mut fake, &self.program);
        (fake, report)
    }

    /// Runs with failing undos, and checks that the others are done all the same.
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
        assert_eq!(report.not_undone.len(), undos.len(), "each that failed is told: {what}");
        assert!(report.failure.is_some(), "{what}");
        let (after, before) = (quiet(&fake), (self.node)().world);
        assert_eq!(after.staged, None, "{what}");
        assert!(after.gate.is_empty(), "{what}");
        assert!(after.processes.values().all(|process| process.shadow.is_none()), "{what}");
        let code = |world: &crate::fake::World| world.modules.clone();
        assert_eq!(code(&after), code(&before), "{what}");
    }
}

/// Of a step's title; a rename is a call like others to a reader, and has an undo of its own.
fn kind(title: String) -> String {
    let word = if title.contains(":rename_child(") { "rename_child" } else { &title };
    word.split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn the_roads_have_every_effect_that_there_is() {
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
    let all: HashSet<_> = roads().iter().flat_map(|road| kinds(&road.program)).collect();
    // As many as the table of effects and undos in `step.rs` has rows.
    let table = include_str!("step.rs").lines().filter(|line| line.starts_with("//! | ")).skip(1);
    assert_eq!(all.len(), table.count());
}

#[test]
fn every_effect_fails_with_every_undo() {
    let mut pairs = 0;
    for road in roads() {
        for has_traffic in [false, true] {
            for effect in 0..road.switch {
                let (alone, report) = road.go(BTreeSet::from([effect]), has_traffic);
                if report.outcome == Outcome::Installed {
                    // Nobody was left to convert inside the window.
                    assert_eq!((alone.calls[effect], has_traffic), ("convert", false));
                    continue;
                }
                assert_eq!(report.outcome, Outcome::RolledBack, "{report}");
                let undos: BTreeSet<usize> = (effect + 1..alone.calls.len()).collect();
                for undo in &undos {
                    road.check(&alone, effect, &BTreeSet::from([*undo]), has_traffic);
                    pairs += 1;
                }
                if !undos.is_empty() {
                    road.check(&alone, effect, &undos, has_traffic);
                }
            }
        }
    }
    assert!(pairs > 100, "{pairs}");
}

#[test]
fn every_two_calls_fail_and_the_end_is_one_of_the_three() {
    for road in roads() {
        let (all, _) = road.go(BTreeSet::new(), true);
        for first in 0..all.calls.len() {
            for second in first + 1..all.calls.len() + 8 {
                let (fake, report) = road.go(BTreeSet::from([first, second]), true);
                let failed = |number: usize| number < fake.calls.len();
                match report.outcome {
                    Outcome::Installed => assert!(first >= road.switch, "{report}"),
                    Outcome::RolledBack => assert!(first < road.switch && !failed(second), "{report}"),
                    Outcome::NeedsRestart => assert!(first < road.switch && failed(second), "{report}"),
                    Outcome::TakenBack | Outcome::NotTakenBack => {
                        panic!("a saga takes nothing back that arrived: {report}")
                    }
                }
            }
        }
    }
}
