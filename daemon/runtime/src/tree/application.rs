//! Applications: named, versioned trees with an environment. OTP: application, application_controller.
//!
//! ```text
//! stopped --start--> starting --init, root runs--> running --stop--> stopping --> stopped
//!                        \\--init or root failed--> stopped    \\--root or process ended--> stopped (with the reason)
//! ```
//!
//! An application is one process of its module (start, prep_stop, stop) and, below it, the root supervisor. Starting
//! and stopping wait, with a deadline, so they are called from threads that may wait, never from a callback.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use thiserror::Error;

use crate::process::body::{Answer, Env, RequestKind, Signal, Watch};
use crate::words::code::{Bytes, StopCause};
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::words::term;
use crate::world::{Start, World};

/// How long prep_stop may take. OTP has no bound; a stop must come to an end.
pub const PREP_STOP: Duration = Duration::from_secs(5);

/// What an application is. OTP: the application resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppSpec {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The module with the application behaviour; `None` for a library application, which has no processes.
    pub start: Option<String>,
    /// What its end means for the node.
    pub start_type: StartType,
    /// The applications that must run before it.
    pub applications: Vec<String>,
    /// The phases of its start, with the MessagePack value that each is given. OTP: `start_phases`.
    pub start_phases: Vec<(String, Bytes)>,
    /// Its environment: MessagePack values by key.
    pub env: BTreeMap<String, Bytes>,
}

/// What the end of a running application means for the node. A stop that somebody asked for is no end in this sense.
/// OTP: start types.
///
/// | type      | normal          | any other reason |
/// |-----------|-----------------|------------------|
/// | permanent | the node's end  | the node's end   |
/// | transient | only reported   | the node's end   |
/// | temporary | only reported   | only reported    |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartType {
    /// The node is nothing without it.
    Permanent,
    /// It may come to its end, but may not fail.
    Transient,
    /// The others go on without it. OTP: what `application:start/1` takes.
    #[default]
    Temporary,
}

impl StartType {
    /// Says whether the node ends with an application that ended so.
    pub fn takes_node_down(self, exit: &Exit) -> bool {
        match self {
            Self::Permanent => true,
            Self::Transient => *exit != Exit::Normal,
            Self::Temporary => false,
        }
    }
}

/// Where an application stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppStatus {
    /// Known, not running; the reason, if it ended.
    Stopped(Option<Exit>),
    /// Its start is under way.
    Starting,
    /// It runs.
    Running {
        /// The process of its application module; `None` for a library application.
        process: Option<Pid>,
        /// Its root supervisor.
        root: Option<Pid>,
    },
    /// Its stop is under way.
    Stopping,
}

/// Why an application was not started or stopped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AppError {
    /// No such application is loaded.
    #[error("application {0} is not known to this node")]
    Unknown(String),
    /// It runs already.
    #[error("already_started: application {0}")]
    AlreadyStarted(String),
    /// It does not run.
    #[error("not_started: application {0}")]
    NotStarted(String),
    /// An application that it needs does not run. OTP: `{not_started, Dep}`.
    #[error("application {app} needs {needs}, which is not started")]
    Needs {
        /// The application.
        app: String,
        /// What it needs.
        needs: String,
    },
    /// Its start or stop is under way.
    #[error("application {0} is being started or stopped")]
    Busy(String),
    /// Its module is not loaded.
    #[error("application {app}: module {module} is not loaded")]
    NoModule {
        /// The application.
        app: String,
        /// Its module.
        module: String,
    },
    /// Its start, or that of its root, failed.
    #[error("application {app} did not start: {exit}")]
    Failed {
        /// The application.
        app: String,
        /// Why.
        exit: Exit,
    },
    /// Its config_change crashed, and the application with it.
    #[error("application {app}: config_change: {exit}")]
    ConfigChange {
        /// The application.
        app: String,
        /// Why.
        exit: Exit,
    },
    /// The deadline passed.
    #[error("application {app}: {what} took too long")]
    TimedOut {
        /// The application.
        app: String,
        /// What took too long.
        what: &'static str,
    },
}

