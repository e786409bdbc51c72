//! Clients of the control socket: many, slow, or without permission (C1, C3).

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use reld_api::ExitCode;
use reld_tests::{Node, Run, eventually, has, release};

/// Limit of connections for the daemon's own user.
const OWN: usize = 256;

#[test]
fn a_user_with_too_many_connections_is_refused_until_some_are_closed() {
    let node = Node::start();
    let hold = || UnixStream::connect(node.socket()).expect("the daemon listens");
    let mut held: Vec<_> = (1..OWN).map(|_| hold()).collect();
    eventually("earlier connections are closed", || (node.run(&["status"]).code == 0).then_some(()));
    let refused = eventually("one more is refused", || {
        let status = node.run(&["--json", "status"]);
        // The last status request may have held one of the connections, so open another one.
        (status.code != 0).then_some(status).or_else(|| {
            held.push(hold());
            None
        })
    });
    let error = refused.expect(u8::from(ExitCode::Refused).into()).error();
    assert_eq!(error.kind, "too_many_connections");
    assert!(error.message.contains("too many connections are open"), "{error:?}");
    held.truncate(OWN / 2);
    eventually("it is served again", || (node.run(&["status"]).code == 0).then_some(()));
    assert_eq!(node.log().matches("too many connections to the control socket").count(), 1, "bounded");
}

#[test]
fn the_daemon_opens_as_many_files_as_the_system_allows() {
    let node = Node::start_under(&["prlimit", "--nofile=512:2048"], &[], &[]);
    let limits = fs::read_to_string(format!("/proc/{}/limits", node.id())).expect("the daemon lives");
    let line =
        limits.lines().find(|line| line.starts_with("Max open files")).expect("the kernel lists the limit");
    assert_eq!(line.split_whitespace().collect::<Vec<_>>()[3..5], ["2048", "2048"]);
}

#[test]
fn the_daemon_names_the_limit_to_raise_when_it_gets_too_few_threads() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("the file can be changed");
    let daemon = Node::daemon_in(&folder.path().join("root"));
    let socket = folder.path().join("socket");
    // The limit does not apply to root, so the daemon runs as another user.
    let mut limited = Command::new("prlimit");
    limited.arg("--nproc=4:4").arg(daemon.get_program()).args(daemon.get_args()).arg("--socket").arg(&socket);
    if fs::metadata(folder.path()).expect("the file exists").uid() == 0 {
        limited.uid(65_534).gid(65_534);
    }
    let ended = Run::of(limited.current_dir("/").stdin(Stdio::null())).expect(1);
    assert!(ended.stderr.contains("error: cannot start ") && ended.stderr.contains("ulimit -u"), "{ended:?}");
    assert!(!socket.exists());
}

#[test]
fn a_user_without_permission_to_connect_gets_that_reason_and_no_other_advice() {
    let node = Node::start();
    fs::set_permissions(node.socket(), fs::Permissions::from_mode(0o600)).expect("the file can be changed");
    let mut relctl = node.relctl(&["status"]);
    // Only root can become another user.
    if !has("root", || fs::metadata(node.root()).expect("the root is there").uid() == 0) {
        return;
    }
    fs::set_permissions(node.root().with_file_name(""), fs::Permissions::from_mode(0o755))
        .expect("the file can be changed");
    let refused = Run::of(relctl.uid(65_534).gid(65_534)).expect(3);
    assert!(refused.stderr.contains("cannot reach a daemon on"), "{refused:?}");
    assert!(refused.stderr.contains("Permission denied") && refused.stderr.contains("sudo"), "{refused:?}");
}

#[test]
fn the_probes_of_a_check_need_only_the_node_s_own_folder() {
    let node = Node::start_in(&[("TMPDIR", "/nonexistent")]);
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    node.ok(&["unpack", &release("shop-1.1.0")]);
    let check = node.ok(&["check", "1.1.0"]);
    assert!(!check.stdout.contains("cannot ask it"), "{check:?}");
    node.ok(&["upgrade", "1.1.0"]);
}
