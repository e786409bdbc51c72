//! One app of a running release is moved by hand (OTP: `upgrade_app`; S50).

use reld_tests::{Node, Run, folder, release};
use serde_json::{Value, json};

fn shop() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    node
}

/// Runs `relctl upgrade --app counter` with the app's folder of that version.
fn upgrade_app(node: &Node, version: &str, more: &[&str]) -> Run {
    let dir = folder(&format!("examples/counter-{version}"));
    let args = ["upgrade", "--app", "counter", &dir.to_string_lossy(), "--profile", "dev"];
    node.run(&[&args[..], more].concat())
}

fn version(node: &Node) -> Value {
    node.json(&["apps"])["apps"][0]["version"].clone()
}

#[test]
fn an_app_moves_up_and_down_in_a_release_that_stays_and_the_node_is_dirty() {
    let node = shop();
    let counter = node.pid("counter", 10_000);
    let before = node.state(&counter)["n"].as_u64().expect("a counter has a number");

    let dry = upgrade_app(&node, "0.1.1", &["--dry-run"]).expect(0).stdout;
    assert!(dry.contains("code_change counter up 0.1.0 to 0.1.1"), "{dry}");
    assert_eq!((version(&node), &node.json(&["status"])["dirty"]), (json!("0.1.0"), &json!(false)));

    let up = upgrade_app(&node, "0.1.1", &[]).expect(0).stdout;
    assert!(up.contains("installed counter-0.1.1 from counter-0.1.0") && up.contains("dirty"), "{up}");
    assert_eq!((version(&node), &node.json(&["status"])["dirty"]), (json!("0.1.1"), &json!(true)));
    assert_eq!(node.version(), "1.0.0");
    assert_eq!(node.pid("counter", 10_000), counter);
    let state = node.state(&counter);
    assert!(state["interval_ms"] == json!(250) && state["n"].as_u64() >= Some(before), "{state:#}");

    upgrade_app(&node, "0.1.0", &[]).expect(0);
    assert_eq!((version(&node), node.state(&counter).get("interval_ms")), (json!("0.1.0"), None));
    let kinds = node.json(&["history"])["entries"].clone();
    let last = kinds.as_array().and_then(|entries| entries.last()).expect("an entry").clone();
    assert_eq!((&last["kind"], &last["to"]), (&json!("upgrade_app"), &json!("counter-0.1.0")));
}

#[test]
fn a_release_goes_on_from_the_app_that_runs_and_a_restart_forgets_it() {
    let mut node = shop();
    upgrade_app(&node, "0.1.1", &[]).expect(0);
    // The same library is in it: nothing of the app changes.
    node.ok(&["upgrade", &release("shop-1.1.0")]);
    assert_eq!(
        (version(&node), &node.json(&["status"])["release"]["version"]),
        (json!("0.1.1"), &json!("1.1.0"))
    );
    node.ok(&["downgrade"]);
    assert_eq!(version(&node), json!("0.1.0"));

    upgrade_app(&node, "0.1.1", &[]).expect(0);
    node.kill_9_and_restart();
    assert_eq!((version(&node), &node.json(&["status"])["dirty"]), (json!("0.1.0"), &json!(false)));
}

#[test]
fn s50_the_version_that_runs_another_app_and_an_idle_node_are_refused() {
    let node = shop();
    let same = upgrade_app(&node, "0.1.0", &[]).expect(1).stderr;
    assert!(same.contains("no appup leads counter from 0.1.0 to 0.1.0"), "{same}");
    let dir = folder("tests/fixtures/lib/shed-1.0.0");
    let other =
        node.run(&["upgrade", "--app", "counter", &dir.to_string_lossy(), "--profile", "dev"]).expect(1);
    assert!(other.stderr.contains("is app shed, not counter"), "{}", other.stderr);
    let stranger =
        node.run(&["upgrade", "--app", "shed", &dir.to_string_lossy(), "--profile", "dev"]).expect(1);
    assert!(stranger.stderr.contains("no application shed in the release"), "{}", stranger.stderr);
    assert_eq!(node.json(&["status"])["dirty"], json!(false));
    let idle = upgrade_app(&Node::start(), "0.1.1", &[]).expect(1).stderr;
    assert!(idle.contains("the node is idle"), "{idle}");
}
