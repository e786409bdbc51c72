//! Running a process: the work of a pool thread that takes a number from its queue.
//!
//! ```text
//!  Unborn --init--> Resting <--+            Waiting: a callback is parked at an await.
//!                     |        |            Any callback may park; `During` keeps its purpose.
//!                  callback    | done
//!                     v        |
//!                  Running ----+--- stop ---> Terminate callback ---> dead
//!                     |  ^                         ^
//!                waits|  |answers                  | parent's exit signal, when it traps exits
//!                     v  |                         |
//!                  Waiting ---- crash, kill, exit signal ------------> dead
//! ```
//!
//! Between two callbacks lies a *boundary*. There the process carries out system messages, installs
//! the shadow of a committed upgrade, and moves on to the current code if its own code is stale.
//! When a callback begins, the shadow of an upgrade that is still under way becomes void: the
//! callback will change the state that the shadow was made from.

mod callbacks;
pub(crate) mod end;
mod inside;
mod outcome;
mod short;
mod signals;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::end::end;
use crate::pool::timer::Fired;
use crate::process::body::{Actor, Body, During, Process, Signal, spare_mail};
use crate::process::current;
use crate::process::gate::{Admission, Entrant, Round};
use crate::process::mail::Mail;
use crate::process::queue::Queue;
use crate::process::slot::{GateNumber, Hold, Slot};
use crate::words::code::{Behaviour, Event, From};
use crate::words::contain::{Panicked, contained};
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::world::{World, change, context};

/// How many callbacks a process may run, and how many awaited processes, before other processes get
/// their turn.
const BUDGET: usize = 64;

/// Starts the pool that runs the processes of a world, and the timers.
pub(crate) fn start(world: &Arc<World>) {
    let weak = Arc::downgrade(world);
    let run = move |number| {
        context::serve(&weak, |world| activate(world, number));
    };
    let weak = Arc::downgrade(world);
    let report = move |number, since, frames: &[String]| {
        if let Some(world) = weak.upgrade() {
            world.report_slow(number, since, frames);
        }
    };
    let weak = Arc::downgrade(world);
    let unhold = move |body| {
        if let Some(world) = weak.upgrade() {
            park(&world, body);
        }
    };
    world.scheduler.start(Box::new(run), Box::new(report), Box::new(unhold), context::rest);
    let weak = Arc::downgrade(world);
    world.timers.start(move |fire| weak.upgrade().map_or(Fired::Drop, |world| world.fire(fire)));
}

/// Parks a process in its slot that a worker has held.
fn park(world: &Arc<World>, body: Box<Body>) {
    let Some(slot) = world.slot(body.pid) else { return };
    let run = Run { world, slot, body: Some(body) };
    let hold = run.hold();
    run.put_back(hold);
}

/// Runs the process in that slot, unless another thread has claimed it.
pub(crate) fn activate(world: &Arc<World>, number: u32) {
    activate_for(world, number, BUDGET);
}

/// Runs the process in that slot, unless another thread has claimed it, for so many messages.
fn activate_for(world: &Arc<World>, number: u32, messages: usize) {
    let Some(slot) = world.table.slot(number) else { return };
    let Ok(claim) = slot.claim_any() else { return };
    let mut body = claim.body;
    if body.inbox.is_empty() {
        body.inbox = claim.mail;
    } else {
        let before = body.inbox.len();
        body.inbox.append(claim.mail);
        world.counters.mailbox(body.pid, before, body.inbox.len());
    }
    let pid = body.pid;
    let mut run = Run { world, slot, body: Some(body) };
    match contained(|| run.turn(claim.signals, messages)) {
        Err(panicked) => run.fail(pid, &panicked),
        // The process was abandoned: it has ended, and its slot may belong to another process. Or
        // it was held too long: the watchdog has put it back.
        Ok(_) if run.body.is_none() => {}
        Ok(Ok(hold)) => run.put_back(hold),
        Ok(Err(exit)) => run.die(exit),
    }
}

