//! The life of the daemon: boot the permanent release, serve, stop in order, or start anew.

use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use parking_lot::Mutex;
use reld_api::ErrorReport;
use reld_handler::{Abi, Limits, Platform, Store};
use reld_loader::Loader;
use reld_runtime::{Runtime, contained, contained_task};
use reld_store::make_folder;
use reld_wire::application::StopCause;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::alarms::Alarms;
use crate::api_server::{self, Api, Peer};
use crate::config;
use crate::environment::Environment;
use crate::history::Records;
use crate::log::Log;
use crate::next::Next;
use crate::node::{Handler, RuntimeNode, Shared};
use crate::operator::{Booted, Operator};
use crate::panics::lasting;
use crate::program::program;
use crate::service::Manager;
use crate::{sockets, threads};

/// How long all applications may take to stop. systemd's own limit is above it.
const STOP: Duration = Duration::from_secs(80);

/// How long an upgrade under way may take to be left or taken back when the daemon stops.
const LEAVE: Duration = Duration::from_secs(5);

/// How long the log may take to be written before the daemon executes itself again.
const FLUSH: Duration = Duration::from_secs(2);

/// How long a boot rests that found no room, at first and at most.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How many threads the daemon begins with, beside those that run processes.
const THREADS: usize = 16;

/// Runs the daemon until it is told to stop.
pub(crate) fn run(
    config: &config::Daemon,
    environment: &Environment,
    log: &Log,
    alarms: Alarms,
) -> anyhow::Result<()> {
    threads::check(THREADS + pool_width(config))?;
    if let Err(error) = raise_descriptors() {
        tracing::warn!(name: "daemon.descriptors", %error, "the limit of open files stays as low as it was set");
    }
    match live(serve(config, &Manager::of(environment), log, alarms))? {
        Next::Restart => restart(environment, log),
        Next::Fail => bail!("the node went down, for a reason that the log names"),
        Next::Serve | Next::Stop => Ok(()),
    }
}

/// Opens as many files as the system allows: apps and clients hold sockets, by the thousand. The lower limit is there
/// for programs that call `select`.
fn raise_descriptors() -> nix::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)
}

/// Lives to the end of a life, be it a panic.
fn live(life: impl Future<Output = anyhow::Result<Next>>) -> anyhow::Result<Next> {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let next = contained(|| threads.block_on(life));
    // What is still served is cut off; the processes have stopped.
    threads.shutdown_timeout(Duration::from_secs(1));
    next?
}

async fn serve(
    config: &config::Daemon,
    manager: &Manager,
    log: &Log,
    alarms: Alarms,
) -> anyhow::Result<Next> {
    let signals = Signals::new()?;
    reld_loader::own_signals();
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
    let (shared, libraries) = (Arc::new(Mutex::new(Shared::default())), Arc::clone(&loader));
    let uploads = emptied(store.root().run_dir().join("uploads"))?;
    let platform = platform()?;
    let node = RuntimeNode::new(runtime.clone(), Arc::clone(&loader), Arc::clone(&shared), uploads.clone());
    let records = Records::new(store.history());
    let (root, health) = (store.root().clone(), store.health());
    let handler = Handler::new(node, store, platform.clone(), Limits::default());
    let interrupt = handler.interrupt();
    runtime.heed(move || interrupt.is_given_up());
    let (next, mut life) = watch::channel(Next::Serve);
    let operator = Operator::start(handler, records, next.clone())?;
    // Before anybody can be served: the boot comes before every order.
    let boot = boot(operator.boot(), operator.clone(), alarms.clone());
    let (listener, socket) = api_server::bind(&config.socket)
        .with_context(|| format!("the socket {} cannot be opened", config.socket.display()))?;
    let api = Api {
        runtime: runtime.clone(),
        operator: operator.clone(),
        loader,
        residents_max: usize::from(config.residents),
        shared,
        platform,
        uploads,
        root,
        health,
        socket: config.socket.clone(),
        peer: Peer::default(),
        started: Instant::now(),
        alarms,
        log: log.clone(),
    };
    let served = tokio::spawn(api_server::serve(listener, api, next.clone()));
    tokio::spawn(go_down(next, application_down(runtime.clone(), operator.clone())));
    let (board, pool, told, fed) = (operator.clone(), runtime.clone(), manager.clone(), manager.clone());
    tokio::spawn(async move { lasting("service.status", || told.clone().status(board.clone())).await });
    tokio::spawn(async move { lasting("service.watchdog", || fed.clone().watchdog(pool.clone())).await });
    let mut told = std::pin::pin!(until_told(signals, &mut life));
    let next = tokio::select! {
        booted = boot => match booted? {
            Booted::Runs => {
                ready(config, manager);
                told.await?
            }
            Booted::Failed(error) | Booted::NoRoom(error) => bail!("{error}"),
            Booted::GivesWay(error) => {
                tracing::error!(name: "daemon.gives_way", error, "the release does not boot and gives way");
                Next::Restart
            }
        },
        told = &mut told => told?,
    };
    tracing::info!(name: "daemon.stopping", "the node stops");
    match next {
        Next::Restart => manager.restarting(),
        Next::Serve | Next::Stop | Next::Fail => manager.stopping(),
    }
    // An upgrade that goes on beside the stop of its processes would see nothing but failures.
    if tokio::time::timeout(LEAVE, operator.stop()).await.is_err() {
        tracing::error!(name: "daemon.stop", "the upgrade under way does not end");
    }
    stop(runtime, next).await;
    // Here and not where the process ends: a destructor may not return.
    let _ = tokio::task::spawn_blocking(move || libraries.finish()).await;
    // The processes have ended and closed their ports.
    sockets.all_sent().await;
    served.abort();
    // A client sees sooner that nobody is there without it.
    if let Err(error) = socket.remove() {
        tracing::debug!(name: "daemon.unlink", %error, "the socket's file stays");
    }
    Ok(next)
}

