//! Rollouts over three nodes (S118 to S120, S124, S125). The ssh command is a script that runs a
//! line in a local shell, and that a file can cut.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reld_api::ErrorReport;
use reld_api::response::{HistoryList, Outcome};
use reld_tests::{Node, Run, assert_contains, eventually, release};
use serde_json::Value;
use tempfile::TempDir;

use crate::fetch::serve;

const HOSTS: [&str; 3] = ["n1", "n2", "n3"];

/// Runs LINE with the socket of HOST, and logs it. While the file HOST.cut exists, the line to the
/// host is cut: the command goes on there, and ssh reports a fault.
const SSH: &str = r#"#!/bin/sh
while [ "$1" = -o ]; do shift 2; done
here=$(dirname "$0")
cut=$here/$1.cut
fault() { echo "ssh: connect to host $1: No route to host" >&2; exit 255; }
[ -e "$cut" ] && fault "$1"
export RELD_SOCKET="$here/$1.socket"
case $2 in *" upgrade "* | *" downgrade "*) word=${2#relctl --json }; echo "$1 ${word%% *}" >>"$here/log" ;; esac
exec 3<&0
sh -c "$2" <&3 &
while kill -0 $! 2>/dev/null; do
    [ -e "$cut" ] && fault "$1"
    sleep 0.02
done
wait $!
code=$?
[ -n "$word" ] && echo "$1 end" >>"$here/log"
exit $code
"#;

/// Three nodes that run stage 1.0.0, and a rollout of 2.0.0.
pub(crate) struct Fleet {
    folder: TempDir,
    pub(crate) nodes: Vec<Node>,
}

impl Fleet {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let fleet = Self { nodes: HOSTS.map(|_| Node::start()).into(), folder };
        for (host, node) in HOSTS.iter().zip(&fleet.nodes) {
            let socket = fleet.path(&format!("{host}.socket"));
            std::os::unix::fs::symlink(node.socket(), socket).expect("the folder can be written");
            node.ok(&["upgrade", &release("stage-1.0.0")]);
        }
        fleet.write("hosts.txt", "n1  # the canary\nn2\nn3\n");
        fleet.program("ssh", SSH);
        fleet
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).expect("the folder can be written");
    }

    fn program(&self, file: &str, text: &str) {
        self.write(file, text);
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(file), mode).expect("the file can be changed");
    }

    pub(crate) fn remove(&self, file: &str) {
        fs::remove_file(self.path(file)).expect("the file exists");
    }

    /// Writes the policy, with these lines besides the release.
    pub(crate) fn policy(&self, lines: &str) {
        self.write("rollout.toml", &format!("release = '{}'\n{lines}\n", release("stage-2.0.0")));
    }

    /// Returns a command in the folder of the fleet, which finds `ssh` and `relctl` by their names.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let folder = self.folder.path();
        let programs = Node::relctl_program().parent().map(Path::to_owned).unwrap_or_default();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command.current_dir(folder).stdin(Stdio::null());
        command.env("PATH", format!("{}:{}:{path}", folder.display(), programs.display()));
        command
    }

    fn relctl(&self, verb: &str, options: &[&str]) -> Command {
        let mut relctl = self.command(Node::relctl_program());
        relctl.args(["--json", "rollout", verb]);
        if verb != "halt" {
            relctl.arg("rollout.toml");
            if !options.contains(&"--ssh") {
                relctl.args(["--ssh", "./ssh"]);
            }
        }
        relctl.args(["--hosts", "hosts.txt"]).args(options);
        relctl
    }

    pub(crate) fn run(&self, verb: &str, options: &[&str]) -> Run {
        Run::of(&mut self.relctl(verb, options))
    }

    fn begin(&self) -> Child {
        self.spawn(&mut self.relctl("start", &[]))
    }

    /// Starts a driver in the background. Its stderr goes to the file `progress`.
    pub(crate) fn spawn(&self, driver: &mut Command) -> Child {
        let progress = fs::File::create(self.path("progress")).expect("the folder can be written");
        driver.stdout(Stdio::piped()).stderr(progress).spawn().expect("the driver can be run")
    }

    pub(crate) fn await_settling(&self, node: usize) {
        eventually("it settles", || self.nodes[node].status().settling);
    }

    pub(crate) fn await_progress(&self, part: &str) {
        let progress = || fs::read_to_string(self.path("progress")).unwrap_or_default();
        eventually(part, || progress().contains(part).then_some(()));
    }

    /// Returns the orders that the hosts got, each with its end.
    fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    pub(crate) fn versions(&self) -> Vec<String> {
        self.nodes.iter().map(Node::version).collect()
    }

    pub(crate) fn trouble(&self, node: usize, trouble: &str) {
        let pid = self.nodes[node].pid("stage", "a");
        self.nodes[node].ok(&["cast", &pid, &format!(r#"{{"trouble": {trouble}}}"#)]);
    }
}

/// Reads the error of a rollout. Returns it, and the state of each node.
fn halted(run: &Run) -> (ErrorReport, Vec<String>) {
    let error = run.error();
    assert_eq!(error.kind, "halted", "{error:?}");
    let states = states(&error.details);
    (error, states)
}

pub(crate) fn states(report: &Value) -> Vec<String> {
    let nodes = report["nodes"].as_array().expect("a report has nodes");
    nodes.iter().map(|node| node["state"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn s118_s124_s125_a_rollout_waits_for_a_silent_node_goes_in_order_and_is_halted_by_hand() {
    let fleet = Fleet::start();
    fleet.policy("waves = ['50%', '100%']\nprobe = './smoke.sh'");
    fleet.program("smoke.sh", "#!/bin/sh\ntest \"$RELD_TO\" = 2.0.0\n");
    let status = fleet.run("status", &[]).expect(1).json();
    assert_eq!(status["outcome"], "not_begun");
    assert!(status["nodes"][0].get("since").is_none(), "a node that waits has not changed: {status}");
    fleet.write("n3.cut", "");
    let missing = fleet.run("start", &["--ssh", "./no-ssh -q"]).expect(1).error();
    assert_eq!(missing.message, "cannot reach a host: there is no program ./no-ssh");
    fleet.write("hosts.txt", "n1\n-oProxyCommand=x\n");
    assert_contains(&fleet.run("start", &[]).expect(1).error().message, &["line 2 begins with `-`"]);
    fleet.write("hosts.txt", "n1  # the canary\nn2\nn3\n");
    let driver = fleet.begin();
    fleet.await_progress("waits for n3: unreachable since 2");
    fleet.await_progress("No route to host");
    let status = fleet.run("status", &[]).expect(0).json();
    assert_eq!((status["outcome"].as_str(), states(&status)[2].as_str()), (Some("running"), "unreachable"));
    let second = fleet.run("start", &[]).expect(1).error();
    assert_eq!(second.kind, "rolling_out");
    assert_contains(&second.message, &["stage-2.0.0-", " runs, started by ", " at 2", "process "]);
    assert_contains(&fleet.run("halt", &[]).expect(0).stdout, &["stage-2.0.0-"]);
    let ended = driver.wait_with_output().expect("relctl ends");
    assert_eq!(ended.status.code(), Some(1), "no node has moved");
    assert_eq!(fleet.log(), [""; 0], "no order has begun");

    let driver = fleet.begin();
    fleet.await_progress("waits for n3");
    Run::of(Command::new("kill").args(["-TERM", &driver.id().to_string()])).expect(0);
    let cancelled = driver.wait_with_output().expect("relctl ends");
    assert_eq!(cancelled.status.code(), Some(1));
    assert_contains(&String::from_utf8_lossy(&cancelled.stdout), &["interrupted: the driver got SIGTERM"]);
    let status = fleet.run("status", &[]).expect(1).json();
    assert_eq!(status["outcome"], "halted", "no rollout seems to run after a cancelled job");
    fleet.policy("waves = ['50%', '100%']\nprobe = './smoke.sh'\ndeadline = '1s'");
    let (error, _) = halted(&fleet.run("start", &[]).expect(1));
    assert_contains(&error.message, &["the deadline is over; it waited for n3"]);

    fleet.policy("waves = ['50%', '100%']\nprobe = './smoke.sh'");
    let report = fleet.run("start", &["--skip", "n3"]).expect(0).json();
    assert_eq!(states(&report), ["committed", "committed", "skipped"]);
    assert_eq!(fleet.log(), ["n1 upgrade", "n1 end", "n2 upgrade", "n2 end"], "one after the other");
    let journal = fs::read_to_string(fleet.path("hosts.txt.rollout")).expect("there is a journal");
    assert_contains(&journal, &[r#""what":"halt""#, r#""skip":["n3"]"#, r#""outcome":"done""#]);
    fleet.remove("n3.cut");
    assert_eq!(fleet.versions(), ["2.0.0", "2.0.0", "1.0.0"]);
    fleet.write("rollout.toml", "release = 'gopher://h/a.tar.gz'");
    assert_contains(&fleet.run("start", &[]).expect(1).error().message, &["it must begin with https://"]);
    // The same content from a URL is the same rollout. The last node fetches it.
    let server = serve("stage-2.0.0");
    fleet.write("rollout.toml", &format!("release = '{}'", server.url));
    let report = fleet.run("start", &[]).expect(0);
    assert_eq!(fleet.log()[4..], ["n3 upgrade", "n3 end"]);
    assert_eq!(server.ranges().len(), 2, "the driver and one node");
    assert!(!report.stdout.contains("secret") && !fleet.nodes[2].log().contains("secret"));
    fleet.run("start", &[]).expect(0);
    let status = fleet.run("status", &[]).expect(0).json();
    assert_eq!((status["outcome"].as_str(), fleet.log().len()), (Some("done"), 6), "nothing is left to do");
    let id = status["rollout"].as_str().expect("a rollout has a name");
    for node in &fleet.nodes {
        let history = node.read::<HistoryList>(&["history", "--rollout", id]).entries;
        let [entry] = history.as_slice() else { panic!("{history:?}") };
        assert_eq!((entry.outcome, entry.committed), (Outcome::Installed, true));
        assert_contains(&node.log(), &[&format!("in rollout {id}")]);
    }
    assert_contains(&fleet.run("halt", &[]).expect(0).stdout, &["null"]);
}

#[test]
fn s119_a_failed_node_halts_the_rollout_and_the_others_are_taken_back_on_order_or_by_policy() {
    let fleet = Fleet::start();
    fleet.policy("");
    fleet.trouble(1, r#""fail""#);
    let halt = fleet.run("start", &[]).expect(6);
    assert!(!halt.stderr.contains("canary"), "{}", halt.stderr);
    let (error, seen) = halted(&halt);
    assert_eq!(seen, ["committed", "failed", "waiting"]);
    assert_contains(&error.message, &["halted: failed: n2"]);
    assert_contains(&error.causes.join("\n"), &["n2 failed: ", "change_code"]);
    assert_eq!(error.step.and_then(|step| step.kind).as_deref(), Some("change_code"));
    assert_eq!(fleet.versions(), ["2.0.0", "1.0.0", "1.0.0"]);
    assert_eq!(fleet.log(), ["n1 upgrade", "n1 end", "n2 upgrade", "n2 end"]);
    let status = fleet.run("status", &[]).expect(6).json();
    assert_eq!(status["nodes"][1]["state"], "failed");
    assert_eq!(status["nodes"][1]["step"]["kind"], "change_code");

    let report = fleet.run("take-back", &[]).expect(4).json();
    assert_eq!(report["outcome"], "taken_back");
    assert_eq!(fleet.versions(), ["1.0.0"; 3]);
    let status = fleet.run("status", &[]).expect(4).json();
    assert_eq!((status["outcome"].as_str(), states(&status)), (Some("taken_back"), vec!["back".into(); 3]));
    let back = fleet.nodes[0].read::<HistoryList>(&["history"]).entries.pop();
    let ended = back.and_then(|entry| entry.ended).expect("the downgrade has ended");
    assert_eq!(status["nodes"][0]["since"], ended, "the time of the state, not of the question");
    assert_eq!(fleet.log()[4..], ["n1 downgrade", "n1 end"]);

    fleet.policy("on_failure = 'take_back'");
    let report = fleet.run("start", &[]).expect(4).json();
    assert_contains(&report["why"].to_string(), &["failed: n2"]);
    assert_eq!(fleet.versions(), ["1.0.0"; 3]);
    let orders = fleet.log()[6..].join(", ");
    assert_eq!(orders, "n1 upgrade, n1 end, n2 upgrade, n2 end, n1 downgrade, n1 end");

    fleet.trouble(1, "null");
    fleet.policy("canary = 99");
    let done = fleet.run("start", &[]).expect(0);
    assert_contains(&done.stderr, &["warning: `canary` covers all 3 nodes"]);
    assert_eq!(fleet.versions(), ["2.0.0"; 3]);
}

#[test]
fn s120_nodes_end_their_upgrades_without_a_driver_and_a_later_one_goes_on() {
    let fleet = Fleet::start();
    let go = fleet.path("go");
    fleet.policy(&format!("probe = 'until [ -e {} ]; do sleep 0.02; done'", go.display()));
    let mut driver = fleet.begin();
    fleet.await_settling(0);
    driver.kill().expect("it can be killed");
    driver.wait().expect("a killed program ends");
    assert_eq!(fleet.run("status", &[]).expect(6).json()["nodes"][0]["state"], "upgrading");
    fleet.write("go", "");
    fleet.nodes[0].ok(&["wait", "--for", "committed"]);
    assert_eq!(fleet.versions(), ["2.0.0", "1.0.0", "1.0.0"], "no other node has begun");
    fleet.remove("go");

    // The second driver loses the line to a node that it upgrades.
    let driver = fleet.begin();
    fleet.await_settling(1);
    fleet.write("n2.cut", "");
    fleet.await_progress("n2: unreachable");
    fleet.write("go", "");
    fleet.nodes[1].ok(&["wait", "--for", "committed"]);
    assert_eq!(fleet.nodes[2].version(), "1.0.0", "a node that is lost uses up the budget");
    fleet.remove("n2.cut");
    let ended = driver.wait_with_output().expect("relctl ends");
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stdout));
    assert_eq!(fleet.versions(), ["2.0.0"; 3]);
    let begun: Vec<_> = fleet.log().into_iter().filter(|line| line.ends_with("upgrade")).collect();
    assert_eq!(begun, ["n1 upgrade", "n2 upgrade", "n3 upgrade"], "each has begun once");
}