/// A claimed process on its worker.
struct Run<'a> {
    world: &'a Arc<World>,
    slot: &'a Slot<Process>,
    /// `None` while a callback runs or the process is held, and once it was taken from the worker.
    body: Option<Box<Body>>,
}

/// The result of handling a message the short way (`run/short.rs`).
enum Served {
    /// The callbacks for so many messages were run.
    Callbacks(usize),
    /// The process has nothing to do, or nothing but messages that have to wait.
    Nothing,
    /// The process or its next message has to take the long way. Nothing was changed.
    LongWay,
}

impl Deref for Run<'_> {
    type Target = Body;

    fn deref(&self) -> &Body {
        self.body.as_ref().expect("the body is away only while a callback runs")
    }
}

impl DerefMut for Run<'_> {
    fn deref_mut(&mut self) -> &mut Body {
        self.body.as_mut().expect("the body is away only while a callback runs")
    }
}

impl Entrant for Run<'_> {
    fn pid(&self) -> Pid {
        self.pid
    }

    fn module(&self) -> Option<&str> {
        self.card.stateful_module()
    }

    fn round(&self) -> Round {
        self.round
    }

    fn is_unborn(&self) -> bool {
        matches!(self.actor, Actor::Unborn(_))
    }

    fn calls(&self) -> impl Iterator<Item = From> {
        self.inbox
            .iter()
            .filter_map(|mail| if let Mail::Call(_, from, _) = mail { Some(*from) } else { None })
    }

    fn count(&self, gate: GateNumber) -> bool {
        self.slot.count(gate)
    }
}

