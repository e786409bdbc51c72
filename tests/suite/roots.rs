//! Folders, files and sockets of others at a path of the node: the node leaves them alone.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reld_api::response::NodeStatus;
use reld_tests::{Node, Run, assert_contains, eventually, release};
use tempfile::TempDir;

use crate::left_behind::{Language, library, plant};

fn scratch() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder can be made");
    fs::write(path, text).expect("a file can be written");
}

/// Runs a daemon that must be refused, and returns its stderr.
#[track_caller]
fn refused(root: &Path, socket: &Path) -> String {
    // A daemon that is not refused would run for ever.
    let daemon = Node::daemon_in(root);
    let mut bounded = Command::new("timeout");
    bounded.arg("30").arg(daemon.get_program()).args(daemon.get_args()).arg("--socket").arg(socket);
    Run::of(&mut bounded).expect(1).stderr
}

/// Returns a root that a daemon has created and left.
fn left() -> (TempDir, PathBuf) {
    let mut node = Node::start();
    assert!(node.terminate().success());
    let folder = scratch();
    let root = folder.path().join("root");
    fs::rename(node.root(), &root).expect("both are in the folder for temporary files");
    (folder, root)
}

#[test]
fn a_foreign_folder_is_refused_as_a_root_and_its_files_stay() {
    let folder = scratch();
    let root = folder.path().join("r");
    let files = ["lib/libfoo.so", "run/x.pid", "staging/web/index.html"].map(|path| root.join(path));
    files.iter().for_each(|file| put(file, "theirs"));
    let stderr = refused(&root, &folder.path().join("socket"));
    assert_contains(
        &stderr,
        &[
            "error[bad_root]: ",
            &*root.to_string_lossy(),
            "is not the root of a node and contains lib",
            "an empty folder",
        ],
    );
    assert!(files.iter().all(|file| fs::read_to_string(file).is_ok_and(|text| text == "theirs")));
}

#[test]
fn a_link_in_the_place_of_a_folder_of_the_root_is_not_followed() {
    for name in ["lib", "releases", "run", "staging"] {
        let (folder, root) = left();
        let theirs = folder.path().join("theirs");
        put(&theirs.join("web/index.html"), "theirs");
        fs::remove_dir_all(root.join(name)).expect("the folder exists");
        symlink(&theirs, root.join(name)).expect("a link can be made");
        let stderr = refused(&root, &folder.path().join("socket"));
        assert_contains(&stderr, &[&*root.join(name).to_string_lossy(), "is a link"]);
        assert!(theirs.join("web/index.html").exists(), "{name}");
    }
}

#[test]
fn a_root_of_a_later_format_is_refused() {
    let (folder, root) = left();
    put(&root.join("reld.toml"), "format = 2\nsealed = true\n");
    let stderr = refused(&root, &folder.path().join("socket"));
    let sentence = "has format 2, but this reld knows formats up to 1; start the reld that last used it";
    assert_contains(&stderr, &[&*root.to_string_lossy(), sentence]);
}

#[test]
fn a_root_without_a_format_mark_is_accepted_and_marked() {
    let mut node = Node::start();
    node.ok(&["upgrade", &release("plant-1.0.0")]);
    fs::remove_file(node.root().join("reld.toml")).expect("it has a mark");
    put(&node.root().join("reld.lock"), "4711\n");
    node.kill_9_and_restart();
    assert_eq!(node.version(), "1.0.0");
    assert!(node.root().join("reld.toml").exists());
}

#[test]
fn a_file_at_the_path_of_the_socket_is_not_deleted() {
    let folder = scratch();
    let (file, link) = (folder.path().join("file"), folder.path().join("link"));
    put(&file, "theirs");
    symlink(&file, &link).expect("a link can be made");
    for socket in [&file, &link] {
        let stderr = refused(&folder.path().join("root"), socket);
        assert_contains(
            &stderr,
            &[&*socket.to_string_lossy(), "not a socket", "remove the file or choose another"],
        );
        assert_eq!(fs::read_to_string(socket).expect("the file exists"), "theirs");
    }
}

#[test]
fn a_second_daemon_is_refused_with_the_first_one_s_pid_even_after_deleted_files() {
    let node = Node::start();
    for name in ["reld.lock", "reld.toml"] {
        // At least one of the files exists.
        let _ = fs::remove_file(node.root().join(name));
    }
    let stderr = refused(&node.root(), &node.root().with_file_name("other"));
    assert_contains(
        &stderr,
        &["error[root_in_use]: ", "is in use by", &format!("process {} (reld", node.id())],
    );
    node.ok(&["status"]);
}

