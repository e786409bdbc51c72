//! Orders during another order: they are refused with the reason, wait visibly, or end a settling.

use std::process::Child;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reld_api::response::{Checked, HistoryEntry, HistoryList, NodeStatus, Outcome, ReleaseStatus};
use reld_tests::{Node, assert_contains, eventually, release};
use serde_json::json;

use crate::settle::{beside, end};

/// Returns a node that runs stage 2.0.0 after an upgrade from 1.0.0 and has unpacked 3.0.0.
fn stage() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    node.ok(&["upgrade", &release("stage-2.0.0")]);
    node.ok(&["unpack", &release("stage-3.0.0")]);
    node
}

/// Ends relctl as Ctrl-C does.
fn interrupt(child: Child) {
    let id = i32::try_from(child.id()).expect("a process id");
    // Not SIGINT: a test run in the background ignores it, and its children inherit that.
    kill(Pid::from_raw(id), Signal::SIGTERM).expect("relctl can be signalled");
    end(child);
}

/// Starts an upgrade to 3.0.0 that settles for ten minutes.
fn settling(node: &Node) -> Child {
    let upgrade = beside(node, &["upgrade", "3.0.0", "--settle", "600"]);
    eventually("it settles", || (node.status().settling.as_deref() == Some("3.0.0")).then_some(()));
    upgrade
}

/// Starts an upgrade of stage 1.0.0 to 2.0.0 with a conversion that does not return for a minute.
fn hanging() -> (Node, Child) {
    let node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    node.ok(&["unpack", &release("stage-2.0.0")]);
    let pid = node.pid("stage", "b");
    node.ok(&["cast", &pid, &json!({"trouble": "spin"}).to_string()]);
    let is_troubled = || (node.state(&pid).get("trouble") == Some(&json!("spin"))).then_some(());
    eventually("the cast is taken", is_troubled);
    let upgrade = beside(&node, &["upgrade", "2.0.0", "--code-change-timeout", "60000"]);
    let is_there = |status: NodeStatus| status.upgrade.is_some_and(|at| at.text.starts_with("precopy"));
    eventually("it converts", || is_there(node.status()).then_some(()));
    (node, upgrade)
}

#[track_caller]
fn check_runs(node: &Node, version: &str, expected: ReleaseStatus) {
    let release = node.status().release.expect("a release runs");
    assert_eq!((release.version.as_str(), release.status), (version, expected));
}

fn history(node: &Node) -> Vec<HistoryEntry> {
    node.read::<HistoryList>(&["history"]).entries
}

#[test]
fn an_order_of_a_client_that_disconnected_while_it_waited_is_not_carried_out() {
    let node = stage();
    let upgrade = settling(&node);
    for order in [["downgrade", "1.0.0", "--wait"], ["upgrade", "1.0.0", "--wait"]] {
        let waiting = beside(&node, &order);
        let shown = eventually("it waits", || node.status().waiting.into_iter().next());
        assert_eq!(shown.uid, Some(nix::unistd::geteuid().as_raw()));
        assert_contains(
            &node.ok(&["status"]).stdout,
            &["waiting    ", "removed when its client disconnects"],
        );
        interrupt(waiting);
        eventually("it has left the queue", || node.status().waiting.is_empty().then_some(()));
    }
    node.ok(&["commit"]);
    end(upgrade).expect(0);
    check_runs(&node, "3.0.0", ReleaseStatus::Permanent);
    let targets: Vec<String> = history(&node).into_iter().map(|entry| entry.to).collect();
    assert_eq!(targets, ["1.0.0", "2.0.0", "3.0.0", "3.0.0"], "two upgrades, one that settled, its commit");
}

#[test]
fn an_order_that_waits_is_carried_out_when_its_turn_has_come() {
    let node = stage();
    let upgrade = settling(&node);
    let waiting = beside(&node, &["downgrade", "2.0.0", "--wait"]);
    eventually("it waits", || node.status().waiting.into_iter().next());
    node.ok(&["commit"]);
    end(upgrade).expect(0);
    end(waiting).expect(0);
    check_runs(&node, "2.0.0", ReleaseStatus::Permanent);
    // The previous release is known only when the order runs, so an order that waits must name its
    // target.
    node.run(&["downgrade", "--wait"]).expect(2);
}

