//! The saga over a fake node, for the instructions that call, stop and start: whatever fails before
//! the switch, the node is as before; what does not start after it is told as a failure.

use std::collections::BTreeSet;

use crate::fake::Fake;
use crate::fixture::{booted, quiet, release, road, run};
use crate::options::InstallOptions;
use crate::report::{Outcome, Report};
use crate::step::Program;

const OLD: &[&str] = &["counter", "counter_sup", "helper", "pump"];

/// A shop whose counters change, whose pump is stopped and started, and whose till is restarted,
/// with calls in between.
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
    road(Some(&old()), &new, InstallOptions::default())
}

fn old() -> reld_plan::Release {
    release("1.0.0", &[("shop", "0.1.0", OLD, ""), ("till", "1.0.0", &["till"], "")])
}

/// Processes 1 to 5: supervisor, two counters, a pump, and the till's.
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

/// Runs the upgrade with one failing call.
fn failing(number: usize) -> (Fake, Report) {
    let mut fake = shop();
    fake.failing = BTreeSet::from([number]);
    let report = run(&mut fake, &up());
    (fake, report)
}

/// What the processes of a module run and know.
fn states(fake: &Fake, module: &str) -> Vec<String> {
    let its = fake.world.processes.values().filter(|process| process.module.as_str() == module);
    its.map(|process| format!("{} {}", fake.world.images[&process.image].1, process.state)).collect()
}

#[test]
fn what_ends_is_ended_and_what_starts_is_started_in_the_order_that_can_be_taken_back() {
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
fn whatever_fails_before_the_switch_is_undone_and_a_restarted_app_runs_again() {
    let calls = calls();
    let switch = calls.iter().position(|call| *call == "stop_children").unwrap();
    for (number, call) in calls.iter().enumerate().take(switch) {
        let (fake, report) = failing(number);
        assert_eq!(report.outcome, Outcome::RolledBack, "{call}: {report}");
        assert!(report.not_undone.is_empty() && report.failure.is_some(), "{call}: {report}");
        let (mut before, mut after) = (quiet(&shop()), quiet(&fake));
        assert!(!states(&fake, "till").is_empty(), "{call}: the till runs");
        for world in [&mut before, &mut after] {
            // Its state is lost, as the plan says.
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
fn what_cannot_be_ended_after_the_switch_is_a_warning_and_a_start_or_call_that_fails_a_failure() {
    let calls = calls();
    let switch = calls.iter().position(|call| *call == "stop_children").unwrap();
    let told: Vec<_> = (switch..calls.len())
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
    assert_eq!(told, expected);
}

#[test]
fn a_child_starts_while_members_are_held_and_where_it_fails_they_go_on_and_nothing_else_is_done() {
    let entries = "[[up]]\nfrom = \"0.1.0\"\ninstructions = [\n\
        { update = \"counter\", change = { advanced = 1 } },\n\
        { apply = \"supervisor:restart_child\", args = [\"shop\", \"c\"] },\n\
        { apply = \"supervisor:delete_child\", args = [\"shop\", \"d\"] } ]\n";
    let new = release("1.1.0", &[("shop", "0.1.1", OLD, entries), ("till", "1.0.0", &["till"], "")]);
    let program = road(Some(&old()), &new, InstallOptions::default());
    // The fake node does not start it unless members are held.
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
    // Nobody is held any more: it is looked at there.
    assert_eq!(quiet(&fake).applied, [""; 0]);
}

#[test]
fn a_function_of_a_module_that_nobody_has_is_an_obstacle() {
    let entries = "[[up]]\nfrom = \"0.1.0\"\ninstructions = [{ apply = \"hepler:prepare\", args = [] }]\n";
    let new = release("1.1.0", &[("shop", "0.1.1", OLD, entries), ("till", "1.0.0", &["till"], "")]);
    let script = reld_plan::plan(&old(), &new).unwrap();
    let material = crate::fixture::material(Some(&old()), &new);
    let obstacles = crate::program::programs(&script, &material, InstallOptions::default()).unwrap_err();
    let said: Vec<_> = obstacles.iter().map(|obstacle| (obstacle.class(), obstacle.to_string())).collect();
    let text =
        "step 6: `apply hepler:prepare()`: no app of the two releases has the module; correct the appup";
    assert_eq!(said, [("undef_module", text.to_owned())]);
}
