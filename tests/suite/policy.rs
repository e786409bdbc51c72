//! What the operator may choose about processes that stand in the way: orphans (S42), and those that do not come to
//! rest (S54).

use reld_tests::{Node, eventually, release};
use serde_json::{Value, json};

fn running(release_name: &str) -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release(release_name)]);
    node
}

/// Starts a counter outside every tree.
fn orphan(node: &Node) -> String {
    let pid = node.json(&["spawn", "counter", "5"])["pid"].clone();
    pid.as_str().expect("it was started").to_owned()
}

fn has(list: &Value, pid: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|entry| entry["pid"] == json!(pid)))
}

#[test]
fn s42_orphans_are_refused_or_included_killed_or_ignored_as_the_operator_says() {
    let node = running("shop-1.0.0");
    let first = orphan(&node);
    node.ok(&["unpack", &release("shop-1.1.0")]);
    for verb in ["check", "upgrade"] {
        let refused = node.run(&[verb, "1.1.0"]).expect(1);
        for words in ["outside every supervision tree", first.as_str(), "--orphans=kill"] {
            assert!(refused.stderr.contains(words), "no {words} in:\n{}", refused.stderr);
        }
    }
    node.ok(&["check", "1.1.0", "--orphans", "include"]);
    node.ok(&["upgrade", "1.1.0", "--orphans", "include"]);
    assert_eq!(node.state(&first)["interval_ms"], json!(250), "converted like those in the tree");
    let report = node.json(&["downgrade", "--orphans", "kill"]);
    assert!(has(&report["killed"], &first), "{report:#}");

    let second = orphan(&node);
    node.ok(&["upgrade", "1.1.0", "--orphans", "ignore"]);
    let end = eventually("its next message met the new code", || {
        node.log()
            .lines()
            .find(|line| line.contains(&second) && line.contains("interval_ms"))
            .map(str::to_owned)
    });
    assert!(end.contains("counter"), "{end}");
    assert!(!has(&node.json(&["ps"])["processes"], &second));
}

#[test]
fn s54_who_does_not_come_to_rest_is_named_and_takes_the_upgrade_back_or_is_left_or_killed() {
    let node = running("stage-1.0.0");
    node.ok(&["unpack", &release("stage-2.0.0")]);
    let pids = ["a", "b"].map(|id| node.pid("stage", id));
    let busy = |pid: &str| {
        let mut call = node.relctl(&["call", pid, r#"{"slow": 600000}"#, "--timeout", "600000"]);
        let caller = call.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn();
        eventually("it is in its callback", || {
            (node.json(&["proc", pid])["in_callback"] == json!(true)).then_some(())
        });
        caller.expect("relctl runs")
    };
    let mut caller = busy(&pids[0]);
    let failed = node.run(&["upgrade", "2.0.0", "--suspend-timeout", "300"]).expect(4);
    for words in ["not at rest after", pids[0].as_str(), "the node runs 1.0.0 as before"] {
        assert!(failed.stderr.contains(words), "no {words} in:\n{}", failed.stderr);
    }
    assert!(!failed.stderr.contains(&pids[1]), "{}", failed.stderr);

    let report = node.json(&["upgrade", "2.0.0", "--suspend-timeout", "300", "--unrest", "leave"]);
    let warned = report["warnings"].to_string();
    assert!(warned.contains(&pids[0]) && warned.contains("was left alone"), "{report:#}");
    assert_eq!(node.json(&["call", &pids[1], "step"])["reply"], json!(2));
    assert!(has(&report["lingering"], &pids[0]), "{report:#}");

    let report = node.json(&["downgrade", "--suspend-timeout", "300", "--unrest", "kill"]);
    let back = node.pid("stage", "b");
    assert_eq!(back, pids[1], "{report:#}");
    // It never left the old version, to which the node went back.
    let _ = caller.kill();
    let _ = caller.wait();
    let mut caller = busy(&pids[1]);
    let report =
        node.json(&["upgrade", "2.0.0", "--suspend-timeout", "300", "--unrest", "kill", "--supersede"]);
    assert!(has(&report["killed"], &pids[1]), "{report:#}");
    let _ = caller.wait();
    let again = node.restarted("stage", "b", &pids[1]);
    assert_eq!(node.call(&again, "step"), 2);
}
