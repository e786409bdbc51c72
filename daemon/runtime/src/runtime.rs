//! The face of the process world to the daemon.

mod applications;
pub(crate) mod code;
mod look;
mod system;

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::look::inspect::{self, ProcessInfo};
use crate::process::body::{Answer, Signal, Watch};
use crate::process::card::Env;
use crate::process::mail::{Mail, RequestKind};
use crate::tree::application;
use crate::tree::supervisor;
use crate::upgrade::Upgrade;
use crate::words::code::{Behaviour, BodyKind, Bytes, From};
use crate::words::code_server::Code;
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::world::run;
use crate::world::{Start, World};

/// A node's process world. Cloning gives another handle to the same one.
///
/// Methods that wait say so and take a deadline or a time-out; they must not be called from callbacks.
#[derive(Clone)]
pub struct Runtime {
    world: Arc<Running>,
}

/// The node, as long as somebody has a handle to it: then its threads end. They keep the world themselves while they are
/// awake.
struct Running(Arc<World>);

impl std::ops::Deref for Running {
    type Target = Arc<World>;

    fn deref(&self) -> &Arc<World> {
        &self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.scheduler.stop();
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}

/// How long a killed process may go on computing before it is ended without its callback.
const ABANDON_AFTER: Duration = Duration::from_secs(1);

/// How long a killed task is waited for.
const KILL_GRACE: Duration = Duration::from_secs(1);

impl Runtime {
    /// Starts an empty node whose pool has `width` threads.
    pub fn new(width: usize) -> Self {
        let world = World::new(width, supervisor::init);
        run::start(&world);
        Self { world: Arc::new(Running(world)) }
    }

    /// Sets what each thread of the pool does when all are called: work that only the thread itself can do. The first word
    /// counts.
    pub fn on_call(&self, errand: fn()) {
        self.world.scheduler.on_call(errand);
    }

    /// Sets who names the functions that a thread is inside, the innermost first, by the system's number of the thread: for a
    /// callback that does not return. The first word counts; without it such a callback is told without its place.
    pub fn on_frames(&self, frames: fn(i32) -> Vec<String>) {
        self.world.scheduler.on_frames(frames);
    }

    /// Has each thread of the pool run that errand once, soon; one that is inside a callback, when that returns. Does not
    /// wait. A thread that was replaced ends then, without it.
    pub fn call_threads(&self) {
        self.world.scheduler.call_workers();
    }

    /// Has a thread of the pool call `beat`, to see that the pool still runs what it is given. Does not wait.
    pub fn pulse(&self, beat: impl FnOnce() + Send + 'static) {
        self.world.scheduler.job(Box::new(beat));
    }

    /// Has a process that rests run the callback of one call again and again, on the pool, and waits for the end. Returns how
    /// long the callbacks took; `None` when the process is none, or does something else. For benchmarks: see `run::drill`.
    #[doc(hidden)]
    pub fn bench_callback(&self, pid: Pid, body: Bytes, times: u64) -> Option<Duration> {
        let (done, drilled) = mpsc::channel();
        let world = Arc::clone(&self.world);
        self.world
            .scheduler
            .job(Box::new(move || done.send(run::bench_callback(&world, pid, &body, times)).unwrap_or(())));
        drilled.recv().ok().flatten()
    }

    /// Calls a process; `done` gets exactly one answer, on whatever thread that comes from.
    pub fn call_then(
        &self,
        kind: RequestKind,
        to: Pid,
        body: Bytes,
        timeout: Option<Duration>,
        done: impl FnOnce(Answer) + Send + 'static,
    ) {
        self.world.call(kind, to, body, timeout, Box::new(done));
    }

    /// Calls a process and waits for the answer. OTP: `gen_server:call/3`.
    pub fn call(&self, kind: RequestKind, to: Pid, body: Bytes, timeout: Option<Duration>) -> Answer {
        let (done, answer) = mpsc::channel();
        self.call_then(kind, to, body, timeout, move |answer| done.send(answer).unwrap_or(()));
        answer.recv().unwrap_or(Answer::Exit(Exit::Noproc))
    }

