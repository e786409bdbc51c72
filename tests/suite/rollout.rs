//! Rollouts from CI with `packaging/ci/rollout.sh` and its wrappers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reld_api::ErrorBody;
use reld_api::response::{Checked, Outcome, ReleaseStatus, Report};
use reld_tests::tools::need;
use reld_tests::{Node, Run, assert_contains, eventually, exactly, folder, release};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use crate::settle::{beside, end};

/// An `ssh` that runs the command here. Of each of these commands it loses the first answer.
const SSH: &str = r#"#!/bin/sh
for line in "$@"; do :; done
for command in $LOSES; do
    case $line in *"'$command'"*)
        if mkdir "$(dirname "$0")/$command" 2>/dev/null; then
            sh -c "$line" >/dev/null 2>&1
            exit 255
        fi ;;
    esac
done
exec sh -c "$line"
"#;

/// A CI job: a working folder with an `ssh`, and a node that runs stage 1.0.0.
struct Job {
    node: Node,
    folder: TempDir,
}

impl Job {
    fn new() -> Self {
        let node = Node::start();
        node.ok(&["upgrade", &release("stage-1.0.0")]);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let ssh = folder.path().join("ssh");
        fs::write(&ssh, SSH).expect("the folder can be written");
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).expect("the file can be changed");
        Self { node, folder }
    }

    /// Returns a command in the working folder of the job.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let path = std::env::var("PATH").expect("there is a PATH");
        let mut command = Command::new(program.as_ref());
        command
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", self.folder.path().display()))
            .env("RELD_SOCKET", self.node.socket())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn rollout(&self, version: &str, options: &[&str]) -> Command {
        let mut script = self.command(script());
        script.arg("--relctl").arg(Node::relctl_program()).args(options).arg(tarball(version));
        script
    }

    fn run(&self, version: &str, options: &[&str]) -> Run {
        Run::of(&mut self.rollout(version, options))
    }

    fn begin(&self, version: &str, options: &[&str]) -> Child {
        self.rollout(version, options).spawn().expect("the script can be run")
    }

    /// Reads a report that the rollout has left.
    fn kept<T: DeserializeOwned + Serialize>(&self, file: &str) -> T {
        let path = self.folder.path().join("rollout").join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        exactly(&serde_json::from_str(&text).expect("a report is JSON"))
    }

    fn await_settling(&self, version: &str) {
        let settles = || (self.node.status().settling.as_deref() == Some(version)).then_some(());
        eventually("it settles", settles);
    }

    #[track_caller]
    fn check_runs(&self, version: &str) {
        let release = self.node.status().release.expect("a release runs");
        assert_eq!((release.version.as_str(), release.status), (version, ReleaseStatus::Permanent));
    }
}

pub(crate) fn script() -> PathBuf {
    folder("packaging/ci/rollout.sh")
}

fn tarball(version: &str) -> String {
    release(&format!("stage-{version}"))
}

/// Cancels a job as a CI system does.
pub(crate) fn cancel(job: &Child) {
    let id = i32::try_from(job.id()).expect("a process id");
    kill(Pid::from_raw(id), Signal::SIGTERM).expect("the script can be signalled");
}

#[test]
fn a_rollout_commits_a_good_release_and_its_repetition_changes_nothing() {
    let job = Job::new();
    let options = ["--host", "node1", "--settle", "0", "--probe", "test \"$RELD_TO\" = '2.0.0'"];
    let done = job.run("2.0.0", &options).expect(0);
    assert_contains(&done.stderr, &["checking release 2.0.0", "release 2.0.0 is permanent"]);
    job.check_runs("2.0.0");
    assert!(!job.kept::<Checked>("check.json").script.is_empty());
    let report: Report = job.kept("report.json");
    assert_eq!((report.outcome, report.committed, report.to.as_str()), (Outcome::Installed, true, "2.0.0"));

    let again = job.run("2.0.0", &options).expect(0);
    assert_contains(&again.stderr, &["release 2.0.0 ran already", "release 2.0.0 is permanent"]);
    assert!(!job.kept::<Report>("report.json").changed);

    job.node.ok(&["downgrade", "1.0.0", "--no-commit"]);
    job.run("1.0.0", &["--settle", "0"]).expect(0);
    job.check_runs("1.0.0");
    for wrong in [&["--settle", "soon"][..], &["--host"], &["--colour", "red"]] {
        assert_contains(&job.run("2.0.0", wrong).expect(2).stderr, &["rollout.sh [--host HOST]"]);
    }
}

