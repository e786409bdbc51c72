//! Properties of the test kit that matter to other programs on the machine.

use std::fs;
use std::process::{Command, Stdio};

use reld_tests::{Node, eventually};

/// Returns the state letter of a process and its parent, or `None` when it is gone.
fn stat(pid: &str) -> Option<(char, String)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.to_owned()))
}

/// Returns the daemon started by a process.
fn daemon_of(parent: u32) -> Option<String> {
    let pids = fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_daemon = |pid: &str| {
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        program.ends_with("reld") && stat(pid).is_some_and(|(_, of)| of == parent.to_string())
    };
    pids.into_iter().find(|pid| is_daemon(pid))
}

#[test]
fn a_benchmark_that_is_killed_leaves_no_node_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let bench = Node::relctl_program().with_file_name("reld-bench");
    let mut bench = Command::new(bench)
        .args(["churn", "--minutes", "10"])
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("the benchmark is built with the programs");
    let daemon = eventually("it has a node", || daemon_of(bench.id()));
    bench.kill().expect("the benchmark can be killed");
    bench.wait().expect("a killed program ends");
    // A process may remain a zombie until its parent waits for it.
    eventually("the node is gone", || stat(&daemon).is_none_or(|(state, _)| state == 'Z').then_some(()));
}
