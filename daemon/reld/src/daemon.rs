//! The life of the daemon: boot the permanent release, serve, shut down or restart.

use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use parking_lot::Mutex;
use reld_api::ErrorReport;
use reld_handler::{Abi, Limits, Platform, PolicyFile, Store};
use reld_loader::Loader;
use reld_runtime::{Runtime, contained, contained_task};
use reld_store::make_folder;
use reld_wire::application::StopCause;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::alarms::Alarms;
use crate::api_server::{self, Api, Peer};
use crate::config;
use crate::environment::Environment;
use crate::fleet::{self, Fleet, Meetings, Membership};
use crate::gate::Gate;
use crate::handed::Handed;
use crate::history::Records;
use crate::log::Log;
use crate::next::Next;
use crate::node::{Handler, RuntimeNode, Shared};
use crate::operator::{Board, Booted, Operator};
use crate::panics::lasting;
use crate::program::program;
use crate::service::Manager;
use crate::socket_file::SocketFile;
use crate::{sockets, threads};

/// The time limit for stopping all apps. It is shorter than systemd's stop timeout.
const STOP: Duration = Duration::from_secs(80);

/// The time limit for an upgrade under way to end when the daemon stops.
const LEAVE: Duration = Duration::from_secs(5);

/// The time limit for writing the log before the daemon executes itself again.
const FLUSH: Duration = Duration::from_secs(2);

/// The pause before a boot that lacked resources is repeated. It doubles from `PAUSE` to
/// `PAUSE_MAX`.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The number of threads that the daemon starts in addition to the worker pool.
const THREADS: usize = 20;

/// Runs the daemon until it has to stop.
pub(crate) fn run(
    config: &config::Daemon,
    environment: &Environment,
    handed: &Handed,
    log: &Log,
    alarms: Alarms,
) -> anyhow::Result<()> {
    threads::check(THREADS + pool_width(config))?;
    if let Err(error) = raise_descriptors() {
        tracing::warn!(name: "daemon.descriptors", %error, "cannot raise the limit of open files");
    }
    match live(serve(config, &Manager::of(environment), handed, log, alarms))? {
        Next::Restart => restart(environment, handed, log),
        Next::Fail => bail!("the node went down; the log has the reason"),
        Next::Serve | Next::Stop => Ok(()),
    }
}

/// Raises the soft limit of open files to the hard limit, because apps and clients may hold
/// thousands of sockets. The soft limit is low by default only to protect programs that call
/// `select`.
fn raise_descriptors() -> nix::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)
}

/// Runs the daemon's main future. A panic becomes an error.
fn live(life: impl Future<Output = anyhow::Result<Next>>) -> anyhow::Result<Next> {
    let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let next = contained(|| threads.block_on(life));
    // The processes have stopped. Open API connections are cut off after one second.
    threads.shutdown_timeout(Duration::from_secs(1));
    next?
}

async fn serve(
    config: &config::Daemon,
    manager: &Manager,
    handed: &Handed,
    log: &Log,
    alarms: Alarms,
) -> anyhow::Result<Next> {
    let signals = Signals::new()?;
    reld_loader::own_signals();
    let policy = config.policy()?;
    let membership = config.fleet.as_deref().map(|file| Membership::read(file, &policy)).transpose()?;
    let gate = config.lock()?.map(|lock| Gate::new(lock, alarms.clone()));
    config.make_private_folders()?;
    // The store holds the lock on the root.
    let store = open_store(config, policy.clone())?;
    let runtime = Runtime::new(pool_width(config));
    let sockets = sockets::Tokio::current(handed.clone());
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
    let limits = membership.as_ref().map_or_else(Limits::default, |membership| membership.limits);
    let mut handler = Handler::new(node, store, platform.clone(), limits);
    let meetings = membership.as_ref().map(Meetings::new).transpose()?;
    if let Some(meetings) = &meetings {
        handler.meet_by(Arc::new(meetings.clone()));
    }
    let interrupt = handler.interrupt();
    runtime.end_waits_when(move || interrupt.is_given_up());
    let (next, mut life) = watch::channel(Next::Serve);
    let operator = Operator::start(handler, records, next.clone())?.behind(gate.clone());
    if let Some(meetings) = &meetings {
        meetings.follow_by(operator.clone());
    }
    // The boot is queued before the socket opens, so that it precedes every order.
    let boot = boot(operator.boot(), operator.clone(), alarms.clone());
    gate.into_iter().for_each(|gate| give_back(gate, operator.clone()));
    let (listener, socket) = api_server::bind(&config.socket)
        .with_context(|| format!("cannot open the socket {}", config.socket.display()))?;
    let join = |membership| {
        let (operator, alarms, platform) = (operator.clone(), alarms.clone(), platform.clone());
        let (root, uploads, socket) = (root.clone(), uploads.clone(), config.socket.clone());
        Fleet::start(membership, fleet::Daemon { operator, alarms, platform, root, uploads, socket })
    };
    let fleet = membership.map(join).transpose()?;
    let api = Api {
        fleet: fleet.clone(),
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
        trust: policy.path().to_owned(),
        peer: Peer::default(),
        started: Instant::now(),
        alarms,
        log: log.clone(),
    };
    let served = tokio::spawn(api_server::serve(listener, api, next.clone()));
    tokio::spawn(go_down(next, application_down(runtime.clone(), operator.clone())));
    inform(manager, &operator, &runtime);
    let mut end = std::pin::pin!(end_of(signals, &mut life));
    let next = tokio::select! {
        booted = boot => match booted? {
            Booted::Runs => {
                ready(config, manager);
                end.await?
            }
            Booted::Failed(error) | Booted::NoRoom(error) => bail!("{error}"),
            Booted::GivesWay(error) => {
                tracing::error!(name: "daemon.gives_way", error, "the release does not boot and gives way to another");
                Next::Restart
            }
        },
        next = &mut end => next?,
    };
    let up = Up { runtime, operator, fleet, sockets, libraries, served, socket };
    up.stop(manager, next).await;
    Ok(next)
}