/// Returns everything below a folder with an unexpected access mode.
fn odd_modes(folder: &Path, is_private: bool) -> Vec<String> {
    let mut odd = Vec::new();
    for entry in fs::read_dir(folder).expect("it can be read") {
        let path = entry.expect("it can be read").path();
        let found = fs::symlink_metadata(&path).expect("the file exists");
        let is_private = is_private || path.ends_with("run");
        let expected: &[u32] = match (found.is_dir(), is_private) {
            (true, true) => &[0o700],
            (true, false) => &[0o755],
            (false, true) => &[0o400],
            // The modes of a program and of other files.
            (false, false) => &[0o755, 0o644],
        };
        let mode = found.permissions().mode() & 0o7777;
        if !expected.contains(&mode) {
            odd.push(format!("{}: {mode:o}", path.display()));
        }
        odd.extend(if found.is_dir() { odd_modes(&path, is_private) } else { Vec::new() });
    }
    odd
}

#[test]
fn the_working_directory_and_the_umask_of_an_app_are_not_the_nodes() {
    for umask in ["0", "0777", "027"] {
        let code = format!(
            "#include <sys/stat.h>\nvoid line(void) {{ umask({umask}); if (chdir(\"/\") != 0) abort(); }}"
        );
        let (_scratch, tarball) = plant("1.0.0", library("1.0.0", Language::C, &code));
        let folder = scratch();
        let path = |name: &str| folder.path().join(name);
        let mut daemon = Node::daemon_in(Path::new("a/root"));
        daemon.args(["--socket", "b/socket"]).current_dir(folder.path()).stderr(Stdio::null());
        let _daemon = Daemon(daemon.spawn().expect("the daemon can be run"));
        let relctl = |args: &[&str]| {
            let mut relctl = Command::new(Node::relctl_program());
            Run::of(relctl.env("RELD_SOCKET", path("b/socket")).args(args))
        };
        eventually("it answers", || (relctl(&["status"]).code == 0).then_some(()));
        relctl(&["upgrade", &tarball]).expect(0);
        relctl(&["call", "meter", r#""read""#]).expect(0);
        relctl(&["upgrade", &release("plant-1.1.0")]).expect(0);
        assert_eq!(odd_modes(&path("a/root"), false), [""; 0], "umask {umask}");
        assert!(!Path::new("/a").exists());
        // The daemon that executes itself again starts in the same working directory.
        relctl(&["upgrade", "1.0.0", "--mode", "restart"]);
        eventually("it runs the other release", || {
            let status = relctl(&["--json", "status"]);
            let status: NodeStatus = (status.code == 0).then(|| status.read())?;
            (status.release?.version == "1.0.0").then_some(())
        });
    }
}

/// A daemon that is killed at the end of the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // The daemon may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A child left behind by the node's app. It is killed at the end of the test.
struct Orphan(Pid);

impl Drop for Orphan {
    fn drop(&mut self) {
        // The child may have ended already.
        let _ = kill(self.0, Signal::SIGKILL);
    }
}

#[test]
fn a_forked_child_that_holds_the_root_of_an_ended_daemon_is_named() {
    let folder = scratch();
    let file = folder.path().join("pid");
    // After a fork of a process with threads, the child can do little more than wait.
    let code = format!(
        "void line(void) {{ pid_t child = fork(); if (child == 0) for (;;) pause(); \
         FILE *f = fopen({file:?}, \"w\"); fprintf(f, \"%d\", child); fclose(f); }}"
    );
    let (_scratch, tarball) = plant("1.0.0", library("1.0.0", Language::C, &code));
    let mut node = Node::start();
    node.ok(&["upgrade", &tarball]);
    node.ok(&["call", "meter", r#""read""#]);
    let child = fs::read_to_string(&file).expect("it was forked").parse().expect("a number");
    let orphan = Orphan(Pid::from_raw(child));
    kill(Pid::from_raw(node.id().cast_signed()), Signal::SIGKILL).expect("the daemon can be killed");
    node.ended();
    let stderr = refused(&node.root(), &node.root().with_file_name("other"));
    assert_contains(&stderr, &["is in use by", &format!("process {child} (")]);
    assert!(!stderr.contains(&format!("process {} ", node.id())), "{stderr}");
    drop(orphan);
    eventually("it has ended", || (!Path::new(&format!("/proc/{child}/fd/0")).exists()).then_some(()));
    node.kill_9_and_restart();
    assert_eq!(node.version(), "1.0.0");
}
