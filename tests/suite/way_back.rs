//! Trials of the way back: with a settle window or a probe, and when a step after the switch can
//! fail.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::Child;

use reld_api::response::{Checked, HistoryKind, HistoryList, Outcome, ReleaseStatus};
use reld_tests::{Node, assert_contains, eventually, pid_value, release};
use serde_json::{Value, json};

use crate::doctored::{doctored, edit};
use crate::settle::{beside, end};

/// Returns a node that runs wire 1.0.0, and a client that sends lines and gets them back with their
/// numbers.
fn wire() -> (Node, BufReader<TcpStream>) {
    let node = Node::start();
    node.ok(&["upgrade", &release("wire-1.0.0")]);
    let door = node.pid("wire", "door");
    let address = node.call(&door, r#""address""#).as_str().expect("an address").to_owned();
    (node, BufReader::new(TcpStream::connect(address).expect("the door is open")))
}

/// Sends a line and returns the answer: the version of the code, the number of the line, and the
/// line.
fn say(client: &mut BufReader<TcpStream>) -> String {
    client.get_mut().write_all(b"hello\n").expect("the connection is open");
    let mut answer = String::new();
    client.read_line(&mut answer).expect("an answer comes");
    answer.trim_end().to_owned()
}

/// A down entry of wire 2.0.0 that restores the member `lines` of a session.
const DOWN: &str =
    "[[down]]\nto = \"1.0.0\"\ninstructions = [{ update = \"wire_session\", change = { advanced = {} } }]";

#[test]
fn w1_a_release_that_settles_is_refused_without_a_way_back_of_a_state_and_installs_one_way() {
    let (node, mut client) = wire();
    assert_eq!(say(&mut client), "1 1 hello");
    let soft = DOWN.replace(
        "{ update = \"wire_session\", change = { advanced = {} } }",
        "{ update = \"wire_session\" }",
    );
    let (_scratch, tarball) =
        doctored("wire-2.0.0", |files| edit(files, "lib/wire-2.0.0/appup.toml", DOWN, &soft));
    let before = node.tree("wire");
    let probe = ["--settle", "1", "--probe", "exit 3"];
    let refused = node.run(&[&["upgrade", &tarball], &probe[..]].concat()).expect(4);
    assert_contains(
        &refused.stderr,
        &[
            "release 2.0.0 was not installed",
            "the node runs 1.0.0 as before",
            ": precopy [",
            "(wire:wire_session): its new state has no way back from 2.0.0 to 1.0.0: app wire 1.0.0 answered:",
            "missing field `lines`",
            "--one-way",
        ],
    );
    assert_eq!(node.version(), "1.0.0");
    assert_eq!(node.tree("wire"), before, "all processes live");
    assert_eq!(say(&mut client), "1 2 hello", "so do the connection and its count");

    let report = node.report(&["upgrade", &tarball, "--settle", "1", "--one-way"]);
    let trial = report.trial.expect("something might have needed the way back");
    assert_eq!((report.committed, trial.tried), (true, 0));
    assert!(
        matches!(&trial.not_tried[..], [left] if left.why == "the upgrade is one-way" && left.processes > 0),
        "{trial:?}"
    );
    assert_eq!(say(&mut client), "2 3 hello");
    let text = node.ok(&["history", "2"]).stdout;
    assert!(text.contains("precopy ["), "{text}");
}

#[test]
fn w1_a_release_without_a_down_entry_settles_only_one_way_and_upgrades_with_a_warning() {
    let (node, mut client) = wire();
    let (_scratch, tarball) =
        doctored("wire-2.0.0", |files| edit(files, "lib/wire-2.0.0/appup.toml", DOWN, ""));
    let why = "there is no way back, which settling may need: no appup leads wire from 2.0.0 to 1.0.0";
    let refused = node.run(&["upgrade", &tarball, "--probe", "true"]).expect(1);
    assert_contains(&refused.stderr, &[why, "add it to the appup, or pass --one-way"]);
    assert_eq!(node.version(), "1.0.0");
    let checked: Checked = node.read(&["check", "2.0.0"]);
    let warning = "there is no way back: no appup leads wire from 2.0.0 to 1.0.0";
    assert!(checked.warnings.iter().any(|shown| shown.starts_with(warning)), "{:?}", checked.warnings);
    let report = node.report(&["upgrade", "2.0.0", "--probe", "true", "--one-way"]);
    assert!(report.committed && report.warnings == checked.warnings, "{report:?}");
    assert_eq!(say(&mut client), "2 1 hello");
}

/// Returns a node that runs stage 1.0.0. Its count_server `a` causes `trouble` when it is
/// converted.
fn stage(trouble: &Value) -> (Node, [String; 2]) {
    let node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    let pids = ["a", "b"].map(|id| node.pid("stage", id));
    node.ok(&["cast", &pids[0], &json!({ "trouble": trouble }).to_string()]);
    node.ok(&["unpack", &release("stage-2.0.0")]);
    (node, pids)
}

fn step(node: &Node, pid: &str) -> Value {
    node.call(pid, "step")
}

/// Returns a node with a settling stage 2.0.0, and a process that needs `ms` milliseconds to come
/// to rest.
fn settles_restless(ms: u64) -> (Node, Child, Child) {
    let (node, [a, _]) = stage(&json!(null));
    let upgrade = beside(&node, &["upgrade", "2.0.0", "--settle", "600", "--suspend-timeout", "60000"]);
    eventually("it settles", || node.status().settling);
    let slow = json!({ "slow": ms }).to_string();
    let caller = beside(&node, &["call", &a, &slow, "--timeout", "70000"]);
    eventually("it waits in its callback", || node.proc(&a).process.callback);
    (node, upgrade, caller)
}

#[test]
fn an_abort_during_a_way_back_waits_for_the_same_end_and_the_status_names_the_target() {
    let (node, upgrade, caller) = settles_restless(4_000);
    let first = beside(&node, &["abort"]);
    let status = eventually("it waits for a process on the way back", || {
        let status = node.status();
        let at = status.upgrade.as_ref()?;
        (at.back.is_some() && at.text.starts_with("suspend")).then_some(status)
    });
    let at = status.upgrade.expect("the upgrade runs");
    assert_eq!((&*at.to, at.back.as_deref()), ("2.0.0", Some("1.0.0")));
    assert_contains(&node.ok(&["status"]).stdout, &["2.0.0 is taken back: goes back to 1.0.0: step "]);
    let more = [0, 1, 2].map(|_| beside(&node, &["abort"]));
    for abort in [first].into_iter().chain(more) {
        assert_contains(&end(abort).expect(0).stdout, &["aborted by the operator"]);
    }
    end(upgrade).expect(4);
    end(caller).expect(0);
    assert_eq!(node.version(), "1.0.0");
    assert_eq!(node.status().alarms, [""; 0]);
}

#[test]
fn an_abort_with_a_failing_way_back_reports_the_reason() {
    let (node, [a, _]) = stage(&json!(null));
    let upgrade = beside(&node, &["upgrade", "2.0.0", "--settle", "600"]);
    eventually("it settles", || node.status().settling);
    node.ok(&["cast", &a, &json!({ "trouble": "fail_down" }).to_string()]);
    let failed = node.run(&["abort"]).expect(7).stderr;
    let parts = ["release 2.0.0 was not taken back", "aborted by the operator", "there is no way back"];
    assert_contains(&failed, &parts);
    assert_eq!(end(upgrade).expect(7).stderr, failed);
    assert_eq!(node.version(), "2.0.0");
}

#[test]
fn an_abort_ends_a_pause_that_waits_and_the_status_names_the_processes_waited_for() {
    let (node, [a, b]) = stage(&json!(null));
    let caller = beside(&node, &["call", &a, &json!({ "slow": 600_000 }).to_string(), "--timeout", "700000"]);
    eventually("it waits in its callback", || node.proc(&a).process.callback);
    let upgrade = beside(&node, &["upgrade", "2.0.0", "--suspend-timeout", "600000"]);
    let waits_for = eventually("it waits for a process", || {
        node.status().upgrade.map(|at| at.waits_for).filter(|waits_for| !waits_for.is_empty())
    });
    assert_eq!(waits_for, [&*a]);
    assert_contains(&node.ok(&["status"]).stdout, &[&format!("waits for  {a}")]);
    assert_contains(&node.ok(&["abort"]).stdout, &["aborted by the operator", "runs 1.0.0 as before"]);
    end(upgrade).expect(4);
    assert_eq!(step(&node, &b), json!(0), "the pause is over");
    assert!(node.proc(&a).process.callback.is_some(), "the abort did not wait for it");
    drop(node);
    end(caller);
}

#[test]
fn an_abort_ends_a_conversion_that_does_not_return() {
    let (node, [a, b]) = stage(&json!("spin"));
    let upgrade = beside(&node, &["upgrade", "2.0.0", "--code-change-timeout", "600000"]);
    eventually("it converts", || node.status().upgrade.filter(|at| at.text.starts_with("precopy")));
    assert_contains(&node.ok(&["abort"]).stdout, &["aborted by the operator", "runs 1.0.0 as before"]);
    end(upgrade).expect(4);
    assert_eq!([&a, &b].map(|pid| step(&node, pid)), [json!(0), json!(0)]);
}

#[test]
fn an_abort_kills_a_child_with_a_hanging_init_after_the_switch_and_the_status_names_the_running_release() {
    for (first, how) in [(667, "waits"), (666, "computes")] {
        let (_scratch, tarball) = doctored("stage-2.0.0", |files| {
            let till = "  { update = \"till\", change = { advanced = {} } },\n]\n\n[[down]]";
            let spec = format!("{{ id = \"c\", module = \"count_server\", args = {first} }}");
            let start = format!("  {{ apply = \"supervisor:start_child\", args = [\"stage\", {spec}] }},\n");
            let more = till.replace("]\n\n", &format!("{start}]\n\n"));
            edit(files, "lib/stage-0.2.0/appup.toml", till, &more);
        });
        let node = Node::start();
        node.ok(&["upgrade", &release("stage-1.0.0")]);
        let a = node.pid("stage", "a");
        node.ok(&["unpack", &tarball]);
        let upgrade = beside(&node, &["upgrade", "2.0.0"]);
        let status = eventually("the child starts", || {
            let status = node.status();
            let is_there = |text: &str| text.starts_with("apply supervisor:start_child");
            status.upgrade.as_ref().is_some_and(|at| is_there(&at.text)).then_some(status)
        });
        let runs = status.release.expect("a release runs");
        assert_eq!((&*runs.version, runs.status), ("2.0.0", ReleaseStatus::Current), "{how}");
        assert_eq!(step(&node, &a), json!(2), "its code runs");
        assert_contains(&node.ok(&["abort"]).stdout, &["2.0.0 was taken back", "aborted by the operator"]);
        end(upgrade).expect(4);
        assert_eq!((node.version(), node.pid("stage", "a")), ("1.0.0".to_owned(), a.clone()), "{how}");
        assert_eq!(step(&node, &a), json!(0));
        let children = node.tree("stage").children;
        assert!(!children.is_empty() && children.iter().all(|child| child.id != json!("c")), "{children:?}");
    }
}

#[test]
fn a_downgrade_that_cannot_take_a_settling_release_back_is_in_the_history_as_a_downgrade() {
    let (node, [a, _]) = stage(&json!(null));
    let upgrade = beside(&node, &["upgrade", "2.0.0", "--settle", "600"]);
    eventually("it settles", || node.status().settling);
    node.ok(&["cast", &a, &json!({ "trouble": "fail_down" }).to_string()]);
    node.run(&["downgrade"]).expect(7);
    end(upgrade).expect(7);
    let last = node.read::<HistoryList>(&["history"]).entries.pop().expect("the history has an entry");
    let way = (last.kind, last.from.as_deref(), &*last.to, last.outcome);
    assert_eq!(way, (HistoryKind::Downgrade, Some("2.0.0"), "1.0.0", Outcome::NotTakenBack));
}

const SETTLES: [&str; 4] = ["upgrade", "2.0.0", "--settle", "1"];

#[test]
fn w1_a_way_back_that_fails_or_panics_fails_the_install_and_a_plain_upgrade_does_not_try_it() {
    for (trouble, words) in [("fail_down", "there is no way back"), ("panic_down", "a way back that panics")]
    {
        let (node, [a, b]) = stage(&json!(trouble));
        let refused = node.run(&SETTLES).expect(4);
        let name = format!("{a} (stage:count_server): its new state has no way back from 0.2.0 to 0.1.0");
        assert_contains(
            &refused.stderr,
            &[&name, "app stage 0.2.0 answered: ", words, "the node runs 1.0.0 as before"],
        );
        assert_eq!([&a, &b].map(|pid| step(&node, pid)), [json!(0), json!(0)]);
        let report = node.report(&["upgrade", "2.0.0"]);
        assert_eq!(report.trial, None);
        assert!(!report.steps.iter().any(|step| step.text.ends_with(", and back")), "{report:?}");
        assert_eq!([&a, &b].map(|pid| step(&node, pid)), [json!(2), json!(2)]);
    }
}

#[test]
fn w1_a_way_back_that_never_returns_fails_the_install_and_blocks_no_process() {
    let (node, [a, b]) = stage(&json!("spin_down"));
    let refused = node.run(&[&SETTLES[..], &["--code-change-timeout", "300"]].concat()).expect(4);
    assert_contains(
        &refused.stderr,
        &[&a, "no way back from 0.2.0 to 0.1.0", "app stage 0.2.0 did not return within 300 ms"],
    );
    assert_eq!(
        [&a, &b].map(|pid| step(&node, pid)),
        [json!(0), json!(0)],
        "both answer, in the code they had"
    );
    let stuck = eventually("the watchdog has seen it", || {
        node.status().stuck.into_iter().find(|stuck| stuck.pid == a)
    });
    assert_eq!((stuck.module.as_str(), stuck.version.as_str()), ("count_server", "0.2.0"));
}

#[test]
fn w1_requests_to_the_node_during_a_trial_have_no_effect() {
    let (node, [a, b]) = stage(&json!(null));
    node.ok(&["cast", &a, &json!({ "trouble": { "reach_down": pid_value(&b) } }).to_string()]);
    let report = node.report(&SETTLES);
    let trial = report.trial.expect("it settles");
    let not_tried: u64 = trial.not_tried.iter().map(|left| left.processes).sum();
    assert!(trial.tried + not_tried >= 3 && trial.tried > 0, "{trial:?}");
    assert!(trial.not_tried.iter().all(|left| left.why == "converted inside the pause"), "{trial:?}");
    let given = eventually("it was tried", || {
        node.log().lines().find(|line| line.contains("the way back was given")).map(str::to_owned)
    });
    assert!(given.contains("the way back was given 0"), "{given}");
    node.run(&["proc", "ghost"]).expect(1);
    // Ticks add an even number to an even one. A bump would have added one.
    assert_eq!(node.call(&b, "get").as_i64().expect("a number") % 2, 0);
    let timers = node.proc(&b).timers;
    assert!(timers.len() <= 1, "its own next tick: {timers:?}");
}

#[test]
fn w1_the_way_back_from_a_downgrade_is_the_upgrade_and_is_tried_as_well() {
    let (node, [a, b]) = stage(&json!(null));
    node.ok(&["upgrade", "2.0.0"]);
    node.ok(&["cast", &a, &json!({ "trouble": "fail" }).to_string()]);
    let back = ["downgrade", "--settle", "1"];
    let refused = node.run(&back).expect(4);
    let name = format!("{a} (stage:count_server): its new state has no way back from 0.1.0 to 0.2.0");
    assert_contains(&refused.stderr, &[&name, "app stage 0.2.0 answered: error: unknown state version 3"]);
    assert_eq!(node.version(), "2.0.0");
    assert_eq!([&a, &b].map(|pid| step(&node, pid)), [json!(2), json!(2)]);
    node.ok(&["cast", &a, &json!({ "trouble": null }).to_string()]);
    let report = node.report(&back);
    assert!(report.trial.is_some_and(|trial| trial.tried > 0));
    assert_eq!([&a, &b].map(|pid| step(&node, pid)), [json!(0), json!(0)]);
}

#[test]
fn w1_a_step_after_the_switch_that_can_fail_has_the_way_back_tried() {
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    let report = node.report(&["upgrade", &release("yard-2.0.0")]);
    let trial = report.trial.expect("a child is started after the switch");
    // A call precedes the conversion of these states.
    assert!(matches!(&trial.not_tried[..], [left] if left.why == "converted inside the pause"), "{trial:?}");
    let text = node.ok(&["history", "2"]).stdout;
    assert!(text.contains("way back not tried: "), "{text}");
}
