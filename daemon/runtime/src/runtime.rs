//! The interface of the process world for the daemon.

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

/// The process world of a node. A clone is another handle to the same world.
///
/// Methods that block are marked "Waits." or take a deadline or a time-out. Never call them from a
/// callback.
#[derive(Clone)]
pub struct Runtime {
    world: Arc<Running>,
}

/// The world, as long as a handle to it exists. Dropping the last handle stops the pool's threads;
/// each thread keeps the world alive until it ends.
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

/// The time after which a killed process that still computes is ended without its callback.
const ABANDON_AFTER: Duration = Duration::from_secs(1);

/// The time allowed for a killed task or init to end.
const KILL_GRACE: Duration = Duration::from_secs(1);

impl Runtime {
    /// Starts an empty node with a pool of `width` threads.
    pub fn new(width: usize) -> Self {
        let world = World::new(width, supervisor::init);
        run::start(&world);
        Self { world: Arc::new(Running(world)) }
    }

    /// Sets the work that [`call_threads`](Self::call_threads) does on each thread of the pool. The
    /// first call wins.
    pub fn on_call(&self, errand: fn()) {
        self.world.scheduler.on_call(errand);
    }

    /// Sets the function that returns the stack of a thread, innermost function first. The function
    /// gets the operating system's id of the thread. The stack shows where a stuck callback is. The
    /// first call wins; without such a function no stack is shown.
    pub fn on_frames(&self, frames: fn(i32) -> Vec<String>) {
        self.world.scheduler.on_frames(frames);
    }

    /// Makes each thread of the pool do the work set by [`on_call`](Self::on_call) once. A thread
    /// does it soon, or when the callback on it returns. Does not wait. A thread that the pool has
    /// replaced ends without doing the work.
    pub fn call_threads(&self) {
        self.world.scheduler.call_workers();
    }

    /// Calls `beat` on a thread of the pool, to prove that the pool is alive. Does not wait.
    pub fn pulse(&self, beat: impl FnOnce() + Send + 'static) {
        self.world.scheduler.job(Box::new(beat));
    }

    /// Lets a process at rest handle the same call `times` times on a pool thread, and waits.
    /// Returns the total time, or `None` if the process was not at rest at the start and at the
    /// end. For benchmarks.
    #[doc(hidden)]
    pub fn bench_callback(&self, pid: Pid, body: Bytes, times: u64) -> Option<Duration> {
        let (done, finished) = mpsc::channel();
        let world = Arc::clone(&self.world);
        self.world
            .scheduler
            .job(Box::new(move || done.send(run::bench_callback(&world, pid, &body, times)).unwrap_or(())));
        finished.recv().ok().flatten()
    }

    /// Calls a process; `done` gets exactly one answer, on any thread.
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

    /// Calls a supervisor for an upgrade. If the answer does not come in time or the upgrade is
    /// given up, the children that are still in init are killed, so that none is left behind.
    pub fn call_supervisor(&self, supervisor: Pid, body: Bytes, deadline: Instant) -> Answer {
        let (_, answer) = self.ask_supervisor(supervisor, body);
        self.answered(supervisor, &answer, deadline)
    }

    /// Makes a supervisor start a child after the switch of an upgrade, while its members are held.
    /// The gate lets through this call and the calls that the answer depends on. If there is no
    /// answer by `held`, the gate is lowered. Processes started by the call are not recorded in the
    /// upgrade's journal.
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
        // A late reply only reports that the child was killed; the reason is the time-out.
        late.filter(|late| matches!(late, Answer::Exit(_))).unwrap_or(Answer::Timeout)
    }

    /// Makes waits of an upgrade end early once `given_up` returns true.
    pub fn end_waits_when(&self, given_up: impl Fn() -> bool + Send + Sync + 'static) {
        self.world.given_up.get_or_init(|| Box::new(given_up));
    }

    /// Returns the members that the gate of an upgrade waits for.
    pub fn awaited(&self) -> Vec<ProcessInfo> {
        let world: &World = &self.world;
        let awaited = world.gate.awaited(world);
        awaited.into_iter().filter_map(|pid| self.process(pid)).collect()
    }

    /// Checks that the code of a process can decode a message. The app's own code decodes it on the
    /// pool; no callback runs. An upgrade before the message is sent may change the result.
    ///
    /// `done` gets the message, [`Exit::Undecodable`] with the mismatch, or [`Exit::Noproc`].
    pub fn accepts_then(
        &self,
        to: Pid,
        kind: BodyKind,
        body: Bytes,
        done: impl FnOnce(Result<Bytes, Exit>) + Send + 'static,
    ) {
        // The reference is copied, because no lock may be held while app code runs.
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

    /// Sends an exit signal from outside; [`Exit::Killed`] cannot be trapped. Returns whether the
    /// process exists.
    pub fn exit(&self, to: Pid, exit: Exit) -> bool {
        let signal = if exit == Exit::Killed { Signal::End(exit) } else { Signal::Exit(Pid::OUTSIDE, exit) };
        self.world.signal(to, signal)
    }

    /// Calls `done` once with the exit reason of a process; with `noproc` if it has ended already.
    pub fn on_exit(&self, pid: Pid, done: impl FnOnce(Exit) + Send + 'static) {
        application::on_exit(&self.world, pid, done);
    }

    /// Starts a process of a module's current code outside of every tree, and waits for its init.
    /// Returns `Ok(None)` for `ignore`.
    ///
    /// # Errors
    /// The exit reason of the init, or an error if the module is not loaded.
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
            Ok(Answer::Started(started)) => Ok(started),
            // An application answers with its root.
            Ok(Answer::Reply(_)) => Ok(Some(pid)),
            Ok(Answer::Exit(exit)) => Err(exit),
            Ok(Answer::Timeout) | Err(_) => {
                self.world.signal(pid, Signal::End(Exit::Killed));
                Err(Exit::Error(format!("init of {module} took longer than {} ms", timeout.as_millis())))
            }
        }
    }

    /// Runs a task and waits for its end. Uses staged code before current code. OTP: `apply`.
    ///
    /// # Errors
    /// The reason why the task was not started, or its exit reason; [`Exit::Killed`] if the task
    /// had not ended by the deadline.
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
            Some(Answer::Reply(_) | Answer::Started(_) | Answer::Timeout) | None => None,
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
