//! Upgrades of a whole release (S40 to S51, S87).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reld_api::response::{App, Checked, Forest, Module, Outcome, ProcessDetails, RunningRelease};
use reld_tests::{
    Churned, Node, Run, assert_contains, assert_in_order, count, eventually, field, keys, open_market,
    pid_value, release,
};
use serde_json::json;

use crate::doctored::{doctored, edit};

fn shop() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    node
}

fn counters(node: &Node) -> [String; 2] {
    [10_000, 20_000].map(|id| node.pid("counter", id))
}

fn n(node: &Node, pid: &str) -> u64 {
    field(&node.state(pid), "n")
}

/// Returns the time between two ticks of a counter of version 0.1.1.
fn interval(node: &Node, pid: &str) -> u64 {
    field(&node.state(pid), "interval_ms")
}

#[test]
fn s40_a_dry_run_prints_the_script_and_changes_nothing() {
    let node = shop();
    let text = node.ok(&["upgrade", &release("shop-1.1.0"), "--dry-run"]).stdout;
    assert_in_order(&text, &["load_object_code counter", "suspend", "code_change", "resume"]);
    assert_eq!(node.version(), "1.0.0");
}

#[test]
fn s41_an_upgrade_keeps_pids_and_values_and_changes_the_state() {
    let node = shop();
    let pids = counters(&node);
    let before = pids.each_ref().map(|pid| n(&node, pid));
    let report = node.report(&["upgrade", &release("shop-1.1.0")]);
    assert_eq!((report.outcome, report.committed), (Outcome::Installed, true));
    assert!(report.pauses.processes >= 2, "{report:#?}");
    assert_eq!(report.killed, []);
    assert_eq!(counters(&node), pids);
    for (pid, before) in pids.iter().zip(before) {
        assert_eq!(interval(&node, pid), 250);
        let now = n(&node, pid);
        assert!((before..before + 1_000).contains(&now), "{now} after {before}");
    }
    assert_eq!(node.app("counter").version, "0.1.1");
    node.assert_code("0.1.1");
    assert!(!node.report(&["upgrade", "1.1.0"]).changed);
}

#[test]
fn s43_after_the_upgrade_a_restart_uses_the_new_spec_and_the_check_warns_that_it_differs() {
    let node = shop();
    node.ok(&["unpack", &release("shop-1.1.0")]);
    let warnings = node.read::<Checked>(&["check", "1.1.0"]).warnings;
    let parts = ["counter is changed with {\"interval_ms\":250}", "starts from its child spec"];
    assert_contains(&warnings[0], &parts);
    assert_eq!(node.report(&["upgrade", "1.1.0"]).warnings, warnings);
    let [first, _] = counters(&node);
    assert_eq!(interval(&node, &first), 250, "by the change");
    node.ok(&["kill", &first]);
    let again = node.restarted("counter", 10_000, &first);
    assert_eq!(interval(&node, &again), 200, "by its child spec");
    assert_eq!(node.report(&["downgrade"]).warnings, [""; 0], "the way back gives nothing");
}

#[test]
fn s19_an_appup_turns_an_odd_value_even_as_was_done_by_hand() {
    let node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    let pid = node.pid("stage", "a");
    assert_eq!(n(&node, &pid), 1);
    node.ok(&["upgrade", &release("stage-2.0.0")]);
    assert_eq!(node.pid("stage", "a"), pid);
    let n = n(&node, &pid);
    assert_eq!(n % 2, 0, "{n}");
}

#[test]
fn s48_up_and_down_many_times_leaves_the_same_state_and_pids() {
    let node = shop();
    let pids = counters(&node);
    node.ok(&["unpack", &release("shop-1.1.0")]);
    for _ in 0..50 {
        node.ok(&["upgrade", "1.1.0"]);
        node.ok(&["downgrade"]);
    }
    assert_eq!(counters(&node), pids);
    assert_eq!(keys(&node.state(&pids[0])), ["n", "stopping"]);
    assert_eq!(node.app("counter").version, "0.1.0");
    assert_eq!(node.code().residents, [], "a purged library is unmapped");
}

/// Everything on a quiet node that a failed upgrade must leave alone: mailboxes, timers, links,
/// monitors, names, environments, code, trees, and the states exactly as relctl prints them.
#[derive(Debug, PartialEq)]
struct Snapshot {
    processes: Vec<ProcessDetails>,
    /// Processes of the runtime have no state, so relctl fails for them before and after.
    states: Vec<Run>,
    modules: Vec<Module>,
    release: Option<RunningRelease>,
    forest: Forest,
    apps: Vec<App>,
}

impl Snapshot {
    fn of(node: &Node) -> Self {
        let processes: Vec<_> = node.ps().iter().map(|process| at_rest(node, &process.pid)).collect();
        let state = |of: &ProcessDetails| node.run(&["state", &of.process.pid, "--json"]);
        Self {
            states: processes.iter().map(state).collect(),
            processes,
            modules: node.code().modules,
            release: node.status().release,
            forest: node.read(&["tree"]),
            apps: node.apps(),
        }
    }
}

