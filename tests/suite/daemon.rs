//! The daemon and its machine: one daemon per root, no wake-ups when idle, access by the
//! permissions of the socket.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::libc;
use reld_api::response::NodeStatus;
use reld_tests::{Node, Run, assert_contains, eventually, release};
use serde_json::json;

use crate::children::ends;
use crate::left_behind::{Language, library, plant};

/// System calls that wait for an event or a time-out.
const WAITS: &[i64] = &[
    libc::SYS_futex,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
];

/// Returns whether a thread waits for an event without a time-out. The time-out is the fourth
/// argument of all these calls: a null pointer for a futex, -1 for an epoll.
fn waits_for_no_time(task: &Path) -> bool {
    let call = fs::read_to_string(task.join("syscall")).unwrap_or_default();
    let words: Vec<&str> = call.split_whitespace().collect();
    let is_wait = words.first().and_then(|number| number.parse().ok()).is_some_and(|it| WAITS.contains(&it));
    is_wait && ["0x0", "0xffffffff", "0xffffffffffffffff"].contains(&words[4])
}

#[test]
fn an_idle_node_never_wakes_up() {
    let node = Node::start();
    let process = PathBuf::from(format!("/proc/{}", node.id()));
    let entries = |folder: &str| -> Vec<PathBuf> {
        let entries = fs::read_dir(process.join(folder)).expect("the daemon lives");
        entries.map(|entry| entry.expect("a folder can be read").path()).collect()
    };
    // After work, threads first look for more, and some threads of the pool end.
    eventually("every thread waits for an event alone", || {
        let tasks = entries("task");
        (tasks.len() > 1 && tasks.iter().all(|task| waits_for_no_time(task))).then_some(())
    });
    let is_timer = |file: &PathBuf| fs::read_link(file).is_ok_and(|to| to.ends_with("anon_inode:[timerfd]"));
    assert!(!entries("fd").iter().any(is_timer), "a timer of the kernel is an event");
}

#[test]
fn a_second_daemon_on_a_root_is_refused_and_the_first_goes_on() {
    let node = Node::start();
    let mut second = Node::daemon_in(&node.root());
    second.arg("--socket").arg(node.root().join("other-socket"));
    let refused = Run::of(&mut second).expect(1);
    assert_contains(
        &refused.stderr,
        &[&*node.root().to_string_lossy(), &format!("process {} (reld", node.id())],
    );
    assert!(!node.root().join("other-socket").exists());
    node.ok(&["status"]);
}

/// A daemon that is killed at the end of the test.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        // The daemon may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_daemon_that_stops_late_keeps_the_socket_of_a_newer_one_and_removes_its_own() {
    let mut first = Node::start();
    let socket = first.socket();
    // The socket file is deleted, so a second daemon does not find the first one.
    fs::remove_file(&socket).expect("the file exists");
    let root = tempfile::tempdir().expect("a temporary folder can be made");
    let mut second = Node::daemon_in(root.path());
    let second =
        second.arg("--socket").arg(&socket).stderr(Stdio::null()).spawn().expect("the daemon can be run");
    let second = Other(second);
    let answers = || {
        let status = first.run(&["--json", "status"]);
        (status.code == 0).then(|| status.read::<NodeStatus>().os_pid)
    };
    assert_eq!(eventually("the newer one answers", answers), second.0.id());
    assert!(first.terminate().success());
    assert_eq!(first.status().os_pid, second.0.id(), "the newer daemon is still reached");

    let mut alone = Node::start();
    assert!(alone.terminate().success());
    assert!(!alone.socket().exists());
}

#[test]
fn a_daemon_does_not_take_the_socket_of_another_one() {
    let node = Node::start();
    let mut second = Node::daemon_in(&node.root().with_file_name("other-root"));
    let refused = Run::of(second.arg("--socket").arg(node.socket())).expect(1);
    assert_contains(&refused.stderr, &["another process listens"]);
    node.ok(&["status"]);
}