/// The parts of a daemon that have to stop.
struct Up {
    runtime: Runtime,
    operator: Operator,
    fleet: Option<Fleet>,
    sockets: sockets::Tokio,
    libraries: Arc<Loader>,
    served: JoinHandle<()>,
    socket: SocketFile,
}

impl Up {
    async fn stop(self, manager: &Manager, next: Next) {
        tracing::info!(name: "daemon.stopping", "the node stops");
        match next {
            Next::Restart => manager.restarting(),
            Next::Serve | Next::Stop | Next::Fail => manager.stopping(),
        }
        // First end the upgrade under way. Otherwise it would see its processes stop, and report
        // failures.
        if tokio::time::timeout(LEAVE, self.operator.stop()).await.is_err() {
            tracing::error!(name: "daemon.stop", "the upgrade under way did not end in time");
        }
        let leave = async {
            if let Some(fleet) = &self.fleet {
                fleet.leave().await;
            }
        };
        tokio::join!(stop(self.runtime, next), leave);
        // Unload the libraries here and not at process exit, because a library's destructor may
        // never return.
        let libraries = self.libraries;
        let _ = tokio::task::spawn_blocking(move || libraries.finish()).await;
        // All processes have ended and closed their ports; only queued bytes remain to be sent.
        self.sockets.all_sent().await;
        self.served.abort();
        // Without the socket file, clients find out sooner that the daemon is gone.
        if let Err(error) = self.socket.remove() {
            tracing::debug!(name: "daemon.unlink", %error, "cannot remove the socket file");
        }
    }
}

fn open_store(config: &config::Daemon, policy: PolicyFile) -> anyhow::Result<Store> {
    let mut store = Store::open(&config.root)
        .with_context(|| format!("cannot use the node's root {}", config.root.display()))?;
    store.override_config(config.environment());
    store.trust(policy);
    Ok(store)
}

/// Gives the lock of the node back whenever the node is at rest.
fn give_back(gate: Gate, operator: Operator) {
    tokio::spawn(async move {
        lasting("gate", || gate.give_back(operator.follow(), Board::is_at_rest)).await;
    });
}

/// Keeps the service manager informed.
fn inform(manager: &Manager, operator: &Operator, runtime: &Runtime) {
    let (status, board) = (manager.clone(), operator.clone());
    tokio::spawn(async move { lasting("service.status", || status.clone().status(board.clone())).await });
    let (watchdog, pool) = (manager.clone(), runtime.clone());
    tokio::spawn(
        async move { lasting("service.watchdog", || watchdog.clone().watchdog(pool.clone())).await },
    );
}

/// Waits for the boot, and repeats it as long as the machine lacks resources.
async fn boot(
    first: impl Future<Output = Result<Booted, ErrorReport>>,
    operator: Operator,
    alarms: Alarms,
) -> anyhow::Result<Booted> {
    let failed = |error: ErrorReport| anyhow::anyhow!("{error}");
    let mut booted = first.await.map_err(failed)?;
    let mut pause = PAUSE;
    while let Booted::NoRoom(error) = &booted {
        tracing::error!(name: "daemon.no_room", error, ?pause, "not enough resources to boot; the boot is tried again");
        alarms
            .raise("boot", format!("{error}; it is tried again every {}", humantime::format_duration(pause)));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
        booted = operator.boot_again().await.map_err(failed)?;
    }
    alarms.lower("boot");
    Ok(booted)
}