/// Waits for the boot, and tries it again for as long as the machine gives too little for one.
async fn boot(
    first: impl Future<Output = Result<Booted, ErrorReport>>,
    operator: Operator,
    alarms: Alarms,
) -> anyhow::Result<Booted> {
    let told = |error: ErrorReport| anyhow::anyhow!("{error}");
    let mut booted = first.await.map_err(told)?;
    let mut pause = PAUSE;
    while let Booted::NoRoom(error) = &booted {
        tracing::error!(name: "daemon.no_room", error, ?pause, "the boot is tried again");
        alarms
            .raise("boot", format!("{error}; it is tried again every {}", humantime::format_duration(pause)));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
        booted = operator.boot_again().await.map_err(told)?;
    }
    alarms.lower("boot");
    Ok(booted)
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

fn ready(config: &config::Daemon, manager: &Manager) {
    tracing::info!(name: "daemon.ready", root = %config.root.display(), socket = %config.socket.display(), "ready");
    manager.ready();
}

/// Makes a folder anew: what an earlier daemon left in it served that one only.
fn emptied(folder: PathBuf) -> anyhow::Result<PathBuf> {
    let removed = match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    removed
        .and_then(|()| make_folder(&folder, 0o700))
        .with_context(|| format!("the folder {} cannot be emptied", folder.display()))?;
    Ok(folder)
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

/// Has the daemon stop, and fail, when something happens. A panic counts as that: else it might be
/// missed.
async fn go_down(next: watch::Sender<Next>, when: impl Future<Output = ()>) {
    // The panic hook has reported it.
    let _ = contained_task(when).await;
    next.send_replace(Next::Fail);
}

/// Waits for the end of an application that the node cannot be without. OTP: permanent
/// applications.
async fn application_down(runtime: Runtime, operator: Operator) {
    let (tell, mut told) = mpsc::unbounded_channel();
    // Refused once nobody waits any more: the node stops then.
    runtime.on_node_down(move |app| tell.send(app.to_owned()).unwrap_or(()));
    while let Some(app) = told.recv().await {
        // An upgrade goes first: it may be about to take back what the application ended of.
        operator.pass().await;
        if operator.board().restarts {
            continue;
        }
        if let Some(exit) = runtime.took_node_down(&app) {
            tracing::error!(name: "daemon.down", app, reason = %exit, "the node cannot be without this application, and stops");
            return;
        }
    }
}

/// Stops all applications, the one started last first.
async fn stop(runtime: Runtime, next: Next) {
    let cause = if next == Next::Restart { StopCause::NodeRestarts } else { StopCause::NodeStops };
    let stop = move || runtime.stop_all_applications(cause, Instant::now() + STOP);
    match tokio::task::spawn_blocking(stop).await {
        Ok(errors) => errors.iter().for_each(|error| {
            tracing::error!(name: "daemon.stop", %error, "an application did not stop in order");
        }),
        Err(error) => tracing::error!(name: "daemon.stop", %error, "the applications did not stop in order"),
    }
}

/// Executes the daemon again with the same arguments and variables, in the same process.
fn restart(environment: &Environment, log: &Log) -> anyhow::Result<()> {
    tracing::info!(name: "daemon.restart", "the daemon executes itself again");
    log.flush(FLUSH);
    // One that is gone can be missing in the words of the command line only.
    let _ = environment.folder().map(std::env::set_current_dir);
    let mut again = std::process::Command::new(program()?);
    let error = again.args(std::env::args_os().skip(1)).envs(environment.all()).exec();
    Err(error).context("the daemon could not be executed again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_main_thread_is_the_failure_of_the_daemon_whatever_still_runs() {
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let life = async {
            // A call without a time-out, for example.
            tokio::task::spawn_blocking(move || ends.recv().unwrap_or(()));
            panic!("a bug in its life")
        };
        assert_eq!(live(life).unwrap_err().to_string(), "the daemon panicked: a bug in its life");
        drop(end);
    }

    #[tokio::test]
    async fn a_daemon_that_could_miss_the_end_of_an_application_fails() {
        let (next, told) = watch::channel(Next::Serve);
        go_down(next, async { panic!("a bug in what watches applications") }).await;
        assert_eq!(*told.borrow(), Next::Fail);
    }
}
