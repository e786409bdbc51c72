//! Measures a rollout over three nodes, from its begin to its end, beside three upgrades by hand.
//!
//! The ssh command is a script that runs the line in a local shell, so the difference is the work
//! of the driver: its looks at the nodes, and its decisions. Over a fleet, the difference is the
//! work of the nodes: their transactions in a local etcd, and the looks that these wake.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use reld_api::response::{FleetNode, FleetNodeList};
use reld_tests::{Fleet, Node, Run, eventually, release};
use serde_json::json;

use crate::line;

const HOSTS: [&str; 3] = ["n1", "n2", "n3"];

/// Runs a line with the socket of a host.
const SSH: &str = "#!/bin/sh\nRELD_SOCKET=$(dirname \"$0\")/$1 exec sh -c \"$2\"\n";

/// Measures the driver over ssh.
pub(crate) fn over_ssh(reps: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let nodes = HOSTS.map(|host| {
        let node = Node::start();
        node.ok(&["upgrade", &release("bench-1.0.0")]);
        symlink(node.socket(), folder.path().join(host)).expect("the folder can be written");
        node
    });
    let tarball = release("bench-1.1.0");
    write(folder.path(), "hosts.txt", &HOSTS.join("\n"));
    write(folder.path(), "rollout.toml", &format!("release = {tarball:?}\n"));
    write(folder.path(), "ssh", SSH);
    measure(reps, "rollout_command", &nodes, &tarball, || start(folder.path()));
}

/// Measures the nodes of a fleet, if there is etcd.
pub(crate) fn over_fleet(reps: usize) {
    let Some(fleet) = Fleet::of(HOSTS.len(), &release("bench-1.0.0")) else { return };
    let tarball = release("bench-1.1.0");
    let policy = fleet.policy(&tarball, "");
    let is_back = |node: &FleetNode| node.permanent.as_deref() == Some("1.0.0");
    let start = || {
        // The fleet learns of a downgrade by hand a moment later.
        eventually("the fleet knows that the nodes are back", || {
            let list: FleetNodeList = fleet.run(&["nodes"]).read();
            list.nodes.iter().all(is_back).then_some(())
        });
        fleet.relctl(&["start", &policy, "--fleet"])
    };
    measure(reps, "rollout_fleet", &fleet.nodes, &tarball, start);
}

fn measure(reps: usize, name: &str, nodes: &[Node], tarball: &str, start: impl Fn() -> Command) {
    let (mut rollout, mut by_hand) = (Vec::new(), Vec::new());
    for _ in 0..reps {
        let mut command = start();
        rollout.push(timed(|| drop(Run::of(&mut command).expect(0))));
        nodes.iter().for_each(back);
        by_hand.push(timed(|| nodes.iter().for_each(|node| drop(node.ok(&["upgrade", tarball])))));
        nodes.iter().for_each(back);
    }
    let parameters = json!({"nodes": nodes.len()});
    line::print(name, &parameters, "ms", rollout);
    line::print("upgrades_by_hand", &parameters, "ms", by_hand);
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::write(&path, text).expect("a temporary folder can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file can be changed");
}

fn start(folder: &Path) -> Command {
    let relctl = Node::relctl_program();
    let mut command = Command::new(relctl);
    command.current_dir(folder).args(["rollout", "start", "rollout.toml", "--hosts", "hosts.txt"]);
    command.args(["--ssh", "./ssh", "--relctl"]).arg(relctl);
    command
}

/// Returns a node to the state before, without the files of the release.
fn back(node: &Node) {
    node.ok(&["downgrade"]);
    node.ok(&["remove", "1.1.0"]);
}

fn timed(work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    begin.elapsed().as_secs_f64() * 1e3
}