impl Run<'_> {
    /// Runs signals and callbacks until the budget or the work is used up. After an `Err` the
    /// process ends, unless its body was taken away.
    fn turn(&mut self, signals: Queue<Signal>, mut messages: usize) -> Result<Hold, Exit> {
        self.settle_shadow();
        self.react(signals)?;
        for _ in 0..BUDGET {
            if self.slot.wants_attention() {
                let signals = self.slot.more_signals();
                self.react(signals)?;
            }
            if self.is_waiting() {
                if self.run_awaited()? {
                    continue;
                }
                break;
            }
            match self.serve(messages)? {
                Served::Callbacks(run) => {
                    messages -= run;
                    continue;
                }
                Served::Nothing => break,
                Served::LongWay => {}
            }
            self.boundary()?;
            if messages == 0 || self.is_waiting() || self.suspended || !self.has_work() {
                break;
            }
            messages -= 1;
            match self.world.gate.admit(self) {
                Admission::Free => {}
                Admission::Only(from) => self.bring_forward(from),
                Admission::Parked => return Ok(self.hold() | Hold::PARKED),
            }
            if !self.run_next()? {
                break;
            }
            self.run_continues()?;
        }
        Ok(if self.body.is_some() { self.hold() } else { Hold::NONE })
    }

    /// Handles signals, and what follows from them.
    fn react(&mut self, signals: Queue<Signal>) -> Result<(), Exit> {
        self.signals(signals)?;
        self.resume()?;
        self.run_continues()
    }

    fn hold(&self) -> Hold {
        let mut hold = Hold::NONE;
        // A task reads its mail inside its only callback, so mail must wake it even while the
        // callback waits.
        if self.is_waiting() && self.card.code.behaviour() != Behaviour::Task {
            hold |= Hold::WAITING;
        }
        if self.suspended {
            hold |= Hold::SUSPENDED;
        }
        hold
    }

    fn put_back(mut self, hold: Hold) {
        let pid = self.pid;
        self.arm();
        let mut body = self.body.take().expect("the body is away only while a callback runs");
        if body.inbox.is_empty() {
            // An idle process keeps no buffer for mail.
            spare_mail(std::mem::take(&mut body.inbox));
        }
        let left = body.has_work();
        let put = self.slot.put_back(body, hold, left);
        self.world.act_last(pid, put.wake);
        if let Some(gate) = put.rested {
            self.world.gate.rested(pid, gate);
        }
        if hold.has(Hold::PARKED) {
            self.world.gate.parked(&**self.world, pid);
        }
    }

    /// Moves the call that a draining member waits for to the front of the inbox.
    fn bring_forward(&mut self, from: From) {
        let is_it = |mail: &Mail| matches!(mail, Mail::Call(_, f, _) if *f == from);
        let at = self.inbox.iter().position(is_it);
        if let Some(mail) = at.and_then(|at| self.inbox.remove(at)) {
            self.inbox.push_front(mail);
        }
    }

    fn boundary(&mut self) -> Result<(), Exit> {
        if matches!(self.actor, Actor::Unborn(_)) {
            // System messages to an unborn process wait for its init.
            return self.move_on_if_stale();
        }
        // The switch may have happened after this process was claimed.
        self.settle_shadow();
        let Some(after) = &mut self.after else { return self.move_on_if_stale() };
        for system in std::mem::take(&mut after.system) {
            system(self);
        }
        match self.after().ending.take() {
            Some(exit) => self.terminate(exit),
            None => {
                // With nothing left to do, the process takes the short way again.
                self.after.take_if(|after| after.is_empty());
                self.move_on_if_stale()
            }
        }
    }

    fn move_on_if_stale(&mut self) -> Result<(), Exit> {
        // While the fate of a shadow is open, the process must not move on by itself: the switch is
        // still under way, and the shadow already holds the new state.
        let moves = self.card.code.is_stale() && !self.suspended && self.shadow.is_none();
        if moves { self.move_on() } else { Ok(()) }
    }

    /// Moves the process to the current version of its module.
    fn move_on(&mut self) -> Result<(), Exit> {
        change::move_on(self.world, self)
    }

    /// Installs the shadow of a committed upgrade, and drops the shadow of a failed one.
    fn settle_shadow(&mut self) {
        if self.shadow.is_some() {
            change::settle(self.world, self);
        }
    }

    /// Ends a process after the daemon itself panicked while it ran the process. The supervisor of
    /// the process restarts it.
    #[cold]
    fn fail(mut self, pid: Pid, panicked: &Panicked) {
        current::take_back();
        self.body = self.body.take().or_else(current::leave);
        if self.body.is_some() {
            self.die(Exit::Error(panicked.to_string()));
        } else {
            // The process was abandoned before the panic.
            self.world.returned(pid);
        }
    }

    fn die(mut self, exit: Exit) {
        let body = self.body.take().expect("the body is away only while a callback runs");
        end(self.world, self.slot, body, &exit);
    }
}

/// Runs the callback of one request `times` times in a row, with all checks before and all work
/// after a callback, but without mail: the reply is dropped. Returns the total time, or `None` if
/// the process was not at rest at the start and at the end. For benchmarks, on a pool thread.
pub(crate) fn bench_callback(world: &Arc<World>, pid: Pid, body: &[u8], times: u64) -> Option<Duration> {
    let slot = world.slot(pid)?;
    let resting = slot.visit(pid.generation).ok()?;
    let mut run = Run { world, slot, body: Some(resting) };
    let from = From { caller: Pid::NONE, server: pid, reference: 0 };
    let begin = Instant::now();
    let mut repeat = || {
        for _ in 0..times {
            if run.slot.wants_attention() {
                let signals = run.slot.more_signals();
                run.react(signals)?;
            }
            if run.is_waiting() {
                return Ok(false);
            }
            run.boundary()?;
            if !matches!(run.world.gate.admit(&run), Admission::Free) {
                return Ok(false);
            }
            run.callback(During::Message, &Event::Call(from, body))?;
            run.run_continues()?;
        }
        Ok(!run.is_waiting())
    };
    let finished = repeat();
    let took = begin.elapsed();
    match finished {
        Ok(whole) => {
            let hold = run.hold();
            run.put_back(hold);
            whole.then_some(took)
        }
        Err(exit) => {
            run.die(exit);
            None
        }
    }
}
