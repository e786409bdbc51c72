//! Meetings of three nodes over a real etcd, each with a line of its own that can be cut (S128).

use std::fs;
use std::thread;

use reld_api::response::{HistoryList, Meeting, Verdict};
use reld_etcd::{Client, Settings};
use reld_tests::{Etcd, Node, Proxy, Run, assert_contains, eventually, release};
use serde_json::json;
use tempfile::TempDir;

use crate::doctored::{doctored, edit};

/// The nodes `n1`, `n2` and `n3` of the fleet `shop`. They run stage 1.0.0, and have 2.0.0, which
/// meets the others in both directions.
struct Trio {
    nodes: Vec<Node>,
    lines: Vec<Proxy>,
    client: Client,
    _etcd: Etcd,
    _folder: TempDir,
}

impl Trio {
    fn start() -> Option<Self> {
        let etcd = Etcd::start()?;
        let (folder, tarball) = doctored("stage-2.0.0", |files| {
            let update = "{ update = \"till\",";
            let with = format!("{{ sync_nodes = \"all\", nodes = [\"n1\", \"n2\", \"n3\"] }}, {update}");
            edit(files, "lib/stage-0.2.0/appup.toml", update, &with);
        });
        let client = Client::new(Settings { endpoints: etcd.endpoints(), ..Settings::default() });
        let (mut nodes, mut lines) = (Vec::new(), Vec::new());
        for name in ["n1", "n2", "n3"] {
            let line = Proxy::start(etcd.port());
            let text = format!(
                "endpoints = ['{}']\nfleet = 'shop'\nnode = '{name}'\nallow_unsigned = true\nsync_pause = '4s'\n",
                line.url()
            );
            let file = folder.path().join(format!("{name}.toml"));
            fs::write(&file, text).expect("the folder can be written");
            let node = Node::start_with(&["--fleet", &file.to_string_lossy()]);
            node.ok(&["upgrade", &release("stage-1.0.0")]);
            node.ok(&["unpack", &tarball]);
            nodes.push(node);
            lines.push(line);
        }
        let client = client.expect("the URL is valid");
        Some(Self { nodes, lines, client, _etcd: etcd, _folder: folder })
    }

    /// Runs a command on all nodes at once.
    fn run(&self, args: &[&str]) -> Vec<Run> {
        thread::scope(|scope| {
            let begun: Vec<_> = self.nodes.iter().map(|node| scope.spawn(|| node.run(args))).collect();
            begun.into_iter().map(|run| run.join().expect("the command runs")).collect()
        })
    }

    /// Waits for keys of the upgrade's meeting, such as `2/ready/n1`.
    fn await_keys(&self, wanted: &[&str]) {
        eventually(&format!("the keys {wanted:?}"), || {
            let keys = self.client.range("/reld/shop/sync/").expect("etcd answers").keys;
            let is_there = |end: &&str| keys.iter().any(|kv| kv.key.ends_with(&format!("/up/\"all\"/{end}")));
            wanted.iter().all(is_there).then_some(())
        });
    }

    fn versions(&self) -> Vec<String> {
        self.nodes.iter().map(Node::version).collect()
    }
}

/// Returns the meeting of the last order, when it has ended.
fn last_meeting(node: &Node) -> Meeting {
    eventually("the last order has a report", || {
        let history: HistoryList = node.read(&["history"]);
        history.entries.last()?.report.as_ref()?.meetings.first().cloned()
    })
}

#[test]
fn s128_nodes_switch_together_or_not_at_all_and_a_node_that_was_cut_off_follows() {
    let Some(trio) = Trio::start() else { return };
    let [n1, n2, n3] = &trio.nodes[..] else { panic!("three nodes run") };
    let upgrade = ["upgrade", "2.0.0"];

    let trouble = n2.pid("stage", "b");
    n2.ok(&["cast", &trouble, r#"{"trouble": "fail"}"#]);
    let before = n1.run(&["state", &n1.pid("stage", "pi"), "--json"]).stdout;
    thread::scope(|scope| {
        let others = [n1, n3].map(|node| scope.spawn(|| node.run(&upgrade)));
        trio.await_keys(&["1/prepared/n1", "1/prepared/n3"]);
        assert_contains(&n2.run(&upgrade).expect(4).stderr, &["failed[change_code]"]);
        for other in others {
            let failed = other.join().expect("the command runs").expect(4).stderr;
            let words = ["failed[not_met]", "node n2 has refused: change_code", "runs 1.0.0 as before"];
            assert_contains(&failed, &words);
        }
    });
    assert_eq!(trio.versions(), ["1.0.0"; 3]);
    assert_eq!(n1.run(&["state", &n1.pid("stage", "pi"), "--json"]).stdout, before);

    n2.ok(&["cast", &trouble, r#"{"trouble": null}"#]);
    for run in trio.run(&upgrade) {
        assert_contains(&run.expect(0).stdout, &["sync_nodes \"all\": met n1, n2, n3 after"]);
    }
    assert_eq!(trio.versions(), ["2.0.0"; 3]);
    let meeting = last_meeting(n1);
    assert_eq!((meeting.id, meeting.round, meeting.verdict), (json!("all"), 2, Verdict::Go));
    trio.await_keys(&["2/gone/n1", "2/gone/n2", "2/gone/n3"]);
    trio.run(&["downgrade"]).into_iter().for_each(|run| drop(run.expect(0)));
    assert_eq!(trio.versions(), ["1.0.0"; 3]);

    // n3 has voted, and loses etcd before n1 votes.
    thread::scope(|scope| {
        let [first, third] = [n1, n3].map(|node| scope.spawn(|| node.run(&upgrade)));
        trio.await_keys(&["3/prepared/n1", "3/prepared/n3"]);
        trio.lines[0].cut();
        let second = scope.spawn(|| n2.run(&upgrade));
        trio.await_keys(&["3/ready/n2", "3/ready/n3"]);
        trio.lines[2].cut();
        trio.lines[0].heal();
        for run in [first, second] {
            run.join().expect("the command runs").expect(0);
        }
        let failed = third.join().expect("the command runs").expect(4).stderr;
        assert_contains(&failed, &["failed[in_doubt]", "the other nodes may have switched", "as before"]);
    });
    assert_eq!(trio.versions(), ["2.0.0", "2.0.0", "1.0.0"]);
    assert_eq!(last_meeting(n3).verdict, Verdict::InDoubt);
    trio.lines[2].heal();
    eventually("n3 follows", || (n3.version() == "2.0.0").then_some(()));
    assert_eq!(last_meeting(n3).verdict, Verdict::Follows);
}
