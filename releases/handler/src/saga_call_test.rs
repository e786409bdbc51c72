//! Tests of the saga over a fake node, with instructions that call functions and stop and start
//! processes. After any failure before the switch the node is as before. A failed start after the
//! switch is reported.

use std::collections::BTreeSet;

use crate::fake::Fake;
use crate::fixture::{booted, program_to, quiet, release, run};
use crate::options::InstallOptions;
use crate::report::{Outcome, Report};
use crate::step::Program;

const OLD: &[&str] = &["counter", "counter_sup", "helper", "pump"];

/// Returns an upgrade that converts counters, stops and starts a pump and restarts the till, with
/// calls in between.
pub(crate) fn up() -> Program {
    let entries = "[[up]]\nfrom = \"0.1.0\"\ninstructions = [\n\
        { load_object_code = [\"counter\", \"counter_sup\", \"helper\", \"pump\"], app = \"shop\", vsn = \"0.1.1\" },\n\
        { apply = \"helper:prepare\", args = [], undo = { apply = \"helper:undo_prepare\", args = [] } },\n\
        \"point_of_no_return\",\n\
        { apply = \"supervisor:rename_child\", args = [\"shop\", \"a\", \"b\"] },\n\
        { suspend = [\"counter\"] }, { load = \"counter\" },\n\
        { apply = \"helper:convert\", args = [], undo = { apply = \"helper:undo_convert\", args = [] } },\n\
        { code_change = [{ module = \"counter\", extra = 1 }] }, { resume = [\"counter\"] },\n\
        { stop = [\"pump\"] }, { load = \"pump\" }, { start = [\"pump\"] },\n\
        { apply = \"supervisor:restart_child\", args = [\"shop\", \"c\"] },\n\
        { apply = \"supervisor:delete_child\", args = [\"shop\", \"d\"] },\n\
        { apply = \"helper:complete\", args = [], undo = { apply = \"helper:undo_complete\", args = [] } } ]\n";
    let restart = "[[up]]\nfrom = \"1.0.0\"\ninstructions = [{ restart_application = \"till\" }]\n";
    let new = release("1.1.0", &[("shop", "0.1.1", OLD, entries), ("till", "1.1.0", &["till"], restart)]);
    program_to(Some(&old()), &new, InstallOptions::default())
}

fn old() -> reld_plan::Release {
    release("1.0.0", &[("shop", "0.1.0", OLD, ""), ("till", "1.0.0", &["till"], "")])
}

/// Returns a node with processes 1 to 5: a supervisor, two counters, a pump and the till.
pub(crate) fn shop() -> Fake {
    let mut fake = booted(&old());
    for module in ["counter_sup", "counter", "counter", "pump", "till"] {
        fake.spawn(module, None);
    }
    fake
}

fn calls() -> Vec<&'static str> {
    let mut fake = shop();
    run(&mut fake, &up());
    fake.calls
}

/// Runs the upgrade while the call of this number fails.
fn failing(number: usize) -> (Fake, Report) {
    let mut fake = shop();
    fake.failing = BTreeSet::from([number]);
    let report = run(&mut fake, &up());
    (fake, report)
}

/// Returns the versions and states of a module's processes.
fn states(fake: &Fake, module: &str) -> Vec<String> {
    let its = fake.world.processes.values().filter(|process| process.module.as_str() == module);
    its.map(|process| format!("{} {}", fake.world.images[&process.image].1, process.state)).collect()
}

#[test]
fn stops_and_starts_come_in_an_order_that_can_be_undone() {
    let mut fake = shop();
    let report = run(&mut fake, &up());
    assert_eq!((report.outcome, &report.failure), (Outcome::Installed, &None));
    let expected = [
        "load",
        "load",
        "apply",
        "call",
        "stop_application",
        "stage",
        "start_application",
        "precopy",
        "raise",
        "convert",
        "convert",
        "convert",
        "apply",
        "convert",
        "stop_children",
        "start_children",
        "call",
        "call",
        "apply",
    ];
    assert_eq!(fake.calls, expected);
    let world = quiet(&fake);
    let applied = [
        "prepare",
        "supervisor:rename_child(\"shop\", \"a\", \"b\")",
        "convert",
        "supervisor:restart_child(\"shop\", \"c\")",
        "supervisor:delete_child(\"shop\", \"d\")",
        "complete",
    ];
    assert_eq!(world.applied, applied);
    assert_eq!(states(&fake, "counter"), ["0.1.1 state 2, up from 0.1.0", "0.1.1 state 3, up from 0.1.0"]);
    assert_eq!(states(&fake, "till"), ["1.1.0 state 6"], "a new process, without the old one's state");
    assert_eq!(states(&fake, "pump"), ["0.1.1 state 7"], "terminated, and restarted on new code");
}

#[test]
fn the_resume_after_the_start_of_a_child_has_its_own_step_number() {
    let entries = "[[up]]\nfrom = \"0.1.0\"\ninstructions = [{ update = \"counter\" },\n\
        { apply = \"supervisor:restart_child\", args = [\"shop\", \"c\"] }]\n";
    let new = release("1.1.0", &[("shop", "0.1.1", OLD, entries), ("till", "1.0.0", &["till"], "")]);
    let program = program_to(Some(&old()), &new, InstallOptions::default());
    let report = run(&mut shop(), &program);
    let steps: Vec<(usize, &str)> =
        report.steps.iter().map(|step| (step.step, step.title.as_str())).collect();
    assert!(steps.is_sorted_by_key(|(number, _)| *number), "{steps:?}");
    let [birth, resume] = ["apply supervisor:restart_child(\"shop\", \"c\")", "resume"]
        .map(|wanted| steps.iter().find(|(_, title)| *title == wanted).unwrap().0);
    assert_eq!((resume, program.switch), (birth + 1, birth - 1), "{steps:?}");
}

