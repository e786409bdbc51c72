//! The face of the process world to the daemon.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::io::ets::TableInfo;
use crate::io::port::{PortInfo, Sockets};
use crate::look::census::Census;
use crate::look::details::{self, ProcessDetails};
use crate::look::inspect::{Node, ProcessInfo};
use crate::look::sys::{self, SysStatus};
use crate::look::top;
use crate::pool::blocking::Blocking;
use crate::pool::stuck::Stuck;
use crate::process::body::{Answer, Env, Mail, RequestKind, Signal, Watch};
use crate::process::debug::{Logged, Statistics};
use crate::process::shown;
use crate::process::system::SysError;
use crate::tree::application;
use crate::tree::request::Listed;
use crate::tree::supervisor::{self, Supervised};
use crate::upgrade::Upgrade;
use crate::upgrade::convert;
use crate::upgrade::sweep::sweep;
use crate::words::code::{Behaviour, BodyKind, Bytes, Module, StopCause};
use crate::words::code_server::{Code, CodeError, Place, Version};
use crate::words::exit::Exit;
use crate::words::figures::Figures;
use crate::words::pid::Pid;
use crate::world::applications::{AppError, AppSpec, AppStatus};
use crate::world::crashes::Crash;
use crate::world::run;
use crate::world::trace::{Only, Traced, Tracing};
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