/// Who is told the name of an application.
type Told = Box<dyn Fn(&str) + Send + Sync>;

/// All applications of a node.
#[derive(Default)]
pub(crate) struct Applications {
    apps: Mutex<BTreeMap<String, App>>,
    /// Who is told of an end that takes the node down.
    on_node_down: OnceLock<Told>,
}

struct App {
    spec: AppSpec,
    env: Arc<Env>,
    status: AppStatus,
    /// Counts starts: what was started last is stopped first.
    started: u64,
}

/// The argument of an application's init.
#[derive(Serialize)]
pub(crate) struct StartArgs<'a> {
    pub(crate) r#type: &'a str,
    pub(crate) env: BTreeMap<String, rmpv::Value>,
}

/// What an application is told when it comes to a phase of its start.
#[derive(Serialize)]
pub(crate) struct StartPhase<'a> {
    pub(crate) phase: &'a str,
    pub(crate) r#type: &'a str,
    pub(crate) arg: &'a serde_bytes::Bytes,
}

/// What an application's init answers.
#[derive(Deserialize)]
pub(crate) struct Root {
    pub(crate) module: String,
    pub(crate) args: ByteBuf,
}

impl Applications {
    /// Makes an application known, or gives a known one another version and environment. OTP: `application:load/1`.
    pub(crate) fn load(&self, spec: AppSpec) {
        let mut apps = self.apps.lock();
        let values = spec.env.clone().into_iter().collect();
        match apps.get_mut(&spec.name) {
            Some(app) => {
                *app.env.values.write() = values;
                app.spec = spec;
            }
            None => {
                let env = Arc::new(Env { name: spec.name.clone(), values: parking_lot::RwLock::new(values) });
                apps.insert(
                    spec.name.clone(),
                    App { spec, env, status: AppStatus::Stopped(None), started: 0 },
                );
            }
        }
    }

    /// Forgets an application that does not run. OTP: `application:unload/1`.
    pub(crate) fn unload(&self, name: &str) {
        let mut apps = self.apps.lock();
        if apps.get(name).is_some_and(|app| matches!(app.status, AppStatus::Stopped(_))) {
            apps.remove(name);
        }
    }

    /// Returns all applications in the order in which they were started, those never started first.
    pub(crate) fn list(&self) -> Vec<(AppSpec, AppStatus)> {
        let apps = self.apps.lock();
        let mut apps: Vec<&App> = apps.values().collect();
        apps.sort_by_key(|app| app.started);
        apps.into_iter().map(|app| (app.spec.clone(), app.status.clone())).collect()
    }

    pub(crate) fn spec(&self, name: &str) -> Option<AppSpec> {
        self.apps.lock().get(name).map(|app| app.spec.clone())
    }

    pub(crate) fn env(&self, name: &str) -> Option<Arc<Env>> {
        self.apps.lock().get(name).map(|app| Arc::clone(&app.env))
    }

    fn process(&self, name: &str) -> Option<Pid> {
        match self.apps.lock().get(name)?.status {
            AppStatus::Running { process, .. } => process,
            AppStatus::Stopped(_) | AppStatus::Starting | AppStatus::Stopping => None,
        }
    }

    /// Says whether a running application has this process and this root.
    pub(crate) fn runs(&self, process: Pid, root: Pid) -> bool {
        let status = AppStatus::Running { process: Some(process), root: Some(root) };
        self.apps.lock().values().any(|app| app.status == status)
    }

    fn set(&self, name: &str, status: AppStatus) {
        if let Some(app) = self.apps.lock().get_mut(name) {
            app.status = status;
        }
    }

