//! The life of the daemon: boot the permanent release, serve, stop in order, or start anew.

use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use parking_lot::Mutex;
use reld_api::response::{HistoryKind, Report};
use reld_handler::{Abi, Limits, Outcome, Platform, Store, Vsn};
use reld_loader::Loader;
use reld_runtime::{Runtime, StopCause};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::api_server::{self, Api, Peer};
use crate::config;
use crate::history::{Asked, Records};
use crate::node::{RuntimeNode, Shared};
use crate::operator::{Handler, Operator};
use crate::{service, sockets};

/// How long all applications may take to stop. systemd's own limit is above it.
const STOP: Duration = Duration::from_secs(80);

/// How long an upgrade under way may take to be left or taken back when the daemon stops.
const LEAVE: Duration = Duration::from_secs(5);

/// How the daemon's life goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It serves.
    Serve,
    /// It stops.
    Stop,
    /// It stops and executes itself again, into the permanent release.
    Restart,
    /// It stops and fails: an application ended that it cannot be without. Who watches the daemon starts it again.
    Fail,
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
        Next::Fail => bail!("the node went down with an application, which the log names"),
        Next::Serve | Next::Stop => Ok(()),
    }
}

async fn serve(config: &config::Daemon) -> anyhow::Result<Next> {
    let mut store = Store::open(&config.root)
        .with_context(|| format!("the node's root {} cannot be used", config.root.display()))?;
    // The lock on the root is held from here on: nobody else changes it.
    store.override_config(config.environment());
    let runtime = Runtime::new(pool_width(config));
    let sockets = sockets::Tokio::current();
    runtime.supply_sockets(sockets.clone());
    reld_loader::log_output();
    let loader = Arc::new(start_loader(&store, &runtime)?);
    reld_loader::verify_exports()?;
    let shared = Arc::new(Mutex::new(Shared::default()));
    let uploads = emptied(store.root().run_dir().join("uploads"))?;
    let platform = platform()?;
    let node = RuntimeNode::new(runtime.clone(), Arc::clone(&loader), Arc::clone(&shared), uploads.clone());
    let records = Records::new(store.history());
    let handler = Handler::new(node, store, platform.clone(), Limits::default());
    let operator = Operator::start(handler, records)?;
    let (listener, socket) = api_server::bind(&config.socket)
        .with_context(|| format!("the socket {} cannot be opened", config.socket.display()))?;
    let (next, mut life) = watch::channel(Next::Serve);
    let api = Api {
        runtime: runtime.clone(),
        operator: operator.clone(),
        loader,
        residents_max: usize::from(config.residents),
        shared,
        platform,
        uploads,
        socket: config.socket.clone(),
        peer: Peer::default(),
        started: Instant::now(),
        next: next.clone(),
    };
    let served = tokio::spawn(api_server::serve(listener, api));
    tokio::spawn(go_down_with(runtime.clone(), operator.clone(), next));
    tokio::spawn(service::status(operator.clone()));
    tokio::spawn(service::watchdog(runtime.clone()));
    let signals = Signals::new()?;
    let mut told = std::pin::pin!(until_told(signals, &mut life));
    let booted = tokio::select! {
        booted = boot(&operator) => booted?,
        told = &mut told => Booted::Told(told?),
    };
    let next = match booted {
        Booted::Runs => {
            ready(config);
            told.await?
        }
        Booted::GivesWay => Next::Restart,
        Booted::Told(next) => next,
    };
    match next {
        Next::Restart => service::restarting(),
        Next::Serve | Next::Stop | Next::Fail => service::stopping(),
    }
    // An upgrade that goes on beside the stop of its processes would see nothing but failures.
    if tokio::time::timeout(LEAVE, operator.stop()).await.is_err() {
        tracing::error!(name: "daemon.stop", "the upgrade under way does not end");
    }
    stop(runtime, next).await;
    // The processes have ended and closed their ports.
    sockets.all_sent().await;
    served.abort();
    // A client sees sooner that nobody is there without it.
    socket.remove();
    Ok(next)
}

