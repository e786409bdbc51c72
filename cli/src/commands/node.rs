//! A throw-away node: its root, its socket and its log are in one temporary folder.

use std::env;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reld_api::{Client, ErrorCode, ErrorReport, ExitCode};
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::error::Failure;

/// The time limit for the start and for the stop of the daemon.
const PATIENCE: Duration = Duration::from_secs(30);

/// The number of log lines that an error shows.
const LOG_LINES: usize = 20;

/// A running daemon. It is killed if this value is dropped without [`stop`](Node::stop).
#[derive(Debug)]
pub(super) struct Node {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
    /// Reads the notifications after readiness; the daemon would log a warning for each that it
    /// cannot send.
    notifications: JoinSet<()>,
}

impl Node {
    /// Starts a daemon with its root, socket and log in the folder, and waits for its readiness
    /// notification, as systemd does.
    pub(super) async fn start(reld: &Path, folder: &Path, options: &[&str]) -> Result<Self, Failure> {
        let (socket, log, notify) =
            (folder.join("reld.sock"), folder.join("reld.log"), folder.join("notify.sock"));
        let ready = UnixDatagram::bind(&notify)
            .map_err(|fault| Failure::io("listen on", notify.display(), &fault))?;
        let output = File::create(&log).map_err(|fault| Failure::io("write", log.display(), &fault))?;
        let error = output.try_clone().map_err(|fault| Failure::io("write", log.display(), &fault))?;
        let relctl = env::current_exe().map_err(|fault| Failure::io("find", "relctl", &fault))?;
        let child = Command::new(relctl)
            .args(["tied", "--"])
            .arg(reld)
            .arg("--root")
            .arg(folder.join("root"))
            .arg("--socket")
            .arg(&socket)
            .arg("--trust")
            .arg(no_signatures(folder)?)
            .args(options)
            .env("NOTIFY_SOCKET", &notify)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(error)
            .kill_on_drop(true)
            .spawn()
            .map_err(|fault| Failure::io("start", reld.display(), &fault))?;
        let mut node = Self { child, socket, log, notifications: JoinSet::new() };
        node.wait_until_ready(&ready).await?;
        node.notifications.spawn(async move {
            let mut buffer = [0; 1024];
            while ready.recv(&mut buffer).await.is_ok() {}
        });
        Ok(node)
    }

    pub(super) fn client(&self) -> Client {
        Client::new(&self.socket)
    }

    /// Waits until the daemon ends by itself, and returns the failure.
    pub(super) async fn ended(&mut self) -> Failure {
        match self.child.wait().await {
            Ok(status) => self.complain(&format!("the node ended with {status}")),
            Err(fault) => Failure::io("wait for", "the node", &fault),
        }
    }

    /// Stops the daemon with SIGTERM and waits for its end.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        // If there is no pid, the daemon has already ended, and `wait` returns its status.
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            kill(Pid::from_raw(pid), Signal::SIGTERM)
                .map_err(|errno| Failure::io("stop", "the node", &errno.into()))?;
        }
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(self.complain(&format!("the node ended with {status}"))),
            Ok(Err(fault)) => Err(Failure::io("wait for", "the node", &fault)),
            Err(_) => Err(self.complain(&format!("the node did not stop within {PATIENCE:?}"))),
        }
    }

    async fn wait_until_ready(&mut self, notify: &UnixDatagram) -> Result<(), Failure> {
        let outcome = tokio::select! {
            ready = timeout(PATIENCE, ready(notify)) => ready.map_err(|_| format!("it was not ready within {PATIENCE:?}")),
            ended = self.child.wait() => Err(ended.map_or_else(|fault| fault.to_string(), |status| format!("it ended with {status}"))),
        };
        outcome.map_err(|why| self.complain(&format!("the node did not start: {why}")))
    }

    /// Returns a failure with the end of the daemon's log.
    fn complain(&self, message: &str) -> Failure {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        ErrorReport::new(ErrorCode::NodeEnded, format!("{message}\n{tail}"), ExitCode::Bug).into()
    }
}

/// Waits for `READY=1`. If the socket fails, this never returns, and the caller's deadline applies.
async fn ready(notify: &UnixDatagram) {
    let mut buffer = [0; 1024];
    while let Ok(size) = notify.recv(&mut buffer).await {
        if buffer[..size].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
            return;
        }
    }
    std::future::pending::<()>().await;
}

/// Writes a policy that requires no signatures: the node of a demo or a developer runs releases
/// that were just built, whatever the machine requires of its own node.
fn no_signatures(folder: &Path) -> Result<PathBuf, Failure> {
    let policy = folder.join("trust.toml");
    let write = || {
        fs::write(&policy, "require = \"off\"\n")?;
        // A daemon trusts no policy that others can write or replace.
        fs::set_permissions(&policy, Permissions::from_mode(0o600))?;
        fs::set_permissions(folder, Permissions::from_mode(0o700))
    };
    write().map_err(|fault| Failure::io("write", policy.display(), &fault))?;
    Ok(policy)
}