fn at_rest(node: &Node, pid: &str) -> ProcessDetails {
    eventually("no callback of the process runs", || Some(node.proc(pid)).filter(|of| !of.in_callback))
}

/// Prepares a failing upgrade of stage: the conversion of one of two counters fails. Both are
/// suspended with queued mail. One has a name, a monitor and a timer.
fn troubled(trouble: &str) -> (Node, Vec<String>) {
    let node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    node.ok(&["unpack", &release("stage-2.0.0")]);
    let pids: Vec<String> = ["a", "b", "pi"].into_iter().map(|id| node.pid("stage", id)).collect();
    node.ok(&["cast", &pids[0], &json!({"bind": pid_value(&pids[2])}).to_string()]);
    node.ok(&["cast", &pids[1], &json!({ "trouble": trouble }).to_string()]);
    for pid in &pids[..2] {
        // A suspend overtakes queued messages, but not an answered call.
        node.ok(&["call", pid, "get"]);
        node.ok(&["suspend", pid]);
        node.ok(&["cast", pid, r#"{"bump": 5}"#]);
        eventually("the last tick waits beside the cast", || {
            (node.proc(pid).mailbox.len() == 2).then_some(())
        });
    }
    (node, pids)
}

#[track_caller]
fn check_rolled_back(trouble: &str, words: &[&str]) {
    let (node, pids) = troubled(trouble);
    let before = Snapshot::of(&node);
    for pid in &pids {
        assert!(before.processes.iter().any(|of| of.process.pid == *pid), "{before:#?}");
        assert!(before.states.iter().any(|of| of.code == 0 && of.stdout.contains(pid)), "{before:#?}");
    }
    assert!(before.modules.iter().any(|module| module.module == "count_server"), "{before:#?}");
    let bound = at_rest(&node, &pids[0]);
    assert_eq!((&*bound.names, &*bound.monitors), (&["bound".to_owned()][..], &pids[2..]));
    assert_eq!(bound.timers.len(), 1, "{bound:#?}");
    let failed = node.run(&["upgrade", "2.0.0"]).expect(4).stderr;
    assert_contains(&failed, words);
    assert_contains(&failed, &[&pids[1], "the node runs 1.0.0 as before"]);
    assert_eq!(Snapshot::of(&node), before);
    // The node still works: the same upgrade succeeds once the trouble is removed.
    for pid in &pids[..2] {
        node.ok(&["resume", pid]);
    }
    node.ok(&["cast", &pids[1], r#"{"trouble": null}"#]);
    node.ok(&["upgrade", "2.0.0"]);
    assert_eq!(node.call(&pids[1], "step"), 2);
}

#[test]
fn s51_a_change_code_that_fails_leaves_code_and_states_as_before_and_names_the_process() {
    check_rolled_back("fail", &["unknown state version 3", "precopy"]);
}

#[test]
fn s51_a_change_code_that_panics_leaves_code_and_states_as_before_and_names_the_process() {
    check_rolled_back("panic", &["a conversion that panics"]);
}

#[test]
fn s51_a_change_code_that_never_returns_leaves_code_and_states_as_before_and_names_the_process() {
    check_rolled_back("spin", &["did not return"]);
}

#[test]
fn s51_the_time_limit_of_a_change_code_is_an_option_and_one_that_never_returns_is_listed() {
    let (node, pids) = troubled("spin");
    let failed = node.run(&["upgrade", "2.0.0", "--code-change-timeout", "300"]).expect(4).stderr;
    assert_contains(&failed, &["0.2.0 did not return within 300 ms"]);
    let stuck = eventually("it is stuck for a second", || node.status().stuck.into_iter().next());
    assert_eq!([stuck.pid, stuck.module, stuck.version], [&pids[1], "count_server", "0.2.0"]);
    assert!(node.log().contains("app code does not return"));
}

#[test]
fn a_second_downgrade_does_not_go_up_again_and_a_release_that_never_ran_is_no_target() {
    let mut node = shop();
    node.ok(&["unpack", &release("shop-1.1.0")]);
    let refused = node.run(&["downgrade", "1.1.0"]).expect(1).stderr;
    assert_contains(&refused, &["only one that ran before"]);
    node.ok(&["upgrade", "1.1.0"]);
    node.kill_9_and_restart();
    node.ok(&["downgrade"]);
    for _ in 0..2 {
        assert_contains(&node.run(&["downgrade"]).expect(1).stderr, &["1.1.0"]);
        node.kill_9_and_restart();
        assert_eq!(node.version(), "1.0.0");
    }
}

#[test]
fn no_call_is_lost_while_members_that_call_each_other_are_upgraded_and_downgraded() {
    let node = Arc::new(Node::start());
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    node.ok(&["unpack", &release("stage-2.0.0")]);
    let [a, b] = ["a", "b"].map(|id| node.pid("stage", id));
    let over = Arc::new(AtomicBool::new(false));
    let relays: Vec<_> = [(a.clone(), b.clone()), (a, b)]
        .into_iter()
        .map(|(from, to)| {
            let (node, over) = (Arc::clone(&node), Arc::clone(&over));
            let ask = json!({"relay": pid_value(&to)}).to_string();
            std::thread::spawn(move || {
                let mut calls = 0;
                while !over.load(Ordering::Relaxed) {
                    node.call(&from, &ask);
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    for _ in 0..3 {
        node.ok(&["upgrade", "2.0.0"]);
        node.ok(&["downgrade", "1.0.0"]);
    }
    over.store(true, Ordering::Relaxed);
    for relay in relays {
        assert!(relay.join().expect("no call was lost") > 0);
    }
}

#[test]
fn s56_two_modules_that_call_each_other_are_upgraded_together_and_apart_and_no_deal_is_lost_or_doubled() {
    let update = "{ update = \"till\", change = { advanced = {} } }";
    let (_scratch, tarball) = doctored("stage-2.0.0", |files| {
        edit(files, "lib/stage-0.2.0/appup.toml", update, &format!("{update},\n  {{ update = \"buyer\" }}"));
    });
    let node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    node.ok(&["unpack", &tarball]);
    let market = open_market(&node);
    let answered = || field::<u64>(&node.call("buyer_0", "count"), "answered");
    // With group windows, buyers and tills have different versions for a while.
    for windows in [&[][..], &["--group-windows"]] {
        for _ in 0..2 {
            for to in ["2.0.0", "1.0.0"] {
                let before = answered();
                let report = node.report(&[&["upgrade", to], windows].concat());
                assert_eq!(report.windows.len(), if windows.is_empty() { 0 } else { 3 }, "{report:#?}");
                assert_eq!((report.killed.len(), report.restarted.len()), (0, 0), "{report:#?}");
                assert!(answered() > before, "they deal all the time");
            }
        }
    }
    let mut counted = Churned::default();
    count(&node, &market, &mut counted);
    let Churned { answered, ended, lost, crossed, doubled, missed, .. } = counted;
    assert_eq!((ended, lost, crossed, doubled, missed), (0, 0, 0, 0, 0), "of {answered}");
    assert_eq!(node.proc("till_0").process.version, "0.1.0");
}

#[test]
fn s87_the_file_of_a_release_is_never_mapped_so_writes_to_it_change_no_running_code() {
    let node = shop();
    let library = node.root().join("lib/counter-0.1.0/counter.so");
    std::fs::write(&library, b"no library").expect("the root can be written");
    let [pid, _] = counters(&node);
    let before = n(&node, &pid);
    eventually("the counter goes on", || (n(&node, &pid) > before).then_some(()));
    // Later installs compare files with their digests.
    node.ok(&["upgrade", &release("shop-1.1.0")]);
    let refused = node.run(&["downgrade", "1.0.0"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    assert_eq!(node.version(), "1.1.0");
}

#[test]
fn no_message_is_lost_to_a_copy_of_the_state_while_members_run_and_are_upgraded_and_downgraded() {
    // Added by each message. The ticks add less in total.
    const MESSAGE: i64 = 1_000_000_000;
    let node = Arc::new(Node::start());
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    node.ok(&["unpack", &release("stage-2.0.0")]);
    let pids = ["a", "b"].map(|id| node.pid("stage", id));
    let over = Arc::new(AtomicBool::new(false));
    let senders = pids.clone().map(|pid| {
        let (node, over) = (Arc::clone(&node), Arc::clone(&over));
        std::thread::spawn(move || {
            let mut sent = 0;
            while !over.load(Ordering::Relaxed) {
                node.ok(&["cast", &pid, &json!({ "bump": MESSAGE }).to_string()]);
                sent += 1;
            }
            sent
        })
    });
    for _ in 0..5 {
        node.ok(&["upgrade", "2.0.0"]);
        node.ok(&["downgrade", "1.0.0"]);
    }
    over.store(true, Ordering::Relaxed);
    for (pid, sender) in pids.iter().zip(senders) {
        let sent: i64 = sender.join().expect("every message was taken");
        let n = node.call(pid, "get").as_i64().expect("a count_server has a number");
        assert!(sent > 0);
        assert_eq!(n / MESSAGE, sent);
    }
}

#[test]
fn s50_without_a_direct_appup_the_way_through_other_releases_is_named_and_works() {
    let node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    node.ok(&["unpack", &release("stage-3.0.0")]);
    let refused = node.refused(&["upgrade", "3.0.0"]);
    assert_contains(&refused.causes[0], &["no appup leads stage from 0.1.0 to 0.3.0"]);
    assert!(!refused.causes[0].contains("the appups lead"), "{refused:?}");
    node.ok(&["unpack", &release("stage-2.0.0")]);
    let refused = node.refused(&["upgrade", "3.0.0"]);
    assert_eq!(refused.kind, "version_not_in_appup");
    assert_contains(
        &refused.causes[0],
        &["the appups lead there through 2.0.0: run `relctl upgrade 2.0.0` first"],
    );
    node.ok(&["upgrade", "2.0.0"]);
    node.ok(&["upgrade", "3.0.0"]);
    let refused = node.refused(&["downgrade", "1.0.0"]);
    assert_contains(&refused.causes[0], &["the appups lead there through 2.0.0"]);
}
