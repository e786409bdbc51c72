//! Starts and stops applications: named, versioned trees with an environment. OTP: application,
//! application_controller.
//!
//! An application consists of one process of its module (start, prep_stop, stop) and the root
//! supervisor below it. Starting and stopping block until a deadline, so they are called from
//! threads that may block, never from a callback.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Instant;

use reld_wire::application::{EnvChange, Root, StartArgs, StartPhase, StartType};
use serde_bytes::ByteBuf;

use crate::process::body::{Answer, Signal, Watch};
use crate::process::card::Env;
use crate::process::mail::RequestKind;
use crate::words::code::{Bytes, StopCause};
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::words::term;
use crate::world::applications::{AppError, AppSpec, AppStatus, PREP_STOP};
use crate::world::{Start, World};

/// Starts an application; returns when its root supervisor runs. OTP: `application:start/1`.
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
            tracing::info!(name: "application.started", app = name, version = spec.version, "an application was started");
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

/// Starts an application after its dependencies. Returns the applications that were started, in
/// order. OTP: `ensure_all_started/1`.
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
    // Release documents have no cycles; applications loaded by hand may have some.
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

/// Stops all applications, in reverse start order. Returns the errors.
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
    let args = term::encode(&StartArgs { start_type: StartType::Normal, env: values(spec.env.iter()) });
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
            // The start callback has run, so the stop callback must run before the process is gone.
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
            // When the root ends, the process ends too. A process without a root may have crashed
            // already.
            end(world, root.unwrap_or(process), Exit::shutdown(), deadline);
            wait_gone(world, process, deadline);
            Err(error)
        }
    }
}

/// Runs the start phases of an application, one after the other. OTP: `start_phase/3`. Unlike OTP,
/// phases of included applications are not run: the including application starts them.
fn start_phases(world: &Arc<World>, spec: &AppSpec, process: Pid, deadline: Instant) -> Result<(), AppError> {
    let app = || spec.name.clone();
    for (phase, arg) in &spec.start_phases {
        let (phase, arg) = (phase.clone(), ByteBuf::from(arg.clone()));
        let body = term::encode(&StartPhase { phase, start_type: StartType::Normal, arg });
        match ask(world, RequestKind::StartPhase, process, body, deadline) {
            Ok(Answer::Reply(_) | Answer::Started(_)) => {}
            Ok(Answer::Exit(exit)) => return Err(AppError::Failed { app: app(), exit }),
            Ok(Answer::Timeout) | Err(_) => {
                world.signal(process, Signal::End(Exit::Killed));
                return Err(AppError::TimedOut { app: app(), what: "start_phase" });
            }
        }
    }
    Ok(())
}

/// Calls the process of an application, and waits until the deadline.
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
        // The calls that stop an application are never given up.
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
        Some(Answer::Started(_)) => Ok((pid, Bytes::new())),
        Some(Answer::Exit(exit)) => Err(AppError::Failed { app: app(), exit }),
        Some(Answer::Timeout) | None => {
            world.signal(pid, Signal::End(Exit::Killed));
            Err(AppError::TimedOut { app: app(), what: "start" })
        }
    }
}

/// Records it when the process of an application ends by itself.
fn watch(world: &Arc<World>, name: &str, pid: Pid) {
    let (weak, name) = (Arc::downgrade(world), name.to_owned());
    on_exit(world, pid, move |exit| {
        if let Some(world) = weak.upgrade() {
            world.apps.ended(&name, pid, exit);
        }
    });
}

/// Calls `done` once with the exit reason of a process.
pub(crate) fn on_exit(world: &World, pid: Pid, done: impl FnOnce(Exit) + Send + 'static) {
    let reference = world.ask(
        None,
        Box::new(move |answer| {
            done(match answer {
                Answer::Exit(exit) => exit,
                Answer::Reply(_) | Answer::Started(_) | Answer::Timeout => Exit::Normal,
            });
        }),
    );
    world.signal(pid, Signal::Monitor(Watch { watcher: Pid::OUTSIDE, reference, as_answer: true }));
}

