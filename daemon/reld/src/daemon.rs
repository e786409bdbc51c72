//! The life of the daemon: boot the permanent release, serve, stop in order, or start anew.

use std::os::unix::process::CommandExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use parking_lot::Mutex;
use reld_handler::{Abi, Limits, Outcome, Platform, Store};
use reld_loader::Loader;
use reld_runtime::Runtime;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::api_server::{self, Api};
use crate::config;
use crate::node::{RuntimeNode, Shared};
use crate::operator::{Handler, Operator};

/// How long all applications may take to stop. systemd's own limit is above it.
const STOP: Duration = Duration::from_secs(80);

/// How the daemon's life goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It serves.
    Serve,
    /// It stops.
    Stop,
    /// It stops and executes itself again, into the permanent release.
    Restart,
}

/// Runs the daemon until it is told to stop.
pub(crate) fn run(config: config::Daemon) -> anyhow::Result<()> {
    log(&config);
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let next = threads.block_on(serve(&config))?;
    // What is still served is cut off; the processes have stopped.
    threads.shutdown_timeout(Duration::from_secs(1));
    match next {
        Next::Restart => restart(),
        Next::Serve | Next::Stop => Ok(()),
    }
}

async fn serve(config: &config::Daemon) -> anyhow::Result<Next> {
    let store = Store::open(&config.root)
        .with_context(|| format!("the node's root {} cannot be used", config.root.display()))?;
    // The lock on the root is held from here on: nobody else changes it.
    let loader = Arc::new(Loader::start(&store.root().run_dir())?);
    reld_loader::verify_exports()?;
    let runtime = Runtime::new(pool_width(config));
    let shared = Arc::new(Mutex::new(Shared::default()));
    let run_dir = store.root().run_dir();
    let platform = platform()?;
    let node = RuntimeNode::new(runtime.clone(), Arc::clone(&loader), Arc::clone(&shared));
    let operator = Operator::start(Handler::new(node, store, platform.clone(), Limits::default()))?;
    let listener = api_server::bind(&config.socket)
        .with_context(|| format!("the socket {} cannot be opened", config.socket.display()))?;
    let (next, mut life) = watch::channel(Next::Serve);
    let api = Api {
        runtime: runtime.clone(),
        operator: operator.clone(),
        shared,
        platform,
        run_dir,
        started: Instant::now(),
        next: next.clone(),
    };
    let served = tokio::spawn(api_server::serve(listener, api));
    boot(&operator).await?;
    tracing::info!(name: "daemon.ready", root = %config.root.display(), socket = %config.socket.display(), "ready");
    notify(&[NotifyState::Ready]);
    let next = until_told(&mut life).await?;
    notify(&[NotifyState::Stopping]);
    stop(runtime).await;
    served.abort();
    // The next daemon replaces a socket that stays behind; a client sees sooner that nobody is there without it.
    let _ = std::fs::remove_file(&config.socket);
    Ok(next)
}

fn pool_width(config: &config::Daemon) -> usize {
    let cores = || std::thread::available_parallelism().map_or(2, usize::from);
    config.threads.map_or_else(cores, usize::from)
}

fn platform() -> anyhow::Result<Platform> {
    let host = reld_loader::host();
    Ok(Platform {
        target: format!("{}-unknown-linux-gnu", std::env::consts::ARCH),
        abi: Abi { major: host.abi_major, minor: host.abi_minor },
        reld: env!("CARGO_PKG_VERSION").parse().context("the daemon's own version")?,
    })
}

/// Boots the permanent release; without one the node is idle and ready.
async fn boot(operator: &Operator) -> anyhow::Result<()> {
    let board = operator.board();
    let Some(permanent) = board.releases.permanent().map(|release| release.version.to_string()) else {
        tracing::info!(name: "daemon.idle", "no release is permanent; the first upgrade boots one");
        return Ok(());
    };
    let mut observer = operator.observer(permanent);
    let booted = operator.order(move |handler| handler.boot(&mut observer)).await;
    match booted.map_err(|error| anyhow::anyhow!("{error}"))?? {
        Some(report) if report.outcome != Outcome::Installed => bail!("{report}"),
        _ => Ok(()),
    }
}

async fn until_told(life: &mut watch::Receiver<Next>) -> anyhow::Result<Next> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok(Next::Stop),
        _ = interrupt.recv() => Ok(Next::Stop),
        told = life.wait_for(|next| *next != Next::Serve) => Ok(*told?),
    }
}

/// Stops all applications, the one started last first.
async fn stop(runtime: Runtime) {
    let stopped = tokio::task::spawn_blocking(move || runtime.stop_all_applications(Instant::now() + STOP));
    for error in stopped.await.unwrap_or_default() {
        tracing::error!(name: "daemon.stop", %error, "an application did not stop in order");
    }
}

/// Executes the daemon again with the same arguments, in the same process.
fn restart() -> anyhow::Result<()> {
    tracing::info!(name: "daemon.restart", "the daemon executes itself again");
    let program = std::env::current_exe().context("the daemon's own file")?;
    let error = std::process::Command::new(program).args(std::env::args_os().skip(1)).exec();
    Err(error).context("the daemon could not be executed again")
}

/// Tells systemd; without it there is nobody to tell.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(name: "daemon.notify", %error, "the service manager was not told");
    }
}

fn log(config: &config::Daemon) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("RELD_LOG").unwrap_or_else(|_| "info".into());
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    if config.log_json {
        builder.json().init();
    } else {
        builder.init();
    }
}