#[test]
fn a_rollout_that_is_refused_or_fails_leaves_the_node_with_its_release_and_keeps_the_reason() {
    let job = Job::new();
    let refused = job.run("3.0.0", &[]).expect(1);
    assert_contains(&refused.stderr, &["error[", "refused: the node is unchanged"]);
    assert_eq!(u8::from(job.kept::<ErrorBody>("check.json").error.exit_code), 1);
    job.check_runs("1.0.0");

    let failed = job.run("2.0.0", &["--settle", "0", "--probe", "echo it leaks; false"]).expect(4);
    assert_contains(&failed.stderr, &["it leaks", "failed: the node runs the previous release"]);
    assert_eq!(job.kept::<ErrorBody>("report.json").error.kind, "taken_back");
    job.check_runs("1.0.0");
    job.run("2.0.0", &["--settle", "0"]).expect(0);
}

#[test]
fn a_rollout_that_loses_its_node_learns_the_outcome_and_never_orders_twice() {
    let mut job = Job::new();
    let orders = |job: &Job| job.node.json(&["history"])["entries"].as_array().map(Vec::len);
    let before = orders(&job);
    let mut lossy = job.rollout("2.0.0", &["--host", "node1", "--settle", "0", "--probe", "false"]);
    let failed = Run::of(lossy.env("LOSES", "upgrade --detach attach")).expect(3);
    assert_contains(&failed.stderr, &["no answer from the node"]);
    assert_eq!(orders(&job), before, "the dry run was lost, and nothing was ordered");
    let failed = Run::of(lossy.env("LOSES", "--detach attach")).expect(4);
    assert_contains(&failed.stderr, &["the node is lost; trying again", "the probe exited with 1"]);
    assert_eq!(orders(&job), before.map(|number| number + 1));
    job.check_runs("1.0.0");

    // The daemon itself is lost: the node boots the permanent release.
    let lost = job.begin("2.0.0", &["--settle", "600"]);
    job.await_settling("2.0.0");
    job.node.kill_9_and_restart();
    assert_contains(&end(lost).expect(3).stderr, &["the outcome of the upgrade to 2.0.0 is not known"]);
    job.check_runs("1.0.0");
    job.node.kill_9();
    assert_contains(&job.run("2.0.0", &["--timeout", "0"]).expect(3).stderr, &["no answer from the node"]);
}

#[test]
fn a_cancelled_rollout_is_taken_back_and_can_be_repeated() {
    let job = Job::new();
    let rollout = job.begin("2.0.0", &["--host", "node1", "--settle", "600"]);
    job.await_settling("2.0.0");
    cancel(&rollout);
    let ended = end(rollout).expect(4);
    assert_contains(&ended.stderr, &["rollout: cancelled", "aborted by the operator"]);
    assert_eq!(job.kept::<ErrorBody>("report.json").error.kind, "taken_back");
    job.check_runs("1.0.0");

    // While another order is under way the rollout has ordered nothing, and cancels nothing.
    let upgrade = beside(&job.node, &["upgrade", "2.0.0", "--settle", "600"]);
    job.await_settling("2.0.0");
    let rollout = job.begin("2.0.0", &[]);
    let asks =
        || fs::metadata(job.folder.path().join("rollout/status.json")).ok().filter(|file| file.len() == 0);
    eventually("the rollout waits", asks);
    cancel(&rollout);
    assert_contains(&end(rollout).expect(1).stderr, &["rollout: cancelled", "the node is unchanged"]);
    assert_eq!(job.node.status().settling.as_deref(), Some("2.0.0"));
    job.node.ok(&["commit"]);
    end(upgrade).expect(0);
    job.run("2.0.0", &["--settle", "0"]).expect(0);
}

/// Returns the lines of a block in a YAML file that are indented deeper than its first line.
pub(crate) fn block(yaml: &str, first: &str) -> String {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut lines = yaml.lines().skip_while(|line| !line.trim_start().starts_with(first));
    let head = lines.next().unwrap_or_else(|| panic!("no {first:?}"));
    let body = lines.take_while(|line| depth(line) > depth(head));
    body.map(|line| line.trim_start().to_owned() + "\n").collect()
}

