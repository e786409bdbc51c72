//! A node of its own for one test.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use reld_api::response::NodeStatus;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::build::programs;
use crate::run::{Run, eventually};

/// A daemon in a root of its own. Dropping this value kills it. The kernel also kills it when the
/// thread that started it ends, so a killed test or benchmark leaves no node behind.
#[derive(Debug)]
pub struct Node {
    folder: TempDir,
    daemon: Child,
    under: Vec<String>,
    options: Vec<String>,
    environment: Vec<(String, String)>,
    /// The destination of the log. If it is absent, the log is a file in the node's folder.
    stderr: Option<OwnedFd>,
}

impl Node {
    /// Starts an idle node and waits until it answers.
    pub fn start() -> Self {
        Self::start_under(&[], &[], &[])
    }

    /// Starts an idle node with these options of the daemon and waits until it answers.
    pub fn start_with(options: &[&str]) -> Self {
        Self::start_under(&[], options, &[])
    }

    /// Starts an idle node with these variables in its environment and waits until it answers.
    pub fn start_in(environment: &[(&str, &str)]) -> Self {
        Self::start_under(&[], &[], environment)
    }

    /// Starts an idle node that logs everything as JSON to `stderr`, and waits until it answers.
    pub fn start_logging_to(stderr: impl Into<OwnedFd>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self::begin(folder, &[], &["--log-json"], &[("RELD_LOG", "debug")], Some(stderr.into()))
    }

    /// Starts an idle node with its root and its log below a folder, and waits until it answers.
    pub fn start_below(folder: &Path) -> Self {
        let folder = tempfile::tempdir_in(folder).expect("a temporary folder can be made there");
        Self::begin(folder, &[], &[], &[], None)
    }

    /// Starts an idle node under another command, and waits until the node answers. The command
    /// must exec the daemon in its own OS process.
    pub fn start_under(command: &[&str], options: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self::begin(folder, command, options, environment, None)
    }

    fn begin(
        folder: TempDir,
        command: &[&str],
        options: &[&str],
        environment: &[(&str, &str)],
        stderr: Option<OwnedFd>,
    ) -> Self {
        let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let variable = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let (under, options) = (owned(command), owned(options));
        let environment: Vec<_> = environment.iter().map(variable).collect();
        let daemon = spawn(folder.path(), &under, &options, &environment, stderr.as_ref());
        let mut node = Self { folder, daemon, under, options, environment, stderr };
        node.await_answer();
        node
    }

    /// Waits until the daemon answers and its permanent release runs.
    pub fn await_answer(&mut self) {
        eventually("the daemon answers", || {
            let ended = self.daemon.try_wait().expect("the daemon can be watched");
            assert_eq!(ended, None, "the daemon ended:\n{}", self.log());
            let status = self.run(&["status", "--json"]);
            // A booting daemon answers before its permanent release runs, and refuses orders until
            // then.
            let status: NodeStatus = (status.code == 0).then(|| status.read())?;
            let runs = status.permanent.is_none() || status.release.is_some();
            (runs && status.order.is_none()).then_some(())
        });
    }

    /// Kills the daemon as a power cut would, and starts it again.
    pub fn kill_9_and_restart(&mut self) {
        self.kill_9();
        self.start_again();
        self.await_answer();
    }

    /// Kills the daemon without a chance to clean up.
    pub fn kill_9(&mut self) {
        self.daemon.kill().expect("the daemon can be killed");
        self.daemon.wait().expect("a killed daemon ends");
    }

    /// Starts a daemon in place of one that has ended, and does not wait for it.
    pub fn start_again(&mut self) {
        let (under, options) = (&self.under, &self.options);
        self.daemon = spawn(self.folder.path(), under, options, &self.environment, self.stderr.as_ref());
    }

    /// Waits until the daemon has ended by itself.
    pub fn ended(&mut self) -> ExitStatus {
        eventually("the daemon ends", || self.daemon.try_wait().expect("the daemon can be watched"))
    }

    /// Sends SIGTERM to the daemon and waits for it.
    pub fn terminate(&mut self) -> ExitStatus {
        let pid = self.daemon.id().to_string();
        Run::of(Command::new("kill").args(["-TERM", &pid])).expect(0);
        self.daemon.wait().expect("a daemon that got SIGTERM ends")
    }

