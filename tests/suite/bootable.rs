//! After an upgrade the new release has never booted. Every install therefore plans its boot as
//! well, and reports the differences that a restart would make.

use std::process::Command;

use reld_api::response::{AppStatus, Checked};
use reld_tests::{Node, Run, assert_contains, release};
use tempfile::TempDir;

use crate::doctored::{Files, doctored, edit};
use crate::misfits::{meter, with_library};

const COUNTER: &str = "lib/counter-0.1.1/app.toml";
const METER: &str = "lib/meter-1.1.0/app.toml";
const RELEASE: &str = "releases/1.1.0/release.toml";
const START: &str = "start = \"meter_app\"";
const PERMANENT: &str = "version = \"1.1.0\"\ntype = \"permanent\"";

/// A change of one document: its path, the old text, and the new text.
type Change<'a> = (&'a str, &'a str, &'a str);

fn running(name: &str) -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release(name)]);
    node
}

/// Returns the release plant 1.1.0 with changed documents.
fn plant(changes: &[Change<'_>]) -> (TempDir, String) {
    let change = |files: &mut Files| {
        for (path, from, to) in changes {
            edit(files, path, from, to);
        }
    };
    doctored("plant-1.1.0", change)
}

/// Checks that a check of 1.1.0 has this warning.
#[track_caller]
fn check_warned(node: &Node, warning: &str) {
    let checked: Checked = node.read(&["check", "1.1.0"]);
    assert!(checked.warnings.iter().any(|found| found == warning), "no {warning} in {:#?}", checked.warnings);
}

/// Returns whether an app runs with processes of its own.
fn lives(node: &Node, name: &str) -> bool {
    node.apps().iter().any(|app| app.name == name && app.status == AppStatus::Running && app.processes > 0)
}

/// Commands that lead to a release.
const LIVE: [&[&str]; 3] =
    [&["check", "1.1.0"], &["upgrade", "1.1.0"], &["upgrade", "1.1.0", "--group-windows"]];
const RESTART: &[&str] = &["upgrade", "1.1.0", "--mode", "restart"];

/// Checks that these commands are refused for this reason on a release with these changes, and that
/// the node continues unchanged.
#[track_caller]
fn check_refused(node: &Node, changes: &[Change<'_>], roads: &[&[&str]], words: &str) {
    let (_scratch, tarball) = plant(changes);
    let before = node.tree("meter");
    node.ok(&["unpack", &tarball]);
    for road in roads {
        assert_contains(&node.run(road).expect(1).stderr, &[words]);
    }
    assert_eq!(node.tree("meter"), before);
    node.ok(&["remove", "1.1.0"]);
}

/// Checks that commands without a node report `words` for a release with these changes.
#[track_caller]
fn check_found(changes: &[Change<'_>], words: &str) {
    let (_scratch, tarball) = plant(changes);
    let relctl = |verb: &str| {
        let mut relctl = Command::new(Node::relctl_program());
        Run::of(relctl.args([verb, &release("plant-1.0.0"), &tarball]))
    };
    assert_contains(&relctl("plan").expect(1).stderr, &[words]);
    assert_contains(&relctl("diff").expect(0).stdout, &[words]);
}

/// Checks that a release with these changes cannot boot for this reason, with a node and without
/// one.
#[track_caller]
fn check_not_bootable(node: &Node, changes: &[Change<'_>], words: &str) {
    check_found(changes, words);
    check_refused(node, changes, &[&LIVE[..], &[RESTART]].concat(), words);
}

#[test]
fn an_app_with_a_missing_start_module_or_one_that_is_no_application_is_refused() {
    let node = running("plant-1.0.0");
    let start = |module: &str| format!("start = \"{module}\"");
    check_not_bootable(
        &node,
        &[(METER, START, &start("ghost"))],
        "meter cannot start: its library has no module ghost",
    );
    let gen_server = "meter cannot start: its start module meter is a gen_server, not an application";
    check_not_bootable(&node, &[(METER, START, &start("meter"))], gen_server);
    let supervisor = "meter cannot start: its start module meter_sup is a supervisor, not an application";
    check_not_bootable(&node, &[(METER, START, &start("meter_sup"))], supervisor);
    // A module of another app does not count as one of this app's.
    check_not_bootable(
        &node,
        &[(METER, START, &start("counter_app"))],
        "its library has no module counter_app",
    );
}

#[test]
fn the_behaviour_of_a_module_is_read_from_the_library_itself() {
    let node = running("plant-1.0.0");
    let lie = "\"behaviour\": \"application\"";
    let change = |files: &mut Files| {
        edit(files, METER, START, "start = \"meter\"");
        edit(files, "lib/meter-1.1.0/schema.json", "\"behaviour\": \"gen_server\"", lie);
    };
    let (_scratch, tarball) = doctored("plant-1.1.0", change);
    let refused = node.run(&["upgrade", &tarball]).expect(1).stderr;
    assert_contains(&refused, &["its start module meter is a gen_server"]);
}

#[test]
fn an_app_that_needs_itself_or_an_app_that_is_not_started_is_refused() {
    let node = running("plant-1.0.0");
    let needs = |app: &str| format!("applications = [\"{app}\"]\nstart");
    check_not_bootable(&node, &[(METER, "start", &needs("meter"))], "meter cannot start: it needs itself");
    for start_type in ["load", "none"] {
        let typed = format!("version = \"1.1.0\"\ntype = \"{start_type}\"");
        let words = format!(
            "counter cannot start: it needs meter, which the release does not start (its type is {start_type})"
        );
        check_not_bootable(
            &node,
            &[(RELEASE, PERMANENT, &typed), (COUNTER, "start", &needs("meter"))],
            &words,
        );
    }
}

#[test]
fn a_release_with_an_unusable_environment_is_refused_before_anything_is_done() {
    let node = running("plant-1.0.0");
    let env = format!("{START}\nenv = {{ key = {{ \"$bin\" = 5 }} }}");
    let roads = [&LIVE[..], &[RESTART]].concat();
    check_refused(
        &node,
        &[(METER, START, &env)],
        &roads,
        "app meter 1.1.0 could not be started: env.key cannot be handed over",
    );
    let phase = format!("{START}\nstart_phases = [{{ name = \"go\", arg = {{ \"$map\" = 5 }} }}]");
    check_refused(
        &node,
        &[(METER, START, &phase)],
        &roads,
        "the argument of start phase go cannot be handed over",
    );
}

#[test]
fn a_running_and_an_idle_node_refuse_a_release_that_could_not_boot() {
    let ghost = |files: &mut Files| edit(files, "lib/meter-1.0.0/app.toml", START, "start = \"ghost\"");
    let (_scratch, tarball) = doctored("plant-1.0.0", ghost);
    for node in [running("plant-1.1.0"), Node::start()] {
        let refused = node.run(&["upgrade", &tarball]).expect(1).stderr;
        assert_contains(&refused, &["meter cannot start: its library has no module ghost"]);
    }
}

#[test]
fn a_library_with_a_constructor_that_exits_with_success_is_refused() {
    let node = running("plant-1.0.0");
    let leaves = "__attribute__((constructor)) static void leave(void) { exit(0); }\n";
    let (_scratch, tarball) = with_library(&meter(&[], leaves, &[]));
    let refused = node.run(&["upgrade", &tarball]).expect(1).stderr;
    assert_contains(&refused, &["the probe ended before it was done"]);
    assert!(lives(&node, "meter"));
}

/// Checks that an upgrade to a release with these changes warns with `words`, and that the app
/// meter has no processes after a restart.
#[track_caller]
fn check_lost(changes: &[Change<'_>], words: &str) {
    let mut node = running("plant-1.0.0");
    let (_scratch, tarball) = plant(changes);
    assert_contains(&node.ok(&["plan", &release("plant-1.0.0"), &tarball]).stdout, &[words]);
    node.ok(&["unpack", &tarball]);
    check_warned(&node, words);
    assert_contains(&node.ok(&["upgrade", "1.1.0"]).stdout, &[words]);
    assert!(lives(&node, "counter") && lives(&node, "meter"));
    node.kill_9_and_restart();
    assert_eq!(
        (node.version().as_str(), lives(&node, "counter"), lives(&node, "meter")),
        ("1.1.0", true, false)
    );
}

#[test]
fn apps_that_a_restart_would_not_start_are_reported_before_and_after_an_upgrade() {
    for start_type in ["load", "none"] {
        let typed = format!("version = \"1.1.0\"\ntype = \"{start_type}\"");
        let words = format!("a restart would not start these running apps: meter (its type is {start_type})");
        check_lost(&[(RELEASE, PERMANENT, &typed)], &words);
    }
    let no_start = "a restart would not start these running apps: meter (its app.toml names no start)";
    check_lost(&[(METER, &format!("{START}\n"), "")], no_start);
    // An included app is started by its includer. This includer does not start it.
    let included = "included_applications = [\"meter\"]\nstart";
    let needs = "applications = [\"counter\"]\nstart";
    check_lost(
        &[(COUNTER, "start", included), (METER, "start", needs)],
        "a restart would not start these running apps: meter (counter includes it)",
    );
}

#[test]
fn differences_that_a_restart_would_make_are_reported() {
    let node = running("plant-1.0.0");
    let phases = format!("{START}\nstart_phases = [{{ name = \"go\" }}]");
    let (_scratch, tarball) = plant(&[(METER, START, &phases)]);
    node.ok(&["unpack", &tarball]);
    let words = "a restart would run the start phases [go] of meter, which no upgrade runs";
    check_warned(&node, words);
    node.ok(&["app", "stop", "meter"]);
    let words = "a restart would start apps that do not run now: meter";
    check_warned(&node, words);
}

#[test]
fn an_app_can_do_without_an_optional_one_that_the_release_does_not_have() {
    let mut node = running("plant-1.0.0");
    let optional = "applications = [\"ghost\"]\noptional_applications = [\"ghost\"]\nstart";
    let (_scratch, tarball) = plant(&[(METER, "start", optional)]);
    node.ok(&["upgrade", &tarball]);
    node.kill_9_and_restart();
    assert_eq!(node.version(), "1.1.0");
    assert!(lives(&node, "meter"));
}

#[test]
fn an_app_of_type_load_is_started_by_hand() {
    let node = Node::start();
    let (_scratch, tarball) = plant(&[(RELEASE, PERMANENT, "version = \"1.1.0\"\ntype = \"load\"")]);
    node.ok(&["upgrade", &tarball]);
    assert_eq!((node.app("meter").status, node.app("meter").processes), (AppStatus::Loaded, 0));
    node.ok(&["app", "start", "meter"]);
    assert!(lives(&node, "meter"));
}

#[test]
fn an_instruction_that_does_not_fit_the_behaviour_of_its_module_is_refused() {
    let node = running("plant-1.0.0");
    let appup = "lib/counter-0.1.1/appup.toml";
    let call = |call: &str| format!("instructions = [\n  {{ apply = \"{call}\" }},");
    for (module, word) in
        [("counter", "gen_server"), ("counter_sup", "supervisor"), ("counter_app", "application")]
    {
        let article = if word == "application" { "an" } else { "a" };
        let words = format!("module {module} is {article} {word}, but apply needs a task");
        let changes = [(appup, "instructions = [", &*call(&format!("{module}:go")))];
        check_found(&changes, &words);
        check_refused(&node, &changes, &LIVE, &words);
    }
    // A supervisor change of the app's own module would take the node down with the app.
    let supervisor = "change = \"supervisor\" }, # ";
    let changes = [(appup, "change = { advanced = { interval_ms = 250 } } },", supervisor)];
    let words = "module counter is a gen_server, but change = \"supervisor\" needs a supervisor";
    check_found(&changes, words);
    check_refused(&node, &changes, &LIVE, words);
}