/// Starts the loader. The pool's threads run the thread-local destructors of purged libraries for
/// the loader.
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
        reld: env!("CARGO_PKG_VERSION").parse().context("cannot parse the daemon's own version")?,
    })
}

fn ready(config: &config::Daemon, manager: &Manager) {
    tracing::info!(name: "daemon.ready", root = %config.root.display(), socket = %config.socket.display(), "ready");
    manager.ready();
}

/// Empties a folder, or creates it. It contains only temporary files of an earlier daemon.
fn emptied(folder: PathBuf) -> anyhow::Result<PathBuf> {
    let removed = match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    removed
        .and_then(|()| make_folder(&folder, 0o700))
        .with_context(|| format!("cannot empty the folder {}", folder.display()))?;
    Ok(folder)
}

/// The signals that end the daemon.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Whether the daemon runs at a terminal. If so, SIGHUP means that the terminal is gone.
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

    /// Waits for a signal that ends the daemon. A daemon without a terminal ignores SIGHUP. For a
    /// service, SIGHUP means "reload the configuration"; ending would lose the states of all
    /// processes, and a reload by signal could report no mistake.
    async fn end(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    if self.at_terminal {
                        return;
                    }
                    tracing::warn!(name: "daemon.hangup", "SIGHUP ignored; use `relctl upgrade` or `relctl env reload`");
                }
            }
        }
    }
}

/// Waits until a signal arrives or the daemon decides to end.
async fn end_of(mut signals: Signals, life: &mut watch::Receiver<Next>) -> anyhow::Result<Next> {
    tokio::select! {
        () = signals.end() => Ok(Next::Stop),
        next = life.wait_for(|next| *next != Next::Serve) => Ok(*next?),
    }
}

/// Ends the daemon with a failure when `when` completes or panics. After a panic `when` can no
/// longer report its event, so the daemon must not continue.
async fn go_down(next: watch::Sender<Next>, when: impl Future<Output = ()>) {
    // The panic hook has already reported a panic.
    let _ = contained_task(when).await;
    next.send_replace(Next::Fail);
}

/// Waits until an app that takes the node down ends abnormally. OTP: permanent applications.
async fn application_down(runtime: Runtime, operator: Operator) {
    let (down, mut downs) = mpsc::unbounded_channel();
    // The receiver is gone only when the node is already stopping.
    runtime.on_node_down(move |app| down.send(app.to_owned()).unwrap_or(()));
    while let Some(app) = downs.recv().await {
        // An upgrade under way may have caused the end of the app, and may be about to undo it.
        operator.pass().await;
        if operator.board().restarts {
            continue;
        }
        if let Some(exit) = runtime.took_node_down(&app) {
            tracing::error!(name: "daemon.down", app, reason = %exit, "the node cannot run without this app and stops");
            return;
        }
    }
}

/// Stops all apps in reverse start order.
async fn stop(runtime: Runtime, next: Next) {
    let cause = if next == Next::Restart { StopCause::NodeRestarts } else { StopCause::NodeStops };
    let stop = move || runtime.stop_all_applications(cause, Instant::now() + STOP);
    match tokio::task::spawn_blocking(stop).await {
        Ok(errors) => errors.iter().for_each(|error| {
            tracing::error!(name: "daemon.stop", %error, "an app did not stop cleanly");
        }),
        Err(error) => tracing::error!(name: "daemon.stop", %error, "the apps did not stop cleanly"),
    }
}

/// Executes the daemon again in the same OS process, with the same arguments and variables.
fn restart(environment: &Environment, handed: &Handed, log: &Log) -> anyhow::Result<()> {
    tracing::info!(name: "daemon.restart", "the daemon restarts by executing itself again");
    log.flush(FLUSH);
    // If the folder no longer exists, only relative paths on the command line are affected.
    let _ = environment.folder().map(std::env::set_current_dir);
    let mut again = std::process::Command::new(program()?);
    handed.pass_on().context("cannot pass the sockets of the service manager on")?;
    let error = again.args(std::env::args_os().skip(1)).envs(environment.all()).exec();
    Err(error).context("cannot execute the daemon again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_main_thread_fails_the_daemon_even_if_a_task_still_runs() {
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let life = async {
            // The receiver waits without a timeout, like a callback in a call without a timeout.
            tokio::task::spawn_blocking(move || ends.recv().unwrap_or(()));
            panic!("a bug in its life")
        };
        assert_eq!(live(life).unwrap_err().to_string(), "the daemon panicked: a bug in its life");
        drop(end);
    }

    #[tokio::test]
    async fn a_panic_of_the_watcher_of_apps_fails_the_daemon() {
        let (next, life) = watch::channel(Next::Serve);
        go_down(next, async { panic!("a bug in the watcher of apps") }).await;
        assert_eq!(*life.borrow(), Next::Fail);
    }
}