#[test]
fn a_commit_does_not_wait_for_a_check_and_a_check_ends_with_its_client() {
    let node = Node::start();
    let upgrade = beside(&node, &["upgrade", &release("yard-1.0.0"), "--settle", "600"]);
    eventually("it settles", || node.status().settling);
    // The init of these supervisors does not return in the new code. The check waits five seconds
    // for each.
    for id in 0..6 {
        let moody = json!({"id": id, "type": "supervisor", "module": "yard_moody", "args": "spin"});
        node.start_child(&node.supervisor("yard"), moody);
    }
    node.ok(&["unpack", &release("yard-2.0.0")]);
    let asked = || {
        let all = std::fs::read_dir("/proc").expect("there is /proc").filter_map(Result::ok);
        let lines = all.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
        let here = node.root().display().to_string();
        lines.filter(|line| line.contains(&here) && line.contains("--ask")).count()
    };
    let mut check = beside(&node, &["check", "2.0.0"]);
    eventually("the code is asked", || (asked() > 0).then_some(()));
    node.ok(&["commit"]);
    assert_eq!(check.try_wait().expect("relctl can be watched"), None, "the check goes on");
    end(upgrade).expect(0);
    interrupt(check);
    let asking = std::time::Instant::now();
    eventually("the probes have ended", || (asked() == 0).then_some(()));
    assert!(
        asking.elapsed() < std::time::Duration::from_secs(15),
        "the probe was killed before its time limit"
    );
}

#[test]
fn an_order_that_waits_is_refused_when_the_node_stops() {
    let mut node = stage();
    let upgrade = settling(&node);
    let waiting = beside(&node, &["downgrade", "2.0.0", "--wait"]);
    eventually("it waits", || node.status().waiting.into_iter().next());
    assert!(node.terminate().success());
    assert_contains(
        &end(waiting).expect(1).stderr,
        &["cannot begin downgrade to 2.0.0: the node is stopping"],
    );
    end(upgrade).expect(7);
}

#[test]
fn a_commit_ends_a_settling() {
    let node = stage();
    let upgrade = settling(&node);
    node.run(&["commit", "2.0.0"]).expect(1);
    node.ok(&["commit"]);
    let shown = end(upgrade).expect(0).stdout;
    assert_contains(&shown, &["installed 3.0.0 from 2.0.0", "it is permanent"]);
    check_runs(&node, "3.0.0", ReleaseStatus::Permanent);
    let status = node.status();
    assert_eq!((status.settling, status.upgrade, status.order), (None, None, None));
}

#[test]
fn a_downgrade_ends_a_settling_at_once_and_goes_back_once() {
    let node = stage();
    let upgrade = settling(&node);
    let back = node.report(&["downgrade"]);
    assert_eq!((back.outcome, back.to.as_str(), back.committed), (Outcome::Installed, "2.0.0", true));
    assert_contains(&end(upgrade).expect(4).stderr, &["3.0.0 was taken back", "downgraded by the operator"]);
    check_runs(&node, "2.0.0", ReleaseStatus::Permanent);
    let last = history(&node).into_iter().rev().take(2).map(|entry| (entry.to, entry.outcome));
    let last: Vec<_> = last.collect();
    assert_eq!(last, [("2.0.0".to_owned(), Outcome::Installed), ("3.0.0".to_owned(), Outcome::TakenBack)]);
}

#[test]
fn a_probe_that_orders_a_downgrade_goes_back_once() {
    let node = stage();
    let relctl = Node::relctl_program().display().to_string();
    let failed = node.run(&["upgrade", "3.0.0", "--probe", &format!("{relctl} downgrade; exit 1")]).expect(4);
    assert_contains(&failed.stderr, &["3.0.0 was taken back"]);
    check_runs(&node, "2.0.0", ReleaseStatus::Permanent);
}