/// Stops an application: `prep_stop`, the supervision tree, `stop`. OTP: `application:stop/1`.
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
            // The process may hang in `prep_stop` and never reach its stop callback.
            (false, _) => world.signal(process, Signal::End(Exit::Killed)),
            (true, None) => world.signal(process, Signal::Exit(Pid::OUTSIDE, Exit::shutdown())),
            // The end of the root makes the process run its stop callback and end.
            (true, Some(_)) => true,
        };
        ended && wait_gone(world, process, deadline)
    });
    if gone {
        world.apps.set(name, AppStatus::Stopped(None));
        tracing::info!(name: "application.stopped", app = name, "an application was stopped");
        return Ok(());
    }
    // Remaining processes are killed so that they do not hold up the rest of the node.
    for pid in [root, process].into_iter().flatten() {
        world.signal(pid, Signal::End(Exit::Killed));
    }
    world.apps.set(name, AppStatus::Stopped(Some(Exit::Killed)));
    Err(AppError::TimedOut { app: name.to_owned(), what: "stop" })
}

/// Runs `prep_stop`; returns whether it ended in time.
fn prep_stop(
    world: &Arc<World>,
    name: &str,
    process: Pid,
    told: (Option<Pid>, StopCause),
    deadline: Instant,
) -> bool {
    // At most half of the time goes to `prep_stop`; the rest is left for stopping the tree.
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
        Ok(Answer::Reply(_) | Answer::Started(_)) | Err(_) => true,
    }
}

/// Returns the changes between two environments.
fn changes(before: &BTreeMap<String, Bytes>, after: &BTreeMap<String, Bytes>) -> EnvChange<rmpv::Value> {
    let differs = |key: &String, value: &Bytes| before.get(key).is_some_and(|old| old != value);
    EnvChange {
        changed: values(after.iter().filter(|(key, value)| differs(key, value))),
        new: values(after.iter().filter(|(key, _)| !before.contains_key(*key))),
        removed: before.keys().filter(|key| !after.contains_key(*key)).cloned().collect(),
    }
}

fn is_empty(change: &EnvChange<rmpv::Value>) -> bool {
    change.changed.is_empty() && change.new.is_empty() && change.removed.is_empty()
}

/// Decodes values of an environment that the daemon has written.
fn values<'a>(env: impl Iterator<Item = (&'a String, &'a Bytes)>) -> BTreeMap<String, rmpv::Value> {
    env.filter_map(|(key, value)| Some((key.clone(), term::decode(value).ok()?))).collect()
}

/// Notifies a running application of the changes in its environment. OTP: `config_change/3`.
pub(crate) fn config_change(
    world: &Arc<World>,
    name: &str,
    before: &BTreeMap<String, Bytes>,
    deadline: Instant,
) -> Result<bool, AppError> {
    let spec = world.apps.spec(name).ok_or_else(|| AppError::Unknown(name.to_owned()))?;
    let change = changes(before, &spec.env);
    let Some(process) = world.apps.process(name).filter(|_| !is_empty(&change)) else {
        return Ok(false);
    };
    match ask(world, RequestKind::ConfigChange, process, term::encode(&change), deadline) {
        // A text is the reason of a refusal. All else accepts the change, as early libraries do.
        Ok(Answer::Reply(reply)) => match term::decode::<String>(&reply) {
            Ok(reason) => Err(AppError::ChangeRefused { app: name.to_owned(), reason }),
            Err(_) => Ok(true),
        },
        Ok(Answer::Started(_)) => Ok(true),
        Ok(Answer::Exit(exit)) => Err(AppError::ConfigChange { app: name.to_owned(), exit }),
        Ok(Answer::Timeout) | Err(_) => {
            Err(AppError::TimedOut { app: name.to_owned(), what: "config_change" })
        }
    }
}

/// Ends a process on behalf of its parent; returns whether the process has ended by the deadline.
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