#[test]
fn any_failure_before_the_switch_is_undone_and_a_restarted_app_runs_again() {
    let calls = calls();
    let switch = calls.iter().position(|call| *call == "stop_children").unwrap();
    for (number, call) in calls.iter().enumerate().take(switch) {
        let (fake, report) = failing(number);
        assert_eq!(report.outcome, Outcome::RolledBack, "{call}: {report}");
        assert!(report.not_undone.is_empty() && report.failure.is_some(), "{call}: {report}");
        let (mut before, mut after) = (quiet(&shop()), quiet(&fake));
        assert!(!states(&fake, "till").is_empty(), "{call}: the till runs");
        for world in [&mut before, &mut after] {
            // The state of the till is lost, as planned.
            world.processes.retain(|_, process| process.module.as_str() != "till");
            world.running_apps.clear();
        }
        assert_eq!(after, before, "{call}");
        assert!(states(&fake, "till")[0].starts_with("1.0.0 "), "{call}");
    }
}

#[test]
fn a_failed_undo_of_a_call_does_not_stop_the_others() {
    let calls = calls();
    let at = calls.iter().rposition(|call| *call == "convert").unwrap();
    let mut fake = shop();
    fake.failing = BTreeSet::from([at]);
    run(&mut fake, &up());
    let undos = fake.calls[at + 1..].to_vec();
    assert_eq!(
        undos,
        ["apply", "stop_application", "start_application", "call", "apply", "unload", "unload"]
    );
    for undo in at + 1..fake.calls.len() {
        let mut fake = shop();
        fake.failing = BTreeSet::from([at, undo]);
        let report = run(&mut fake, &up());
        assert_eq!((report.outcome, report.not_undone.len()), (Outcome::NeedsRestart, 1), "{report}");
        assert_eq!(fake.calls[at + 1..], undos);
    }
}

#[test]
fn after_the_switch_a_failed_stop_is_a_warning_and_a_failed_start_or_call_a_failure() {
    let calls = calls();
    let switch = calls.iter().position(|call| *call == "stop_children").unwrap();
    let failures: Vec<_> = (switch..calls.len())
        .map(|number| {
            let (_, report) = failing(number);
            assert_eq!(report.outcome, Outcome::Installed);
            (calls[number], report.warnings.len(), report.failure.map(|failure| failure.title))
        })
        .collect();
    let title = |title: &str| Some(title.to_owned());
    let expected = [
        ("stop_children", 1, None),
        ("start_children", 0, title("start [pump]")),
        ("call", 0, title("apply supervisor:restart_child(\"shop\", \"c\")")),
        ("call", 1, None),
        ("apply", 0, title("apply helper:complete(), undo helper:undo_complete()")),
    ];
    assert_eq!(failures, expected);
}

#[test]
fn a_child_starts_while_members_are_held_and_its_failure_resumes_them_and_ends_the_finishes() {
    let entries = "[[up]]\nfrom = \"0.1.0\"\ninstructions = [\n\
        { update = \"counter\", change = { advanced = 1 } },\n\
        { apply = \"supervisor:restart_child\", args = [\"shop\", \"c\"] },\n\
        { apply = \"supervisor:delete_child\", args = [\"shop\", \"d\"] } ]\n";
    let new = release("1.1.0", &[("shop", "0.1.1", OLD, entries), ("till", "1.0.0", &["till"], "")]);
    let program = program_to(Some(&old()), &new, InstallOptions::default());
    // The fake node panics at `start_child` unless members are held.
    let mut fake = shop();
    let report = run(&mut fake, &program);
    let [start, end] =
        ["supervisor:restart_child(\"shop\", \"c\")", "supervisor:delete_child(\"shop\", \"d\")"];
    assert_eq!((report.failure, &*quiet(&fake).applied), (None, &[start.to_owned(), end.to_owned()][..]));

    let at = fake.calls.iter().position(|call| *call == "call").unwrap();
    let mut fake = shop();
    fake.failing = BTreeSet::from([at]);
    let report = run(&mut fake, &program);
    let failed = report.failure.map(|failure| failure.title);
    assert_eq!((report.outcome, failed), (Outcome::Installed, Some(format!("apply {start}"))));
    // `quiet` also tests that no member is still held.
    assert_eq!(quiet(&fake).applied, [""; 0]);
}

#[test]
fn a_function_of_an_unknown_module_is_an_obstacle() {
    let entries = "[[up]]\nfrom = \"0.1.0\"\ninstructions = [{ apply = \"hepler:prepare\", args = [] }]\n";
    let new = release("1.1.0", &[("shop", "0.1.1", OLD, entries), ("till", "1.0.0", &["till"], "")]);
    let script = reld_plan::plan(&old(), &new).unwrap();
    let material = crate::fixture::material(Some(&old()), &new);
    let obstacles = crate::program::programs(&script, &material, InstallOptions::default()).unwrap_err();
    let found: Vec<_> =
        obstacles.iter().map(|obstacle| (obstacle.code().as_str(), obstacle.to_string())).collect();
    let text =
        "step 6: `apply hepler:prepare()`: no app of the two releases has the module; correct the appup";
    assert_eq!(found, [("undef_module", text.to_owned())]);
}