#[test]
fn sigterm_stops_the_apps_in_order() {
    let mut node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    for id in ["a", "b"] {
        let pid = node.pid("stage", id);
        node.ok(&["cast", &pid, r#"{"trap_exit": true}"#]);
        // A later call is answered only after the cast was handled.
        node.ok(&["call", &pid, "get"]);
    }
    assert!(node.terminate().success());
    let ends = ends(&node);
    assert_eq!(ends.len(), 2, "{ends:?}");
    assert!(ends[0].starts_with("1000: shutdown") && ends[1].starts_with("1: shutdown"), "{ends:?}");
    assert!(!node.socket().exists());
}

/// A service manager. It reads the messages of daemons as soon as they arrive.
struct Manager {
    folder: tempfile::TempDir,
    messages: mpsc::Receiver<String>,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket can be bound");
        let (sender, messages) = mpsc::channel();
        std::thread::spawn(move || {
            let mut text = [0; 4096];
            while let Ok(length) = socket.recv(&mut text) {
                if sender.send(String::from_utf8_lossy(&text[..length]).trim().to_owned()).is_err() {
                    return;
                }
            }
        });
        Self { folder, messages }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// Waits for the next message `wanted`.
    fn await_message(&self, wanted: &str) {
        let patience = Duration::from_secs(60);
        while self.messages.recv_timeout(patience).expect("the daemon sends a message in time") != wanted {}
    }

    /// Returns the messages up to `wanted`.
    fn messages_until(&self, wanted: &str) -> Vec<String> {
        let patience = Duration::from_secs(60);
        let next = || self.messages.recv_timeout(patience).expect("the daemon sends a message in time");
        std::iter::repeat_with(next).take_while(|message| message != wanted).collect()
    }

    fn forget(&self) {
        self.messages.try_iter().for_each(drop);
    }
}

#[test]
fn s95_a_service_manager_gets_readiness_status_and_watchdog_messages() {
    let manager = Manager::new();
    let mut node = Node::start_in(&[("NOTIFY_SOCKET", &manager.path("notify")), ("WATCHDOG_USEC", "200000")]);
    manager.await_message("READY=1");
    manager.await_message("WATCHDOG=1");
    node.ok(&["upgrade", &release("habits-1.0.0")]);
    manager.await_message("STATUS=runs 1.0.0");
    // Callbacks that do not return occupy their threads, but the watchdog messages continue.
    let gate = manager.path("gate");
    for habit in ["habit_1", "habit_3"] {
        let question = json!({"spin": gate}).to_string();
        node.run(&["call", habit, &question, "--timeout", "100"]).expect(1);
    }
    eventually("both are seen", || (node.status().stuck.len() == 2).then_some(()));
    manager.forget();
    (0..5).for_each(|_| manager.await_message("WATCHDOG=1"));
    fs::write(&gate, "").expect("the gate can be opened");
    assert!(node.terminate().success());
    manager.await_message("STOPPING=1");
}

/// Variables set by the service manager, or by a daemon for its probe if that starts a daemon.
const MEANT_FOR_THE_DAEMON: [&str; 12] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "LISTEN_FDNAMES",
    "FDSTORE",
    "RELD_LOG",
    "RELD_SOCKET",
    "RELD_FROM",
    "RELD_TO",
];

#[test]
fn variables_for_the_daemon_reach_neither_apps_nor_probes_nor_their_children() {
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let path = |name: &str| scratch.path().join(name).to_string_lossy().into_owned();
    let code = format!("void line(void) {{ system(\"env > {}\"); }}", path("app"));
    let (_folder, tarball) = plant("1.0.0", library("1.0.0", Language::C, &code));
    let manager = Manager::new();
    let notify = manager.path("notify");
    let value = |name: &str| match name {
        "NOTIFY_SOCKET" => notify.clone(),
        "WATCHDOG_USEC" => "60000000".to_owned(),
        _ => "left".to_owned(),
    };
    let environment: Vec<_> = MEANT_FOR_THE_DAEMON.iter().map(|name| (*name, value(name))).collect();
    let mut environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    environment.push(("MEANT_FOR_ALL", "set"));
    let node = Node::start_in(&environment);
    manager.await_message("READY=1");
    let probe = format!("env > {}", path("probe"));
    node.ok(&["upgrade", &tarball, "--probe", &probe]);
    node.ok(&["call", "meter", r#""read""#]);
    let socket = node.socket().to_string_lossy().into_owned();
    let variables = ["RELD_FROM=", "RELD_TO=1.0.0", &format!("RELD_SOCKET={socket}")].map(str::to_owned);
    for (name, expected) in [("app", vec![]), ("probe", variables.to_vec())] {
        let all = fs::read_to_string(path(name)).expect("it was run");
        assert!(all.lines().any(|line| line == "MEANT_FOR_ALL=set"), "{all}");
        let is_meant =
            |line: &&str| MEANT_FOR_THE_DAEMON.iter().any(|name| line.starts_with(&format!("{name}=")));
        let mut left: Vec<&str> = all.lines().filter(is_meant).collect();
        left.sort_unstable();
        let mut expected = expected;
        expected.sort_unstable();
        assert_eq!(left, expected, "{name}");
    }
}

#[test]
fn s81_a_restart_into_another_release_is_no_stop_to_a_service_manager() {
    let manager = Manager::new();
    let mut node = Node::start_in(&[("NOTIFY_SOCKET", &manager.path("notify"))]);
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    manager.forget();
    let id = node.id();
    node.ok(&["upgrade", &release("stage-3.0.0"), "--mode", "restart"]);
    let messages = manager.messages_until("READY=1");
    let reloads =
        |message: &String| message.starts_with("RELOADING=1") && message.contains("STATUS=stopping apps");
    assert!(messages.iter().any(reloads), "{messages:?}");
    assert!(
        !messages.contains(&"STOPPING=1".to_owned()),
        "systemd would kill it after its time to stop: {messages:?}"
    );
    assert_eq!((&*node.version(), node.status().os_pid), ("3.0.0", id));
    assert!(node.terminate().success());
    manager.await_message("STOPPING=1");
}

#[test]
fn s95_a_reload_is_no_upgrade_and_ends_nothing() {
    let node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    let tree = node.tree("stage");
    Run::of(std::process::Command::new("kill").args(["-HUP", &node.id().to_string()])).expect(0);
    eventually("the signal is logged", || node.log().contains("SIGHUP ignored").then_some(()));
    assert_eq!(node.tree("stage"), tree);
}

#[test]
fn another_user_with_permission_to_connect_may_read_and_not_change() {
    let node = Node::start();
    let mode = fs::metadata(node.socket()).expect("the socket is there").mode() & 0o777;
    assert_eq!(mode, 0o660, "its owner and its group may connect");
    // Only root can become another user.
    if fs::metadata(node.root()).expect("the root is there").uid() != 0 {
        return;
    }
    let folder = node.socket().parent().expect("a socket lies in a folder").to_owned();
    fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("the folder can be changed");
    fs::set_permissions(node.socket(), Permissions::from_mode(0o666)).expect("the socket can be changed");
    // Other users may have no access to the build's folder.
    let relctl = node.socket().with_file_name("relctl");
    fs::copy(node.relctl(&[]).get_program(), &relctl).expect("relctl can be copied");
    let as_nobody = |args: &[&str]| {
        let mut command = std::process::Command::new(&relctl);
        Run::of(command.uid(65_534).gid(65_534).env("RELD_SOCKET", node.socket()).args(args))
    };
    as_nobody(&["status"]).expect(0);
    let refused = as_nobody(&["kill", "<0.1>"]).expect(1);
    assert_contains(&refused.stderr, &["user 65534"]);
}