    /// Returns the OS process id of the daemon.
    pub fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// Returns the libraries of apps that the kernel has mapped into the daemon.
    pub fn mapped(&self) -> BTreeSet<String> {
        let maps = std::fs::read_to_string(format!("/proc/{}/maps", self.id())).expect("the daemon lives");
        let paths = maps.lines().filter_map(|line| line.split_once('/').map(|(_, path)| path.to_owned()));
        paths.filter(|path| path.contains(".loaded.so")).collect()
    }

    /// Returns the resident memory of the daemon, exact to a page. `/proc/PID/status` is exact only
    /// to some hundred pages.
    pub fn resident_kb(&self) -> f64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.id())).expect("the daemon lives");
        let line = status.lines().find_map(|line| line.strip_prefix("Rss:"));
        let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        number.expect("the kernel reports the resident memory")
    }

    /// Returns a command that starts a daemon on a root. The caller has to add the socket option.
    pub fn daemon_in(root: &Path) -> Command {
        let mut reld = Command::new(&programs().reld);
        reld.arg("--root").arg(root).stdin(Stdio::null());
        reld
    }

    /// Returns the path of relctl.
    pub fn relctl_program() -> &'static Path {
        &programs().relctl
    }

    /// Returns a relctl command for this node, for tests that do not wait for it.
    pub fn relctl(&self, args: &[&str]) -> Command {
        let mut relctl = Command::new(Self::relctl_program());
        relctl.env("RELD_SOCKET", self.socket()).args(args).stdin(Stdio::null());
        relctl
    }

    /// Runs relctl against this node.
    pub fn run(&self, args: &[&str]) -> Run {
        Run::of(&mut self.relctl(args))
    }

    /// Runs relctl, which must succeed.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> Run {
        self.run(args).expect(0)
    }

    /// Runs relctl, which must succeed, and returns its raw JSON. Only tests of the wire format
    /// need it; all others use the typed readers.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        self.ok(&[&["--json"], args].concat()).json()
    }

    /// Returns the node's root.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Returns the path of the node's socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Returns the page of metrics, read from the node's socket as Prometheus would.
    pub fn metrics(&self) -> String {
        let mut socket = UnixStream::connect(self.socket()).expect("the daemon listens");
        let request = "GET /metrics HTTP/1.1\r\nHost: reld\r\nConnection: close\r\n\r\n";
        socket.write_all(request.as_bytes()).expect("the daemon reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("the daemon answers");
        let is_text = answer.starts_with("HTTP/1.1 200") && answer.contains("text/plain; version=0.0.4");
        assert!(is_text, "{answer}");
        answer
    }

    /// Returns a metric by its name and labels.
    #[track_caller]
    pub fn metric(&self, name: &str) -> u64 {
        let page = self.metrics();
        let number = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        number.unwrap_or_else(|| panic!("no {name} in {page}"))
    }

    /// Returns the daemon's log, including the output of apps.
    pub fn log(&self) -> String {
        // Logged lines may still wait to be written.
        let is_written = || self.metrics().contains("\nreld_log_waiting_lines 0\n").then_some(());
        if UnixStream::connect(self.socket()).is_ok() {
            eventually("the log is written", is_written);
        }
        self.written()
    }

    /// Returns the written part of the log. A running daemon may have more lines to write.
    pub fn written(&self) -> String {
        std::fs::read_to_string(log(self.folder.path())).unwrap_or_default()
    }
}

/// Converts a pid to the form in which apps deserialize it.
pub fn pid_value(pid: &str) -> Value {
    let numbers: Vec<u64> = pid.trim_matches(['<', '>']).split('.').filter_map(|n| n.parse().ok()).collect();
    json!({"slot": numbers[0], "generation": numbers[1]})
}

fn log(folder: &Path) -> PathBuf {
    folder.join("log")
}

fn spawn(
    folder: &Path,
    under: &[String],
    options: &[String],
    environment: &[(String, String)],
    stderr: Option<&OwnedFd>,
) -> Child {
    let log = File::options().create(true).append(true).open(log(folder)).expect("a log can be written");
    let printed = log.try_clone().expect("a file can be opened twice");
    let stderr = stderr.map_or(Ok(log.into()), OwnedFd::try_clone).expect("a descriptor can be copied");
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .args(under)
        .arg(&programs().reld)
        .arg("--root")
        .arg(folder.join("root"))
        .arg("--socket")
        .arg(folder.join("socket"))
        .args(options)
        .envs(environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(printed)
        .stderr(stderr)
        .spawn()
        .expect("the daemon can be run")
}

impl Drop for Node {
    fn drop(&mut self) {
        // A test that failed half-way may have killed the daemon already.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