    /// Calls a supervisor for an upgrade. Where the answer does not come in time, or the upgrade is given up, the children
    /// whose init it waits for are killed, so that nothing is left behind.
    pub fn call_supervisor(&self, supervisor: Pid, body: Bytes, deadline: Instant) -> Answer {
        let (_, answer) = self.ask_supervisor(supervisor, body);
        self.answered(supervisor, &answer, deadline)
    }

    /// Has a supervisor start a child behind the switch of an upgrade whose members are held. What the call waits for is let
    /// through; where that is not enough, the gate comes down at `held`. What it starts is none that the upgrade's journal
    /// tells.
    pub fn start_child_of(
        &self,
        upgrade: &mut Upgrade,
        supervisor: Pid,
        body: Bytes,
        held: Instant,
        deadline: Instant,
    ) -> Answer {
        let before = self.world.journal.starts();
        let (call, answer) = self.ask_supervisor(supervisor, body);
        let answer = upgrade.serve(call, &answer, held).unwrap_or_else(|| {
            upgrade.lower();
            self.answered(supervisor, &answer, deadline)
        });
        self.world.journal.forget_starts(before, |pid| self.world.is_below(pid, supervisor));
        answer
    }

    fn ask_supervisor(&self, supervisor: Pid, body: Bytes) -> (From, mpsc::Receiver<Answer>) {
        let (done, answer) = mpsc::channel();
        let done = move |answer| done.send(answer).unwrap_or(());
        (self.world.call(RequestKind::Supervisor, supervisor, body, None, Box::new(done)), answer)
    }

    fn answered(&self, supervisor: Pid, answer: &mpsc::Receiver<Answer>, deadline: Instant) -> Answer {
        if let Some(answer) = self.world.wait_for(answer, deadline) {
            return answer;
        }
        let starting = inspect::starting_children(&self.world, supervisor);
        self.kill(&starting, Instant::now() + 2 * ABANDON_AFTER);
        let late = if starting.is_empty() { None } else { answer.recv_timeout(KILL_GRACE).ok() };
        // It says that its child was killed, which is not the reason.
        late.filter(|late| matches!(late, Answer::Exit(_))).unwrap_or(Answer::Timeout)
    }

    /// Has waits of an upgrade end early when `given_up` says so.
    pub fn heed(&self, given_up: impl Fn() -> bool + Send + Sync + 'static) {
        self.world.given_up.get_or_init(|| Box::new(given_up));
    }

    /// Returns the members that the gate of an upgrade waits for.
    pub fn awaited(&self) -> Vec<ProcessInfo> {
        let world: &World = &self.world;
        let awaited = world.gate.awaited(world);
        awaited.into_iter().filter_map(|pid| self.process(pid)).collect()
    }

    /// Asks whether the code that a process runs would decode a message, and gives the message back if so. Decodes with
    /// the app's own code, on the pool like all of it; no callback runs. An upgrade in between may change the answer.
    ///
    /// `done` gets [`Exit::Undecodable`], naming what does not fit, or [`Exit::Noproc`].
    pub fn accepts_then(
        &self,
        to: Pid,
        kind: BodyKind,
        body: Bytes,
        done: impl FnOnce(Result<Bytes, Exit>) + Send + 'static,
    ) {
        // Copied out: app code runs under no lock.
        let code =
            self.world.slot(to).and_then(|slot| slot.card(to.generation, |card| Arc::clone(&card.code)));
        self.world.scheduler.job(Box::new(move || {
            let accepted = code.map_or(Err(Exit::Noproc), |code| code.module.accepts(kind, &body));
            done(accepted.map(|()| body));
        }));
    }

    /// Sends a message to `handle_cast`.
    pub fn cast(&self, to: Pid, body: Bytes) {
        self.world.post(to, Mail::Cast(Pid::OUTSIDE, body));
    }