#[test]
fn checks_and_dry_runs_answer_beside_a_settling_and_other_orders_are_refused_with_the_reason() {
    let node = stage();
    let upgrade = settling(&node);
    let checked: Checked = node.read(&["check", "2.0.0"]);
    assert_eq!((checked.from.as_deref(), checked.to.as_str()), (Some("3.0.0"), "2.0.0"));
    node.ok(&["upgrade", "2.0.0", "--dry-run"]);
    node.ok(&["upgrade", &release("stage-2.0.0"), "--dry-run"]);
    node.ok(&["verify"]);
    node.ok(&["prune", "--keep", "0", "--dry-run"]);
    for order in [
        &["upgrade", "2.0.0"][..],
        &["install", "1.0.0"],
        &["downgrade", "1.0.0"],
        &["remove", "2.0.0"],
        &["reboot-old", "2.0.0"],
        &["upgrade", "1.0.0", "--mode", "restart"],
        &["purge", "count_server"],
        &["prune", "--keep", "0"],
    ] {
        let refused = node.refused(order);
        assert_eq!(refused.kind, "busy", "{order:?}: {refused:?}");
        assert!(refused.message.starts_with("cannot begin "), "{}", refused.message);
        assert_contains(&refused.message, &["release 3.0.0 settles"]);
        assert_contains(&refused.hint.unwrap_or_default(), &["relctl commit", "relctl downgrade", "--wait"]);
    }
    check_runs(&node, "3.0.0", ReleaseStatus::Current);
    node.ok(&["abort"]);
    end(upgrade).expect(4);
    check_runs(&node, "2.0.0", ReleaseStatus::Permanent);
}

#[test]
fn read_requests_are_answered_while_a_conversion_hangs_and_orders_are_refused_with_the_step() {
    let (node, upgrade) = hanging();
    let pid = node.pid("stage", "a");
    for look in [
        &["status"][..],
        &["tree"],
        &["ps"],
        &["proc", &pid],
        &["apps"],
        &["ports"],
        &["tables"],
        &["code"],
        &["state", &pid],
        &["releases"],
        &["verify"],
        &["prune", "--keep", "0", "--dry-run"],
        &["history"],
        &["sys", "status", &pid],
        &["child", "list", "stage_sup"],
    ] {
        let run = node.run(look);
        assert!(run.code <= 1, "{look:?}: {run:?}");
        assert!(node.status().upgrade.is_some(), "{look:?} waited for the upgrade");
    }
    assert!(node.metrics().contains("reld_"));
    for order in [&["check", "1.0.0"][..], &["upgrade", "2.0.0", "--dry-run"], &["commit"], &["downgrade"]] {
        let refused = node.refused(order);
        assert_eq!(refused.kind, "busy", "{order:?}");
        assert_contains(&refused.message, &["upgrade to 2.0.0 is under way, at step ", "precopy"]);
    }
    assert!(node.status().upgrade.is_some(), "the refusals waited for the upgrade");
    drop(node);
    end(upgrade);
}

#[test]
fn a_state_of_the_node_is_waited_for_and_a_timeout_names_what_is_missing() {
    let mut node = stage();
    node.ok(&["wait"]);
    assert_eq!(node.read::<NodeStatus>(&["wait", "--for", "committed"]).release, node.status().release);
    let upgrade = settling(&node);
    node.ok(&["wait", "--for", "up"]);
    for state in ["quiet", "committed"] {
        let late = node.error(1, &["wait", "--for", state, "--timeout", "0"]);
        assert_eq!(
            (late.kind.as_str(), &*late.causes),
            ("deadline", &["release 3.0.0 settles".to_owned()][..])
        );
    }
    let waiting = beside(&node, &["wait", "--for", "committed"]);
    node.ok(&["commit"]);
    end(upgrade).expect(0);
    end(waiting).expect(0);
    node.ok(&["install", "2.0.0"]);
    node.ok(&["wait", "--for", "quiet"]);
    let late = node.error(1, &["wait", "--for", "committed", "--timeout", "0"]);
    assert_eq!(late.causes, ["release 2.0.0 is not committed"]);
    // A daemon that is not there may come.
    node.kill_9();
    assert_eq!(node.error(3, &["wait", "--timeout", "0"]).kind, "deadline");
    let waiting = beside(&node, &["wait", "--for", "committed"]);
    node.start_again();
    end(waiting).expect(0);
    check_runs(&node, "3.0.0", ReleaseStatus::Permanent);
}