    /// Takes an application from stopped to starting.
    fn begin_start(&self, name: &str) -> Result<(AppSpec, Arc<Env>), AppError> {
        let mut apps = self.apps.lock();
        let app = apps.get(name).ok_or_else(|| AppError::Unknown(name.to_owned()))?;
        match app.status {
            AppStatus::Stopped(_) => {}
            AppStatus::Running { .. } => return Err(AppError::AlreadyStarted(name.to_owned())),
            AppStatus::Starting | AppStatus::Stopping => return Err(AppError::Busy(name.to_owned())),
        }
        let runs = |needs: &String| {
            apps.get(needs).is_some_and(|app| matches!(app.status, AppStatus::Running { .. }))
        };
        if let Some(needs) = app.spec.applications.iter().find(|needs| !runs(needs)) {
            return Err(AppError::Needs { app: name.to_owned(), needs: needs.clone() });
        }
        let begun = (app.spec.clone(), Arc::clone(&app.env));
        let last = apps.values().map(|app| app.started).max().unwrap_or_default();
        if let Some(app) = apps.get_mut(name) {
            app.status = AppStatus::Starting;
            app.started = last + 1;
        }
        Ok(begun)
    }

    /// Takes an application from running to stopping.
    fn begin_stop(&self, name: &str) -> Result<(Option<Pid>, Option<Pid>), AppError> {
        let mut apps = self.apps.lock();
        let app = apps.get_mut(name).ok_or_else(|| AppError::Unknown(name.to_owned()))?;
        match app.status {
            AppStatus::Running { process, root } => {
                app.status = AppStatus::Stopping;
                Ok((process, root))
            }
            AppStatus::Stopped(_) => Err(AppError::NotStarted(name.to_owned())),
            AppStatus::Starting | AppStatus::Stopping => Err(AppError::Busy(name.to_owned())),
        }
    }

    /// Has `tell` called when an application ends that the node cannot be without. The first caller is the one told.
    pub(crate) fn on_node_down(&self, tell: impl Fn(&str) + Send + Sync + 'static) {
        self.on_node_down.get_or_init(|| Box::new(tell));
    }

    /// Returns why an application has ended, if that takes the node down and nobody started it again.
    pub(crate) fn took_node_down(&self, name: &str) -> Option<Exit> {
        let apps = self.apps.lock();
        let app = apps.get(name)?;
        let AppStatus::Stopped(Some(exit)) = &app.status else { return None };
        app.spec.start_type.takes_node_down(exit).then(|| exit.clone())
    }

    /// Notes that the process of a running application has ended.
    fn ended(&self, name: &str, ended: Pid, exit: Exit) {
        let mut apps = self.apps.lock();
        let Some(app) = apps.get_mut(name) else { return };
        if !matches!(app.status, AppStatus::Running { process: Some(pid), .. } if pid == ended) {
            return;
        }
        tracing::warn!(name: "application.ended", app = name, reason = %exit, "an application ended");
        let takes_node_down = app.spec.start_type.takes_node_down(&exit);
        app.status = AppStatus::Stopped(Some(exit));
        drop(apps);
        if let Some(tell) = self.on_node_down.get().filter(|_| takes_node_down) {
            tell(name);
        }
    }
}

/// Starts an application; returns when its root runs. OTP: `application:start/1`.
pub(crate) fn start(world: &Arc<World>, name: &str, deadline: Instant) -> Result<(), AppError> {
    let (spec, env) = world.apps.begin_start(name)?;
    let started = match &spec.start {
        None => Ok((None, None)),
        Some(module) => {
            start_processes(world, &spec, &env, module, deadline).map(|(p, root)| (Some(p), root))
        }
    };
    match started {
        Ok((process, root)) => {
            world.apps.set(name, AppStatus::Running { process, root });
            if let Some(pid) = process {
                watch(world, name, pid);
            }
            Ok(())
        }
        Err(error) => {
            world.apps.set(name, AppStatus::Stopped(None));
            Err(error)
        }
    }
}