    /// Sends a message to `handle_info`.
    pub fn send(&self, to: Pid, body: Bytes) {
        self.world.post(to, Mail::Info(Pid::OUTSIDE, body));
    }

    /// Sends an exit signal as a stranger would; [`Exit::Killed`] cannot be trapped. Says whether there was a process.
    pub fn exit(&self, to: Pid, exit: Exit) -> bool {
        let signal = if exit == Exit::Killed { Signal::End(exit) } else { Signal::Exit(Pid::OUTSIDE, exit) };
        self.world.signal(to, signal)
    }

    /// Calls `done` once with the reason for which a process ends; with `noproc` when it has ended already.
    pub fn on_exit(&self, pid: Pid, done: impl FnOnce(Exit) + Send + 'static) {
        application::on_exit(&self.world, pid, done);
    }

    /// Starts a process of a module's current code outside every tree, and waits for its init. `Ok(None)` is `ignore`.
    ///
    /// # Errors
    /// Why there is no process: the module is not loaded, or what its init ended with.
    pub fn spawn(&self, module: &str, args: Bytes, timeout: Duration) -> Result<Option<Pid>, Exit> {
        let code = self
            .world
            .code
            .resolve(module)
            .ok_or_else(|| Exit::Error(format!("module {module} is not loaded")))?;
        let app = self.environment_of(&code);
        let (done, answer) = mpsc::channel();
        let reference =
            self.world.ask(Some(timeout), Box::new(move |answer| done.send(answer).unwrap_or(())));
        let starter = Some((Pid::OUTSIDE, reference));
        let pid =
            self.world.start(Start { code, app, args, parent: Pid::NONE, link: None, starter, watch: None });
        match answer.recv() {
            Ok(Answer::Reply(reply)) => crate::words::term::decode(&reply).map_err(Exit::Undecodable),
            Ok(Answer::Exit(exit)) => Err(exit),
            Ok(Answer::Timeout) | Err(_) => {
                self.world.signal(pid, Signal::End(Exit::Killed));
                Err(Exit::Error(format!("init of {module} took longer than {} ms", timeout.as_millis())))
            }
        }
    }

    /// Runs a task and waits for its end. Staged code goes before current code. OTP: `apply`.
    ///
    /// # Errors
    /// Why it was not started, or what it ended with; [`Exit::Killed`] when it had not ended by the deadline.
    pub fn run_task(&self, module: &str, args: Bytes, deadline: Instant) -> Result<(), Exit> {
        let code = self.world.code.newest(module);
        let code = code.ok_or_else(|| Exit::Error(format!("module {module} is not loaded")))?;
        if code.behaviour() != Behaviour::Task {
            let behaviour = code.behaviour();
            return Err(Exit::Error(format!("module {module} is a {behaviour:?}, not a task")));
        }
        let app = self.environment_of(&code);
        let (done, ended) = mpsc::channel();
        let reference = self.world.ask(None, Box::new(move |answer| done.send(answer).unwrap_or(())));
        let watch = Some(Watch { watcher: Pid::OUTSIDE, reference, as_answer: true });
        let start = Start { code, app, args, parent: Pid::NONE, link: None, starter: None, watch };
        let pid = self.world.start(start);
        let ended_by = |deadline: Instant| match self.world.wait_for(&ended, deadline) {
            Some(Answer::Exit(exit)) => Some(exit),
            Some(Answer::Reply(_) | Answer::Timeout) | None => None,
        };
        let exit = ended_by(deadline).unwrap_or_else(|| {
            self.world.signal(pid, Signal::End(Exit::Killed));
            ended_by(Instant::now() + KILL_GRACE).unwrap_or(Exit::Killed)
        });
        if exit == Exit::Normal { Ok(()) } else { Err(exit) }
    }

    fn environment_of(&self, code: &Code) -> Arc<Env> {
        let env = self.world.apps.env(code.module.app());
        env.unwrap_or_else(|| Arc::new(Env { name: code.module.app().to_owned(), ..Env::default() }))
    }
}