/// Starts the loader, which has the pool's threads run what purged libraries left with them.
fn start_loader(store: &Store, runtime: &Runtime) -> anyhow::Result<Loader> {
    runtime.on_call(reld_loader::flush);
    runtime.on_frames(reld_loader::frames);
    let pool = runtime.clone();
    Ok(Loader::start(&store.root().run_dir(), move || pool.call_threads())?)
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

fn ready(config: &config::Daemon) {
    tracing::info!(name: "daemon.ready", root = %config.root.display(), socket = %config.socket.display(), "ready");
    service::ready();
}

/// What became of the boot.
enum Booted {
    /// The release runs; without one the node is idle and ready.
    Runs,
    /// The release failed once too often: the next boot is that of another one.
    GivesWay,
    /// The daemon was told to end meanwhile.
    Told(Next),
}

/// Boots the permanent release.
async fn boot(operator: &Operator) -> anyhow::Result<Booted> {
    let carried_out = operator.clone();
    let booted = operator.order(move |handler| boot_now(&carried_out, handler)).await;
    match booted.map_err(|error| anyhow::anyhow!("{error}"))? {
        Ok(report) => {
            // Whoever waits for a restart finds the node as it is told.
            report.iter().for_each(|report| operator.records().restarted(report));
            Ok(Booted::Runs)
        }
        Err((error, true)) => {
            tracing::error!(name: "daemon.gives_way", error, "the release does not boot and gives way");
            Ok(Booted::GivesWay)
        }
        Err((error, false)) => bail!("{error}"),
    }
}

/// Makes a folder anew: what an earlier daemon left in it served that one only.
fn emptied(folder: PathBuf) -> anyhow::Result<PathBuf> {
    let removed = match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    removed
        .and_then(|()| std::fs::create_dir_all(&folder))
        .with_context(|| format!("the folder {} cannot be emptied", folder.display()))?;
    Ok(folder)
}

/// Boots on the operator's thread. An error says as well whether another release boots next.
fn boot_now(operator: &Operator, handler: &mut Handler) -> Result<Option<Report>, (String, bool)> {
    let records = operator.records();
    let boots = handler.boots_next();
    let given_up = records.interrupted(boots.as_ref().map(ToString::to_string).as_deref());
    let Some(vsn) = boots else {
        tracing::info!(name: "daemon.idle", "no release is permanent; the first upgrade boots one");
        return Ok(None);
    };
    let mut observer = operator.observer(vsn.to_string());
    let asked = Asked { kind: HistoryKind::Boot, uid: None };
    let mut failed = None;
    let answer = operator.carry_out(handler, &asked, None, vsn.to_string(), |handler| {
        match handler.boot(&mut observer) {
            Ok(report) => {
                let mut report = report.expect("there is a release to boot");
                let lost = |vsn| format!("release {vsn} ran and was not committed; it was given up");
                report.warnings.extend(given_up.map(lost));
                failed = (report.outcome != Outcome::Installed).then(|| report.to_string());
                api_server::report::report(&report)
            }
            Err(error) => {
                failed = Some(error.to_string());
                Err(api_server::report::error(&error))
            }
        }
    });
    match failed {
        Some(error) => Err((error, handler.gives_way())),
        None => Ok(answer.ok()),
    }
}

/// What ends a daemon from outside.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Whether a hangup means that the terminal is gone at which the daemon was started.
    at_terminal: bool,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            at_terminal: std::io::stdin().is_terminal(),
        })
    }

    /// Waits for a signal that ends the daemon. To services a hangup says "read your configuration again": there is
    /// nothing to read, a reload is no upgrade, and it is no reason either to end a node with all its states.
    async fn end(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    if self.at_terminal {
                        return;
                    }
                    tracing::warn!(name: "daemon.hangup", "a reload changes nothing; `relctl upgrade` does");
                }
            }
        }
    }
}

async fn until_told(mut signals: Signals, life: &mut watch::Receiver<Next>) -> anyhow::Result<Next> {
    tokio::select! {
        () = signals.end() => Ok(Next::Stop),
        told = life.wait_for(|next| *next != Next::Serve) => Ok(*told?),
    }
}

/// Has the daemon stop when an application ends that the node cannot be without. OTP: permanent applications.
async fn go_down_with(runtime: Runtime, operator: Operator, next: watch::Sender<Next>) {
    let (tell, mut told) = mpsc::unbounded_channel();
    // Refused once nobody waits any more: the node stops then.
    runtime.on_node_down(move |app| tell.send(app.to_owned()).unwrap_or(()));
    while let Some(app) = told.recv().await {
        // An upgrade goes first: it may be about to take back what the application ended of.
        let _ = operator.order(|_| ()).await;
        if let Some(exit) = runtime.took_node_down(&app) {
            tracing::error!(name: "daemon.down", app, reason = %exit, "the node cannot be without this application, and stops");
            next.send_replace(Next::Fail);
            return;
        }
    }
}

/// Stops all applications, the one started last first.
async fn stop(runtime: Runtime, next: Next) {
    let cause = if next == Next::Restart { StopCause::NodeRestarts } else { StopCause::NodeStops };
    let stop = move || runtime.stop_all_applications(cause, Instant::now() + STOP);
    let stopped = tokio::task::spawn_blocking(stop);
    for error in stopped.await.unwrap_or_default() {
        tracing::error!(name: "daemon.stop", %error, "an application did not stop in order");
    }
}

/// Executes the daemon again with the same arguments, in the same process.
fn restart() -> anyhow::Result<()> {
    tracing::info!(name: "daemon.restart", "the daemon executes itself again");
    let error = std::process::Command::new(program()?).args(std::env::args_os().skip(1)).exec();
    Err(error).context("the daemon could not be executed again")
}

/// Returns the daemon's file. One that was replaced since the start counts in its new form.
fn program() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe().context("the daemon's own file")?;
    let replaced = path.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map(PathBuf::from);
    Ok(replaced.unwrap_or(path))
}

/// Returns the version of the daemon that a restart would execute.
pub(crate) fn installed() -> anyhow::Result<Vsn> {
    let program = program()?;
    let told = std::process::Command::new(&program).arg("--version").output();
    let told = told.with_context(|| format!("{} cannot be run", program.display()))?;
    let text = String::from_utf8_lossy(&told.stdout);
    let version = text.trim().strip_prefix("reld ").unwrap_or_default();
    version.parse().with_context(|| format!("{} does not say its version but {text:?}", program.display()))
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