/// Starts an application after those that it needs. Returns what was started, in order. OTP: `ensure_all_started/1`.
pub(crate) fn ensure_all_started(
    world: &Arc<World>,
    name: &str,
    deadline: Instant,
) -> Result<Vec<String>, AppError> {
    let mut started = Vec::new();
    ensure_started(world, name, deadline, &mut Vec::new(), &mut started)?;
    Ok(started)
}

fn ensure_started(
    world: &Arc<World>,
    name: &str,
    deadline: Instant,
    above: &mut Vec<String>,
    started: &mut Vec<String>,
) -> Result<(), AppError> {
    // Release documents have no cycles; applications loaded by hand might.
    if above.iter().any(|app| app == name) {
        return Err(AppError::Busy(name.to_owned()));
    }
    let needs = world.apps.spec(name).map(|spec| spec.applications).unwrap_or_default();
    above.push(name.to_owned());
    for needed in needs {
        ensure_started(world, &needed, deadline, above, started)?;
    }
    above.pop();
    match start(world, name, deadline) {
        Ok(()) => {
            started.push(name.to_owned());
            Ok(())
        }
        Err(AppError::AlreadyStarted(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Stops all applications, the one started last first. Returns what went wrong.
pub(crate) fn stop_all(world: &Arc<World>, cause: StopCause, deadline: Instant) -> Vec<AppError> {
    let running =
        world.apps.list().into_iter().rev().filter(|(_, status)| matches!(status, AppStatus::Running { .. }));
    running.filter_map(|(spec, _)| stop(world, &spec.name, cause, deadline).err()).collect()
}

fn start_processes(
    world: &Arc<World>,
    spec: &AppSpec,
    env: &Arc<Env>,
    module: &str,
    deadline: Instant,
) -> Result<(Pid, Option<Pid>), AppError> {
    let args = term::encode(&StartArgs { r#type: "normal", env: values(spec.env.iter()) });
    let (process, reply) = start_process(world, spec, env, Pid::NONE, module, args, deadline)?;
    let root: Option<Root> = term::decode(&reply).map_err(|text| {
        world.signal(process, Signal::End(Exit::Killed));
        AppError::Failed { app: spec.name.clone(), exit: Exit::Undecodable(text) }
    })?;
    let start_root =
        |root: Root| start_process(world, spec, env, process, &root.module, root.args.into_vec(), deadline);
    let root = match root.map(start_root).transpose() {
        Ok(root) => root.map(|(root, _)| root),
        Err(error) => {
            // Its stop callback runs, for its start has; then it is gone.
            end(world, process, Exit::shutdown(), deadline);
            return Err(error);
        }
    };
    if let Some(root) = root {
        world.signal(process, Signal::Link(root));
    }
    match start_phases(world, spec, process, deadline) {
        Ok(()) => Ok((process, root)),
        Err(error) => {
            // The end of the root is that of the process; one without a root may have crashed already.
            end(world, root.unwrap_or(process), Exit::shutdown(), deadline);
            wait_gone(world, process, deadline);
            Err(error)
        }
    }
}

/// Takes an application through the phases of its start, one after the other. OTP: `start_phase/3`. Unlike there, phases
/// of included applications are not run: who includes them starts them.
fn start_phases(world: &Arc<World>, spec: &AppSpec, process: Pid, deadline: Instant) -> Result<(), AppError> {
    let app = || spec.name.clone();
    for (phase, arg) in &spec.start_phases {
        let arg = serde_bytes::Bytes::new(arg);
        let body = term::encode(&StartPhase { phase, r#type: "normal", arg });
        match ask(world, RequestKind::StartPhase, process, body, deadline) {
            Ok(Answer::Reply(_)) => {}
            Ok(Answer::Exit(exit)) => return Err(AppError::Failed { app: app(), exit }),
            Ok(Answer::Timeout) | Err(_) => {
                world.signal(process, Signal::End(Exit::Killed));
                return Err(AppError::TimedOut { app: app(), what: "start_phase" });
            }
        }
    }
    Ok(())
}

/// Asks the process of an application, and waits until the deadline.
fn ask(
    world: &Arc<World>,
    kind: RequestKind,
    process: Pid,
    body: Bytes,
    deadline: Instant,
) -> Result<Answer, mpsc::RecvError> {
    let (done, answer) = mpsc::channel();
    let patience = deadline.saturating_duration_since(Instant::now());
    world.call(kind, process, body, Some(patience), Box::new(move |answer| done.send(answer).unwrap_or(())));
    match kind {
        // The end of an application is never given up.
        RequestKind::StartPhase => Ok(world.wait_for(&answer, deadline).unwrap_or(Answer::Timeout)),
        _ => answer.recv(),
    }
}

fn start_process(
    world: &Arc<World>,
    spec: &AppSpec,
    env: &Arc<Env>,
    parent: Pid,
    module: &str,
    args: Bytes,
    deadline: Instant,
) -> Result<(Pid, Bytes), AppError> {
    let app = || spec.name.clone();
    let code = world
        .code
        .resolve(module)
        .ok_or_else(|| AppError::NoModule { app: app(), module: module.to_owned() })?;
    let (done, answer) = mpsc::channel();
    let reference = world.ask(None, Box::new(move |answer| done.send(answer).unwrap_or(())));
    let app_env = Arc::clone(env);
    let starter = Some((Pid::OUTSIDE, reference));
    let pid = world.start(Start { code, app: app_env, args, parent, link: None, starter, watch: None });
    match world.wait_for(&answer, deadline) {
        Some(Answer::Reply(reply)) => Ok((pid, reply)),
        Some(Answer::Exit(exit)) => Err(AppError::Failed { app: app(), exit }),
        Some(Answer::Timeout) | None => {
            world.signal(pid, Signal::End(Exit::Killed));
            Err(AppError::TimedOut { app: app(), what: "start" })
        }
    }
}

/// Notes when the process of an application ends by itself.
fn watch(world: &Arc<World>, name: &str, pid: Pid) {
    let (weak, name) = (Arc::downgrade(world), name.to_owned());
    on_exit(world, pid, move |exit| {
        if let Some(world) = weak.upgrade() {
            world.apps.ended(&name, pid, exit);
        }
    });
}

/// Calls `done` once with the reason for which a process ended.
pub(crate) fn on_exit(world: &World, pid: Pid, done: impl FnOnce(Exit) + Send + 'static) {
    let reference = world.ask(
        None,
        Box::new(move |answer| {
            done(match answer {
                Answer::Exit(exit) => exit,
                Answer::Reply(_) | Answer::Timeout => Exit::Normal,
            });
        }),
    );
    world.signal(pid, Signal::Monitor(Watch { watcher: Pid::OUTSIDE, reference, as_answer: true }));
}

/// Stops an application: prep_stop, the tree, stop. OTP: `application:stop/1`.
pub(crate) fn stop(
    world: &Arc<World>,
    name: &str,
    cause: StopCause,
    deadline: Instant,
) -> Result<(), AppError> {
    let (process, root) = world.apps.begin_stop(name)?;
    let gone = process.is_none_or(|process| {
        let prepared = prep_stop(world, name, process, (root, cause), deadline);
        let ended = root.is_none_or(|root| end(world, root, Exit::shutdown(), deadline));
        match (prepared, root) {
            // It may wait in prep_stop for ever, and would never come to its stop callback.
            (false, _) => world.signal(process, Signal::End(Exit::Killed)),
            (true, None) => world.signal(process, Signal::Exit(Pid::OUTSIDE, Exit::shutdown())),
            // The end of its root made it run its stop callback and end.
            (true, Some(_)) => true,
        };
        ended && wait_gone(world, process, deadline)
    });
    if gone {
        world.apps.set(name, AppStatus::Stopped(None));
        return Ok(());
    }
    // Whatever is left is killed; it may not hold up the rest of the node.
    for pid in [root, process].into_iter().flatten() {
        world.signal(pid, Signal::End(Exit::Killed));
    }
    world.apps.set(name, AppStatus::Stopped(Some(Exit::Killed)));
    Err(AppError::TimedOut { app: name.to_owned(), what: "stop" })
}

/// Runs prep_stop; says whether it came to its end in time.
fn prep_stop(
    world: &Arc<World>,
    name: &str,
    process: Pid,
    told: (Option<Pid>, StopCause),
    deadline: Instant,
) -> bool {
    // Half of the time is the tree's.
    let now = Instant::now();
    let bound = now + (deadline.saturating_duration_since(now) / 2).min(PREP_STOP);
    match ask(world, RequestKind::PrepStop, process, term::encode(&told), bound) {
        Ok(Answer::Timeout) => {
            tracing::warn!(name: "application.prep_stop_timeout", app = name, "prep_stop did not answer; the tree stops all the same");
            false
        }
        Ok(Answer::Exit(exit)) => {
            tracing::warn!(name: "application.prep_stop_failed", app = name, reason = %exit, "prep_stop failed; the tree stops all the same");
            true
        }
        Ok(Answer::Reply(_)) | Err(_) => true,
    }
}

/// What changed between two environments. OTP: the arguments of `config_change/3`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct EnvChange {
    pub(crate) changed: BTreeMap<String, rmpv::Value>,
    pub(crate) new: BTreeMap<String, rmpv::Value>,
    pub(crate) removed: Vec<String>,
}

impl EnvChange {
    fn between(before: &BTreeMap<String, Bytes>, after: &BTreeMap<String, Bytes>) -> Self {
        let differs = |key: &String, value: &Bytes| before.get(key).is_some_and(|old| old != value);
        Self {
            changed: values(after.iter().filter(|(key, value)| differs(key, value))),
            new: values(after.iter().filter(|(key, _)| !before.contains_key(*key))),
            removed: before.keys().filter(|key| !after.contains_key(*key)).cloned().collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.new.is_empty() && self.removed.is_empty()
    }
}

/// Reads values of an environment, which were written by the daemon.
fn values<'a>(env: impl Iterator<Item = (&'a String, &'a Bytes)>) -> BTreeMap<String, rmpv::Value> {
    env.filter_map(|(key, value)| Some((key.clone(), term::decode(value).ok()?))).collect()
}

/// Tells a running application what changed in its environment. OTP: `config_change/3`.
pub(crate) fn config_change(
    world: &Arc<World>,
    name: &str,
    before: &BTreeMap<String, Bytes>,
    deadline: Instant,
) -> Result<bool, AppError> {
    let spec = world.apps.spec(name).ok_or_else(|| AppError::Unknown(name.to_owned()))?;
    let change = EnvChange::between(before, &spec.env);
    let Some(process) = world.apps.process(name).filter(|_| !change.is_empty()) else {
        return Ok(false);
    };
    match ask(world, RequestKind::ConfigChange, process, term::encode(&change), deadline) {
        Ok(Answer::Reply(_)) => Ok(true),
        Ok(Answer::Exit(exit)) => Err(AppError::ConfigChange { app: name.to_owned(), exit }),
        Ok(Answer::Timeout) | Err(_) => {
            Err(AppError::TimedOut { app: name.to_owned(), what: "config_change" })
        }
    }
}

/// Ends a process like its parent would; says whether it is gone by the deadline.
fn end(world: &Arc<World>, pid: Pid, exit: Exit, deadline: Instant) -> bool {
    let parent = world.slot(pid).and_then(|slot| slot.card(pid.generation, |card| card.parent));
    let from = parent.filter(|parent| *parent != Pid::NONE).unwrap_or(Pid::OUTSIDE);
    world.signal(pid, Signal::Exit(from, exit));
    wait_gone(world, pid, deadline)
}

fn wait_gone(world: &Arc<World>, pid: Pid, deadline: Instant) -> bool {
    let (done, gone) = mpsc::channel();
    on_exit(world, pid, move |exit| done.send(exit).unwrap_or(()));
    gone.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok()
}
