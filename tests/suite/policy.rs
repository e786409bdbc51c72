//! Options for processes that obstruct an upgrade: orphans (S42), and processes that do not come to
//! rest (S54).

use reld_api::response::{Ended, Lingerer, Spawned};
use reld_tests::{Node, assert_contains, eventually, field, release};

fn running(release_name: &str) -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release(release_name)]);
    node
}

/// Starts a counter outside every supervision tree.
fn orphan(node: &Node) -> String {
    node.read::<Spawned>(&["spawn", "counter", "5"]).pid
}

fn killed(list: &[Ended]) -> Vec<&str> {
    list.iter().map(|ended| &*ended.pid).collect()
}

fn lingering(list: &[Lingerer]) -> Vec<&str> {
    list.iter().map(|lingerer| &*lingerer.pid).collect()
}

#[test]
fn s42_orphans_are_refused_included_killed_or_ignored_by_option() {
    let node = running("shop-1.0.0");
    let first = orphan(&node);
    node.ok(&["unpack", &release("shop-1.1.0")]);
    for verb in ["check", "upgrade"] {
        let refused = node.run(&[verb, "1.1.0"]).expect(1).stderr;
        assert_contains(&refused, &["outside every supervision tree", &first, "--orphans=kill"]);
    }
    node.ok(&["check", "1.1.0", "--orphans", "include"]);
    node.ok(&["upgrade", "1.1.0", "--orphans", "include"]);
    let interval: u64 = field(&node.state(&first), "interval_ms");
    assert_eq!(interval, 250, "converted like those in the tree");
    let report = node.report(&["downgrade", "--orphans", "kill"]);
    assert_eq!(killed(&report.killed), [&first]);

    let second = orphan(&node);
    node.ok(&["upgrade", "1.1.0", "--orphans", "ignore"]);
    let end = eventually("its next message met the new code", || {
        node.log()
            .lines()
            .find(|line| line.contains(&second) && line.contains("interval_ms"))
            .map(str::to_owned)
    });
    assert_contains(&end, &["counter"]);
    let pids: Vec<_> = node.ps().into_iter().map(|process| process.pid).collect();
    assert!(pids.contains(&node.pid("counter", 10_000)) && !pids.contains(&second), "{pids:?}");
}

#[test]
fn s54_a_process_that_does_not_come_to_rest_reverts_the_upgrade_or_is_left_or_killed() {
    let node = running("stage-1.0.0");
    node.ok(&["unpack", &release("stage-2.0.0")]);
    let pids = ["a", "b"].map(|id| node.pid("stage", id));
    let busy = |pid: &str| {
        let mut call = node.relctl(&["call", pid, r#"{"slow": 600000}"#, "--timeout", "600000"]);
        let caller = call.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn();
        eventually("it waits in its callback", || node.proc(pid).process.callback);
        caller.expect("relctl runs")
    };
    let mut caller = busy(&pids[0]);
    let failed = node.run(&["upgrade", "2.0.0", "--suspend-timeout", "300"]).expect(4).stderr;
    assert_contains(&failed, &["not at rest after", &pids[0], "the node runs 1.0.0 as before"]);
    assert!(!failed.contains(&pids[1]), "{failed}");

    let report = node.report(&["upgrade", "2.0.0", "--suspend-timeout", "300", "--unrest", "leave"]);
    assert_contains(&report.warnings.join("\n"), &[&pids[0], "was left alone"]);
    assert_eq!(node.call(&pids[1], "step"), 2);
    assert_eq!(lingering(&report.lingering), [&pids[0]]);
    assert_eq!(report.lingering[0].supervisor, node.status().lingering[0].supervisor);

    let report = node.report(&["downgrade", "--suspend-timeout", "300", "--unrest", "kill"]);
    assert_eq!(node.pid("stage", "b"), pids[1], "{report:#?}");
    // This process is still on the old version, so the downgrade need not kill it.
    let _ = caller.kill();
    let _ = caller.wait();
    let mut caller = busy(&pids[1]);
    let report =
        node.report(&["upgrade", "2.0.0", "--suspend-timeout", "300", "--unrest", "kill", "--supersede"]);
    assert!(killed(&report.killed).contains(&&*pids[1]), "{report:#?}");
    let _ = caller.wait();
    let again = node.restarted("stage", "b", &pids[1]);
    assert_eq!(node.call(&again, "step"), 2);
}
