//! The presence of a node in its fleet: its name, its lease, and keys that it cannot read.

use std::fs;
use std::path::Path;

use reld_etcd::{Client, Settings, Txn};
use reld_tests::{Etcd, Fleet, Node, Run, assert_contains, eventually, release};
use serde_json::Value;

const PRESENCE: &str = "/reld/shop/nodes/n1";

fn client(etcd: &Etcd) -> Client {
    Client::new(Settings { endpoints: etcd.endpoints(), ..Settings::default() }).expect("the URL is valid")
}

/// Starts a node with the name `n1` in the fleet `shop`.
fn node(etcd: &Etcd, folder: &Path) -> Node {
    let url = &etcd.endpoints()[0];
    let text = format!("endpoints = ['{url}']\nfleet = 'shop'\nnode = 'n1'\nallow_unsigned = true\n");
    let file = folder.join("fleet.toml");
    fs::write(&file, text).expect("the folder can be written");
    Node::start_with(&["--fleet", &file.to_string_lossy()])
}

/// Returns the life of the daemon that has the name, if one has it.
fn life(client: &Client) -> Option<String> {
    let keys = client.range(PRESENCE).expect("etcd answers").keys;
    let presence: Value = serde_json::from_str(&keys.first()?.value).expect("a presence is JSON");
    Some(presence["life"].as_str().expect("a presence has a life").to_owned())
}

fn await_alarm(node: &Node, words: &str) {
    let raised = || node.status().alarms.iter().any(|alarm| alarm.contains(words)).then_some(());
    eventually(words, raised);
}

fn await_no_alarm(node: &Node) {
    eventually("the alarm is lowered", || node.status().alarms.is_empty().then_some(()));
}

#[test]
fn a_name_belongs_to_one_daemon_until_it_leaves_and_to_its_next_life() {
    let Some(etcd) = Etcd::start() else { return };
    let (client, folder) = (client(&etcd), tempfile::tempdir().expect("a temporary folder can be made"));
    let mut first = node(&etcd, folder.path());
    let of_first = eventually("n1 has joined", || life(&client));
    let mut second = node(&etcd, folder.path());
    await_alarm(&second, "another daemon has this name since 2");
    assert_eq!(life(&client), Some(of_first.clone()));
    assert!(first.terminate().success());
    assert_ne!(life(&client), Some(of_first), "a daemon that stops leaves at once");
    let of_second = eventually("the second daemon has the name", || life(&client));
    await_no_alarm(&second);
    let told = second.log().matches("another daemon has this name").count();

    second.kill_9_and_restart();
    eventually("the next life has the name", || life(&client).filter(|life| *life != of_second));
    let again = second.log().matches("another daemon has this name").count();
    assert_eq!(again, told, "its own former presence does not keep it out");
}

#[test]
fn a_presence_that_is_deleted_is_made_again_and_nonsense_in_etcd_is_one_sentence() {
    let Some(etcd) = Etcd::start() else { return };
    let (client, folder) = (client(&etcd), tempfile::tempdir().expect("a temporary folder can be made"));
    let node = node(&etcd, folder.path());
    let joined = eventually("n1 has joined", || life(&client));
    let delete = |key: &str| {
        let deletes = vec![reld_etcd::Delete::Key(key.to_owned())];
        client.txn(&Txn { deletes, ..Txn::default() }).expect("etcd answers");
    };
    delete(PRESENCE);
    assert_eq!(eventually("n1 is back", || life(&client)), joined);

    client
        .txn(&Txn::default().put("/reld/shop/current", "r1").put("/reld/shop/r/r1", "{"))
        .expect("etcd answers");
    await_alarm(&node, "cannot read the key /reld/shop/r/r1 in etcd");
    assert_eq!(life(&client), Some(joined), "the node is still there");
    delete("/reld/shop/current");
    await_no_alarm(&node);
}

#[test]
fn a_node_that_accepts_unsigned_releases_joins_no_fleet_unless_that_is_written() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("fleet.toml");
    fs::write(&file, "endpoints = ['http://127.0.0.1:1']\nfleet = 'shop'\n")
        .expect("the folder can be written");
    let policy = folder.path().join("trust.toml");
    fs::write(&policy, "require = 'warn'\n").expect("the folder can be written");
    let mut reld = Node::daemon_in(&folder.path().join("root"));
    reld.arg("--socket").arg(folder.path().join("socket")).arg("--fleet").arg(&file);
    let refused = Run::of(reld.arg("--trust").arg(&policy)).expect(1).stderr;
    assert_contains(&refused, &["error: cannot join fleet shop: ", "allow_unsigned = true"]);
    assert!(!folder.path().join("root").exists(), "nothing is done before");
}

#[test]
fn a_failure_outlives_its_daemon_while_etcd_is_away_and_is_not_tried_again() {
    let Some(mut fleet) = Fleet::start(&release("stage-1.0.0")) else { return };
    let start = |probe: &str, code: i32| {
        let policy = fleet.policy(&release("stage-2.0.0"), &format!("probe = '{probe}'"));
        fleet.run(&["start", &policy, "--fleet"]).expect(code).stdout
    };
    assert_contains(&start("sh -c true", 1), &["this node has no probe \\\"sh -c true\\\""]);
    let missing = "release 2.0.0 has no file lib/stage-2.0.0/smoke";
    assert_contains(&start("release:lib/stage-2.0.0/smoke", 4), &[missing]);
    fleet.write("n1.bad", "");
    fleet.write("n1.hold", "");
    let policy = fleet.policy(&release("stage-2.0.0"), "probe = 'smoke'");
    fleet.run(&["start", &policy, "--fleet", "--no-wait"]).expect(0);
    eventually("n1 is under way", || (fleet.log() == ["n1 begins"]).then_some(()));
    fleet.etcd.pause();
    fleet.remove("n1.hold");
    let kept = fleet.nodes[0].root().join("fleet.json");
    let is_kept = || fs::read_to_string(&kept).is_ok_and(|text| text.contains("\"failed\"")).then_some(());
    eventually("the result is on disk", is_kept);
    fleet.nodes[0].kill_9_and_restart();
    fleet.etcd.resume();
    fleet.run(&["status", "--wait"]).expect(4);
    assert_eq!(fleet.log(), ["n1 begins", "n1 ends"]);
    assert_eq!(fleet.versions(), ["1.0.0"; 3]);
}
