//! Nodes of a fleet, each with a line of its own to etcd.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use reld_api::response::{FleetNode, FleetNodeList};
use serde_json::Value;
use tempfile::TempDir;

use crate::etcd::Etcd;
use crate::node::Node;
use crate::proxy::Proxy;
use crate::run::{Run, eventually};

/// The probe `smoke` of each node. It logs its begin and its end, waits while the file NODE.hold
/// exists, and refuses the release if the file NODE.bad exists.
const SMOKE: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "$1 begins" >>"$here/log"
while [ -e "$here/$1.hold" ]; do sleep 0.02; done
echo "$1 ends" >>"$here/log"
[ ! -e "$here/$1.bad" ]
"#;

/// The nodes `n1`, `n2` and so on of the fleet `shop`.
#[derive(Debug)]
pub struct Fleet {
    /// The nodes. They end before etcd.
    pub nodes: Vec<Node>,
    /// The line of each node to etcd.
    pub lines: Vec<Proxy>,
    /// The etcd of the fleet.
    pub etcd: Etcd,
    folder: TempDir,
}

impl Fleet {
    /// Starts a fleet of three nodes on which a release runs. Without etcd the test is skipped.
    #[track_caller]
    pub fn start(tarball: &str) -> Option<Self> {
        Self::of(3, tarball)
    }

    /// Starts a fleet of this number of nodes.
    #[track_caller]
    pub fn of(nodes: usize, tarball: &str) -> Option<Self> {
        let etcd = Etcd::start()?;
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut fleet = Self { nodes: Vec::new(), lines: Vec::new(), etcd, folder };
        let smoke = fleet.write("smoke", SMOKE);
        fs::set_permissions(&smoke, fs::Permissions::from_mode(0o755)).expect("the file can be changed");
        for name in (1..=nodes).map(|number| format!("n{number}")) {
            let line = Proxy::start(fleet.etcd.port());
            let text = format!(
                "endpoints = ['{}']\nfleet = 'shop'\nnode = '{name}'\nallow_unsigned = true\n\
                 [probes]\nsmoke = '{smoke} {name}'\n",
                line.url()
            );
            let file = fleet.write(&format!("{name}.toml"), &text);
            let node = Node::start_with(&["--fleet", &file]);
            node.ok(&["upgrade", tarball]);
            fleet.nodes.push(node);
            fleet.lines.push(line);
        }
        fleet.await_nodes(nodes);
        Some(fleet)
    }

    /// Waits until this number of nodes is connected and runs a permanent release.
    pub fn await_nodes(&self, number: usize) {
        let runs = |node: &&FleetNode| node.connected && node.permanent.is_some();
        eventually("the nodes have joined", || {
            let list = self.run(&["nodes"]);
            let list: FleetNodeList = (list.code == 0).then(|| list.read())?;
            (list.nodes.iter().filter(runs).count() == number).then_some(())
        });
    }

    /// Returns a path in the folder of the fleet.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Writes a file into the folder of the fleet, and returns its path.
    pub fn write(&self, file: &str, text: &str) -> String {
        let path = self.path(file);
        fs::write(&path, text).expect("the folder can be written");
        path.to_string_lossy().into_owned()
    }

    /// Removes a file from the folder of the fleet.
    pub fn remove(&self, file: &str) {
        fs::remove_file(self.path(file)).expect("the file exists");
    }

    /// Writes the policy of a rollout, with these lines besides the release. Returns its path.
    pub fn policy(&self, tarball: &str, lines: &str) -> String {
        self.write("rollout.toml", &format!("release = '{tarball}'\n{lines}\n"))
    }

    /// Returns `relctl --json rollout` with these arguments, on the first node.
    pub fn relctl(&self, args: &[&str]) -> Command {
        self.nodes[0].relctl(&[&["--json", "rollout"], args].concat())
    }

    /// Runs [`relctl`](Self::relctl).
    pub fn run(&self, args: &[&str]) -> Run {
        Run::of(&mut self.relctl(args))
    }

    /// Returns the report of the rollout.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.run(&["status"]).json()
    }

    /// Waits until a node has this state in the rollout, and returns the report.
    #[track_caller]
    pub fn await_state(&self, node: &str, state: &str) -> Value {
        eventually(&format!("{node} is {state}"), || {
            let status = self.status();
            let nodes = status["nodes"].as_array()?;
            let is_so = nodes.iter().any(|row| row["host"] == node && row["state"] == state);
            is_so.then_some(status)
        })
    }

    /// Returns the begins and ends of the probes.
    pub fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// Lets etcd forget the presence of a node, as it does when the node has been away for 15 s.
    pub fn expire(&self, node: &str) {
        self.etcd.expire(&format!("/reld/shop/nodes/{node}"));
    }

    /// Returns the version that each node runs.
    pub fn versions(&self) -> Vec<String> {
        self.nodes.iter().map(Node::version).collect()
    }
}