/// What a purge came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purge {
    /// Who was ended.
    pub killed: Vec<Pid>,
    /// Who still runs the code; the code stays while there is somebody.
    pub lingering: Vec<Pid>,
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
    pub fn drill(&self, pid: Pid, body: Bytes, times: u64) -> Option<Duration> {
        let (done, drilled) = mpsc::channel();
        let world = Arc::clone(&self.world);
        self.world
            .scheduler
            .job(Box::new(move || done.send(run::drill(&world, pid, &body, times)).unwrap_or(())));
        drilled.recv().ok().flatten()
    }

    // --- messages --------------------------------------------------------------------------------------------------

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
        let (done, answer) = mpsc::channel();
        let done = move |answer| done.send(answer).unwrap_or(());
        self.call_then(RequestKind::Supervisor, supervisor, body, None, done);
        if let Some(answer) = self.world.wait_for(&answer, deadline) {
            return answer;
        }
        let starting = self.world.starting_children(supervisor);
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

    // --- system messages -------------------------------------------------------------------------------------------

    /// Suspends a process. Waits. OTP: `sys:suspend/2`.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn suspend(&self, pid: Pid, timeout: Duration) -> Result<(), SysError> {
        sys::suspend(&self.world, pid, timeout)
    }

    /// Resumes a process. Waits. OTP: `sys:resume/2`.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn resume(&self, pid: Pid, timeout: Duration) -> Result<(), SysError> {
        sys::resume(&self.world, pid, timeout)
    }

    /// Converts a suspended process to its module's current code. Waits. OTP: `sys:change_code/5`.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn change_code(&self, pid: Pid, from: &str, extra: Bytes, timeout: Duration) -> Result<(), SysError> {
        sys::change_code(&self.world, pid, from.to_owned(), extra, timeout)
    }

    /// Returns the state of a process as MessagePack. Waits. OTP: `sys:get_state/2`.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn get_state(&self, pid: Pid, timeout: Duration) -> Result<Bytes, SysError> {
        sys::get_state(&self.world, pid, timeout)
    }

    /// Gives a process another state, which its code reads from these bytes. Waits. OTP: `sys:replace_state/3`.
    ///
    /// # Errors
    /// See [`SysError`]; the old state stays.
    pub fn replace_state(&self, pid: Pid, state: Bytes, timeout: Duration) -> Result<(), SysError> {
        sys::replace_state(&self.world, pid, state, timeout)
    }

    /// Ends a process in order, suspended or not: its terminate runs. Waits until it has begun. OTP: `sys:terminate/3`.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn terminate(&self, pid: Pid, reason: Exit, timeout: Duration) -> Result<(), SysError> {
        sys::terminate(&self.world, pid, reason, timeout)
    }

    /// Turns the statistics of a process on, from 0, or off. Waits. OTP: `sys:statistics/3`.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn count(&self, pid: Pid, on: bool, timeout: Duration) -> Result<(), SysError> {
        sys::count(&self.world, pid, on, timeout)
    }

    /// Returns the statistics of a process; `None` when they are off. Waits.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn statistics(&self, pid: Pid, timeout: Duration) -> Result<Option<Statistics>, SysError> {
        sys::statistics(&self.world, pid, timeout)
    }

    /// Has a process keep its last `max` messages, or none. Waits. OTP: `sys:log/3`.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn keep_log(&self, pid: Pid, max: Option<usize>, timeout: Duration) -> Result<(), SysError> {
        sys::keep_log(&self.world, pid, max, timeout)
    }

    /// Returns the last messages of a process, the oldest first; `None` when none are kept. Waits.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn log(&self, pid: Pid, timeout: Duration) -> Result<Option<Vec<Logged>>, SysError> {
        sys::log(&self.world, pid, timeout)
    }

    /// Returns what system messages tell about a process. Waits. OTP: `sys:get_status/2`.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn sys_status(&self, pid: Pid, timeout: Duration) -> Result<SysStatus, SysError> {
        sys::get_status(&self.world, pid, timeout)
    }

    /// Turns statistics and log of a process off. Waits. OTP: `sys:no_debug/2`.
    ///
    /// # Errors
    /// See [`SysError`].
    pub fn no_debug(&self, pid: Pid, timeout: Duration) -> Result<(), SysError> {
        sys::no_debug(&self.world, pid, timeout)
    }

    /// Has `tell` called for all that passes, until what is returned is dropped. It is called on the pool's threads, and
    /// must not wait. `None` while somebody else looks. OTP: `erlang:trace/3`.
    pub fn trace(&self, only: Only, tell: impl Fn(Traced) + Send + Sync + 'static) -> Option<Tracing> {
        Tracing::start(&self.world, only, tell)
    }

    // --- looking ---------------------------------------------------------------------------------------------------

    /// Looks for so long which processes run; returns for which part of the time each did, 1 being one thread all the
    /// time. Waits.
    pub fn sample(&self, time: Duration) -> HashMap<Pid, f64> {
        top::sample(&self.world, time)
    }

    /// Returns the process of a name.
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        self.world.registry.whereis(name)
    }

    /// Returns one process.
    pub fn process(&self, pid: Pid) -> Option<ProcessInfo> {
        self.world.process(pid)
    }

    /// Returns the name of a process, or its pid where it has none.
    pub fn called(&self, pid: Pid) -> String {
        let name = self.process(pid).and_then(|info| info.names.into_iter().next());
        name.unwrap_or_else(|| pid.to_string())
    }

    /// Returns one process in full.
    pub fn details(&self, pid: Pid) -> Option<ProcessDetails> {
        self.world.details(pid)
    }

    /// Returns one process in full, as people are shown it: what its module hides of its messages is hidden, and all of them
    /// where it does not say so in time.
    pub fn shown(&self, pid: Pid, timeout: Duration) -> Option<ProcessDetails> {
        let details = self.world.details(pid)?;
        let code = self.world.slot(pid)?.card(pid.generation, |card| Arc::clone(&card.code))?;
        if !code.module.hides() {
            return Some(details);
        }
        let (tell, told) = mpsc::channel();
        let all = details.clone();
        self.world.scheduler.job(Box::new(move || {
            let look = |kind, body| shown::shown(&*code.module, kind, body);
            // Who asked may have given up.
            let _ = tell.send(details::shown(&look, all));
        }));
        let hide = |_| details::shown(&|_, _| shown::hidden(), details);
        Some(told.recv_timeout(timeout).unwrap_or_else(hide))
    }

    /// Returns all processes.
    pub fn processes(&self) -> Vec<ProcessInfo> {
        self.world.processes()
    }

    /// Counts processes, and what they have: with one look at each, so that a node with a million may be asked often.
    pub fn census(&self) -> Census {
        self.world.census()
    }

    /// Returns the processes of these modules that no upgrade of a tree reaches: tasks, and behaviour processes that
    /// nobody supervises. Quick where there are none, however many processes there are.
    pub fn outsiders(&self, modules: &[&str]) -> Vec<ProcessInfo> {
        self.world.outsiders(modules)
    }

    /// Returns the tree below a process.
    pub fn tree(&self, root: Pid) -> Option<Node> {
        self.world.tree(root)
    }

    /// Returns a supervisor's children, latest started first; `None` for other processes.
    pub fn which_children(&self, supervisor: Pid) -> Option<Vec<Listed>> {
        self.world.which_children(supervisor)
    }

    /// Returns the state of a process that rests, without asking it: `None` of one that runs, that has none, or whose
    /// code does not write it in time.
    pub fn resting_state(&self, pid: Pid, timeout: Duration) -> Option<Bytes> {
        let (tell, told) = mpsc::channel();
        let world = Arc::clone(&self.world);
        self.world.scheduler.job(Box::new(move || {
            // Who asked may have given up.
            let _ = tell.send(convert::resting_state(&world, pid));
        }));
        told.recv_timeout(timeout).ok().flatten()
    }

    /// Returns the supervisors of these modules as a code change would find them, and those that run at this moment and
    /// cannot be looked into.
    pub fn supervised(&self, modules: &[&str]) -> (Vec<Supervised>, Vec<Pid>) {
        self.world.supervised(modules)
    }

    /// Looks where a process computes that has done so for long, the innermost function first. Nothing for any other one.
    /// Takes a moment: files are read.
    pub fn frames(&self, pid: Pid) -> Vec<String> {
        self.world.frames(pid)
    }

    /// Returns the app code that has computed without a break for longer than this, oldest first: callbacks, and
    /// conversions that were given up. Their threads were replaced and end when that code returns.
    pub fn stuck(&self, longer: Duration) -> Vec<Stuck> {
        let mut stuck = self.world.stuck();
        stuck.retain(|stuck| stuck.since.elapsed() >= longer);
        stuck.sort_by_key(|stuck| stuck.since);
        stuck
    }

    /// Returns what is counted of the node since it was started.
    pub fn figures(&self) -> Figures {
        self.world.figures()
    }

    // --- ports -----------------------------------------------------------------------------------------------------

    /// Supplies the sockets behind the ports. Before the first application starts; a node without them opens no port.
    pub fn supply_sockets(&self, sockets: impl Sockets + 'static) {
        self.world.ports.supply(Box::new(sockets));
    }

    /// Returns all open ports in the order of their numbers.
    pub fn ports(&self) -> Vec<PortInfo> {
        self.world.ports.list()
    }

    // --- tables ----------------------------------------------------------------------------------------------------

    /// Returns all shared tables in the order of their numbers.
    pub fn tables(&self) -> Vec<TableInfo> {
        self.world.tables.list()
    }

    /// Returns to whom the pending timers of apps will send, one pid for each timer.
    pub fn timers(&self) -> Vec<Pid> {
        self.world.timers()
    }

    /// Returns the work on spare threads, oldest first.
    pub fn blocking(&self) -> Vec<Blocking> {
        self.world.spare.list()
    }

    // --- code ------------------------------------------------------------------------------------------------------

    /// Returns all versions of all modules.
    pub fn code(&self) -> Vec<Version> {
        self.world.code.list()
    }

    /// Makes modules current by hand, all or none; idle processes of them move at once. Waits for those.
    ///
    /// # Errors
    /// [`CodeError::NotPurged`] when one of them has old code already.
    pub fn load(&self, modules: Vec<Arc<dyn Module>>, deadline: Instant) -> Result<(), CodeError> {
        self.world.code.load(modules)?;
        sweep(&self.world, deadline);
        Ok(())
    }

    /// Returns who runs the code in that place of a module.
    pub fn users(&self, module: &str, place: Place) -> Vec<Pid> {
        self.world.code.at(module, place).iter().flat_map(|code| self.world.users(code)).collect()
    }

    /// Drops old or condemned code of a module if nobody runs it. OTP: `code:soft_purge/1`.
    ///
    /// # Errors
    /// [`CodeError::NotLoaded`] for a module that this node does not have.
    pub fn soft_purge(&self, module: &str, place: Place) -> Result<Purge, CodeError> {
        self.known(module)?;
        let lingering = self.users(module, place);
        if lingering.is_empty() {
            for code in self.world.code.at(module, place) {
                let (app, version) = (code.module.app(), code.module.version());
                tracing::info!(name: "code.purged", module, version, app, "a version of a module was purged");
            }
            self.world.code.forget(module, place);
        }
        Ok(Purge { killed: Vec::new(), lingering })
    }

    /// Drops old or condemned code of a module and ends who runs it. Waits for those until the deadline. OTP:
    /// `code:purge/1`.
    ///
    /// A process whose callback computes on is ended without it, see [`kill`](Self::kill); its image stays in use until
    /// the callback returns. One that cannot be taken out of its code is named as lingering.
    ///
    /// # Errors
    /// [`CodeError::NotLoaded`] for a module that this node does not have.
    pub fn purge(&self, module: &str, place: Place, deadline: Instant) -> Result<Purge, CodeError> {
        self.known(module)?;
        let users = self.users(module, place);
        self.kill(&users, deadline);
        let after = self.soft_purge(module, place)?;
        let killed = users.into_iter().filter(|pid| !after.lingering.contains(pid)).collect();
        Ok(Purge { killed, lingering: after.lingering })
    }

    fn known(&self, module: &str) -> Result<(), CodeError> {
        if self.world.code.is_known(module) { Ok(()) } else { Err(CodeError::NotLoaded(module.to_owned())) }
    }

    /// Kills processes and waits for their ends, until the deadline.
    ///
    /// No thread is ever killed. One whose callback computes on after a second is ended all the same: who is bound to it is
    /// told, its supervisor may start it again, and what the callback comes to is thrown away. [`stuck`](Self::stuck)
    /// lists the callback until it returns.
    pub fn kill(&self, pids: &[Pid], deadline: Instant) {
        self.kill_until(pids, deadline.min(Instant::now() + ABANDON_AFTER));
        let mut left = pids.to_vec();
        left.retain(|pid| self.world.process(*pid).is_some() && !run::end::abandon(&self.world, *pid));
        if !left.is_empty() {
            self.kill_until(&left, deadline);
        }
    }

    fn kill_until(&self, pids: &[Pid], deadline: Instant) {
        let (done, gone) = mpsc::channel();
        for pid in pids {
            let done = done.clone();
            self.on_exit(*pid, move |_| done.send(()).unwrap_or(()));
            self.world.signal(*pid, Signal::End(Exit::Killed));
        }
        for _ in pids {
            if gone.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_err() {
                return;
            }
        }
    }

    /// Stages an upgrade: `new` and `removed` take effect at its switch; of `new`, processes that are started take the
    /// modules `at_once` before it. One at a time.
    pub fn stage(&self, new: Vec<Arc<dyn Module>>, removed: &[String], at_once: &[String]) -> Upgrade {
        Upgrade::stage(&self.world, new, removed, at_once)
    }

    /// Returns the first crashes since [`forget_crashes`](Self::forget_crashes). A child that its supervisor ends by
    /// `brutal_kill` counts as well: its end cannot be told from another kill.
    pub fn crashes(&self) -> Vec<Crash> {
        self.world.crashes.read()
    }

    /// Begins to count crashes anew.
    pub fn forget_crashes(&self) {
        self.world.crashes.clear();
    }

    /// Returns the version in a module's current slot.
    pub fn current_version(&self, module: &str) -> Option<String> {
        self.world.code.current(module).map(|code| code.module.version().to_owned())
    }

    /// Returns the version in a module's old slot.
    pub fn old_version(&self, module: &str) -> Option<String> {
        self.world.code.old(module).map(|code| code.module.version().to_owned())
    }

    // --- applications ----------------------------------------------------------------------------------------------

    /// Makes an application known, or gives it another version and environment.
    pub fn load_application(&self, spec: AppSpec) {
        self.world.apps.load(spec);
    }

    /// Forgets an application that does not run.
    pub fn unload_application(&self, name: &str) {
        self.world.apps.unload(name);
    }

    /// Starts an application. Waits. OTP: `application:start/1`.
    ///
    /// # Errors
    /// See [`AppError`]; nothing of it runs then.
    pub fn start_application(&self, name: &str, deadline: Instant) -> Result<(), AppError> {
        application::start(&self.world, name, deadline)
    }

    /// Starts an application after those that it needs, and returns what was started, in order. Waits. OTP:
    /// `application:ensure_all_started/1`.
    ///
    /// # Errors
    /// See [`AppError`]; what was started before stays so.
    pub fn ensure_all_started(&self, name: &str, deadline: Instant) -> Result<Vec<String>, AppError> {
        application::ensure_all_started(&self.world, name, deadline)
    }

    /// Has `tell` called with the name of an application that ended and takes the node down, see
    /// [`StartType`](crate::StartType). On a thread of the pool: it must not wait. The first caller is the one told.
    pub fn on_node_down(&self, tell: impl Fn(&str) + Send + Sync + 'static) {
        self.world.apps.on_node_down(tell);
    }

    /// Returns why an application has ended, if that takes the node down and nobody has started it again.
    pub fn took_node_down(&self, name: &str) -> Option<Exit> {
        self.world.apps.took_node_down(name)
    }

    /// Stops all applications, the one started last first, and returns what went wrong. Waits.
    pub fn stop_all_applications(&self, cause: StopCause, deadline: Instant) -> Vec<AppError> {
        application::stop_all(&self.world, cause, deadline)
    }

    /// Stops an application. Waits. OTP: `application:stop/1`.
    ///
    /// # Errors
    /// See [`AppError`]; on a time-out what is left of it was killed.
    pub fn stop_application(&self, name: &str, cause: StopCause, deadline: Instant) -> Result<(), AppError> {
        application::stop(&self.world, name, cause, deadline)
    }

    /// Tells a running application, if that has a process, what changed in its environment since `before`. Says whether
    /// anything did. Waits. OTP: `config_change/3`.
    ///
    /// # Errors
    /// [`AppError::ConfigChange`] when it crashed, [`AppError::TimedOut`] when it did not answer.
    pub fn config_change(
        &self,
        name: &str,
        before: &BTreeMap<String, Bytes>,
        deadline: Instant,
    ) -> Result<bool, AppError> {
        application::config_change(&self.world, name, before, deadline)
    }

    /// Returns all applications, in the order in which they were started.
    pub fn applications(&self) -> Vec<(AppSpec, AppStatus)> {
        self.world.apps.list()
    }

    /// Returns what an application is.
    pub fn application(&self, name: &str) -> Option<AppSpec> {
        self.world.apps.spec(name)
    }

    /// Returns the environment of a known application as it is now.
    pub fn environment(&self, name: &str) -> Option<BTreeMap<String, Bytes>> {
        let env = self.world.apps.env(name)?;
        let values = env.values.read();
        Some(values.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}