pub(crate) fn read(file: &str) -> String {
    fs::read_to_string(folder(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn the_github_action_and_the_gitlab_job_run_the_script_with_their_inputs() {
    let job = Job::new();
    let relctl = Node::relctl_program().display().to_string();
    let inputs = |failing: bool| {
        let probe = if failing { "false" } else { "test $RELD_TO = 2.0.0" };
        [("HOST", "node1"), ("RELCTL", &relctl), ("SETTLE", "0"), ("PROBE", probe), ("TIMEOUT", "60")]
            .map(|(name, value)| (name, value.to_owned()))
    };

    let action = read("packaging/ci/github/action.yml");
    let mut step = job.command("sh");
    step.args(["-e", "-c", &block(&action, "run: |")]);
    step.env("GITHUB_ACTION_PATH", folder("packaging/ci/github")).env("TARBALL", tarball("2.0.0"));
    assert_contains(&Run::of(step.envs(inputs(true))).expect(4).stderr, &["the probe exited with 1"]);
    assert_contains(&Run::of(step.envs(inputs(false))).expect(0).stderr, &["release 2.0.0 is permanent"]);
    let (names, given) = (block(&action, "inputs:"), block(&action, "env:"));
    for name in given.lines().filter_map(|line| line.split_once("inputs.")?.1.split(' ').next()) {
        assert!(names.lines().any(|line| line == format!("{name}:")), "no input {name}");
    }

    job.node.ok(&["downgrade", "1.0.0"]);
    let template = read("packaging/ci/gitlab.yml");
    let line = block(&template, "- >-").replace('\n', " ");
    let mut command = job.command("sh");
    command.args(["-e", "-c", &line]).env("RELD_ROLLOUT", script()).env("RELD_TARBALL", tarball("2.0.0"));
    let prefixed = |failing| inputs(failing).map(|(name, value)| (format!("RELD_{name}"), value));
    assert_contains(&Run::of(command.envs(prefixed(true))).expect(4).stderr, &["the probe exited with 1"]);
    Run::of(command.envs(prefixed(false))).expect(0);
    let variables = block(&template, "variables:");
    for (name, _) in prefixed(false) {
        assert!(variables.contains(&format!("{name}: ")), "no variable {name}");
    }
}

/// The scripts for operators and for tests.
const SCRIPTS: &[&str] = &[
    "packaging/ci/rollout.sh",
    "packaging/install",
    "packaging/debian/build",
    "packaging/debian/postinst",
    "packaging/debian/prerm",
    "packaging/debian/postrm",
    "tests/systemd/machine",
    "tests/systemd/packages",
    "tests/systemd/unit",
];

#[test]
fn the_scripts_and_the_ansible_role_pass_their_linters() {
    if let Some(shellcheck) = need("shellcheck") {
        Run::of(Command::new(shellcheck).args(SCRIPTS).current_dir(folder(""))).expect(0);
    }
    if let Some(lint) = need("ansible-lint") {
        let mut lint = Command::new(lint);
        lint.args(["--offline", "--strict", "."]).current_dir(folder("packaging/ci/ansible"));
        Run::of(&mut lint).expect(0);
    }
}

#[test]
fn the_ansible_role_moves_one_node_after_the_other_and_ends_with_the_first_failure() {
    let Some(playbook) = need("ansible-playbook") else { return };
    let (one, two) = (Job::new(), Job::new());
    let host = |name: &str, job: &Job| {
        let relctl = format!("{} --socket {}", Node::relctl_program().display(), job.node.socket().display());
        format!("{name} ansible_connection=local reld_rollout_relctl=\"{relctl}\"\n")
    };
    let inventory = one.folder.path().join("inventory");
    let python = "ansible_python_interpreter='{{ ansible_playbook_python }}'";
    fs::write(&inventory, format!("[reld]\n{}{}", host("one", &one), host("two", &two)))
        .expect("the folder can be written");
    let play = |probe: &str| {
        let mut play = one.command(&playbook);
        play.arg("-i").arg(&inventory).arg(folder("packaging/ci/ansible/rollout.yml"));
        play.args(["-e", &format!("ansible_become=false reld_rollout_settle=0 {python}")]);
        play.args(["-e", &format!("reld_rollout_tarball={}", tarball("2.0.0"))]);
        play.args(["-e", &format!("reld_rollout_probe='{probe}'")]);
        play.args(["-e", &format!("reld_rollout_report={}", one.folder.path().join("reports").display())]);
        Run::of(&mut play)
    };
    assert_contains(&play("false").expect(2).stdout, &["the probe exited with 1"]);
    one.check_runs("1.0.0");
    two.check_runs("1.0.0");
    assert_eq!(two.node.releases().len(), 1, "the second node got nothing");
    let report = fs::read_to_string(one.folder.path().join("reports/one/report.json"));
    assert_contains(&report.expect("the report was fetched"), &["taken_back"]);
    play("true").expect(0);
    one.check_runs("2.0.0");
    two.check_runs("2.0.0");
}
