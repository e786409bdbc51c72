//! Upgrades of one app of a running release by hand (OTP: `upgrade_app`; S50).

use std::fs;

use reld_api::response::{HistoryKind, HistoryList};
use reld_tests::{Node, Run, assert_contains, field, folder, keys, release};

fn shop() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    node
}

/// Runs `relctl upgrade --app counter` with the folder of this version.
fn upgrade_app(node: &Node, version: &str, more: &[&str]) -> Run {
    let dir = folder(&format!("examples/counter-{version}"));
    let args = ["upgrade", "--app", "counter", &dir.to_string_lossy(), "--profile", "dev"];
    node.run(&[&args[..], more].concat())
}

/// Checks the running version of the app, and whether the node is dirty.
#[track_caller]
fn check(node: &Node, version: &str, is_dirty: bool) {
    assert_eq!((&*node.app("counter").version, node.status().dirty), (version, is_dirty));
}

/// Runs `relctl load` with the counter of this version.
fn load(node: &Node, version: &str, more: &[&str]) -> Run {
    let dir = folder(&format!("examples/counter-{version}"));
    node.run(&[&["load", &*dir.to_string_lossy(), "--profile", "dev"], more].concat())
}

#[test]
fn a_library_that_does_not_take_the_current_states_is_loaded_only_with_force() {
    let node = shop();
    let before = node.tree("counter");
    let refused = load(&node, "0.1.1", &[]).expect(1).stderr;
    let reasons = [
        "cannot load app counter 0.1.1",
        "module counter 0.1.1 does not take the state of",
        "interval_ms",
        "--force loads it",
        "relctl upgrade --app",
    ];
    assert_contains(&refused, &reasons);
    assert_eq!(node.tree("counter"), before);
    check(&node, "0.1.0", false);
    assert_eq!(node.code().residents, []);
    // The same code, and a state that the appup converts, are accepted.
    load(&node, "0.1.0", &[]).expect(0);

    // As in OTP, the processes are killed and restarted with arguments that the new code does not
    // take.
    let mut node = shop();
    let forced = load(&node, "0.1.1", &["--force"]);
    assert_contains(&forced.stdout, &["loaded counter 0.1.1", "killed"]);
    assert_eq!(node.ended().code(), Some(1), "a permanent app has ended: {}", node.log());
}

fn n(node: &Node, counter: &str) -> u64 {
    field(&node.state(counter), "n")
}

#[test]
fn an_app_moves_up_and_down_in_a_release_that_stays_and_the_node_is_dirty() {
    let node = shop();
    let counter = node.pid("counter", 10_000);
    let before = n(&node, &counter);

    let dry = upgrade_app(&node, "0.1.1", &["--dry-run"]).expect(0).stdout;
    assert_contains(&dry, &["code_change counter up 0.1.0 to 0.1.1"]);
    check(&node, "0.1.0", false);

    let up = upgrade_app(&node, "0.1.1", &[]).expect(0).stdout;
    assert_contains(&up, &["installed counter-0.1.1 from counter-0.1.0", "dirty"]);
    check(&node, "0.1.1", true);
    assert_eq!(node.version(), "1.0.0");
    assert_eq!(node.pid("counter", 10_000), counter);
    assert_eq!(field::<u64>(&node.state(&counter), "interval_ms"), 250);
    assert!(n(&node, &counter) >= before);

    upgrade_app(&node, "0.1.0", &[]).expect(0);
    assert_eq!(node.app("counter").version, "0.1.0");
    assert_eq!(keys(&node.state(&counter)), ["n", "stopping"]);
    let uploads = fs::read_dir(node.root().join("run/uploads")).expect("it is there");
    assert_eq!(uploads.count(), 1, "only the files of the running version are left");
    let last = node.read::<HistoryList>(&["history"]).entries.pop().expect("an entry");
    assert_eq!((last.kind, &*last.to), (HistoryKind::UpgradeApp, "counter-0.1.0"));
}

#[test]
fn a_release_upgrade_starts_from_the_running_app_version_and_a_restart_forgets_it() {
    let mut node = shop();
    upgrade_app(&node, "0.1.1", &[]).expect(0);
    // The release has the same library, so the app does not change.
    node.ok(&["upgrade", &release("shop-1.1.0")]);
    assert_eq!([node.app("counter").version, node.version()], ["0.1.1", "1.1.0"]);
    node.ok(&["downgrade"]);
    assert_eq!(node.app("counter").version, "0.1.0");

    upgrade_app(&node, "0.1.1", &[]).expect(0);
    node.kill_9_and_restart();
    check(&node, "0.1.0", false);
}

#[test]
fn s50_the_running_version_another_app_and_an_idle_node_are_refused() {
    let node = shop();
    let same = upgrade_app(&node, "0.1.0", &[]).expect(1).stderr;
    assert_contains(&same, &["no appup leads counter from 0.1.0 to 0.1.0"]);
    let dir = folder("tests/fixtures/lib/shed-1.0.0");
    let other =
        node.run(&["upgrade", "--app", "counter", &dir.to_string_lossy(), "--profile", "dev"]).expect(1);
    assert_contains(&other.stderr, &["is app shed, not counter"]);
    let stranger =
        node.run(&["upgrade", "--app", "shed", &dir.to_string_lossy(), "--profile", "dev"]).expect(1);
    assert_contains(&stranger.stderr, &["no application shed in the release"]);
    assert!(!node.status().dirty);
    let idle = upgrade_app(&Node::start(), "0.1.1", &[]).expect(1).stderr;
    assert_contains(&idle, &["the node is idle"]);
}
