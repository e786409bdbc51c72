//! Folders, files and sockets of others at a path of the node: the node leaves them alone.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
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

/// Programs of a plain user, with the user's own folders and no options.
struct PlainUser(TempDir);

impl PlainUser {
    fn new() -> Self {
        let user = Self(scratch());
        // The build's folder may be hidden from other users.
        let daemon = Node::daemon_in(Path::new("/"));
        for program in [Path::new(daemon.get_program()), Node::relctl_program()] {
            let name = program.file_name().expect("a program is a file");
            fs::copy(program, user.path("").join(name)).expect("a program can be copied");
        }
        for (folder, mode) in [("", 0o755), ("state", 0o777), ("run", 0o777), ("home", 0o777)] {
            fs::create_dir_all(user.path(folder)).expect("a folder can be made");
            fs::set_permissions(user.path(folder), fs::Permissions::from_mode(mode)).expect("it is ours");
        }
        user
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn program(&self, name: &str, variables: &[(&str, &str)]) -> Command {
        let mut program = Command::new(self.path(name));
        if geteuid().is_root() {
            program.uid(65_534).gid(65_534);
        }
        for variable in ["RELD_SOCKET", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"] {
            program.env_remove(variable);
        }
        program.env("HOME", self.path("home"));
        program.envs(variables.iter().map(|(variable, folder)| (variable, self.path(folder))));
        program.stdin(Stdio::null());
        program
    }

    /// Starts a daemon and checks that relctl finds it, and that only the user may enter its
    /// folders.
    fn meets(&self, variables: &[(&str, &str)], root: &str, socket: &str) {
        let mut daemon = self.program("reld", variables);
        let _daemon = Daemon(daemon.stderr(Stdio::null()).spawn().expect("the daemon can be run"));
        let status = || Run::of(self.program("relctl", variables).arg("status")).code;
        eventually("it answers", || (status() == 0).then_some(()));
        assert!(self.path(root).join("reld.toml").is_file() && self.path(socket).exists());
        for folder in [&self.path(root), self.path(socket).parent().expect("it lies in a folder")] {
            let mode = fs::metadata(folder).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
        }
    }
}

#[test]
fn the_programs_of_a_plain_user_meet_in_the_users_own_folders() {
    let user = PlainUser::new();
    let variables = [("XDG_STATE_HOME", "state"), ("XDG_RUNTIME_DIR", "run")];
    user.meets(&variables, "state/reld", "run/reld/reld.sock");
    user.meets(&[], "home/.local/state/reld", "home/.local/state/reld/reld.sock");
    let another = [("RELD_SOCKET", "elsewhere"), variables[1]];
    let missed = Run::of(user.program("relctl", &another).arg("status")).expect(3).stderr;
    let words = ["cannot reach a daemon on ", "/elsewhere", "name its socket with --socket or RELD_SOCKET"];
    assert_contains(&missed, &words);
}
