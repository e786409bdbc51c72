//! Property test: for any releases, processes and faults, an upgrade ends installed or leaves the
//! node as before.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use reld_plan::Release;

use crate::fake::{Course, Fake, FakeMeetings};
use crate::fixture::{AppText, booted, program_to, quiet, release, run_with};
use crate::options::InstallOptions;
use crate::process::Pid;
use crate::report::Outcome;

/// The change of an app between two releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Unchanged,
    Changed,
    Added,
    Removed,
}

/// An app: its change, and for each module the instruction and the number of its processes.
#[derive(Debug, Clone)]
struct RandomApp {
    change: Change,
    modules: Vec<(&'static str, usize)>,
}

/// The instructions for a module `M`. An empty one implies `load_module`.
const INSTRUCTIONS: [&str; 5] = [
    "",
    "{ load_module = \"M\" }",
    "{ update = \"M\" }",
    "{ update = \"M\", change = { advanced = 1 }, post_purge = \"brutal\" }",
    "{ update = \"M\", change = \"supervisor\", timeout = \"2s\" }",
];

fn apps() -> impl Strategy<Value = Vec<RandomApp>> {
    let change = prop_oneof![
        3 => Just(Change::Changed),
        1 => Just(Change::Unchanged),
        1 => Just(Change::Added),
        1 => Just(Change::Removed),
    ];
    let module = (prop::sample::select(INSTRUCTIONS.to_vec()), 0..4_usize);
    let app = (change, vec(module, 1..4)).prop_map(|(change, modules)| RandomApp { change, modules });
    vec(app, 1..5)
}

/// Returns the old release, or the new one if `is_new`.
///
/// The new release meets other nodes if an app is changed.
fn side(apps: &[RandomApp], is_new: bool) -> Release {
    let meets = apps.iter().position(|app| app.change == Change::Changed);
    let gone = if is_new { Change::Removed } else { Change::Added };
    let texts: Vec<(String, &str, Vec<String>, String)> = (0..)
        .zip(apps)
        .filter(|(_, app)| app.change != gone)
        .map(|(number, app)| text(number, app, is_new, meets == Some(number)))
        .collect();
    let names: Vec<Vec<&str>> =
        texts.iter().map(|text| text.2.iter().map(String::as_str).collect()).collect();
    let apps: Vec<AppText<'_>> = texts
        .iter()
        .zip(&names)
        .map(|((name, vsn, _, entries), modules)| (name.as_str(), *vsn, modules.as_slice(), entries.as_str()))
        .collect();
    release(if is_new { "2.0.0" } else { "1.0.0" }, &apps)
}

fn text(
    number: usize,
    app: &RandomApp,
    is_new: bool,
    meets: bool,
) -> (String, &'static str, Vec<String>, String) {
    let modules: Vec<String> = (0..app.modules.len()).map(|module| format!("m{number}_{module}")).collect();
    let meeting = "{ sync_nodes = 'all', nodes = ['n1', 'n2'] }".to_owned();
    let words: Vec<String> = app
        .modules
        .iter()
        .zip(&modules)
        .filter(|((instruction, _), _)| !instruction.is_empty())
        .map(|((instruction, _), module)| instruction.replace('M', module))
        .chain(meets.then_some(meeting))
        .collect();
    let entries = format!("[[up]]\nfrom = \"1.0.0\"\ninstructions = [{}]\n", words.join(", "));
    let is_changed = is_new && app.change == Change::Changed;
    let (vsn, entries) = if is_changed { ("2.0.0", entries) } else { ("1.0.0", String::new()) };
    (format!("app{number}"), vsn, modules, entries)
}

/// Returns a node that runs the old release.
fn node(apps: &[RandomApp]) -> Fake {
    let mut fake = booted(&side(apps, false));
    for (number, app) in (0..).zip(apps).filter(|(_, app)| app.change != Change::Added) {
        for (module, (_, processes)) in app.modules.iter().enumerate() {
            for _ in 0..*processes {
                fake.spawn(&format!("m{number}_{module}"), None);
            }
        }
    }
    fake.has_traffic = true;
    fake
}

fn check_installed(fake: &Fake) -> Result<(), TestCaseError> {
    let world = quiet(fake);
    prop_assert_eq!(world.staged, None);
    for slots in world.modules.values() {
        prop_assert!(slots.condemned.is_none());
        // Only a removed module of an app that did not stop can keep old code.
        prop_assert!(slots.old.is_none() || slots.current.is_none());
    }
    for (pid, process) in &world.processes {
        let current = world.modules.get(&process.module).and_then(|slots| slots.current);
        prop_assert!(current.is_none() || current == Some(process.image), "{} is in old code", pid);
        prop_assert!(process.shadow.is_none());
    }
    Ok(())
}

/// Compares the calls to the other nodes with the outcome: a node that does not switch has refused,
/// unless the meeting had ended.
fn check_meeting(calls: &[String], has_switched: bool) -> Result<(), TestCaseError> {
    let words: Vec<&str> = calls.iter().filter_map(|call| call.split([' ', ':']).next()).collect();
    let fits = match words[..] {
        ["join", "decide", "gone"] | ["join", "gone"] => has_switched,
        ["join"] | ["join", "decide"] | ["join", "refuse"] | ["refuse"] => !has_switched,
        _ => false,
    };
    prop_assert!(fits, "{:?} of a node that has switched: {}", words, has_switched);
    Ok(())
}

fn course() -> impl Strategy<Value = Course> {
    use Course::{AbortedBefore, AbortedWithin, Follows, Go, InDoubt, Late, No};
    prop::sample::select(vec![Go, Go, Go, Go, Follows, Late, AbortedBefore, AbortedWithin, No, InDoubt])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn an_upgrade_ends_installed_or_with_the_node_as_before(
        apps in apps(),
        failing in btree_set(0..40_usize, 0..3),
        deaths in btree_map(0..40_usize, 1..20_u32, 0..4),
        course in course(),
    ) {
        let mut fake = node(&apps);
        fake.failing = failing;
        let deaths: BTreeMap<usize, Pid> =
            deaths.into_iter().map(|(call, slot)| (call, Pid { slot, generation: 1 })).collect();
        fake.deaths = deaths;
        let mut before = quiet(&fake);
        let program = program_to(Some(&side(&apps, false)), &side(&apps, true), InstallOptions::default());
        let meetings = FakeMeetings::new(course);
        let report = run_with(&mut fake, &program, Some(&meetings));
        if program.meeting.is_some() {
            check_meeting(&meetings.calls(), report.outcome == Outcome::Installed)?;
        }
        match report.outcome {
            Outcome::Installed => check_installed(&fake)?,
            Outcome::RolledBack => {
                let after = quiet(&fake);
                let died = |pid: &Pid| fake.deaths.iter().any(|(call, dead)| dead == pid && *call < fake.calls.len());
                before.processes.retain(|pid, _| !died(pid));
                prop_assert_eq!(after, before);
                prop_assert!(report.failure.is_some());
            }
            Outcome::TakenBack | Outcome::NotTakenBack => panic!("a saga does not take back a finished upgrade"),
            Outcome::NeedsRestart => {
                let undone = fake.failing.iter().filter_map(|call| fake.calls.get(*call));
                let failed = undone.filter(|call| matches!(**call, "unload" | "stop_application")).count();
                prop_assert_eq!(report.not_undone.len(), failed);
                prop_assert_eq!(quiet(&fake).staged, None);
            }
        }
    }
}
