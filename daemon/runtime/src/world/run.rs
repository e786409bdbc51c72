//! Running a process: what a worker does with a number from its queue.
//!
//! ```text
//!  Unborn --init--> Resting <--+            Waiting: a callback is parked at an await
//!                     |        |            every callback may park; what it is about stays in `During`
//!                  callback    | done
//!                     v        |
//!                  Running ----+--- stop ---> Terminate callback ---> dead
//!                     |  ^                         ^
//!                waits|  |answers                  | parent's exit signal, when it traps exits
//!                     v  |                         |
//!                  Waiting ---- crash, kill, exit signal ------------> dead
//! ```
//!
//! Between two callbacks lies a *boundary*: there system messages are done, a shadow of a committed upgrade is taken,
//! and a process whose code is no longer current moves on. Where a callback begins, a shadow of an upgrade that is under
//! way ends: it was made of a state that is none any more.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::process::body::{
    Actor, Answer, Body, During, Idle, Mail, Process, RequestKind, Signal, Ties, Wait, spare_mail,
    spare_signals,
};
use crate::process::gate::{Admission, Entrant, Round};
use crate::process::link::{OnExit, on_exit};
use crate::process::slot::{GateNumber, Hold, Slot};
use crate::tree::application::PREP_STOP;
use crate::tree::supervisor;
use crate::words::code::{Behaviour, Bytes, Event, Next, Outcome, Ref, Step, StopCause};
use crate::words::contain::{Panicked, contained};
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::words::term;
use crate::world::context::{self, Entry};
use crate::world::crashes::Crash;
use crate::world::journal::Death;
use crate::world::{Fire, World};

/// How many callbacks a process runs before others get their turn.
const BUDGET: usize = 64;

/// Runs the process in that place, if nobody else has it.
pub(crate) fn activate(world: &Arc<World>, number: u32) {
    let Some(slot) = world.table.slot(number) else { return };
    let Ok(claim) = slot.claim_any() else { return };
    let mut body = claim.body;
    if body.inbox.is_empty() {
        body.inbox = claim.mail;
    } else {
        let before = body.inbox.len();
        body.inbox.extend(claim.mail);
        world.counters.mailbox(body.pid, before, body.inbox.len());
    }
    let pid = body.pid;
    let mut run = Run { world, slot, body: Some(body) };
    match contained(|| run.turn(claim.signals)) {
        Err(panicked) => run.fail(pid, &panicked),
        // It was abandoned: it has ended, and the place is another's.
        Ok(_) if run.body.is_none() => {}
        Ok(Ok(hold)) => run.put_back(hold),
        Ok(Err(exit)) => run.die(exit),
    }
}

/// A claimed process on its worker.
struct Run<'a> {
    world: &'a Arc<World>,
    slot: &'a Slot<Process>,
    /// `None` while a callback has it, and once it was abandoned.
    body: Option<Box<Body>>,
}

impl Deref for Run<'_> {
    type Target = Body;

    fn deref(&self) -> &Body {
        self.body.as_ref().expect("the body is only away while a callback runs")
    }
}

impl DerefMut for Run<'_> {
    fn deref_mut(&mut self) -> &mut Body {
        self.body.as_mut().expect("the body is only away while a callback runs")
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

    fn calls(&self) -> impl Iterator<Item = crate::words::code::From> {
        self.inbox
            .iter()
            .filter_map(|mail| if let Mail::Call(_, from, _) = mail { Some(*from) } else { None })
    }

    fn count(&self, gate: GateNumber) -> bool {
        self.slot.count(gate)
    }
}

impl Run<'_> {
    /// Does what there is to do. `Err` is the end of the process.
    fn turn(&mut self, signals: Vec<Signal>) -> Result<Hold, Exit> {
        self.settle_shadow();
        self.signals(signals)?;
        self.go_on()?;
        self.continue_on()?;
        for _ in 0..BUDGET {
            if self.slot.wants_attention() {
                let signals = self.slot.more_signals();
                self.signals(signals)?;
                self.go_on()?;
                self.continue_on()?;
            }
            if self.is_waiting() {
                break;
            }
            self.boundary()?;
            if self.is_waiting() || self.suspended || !self.has_work() {
                break;
            }
            match self.world.gate.admit(self) {
                Admission::Free => {}
                Admission::Only(from) => self.bring_forward(from),
                Admission::Parked => return Ok(self.hold() | Hold::PARKED),
            }
            if !self.one()? {
                break;
            }
            self.continue_on()?;
        }
        Ok(self.hold())
    }

    fn hold(&self) -> Hold {
        let mut hold = Hold::NONE;
        // A task reads its mail inside its one callback, so mail has to wake it.
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
        let mut body = self.body.take().expect("the body is only away while a callback runs");
        if body.inbox.is_empty() {
            // An idle process keeps no buffer.
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

    // --- signals -------------------------------------------------------------------------------------------------

    /// Takes all signals, those behind a fatal one too: who monitors or links in the moment of the end is told like others.
    fn signals(&mut self, mut signals: Vec<Signal>) -> Result<(), Exit> {
        let mut first = Ok(());
        for signal in signals.drain(..) {
            first = first.and(self.signal(signal));
        }
        spare_signals(signals);
        first
    }

    fn signal(&mut self, signal: Signal) -> Result<(), Exit> {
        match signal {
            Signal::Answer(reference, answer) => self.answer(reference, answer),
            Signal::End(exit) => return Err(exit),
            Signal::Exit(from, exit) => return self.exit_signal(from, exit),
            Signal::Link(with) => {
                let links = &mut self.ties().links;
                if !links.contains(&with) {
                    links.push(with);
                }
            }
            Signal::Unlink(with) => self.ties().links.retain(|pid| *pid != with),
            Signal::Monitor(watch) => self.ties().watchers.push(watch),
            Signal::Demonitor(watcher, reference) => {
                self.ties().watchers.retain(|watch| (watch.watcher, watch.reference) != (watcher, reference));
            }
            Signal::Settled(from) => self.settle(from),
            Signal::System(system) => self.after().system.push(system),
            Signal::Deadline => return self.deadline(),
        }
        Ok(())
    }

    fn exit_signal(&mut self, from: Pid, exit: Exit) -> Result<(), Exit> {
        if let Some(ties) = &mut self.ties {
            ties.links.retain(|pid| *pid != from);
        }
        let from_parent = from == self.card.parent && from != Pid::NONE;
        match on_exit(from_parent, self.trap_exit, exit) {
            OnExit::Nothing => {}
            OnExit::Deliver(exit) => self.inbox.push_back(Mail::Exit(from, exit)),
            OnExit::Die(exit) => return Err(exit),
            OnExit::Terminate(exit) => self.after().ending = Some(exit),
        }
        Ok(())
    }

    /// Answers the open requests whose time has come. That of a prep_stop without a tree is the end.
    fn deadline(&mut self) -> Result<(), Exit> {
        if let (During::PrepStop(exit), Some(under_way)) = (&self.during, &self.under_way)
            && under_way.since.elapsed() >= PREP_STOP
        {
            tracing::warn!(name: "application.prep_stop_timeout", app = self.card.app.name, "prep_stop did not answer; its tree has ended already");
            return Err((**exit).clone());
        }
        self.silence();
        let now = Instant::now();
        let due: Vec<_> = self
            .open()
            .iter()
            .filter(|open| open.due.is_some_and(|due| due <= now))
            .map(|open| (open.reference, open.wait))
            .collect();
        for (reference, wait) in due {
            if wait == Wait::Time {
                self.answer(reference, Answer::Reply(Bytes::new()));
            } else {
                self.world.journal.timed_out(wait.target());
                self.answer(reference, Answer::Timeout);
            }
        }
        Ok(())
    }

    /// Makes sure that a timer fires when the first open request is due. An answer does not cancel it: a call costs no
    /// timer as long as an earlier one is still armed.
    fn arm(&mut self) {
        let Some(due) = self.open().iter().filter_map(|open| open.due).min() else { return };
        if self.requests().alarm.is_none_or(|(alarm, _)| due < alarm) {
            self.silence();
            let after = due.saturating_duration_since(Instant::now());
            let timer = self.world.timers.set(after, Fire::Deadline(self.pid));
            self.requests().alarm = Some((due, timer));
        }
    }

    fn silence(&mut self) {
        let world = self.world;
        silence(world, self);
    }

    // --- the boundary --------------------------------------------------------------------------------------------

    fn boundary(&mut self) -> Result<(), Exit> {
        if matches!(self.actor, Actor::Unborn(_)) {
            // Whoever asks an unborn process waits for its init.
            return self.keep_up();
        }
        // The switch may have come while this process was claimed.
        self.settle_shadow();
        let Some(after) = &mut self.after else { return self.keep_up() };
        for system in std::mem::take(&mut after.system) {
            system(self);
        }
        match self.after().ending.take() {
            Some(exit) => self.terminate(exit),
            None => self.keep_up(),
        }
    }

    fn keep_up(&mut self) -> Result<(), Exit> {
        // One with an undecided shadow stands at a switch that is under way: the shadow is its new state.
        let moves = self.card.code.is_stale() && !self.suspended && self.shadow.is_none();
        if moves { self.move_on() } else { Ok(()) }
    }

    /// Carries the state to the current version of its module, by bytes.
    fn move_on(&mut self) -> Result<(), Exit> {
        crate::upgrade::move_on(self.world, self)
    }

    /// Takes the shadow of a committed upgrade, drops that of a failed one.
    fn settle_shadow(&mut self) {
        crate::upgrade::settle(self.world, self);
    }

    // --- callbacks -----------------------------------------------------------------------------------------------

    /// Lets a parked callback go on, if there is something for it.
    fn go_on(&mut self) -> Result<(), Exit> {
        let mail = self.card.code.behaviour() == Behaviour::Task && !self.inbox.is_empty();
        let answered = self.requests.as_ref().is_some_and(|requests| !requests.answers.is_empty());
        if !self.is_waiting() || (!answered && !mail) {
            return Ok(());
        }
        let Actor::Waiting(mut callback) = std::mem::replace(&mut self.actor, Actor::Running) else {
            return Ok(());
        };
        let answers = self.requests.iter().flat_map(|requests| &requests.answers);
        let mut completed: SmallVec<[Ref; 4]> = answers.map(|(reference, _)| *reference).collect();
        if mail {
            completed.push(context::MAIL);
        }
        let step = self.inside(move || match callback.poll(&completed) {
            Some(outcome) => Step::Ready(outcome),
            None => Step::Pending(callback),
        })?;
        self.finish(step)
    }

    /// Runs the init, or the callback for the next message; `false` when there is nothing to do.
    fn one(&mut self) -> Result<bool, Exit> {
        if matches!(self.actor, Actor::Unborn(_)) {
            self.init()?;
            return Ok(true);
        }
        let Some(mail) = self.inbox.pop_front() else { return Ok(false) };
        self.world.scheduler.note_handled();
        if self.is_bounded {
            self.slot.holds(self.inbox.len());
        }
        let handled = self.deliver(&mail);
        // Nothing is left of a process that was abandoned.
        if let Some(body) = &mut self.body
            && (handled.is_err() || body.is_waiting())
        {
            body.note_under_way(Some(mail));
        }
        handled.map(|()| true)
    }

    fn init(&mut self) -> Result<(), Exit> {
        let Actor::Unborn(args) = std::mem::replace(&mut self.actor, Actor::Running) else { return Ok(()) };
        let code = Arc::clone(&self.card.code);
        let supervisor = code.behaviour() == Behaviour::Supervisor;
        // The ends of others are their work: these two always trap exits.
        self.trap_exit |= supervisor || code.behaviour() == Behaviour::Application;
        let pid = self.pid;
        let step = self.inside(|| {
            if supervisor { supervisor::init(pid, code, args) } else { code.module.init(&args) }
        })?;
        self.finish(step)
    }

    fn deliver(&mut self, mail: &Mail) -> Result<(), Exit> {
        if let Some(debug) = &mut self.debug {
            debug.took(mail);
        }
        match mail {
            Mail::Call(kind, from, body) => self.request(*kind, *from, body),
            Mail::Cast(_, body) => self.callback(During::Message, &Event::Cast(body)),
            Mail::Info(_, body) => self.callback(During::Message, &Event::Info(body)),
            // The end of its root is the end of an application.
            Mail::Exit(from, exit) if self.card.code.behaviour() == Behaviour::Application => {
                if self.world.apps.runs(self.pid, *from) {
                    let told = Event::PrepStop(None, StopCause::TreeEnded);
                    self.callback(During::PrepStop(Box::new(exit.clone())), &told)
                } else {
                    self.terminate(exit.clone())
                }
            }
            Mail::Told(event) => self.callback(During::Message, &Event::Told(event)),
            // Something came meanwhile, and that was to end it.
            Mail::Timeout(number) => match self.idle() {
                Some(Idle::Armed(armed, _)) if armed == *number => {
                    self.callback(During::Message, &Event::Timeout)
                }
                _ => Ok(()),
            },
            Mail::Exit(from, exit) => self.callback(During::Message, &Event::Exit(*from, exit)),
            // One that was sent before its monitor was removed is not delivered any more.
            Mail::Down(reference, ..) if !self.stop_watching(*reference) => Ok(()),
            Mail::Down(reference, pid, exit) => {
                self.callback(During::Message, &Event::Down(*reference, *pid, exit))
            }
        }
    }

    fn request(
        &mut self,
        kind: RequestKind,
        from: crate::words::code::From,
        body: &Bytes,
    ) -> Result<(), Exit> {
        let behaviour = self.card.code.behaviour();
        let fits = match kind {
            RequestKind::Call => behaviour.is_server(),
            RequestKind::Supervisor => behaviour == Behaviour::Supervisor,
            RequestKind::PrepStop | RequestKind::StartPhase | RequestKind::ConfigChange => {
                behaviour == Behaviour::Application
            }
        };
        if !fits {
            let text = format!("{} is a {behaviour:?} and takes no such request", self.pid);
            self.world.answer(from.caller, from.reference, Answer::Exit(Exit::Error(text)));
            return Ok(());
        }
        match kind {
            RequestKind::PrepStop => {
                let (root, cause) = term::decode(body).unwrap_or_default();
                self.callback(During::Notice(from), &Event::PrepStop(root, cause))
            }
            RequestKind::StartPhase => self.callback(During::Notice(from), &Event::StartPhase(body)),
            RequestKind::ConfigChange => self.callback(During::Notice(from), &Event::ConfigChange(body)),
            RequestKind::Call | RequestKind::Supervisor => {
                self.callback(During::Call(from), &Event::Call(from, body))
            }
        }
    }

    fn terminate(&mut self, exit: Exit) -> Result<(), Exit> {
        if matches!(self.actor, Actor::Resting(_)) {
            self.callback(During::Terminate(exit.clone()), &Event::Terminate(&exit))
        } else {
            Err(exit)
        }
    }

    /// The state is about to change: a shadow of it is void.
    fn stir(&mut self) -> Result<(), Exit> {
        if self.round == 0 && self.shadow.is_none() {
            return Ok(());
        }
        crate::upgrade::stir(self.world, self);
        // It may have waited for the shadow.
        self.keep_up()
    }

    fn callback(&mut self, during: During, event: &Event<'_>) -> Result<(), Exit> {
        self.stir()?;
        let Actor::Resting(instance) = std::mem::replace(&mut self.actor, Actor::Running) else {
            return Err(Exit::Error(format!("{} has no state to run {event:?} on", self.pid)));
        };
        self.during = during;
        if let Some(after) = &mut self.after
            && let Some(Idle::Armed(_, timer)) = after.idle.take()
        {
            self.world.timers.cancel(timer);
        }
        let step = self.inside(|| instance.callback(event))?;
        self.finish(step)
    }

    /// Does what the last callback put before all else. No gate comes between: to everybody else it is the same
    /// callback.
    fn continue_on(&mut self) -> Result<(), Exit> {
        while matches!(self.actor, Actor::Resting(_))
            && let Some(after) = &mut self.after
            && let Some(body) = after.continues.take()
        {
            self.callback(During::Message, &Event::Continue(&body))?;
        }
        self.arm_idle();
        Ok(())
    }

    /// Starts the wait that the last callback asked for. It counts from the callback's end.
    fn arm_idle(&mut self) {
        if let (Actor::Resting(_), Some(Idle::Wanted(after))) = (&self.actor, self.idle()) {
            let number = self.new_ref();
            let timer = self.world.timers.set(after, Fire::Idle(self.pid, number));
            self.after().idle = Some(Idle::Armed(number, timer));
        }
    }

    /// Runs app code. An error is the end of a process that was abandoned meanwhile; nothing is done for it any more.
    fn inside(&mut self, code: impl FnOnce() -> Step) -> Result<Step, Exit> {
        let body = self.body.take().expect("callbacks do not nest");
        let pid = body.pid;
        let (body, step) = context::run(body, code);
        self.body = body;
        if self.body.is_none() {
            // What it came to drops here, before its library can be taken for unused.
            drop(step);
            self.world.returned(pid);
            return Err(Exit::Killed);
        }
        Ok(step)
    }

    fn finish(&mut self, step: Step) -> Result<(), Exit> {
        match step {
            Step::Pending(callback) => {
                self.actor = Actor::Waiting(callback);
                match self.during {
                    During::Init(_) => self.note_under_way(None),
                    During::PrepStop(_) => {
                        // Before the timer, so that the time is over when that fires.
                        self.note_under_way(None);
                        self.world.timers.set(PREP_STOP, Fire::Deadline(self.pid));
                    }
                    _ => {}
                }
                if self.card.code.behaviour() == Behaviour::Task {
                    self.tell_born();
                }
                Ok(())
            }
            Step::Ready(outcome) => self.done(outcome),
        }
    }

    fn done(&mut self, outcome: Outcome) -> Result<(), Exit> {
        if let Some(requests) = &mut self.requests {
            requests.open.clear();
            requests.answers.clear();
        }
        let Outcome { instance, next, reply } = outcome;
        if let Some(entry) = self.next_entry(&next) {
            return self.go_on_as(entry);
        }
        if matches!(next, Next::Continue | Next::Ignore) {
            self.under_way = None;
        }
        let ended = instance.is_none();
        if let Some(instance) = instance {
            self.actor = Actor::Resting(instance);
        }
        match std::mem::replace(&mut self.during, During::Message) {
            During::Init(starter) => self.born(starter, &next, reply)?,
            During::Call(from) => self.replied(from, reply),
            // Who gave notice is told of a crash by the end of the process.
            During::Notice(from) => {
                let taken = !matches!(next, Next::Crash(_));
                self.replied(from, taken.then(|| term::encode(&())));
            }
            During::Message => {}
            During::PrepStop(exit) => {
                if let Next::Crash(crash) = next {
                    tracing::warn!(name: "application.prep_stop_failed", app = self.card.app.name, reason = %crash, "prep_stop failed; its tree has ended already");
                }
                return self.terminate(*exit);
            }
            During::Terminate(exit) => return Err(if let Next::Crash(crash) = next { crash } else { exit }),
        }
        match next {
            Next::Crash(exit) => Err(exit),
            Next::Stop(exit) if ended => Err(exit),
            Next::Stop(exit) => self.terminate(exit),
            Next::Continue | Next::Ignore if ended => Err(Exit::Normal),
            Next::Continue | Next::Ignore => Ok(()),
        }
    }

    /// Returns where a task goes on that has come to an end.
    fn next_entry(&mut self, next: &Next) -> Option<Entry> {
        let is_task = self.card.code.behaviour() == Behaviour::Task;
        let entry = self.after.as_mut()?.continues.take_if(|_| is_task)?;
        let has_ended_well = matches!(next, Next::Continue | Next::Stop(Exit::Normal));
        if has_ended_well { term::decode(&entry).ok() } else { None }
    }

    /// Begins anew in the current code of a module: the same process, with its mail and all that it is bound to.
    fn go_on_as(&mut self, Entry { module, args }: Entry) -> Result<(), Exit> {
        let Some(code) = self.world.code.resolve(&module) else {
            return Err(Exit::Error(format!("a task goes on as module {module}, which is not loaded")));
        };
        self.tell_born();
        crate::upgrade::enter(self.world, self, &code);
        self.under_way = None;
        self.actor = Actor::Unborn(args.into_vec());
        Ok(())
    }

    fn born(&mut self, starter: Option<(Pid, Ref)>, next: &Next, reply: Option<Bytes>) -> Result<(), Exit> {
        let behaviour = self.card.code.behaviour();
        let answer = match (next, behaviour) {
            (Next::Ignore, _) => Answer::Reply(context::started(None)),
            // The starter is told by the end of the process: then nothing of it is left.
            (Next::Stop(exit) | Next::Crash(exit), _) if behaviour != Behaviour::Task => {
                self.during = During::Init(starter);
                return Err(exit.clone());
            }
            (_, Behaviour::Application) => Answer::Reply(reply.unwrap_or_else(|| term::encode(&()))),
            _ => Answer::Reply(context::started(Some(self.pid))),
        };
        if let Some(starter) = starter {
            self.tell_starter(starter, answer);
        }
        match next {
            Next::Stop(exit) | Next::Crash(exit) => Err(exit.clone()),
            Next::Ignore => Err(Exit::Normal),
            Next::Continue => Ok(()),
        }
    }

    /// Tells the starter of a task, once.
    fn tell_born(&mut self) {
        if let During::Init(starter) = &mut self.during
            && let Some(starter) = starter.take()
        {
            self.tell_starter(starter, Answer::Reply(context::started(Some(self.pid))));
        }
    }

    fn tell_starter(&self, (starter, reference): (Pid, Ref), answer: Answer) {
        self.world.answer(starter, reference, answer);
    }

    fn replied(&mut self, from: crate::words::code::From, reply: Option<Bytes>) {
        match reply {
            Some(reply) => {
                if let Some(debug) = &mut self.debug {
                    debug.sent("reply", from.caller, &reply);
                }
                self.world.tracer.reply(from.server, from.caller, &reply);
                self.world.answer(from.caller, from.reference, Answer::Reply(reply));
            }
            None => self.ties().unanswered.push(from),
        }
    }

    /// Puts the one message that others wait for before all others.
    fn bring_forward(&mut self, from: crate::words::code::From) {
        let is_it = |mail: &Mail| matches!(mail, Mail::Call(_, f, _) if *f == from);
        if let Some(at) = self.inbox.iter().position(is_it)
            && let Some(mail) = self.inbox.remove(at)
        {
            self.inbox.push_front(mail);
        }
    }

    // --- the end -------------------------------------------------------------------------------------------------

    /// Ends a process in whose turn the daemon panicked: its supervisor starts it again.
    #[cold]
    fn fail(mut self, pid: Pid, panicked: &Panicked) {
        self.body = self.body.take().or_else(context::leave);
        if self.body.is_some() {
            self.die(Exit::Error(panicked.to_string()));
        } else {
            // It was abandoned before.
            self.world.returned(pid);
        }
    }

    fn die(mut self, exit: Exit) {
        let body = self.body.take().expect("the body is only away while a callback runs");
        end(self.world, self.slot, body, &exit);
    }
}

/// Runs the callback of one request so many times in a row, with every look that comes before a callback and all that comes
/// after it, but without mail: the reply is dropped. Says how long that took; `None` when the process did not rest before and
/// after. For measuring. On a pool thread.
pub(crate) fn drill(world: &Arc<World>, pid: Pid, body: &[u8], times: u64) -> Option<Duration> {
    let slot = world.slot(pid)?;
    let resting = slot.visit(pid.generation).ok()?;
    let mut run = Run { world, slot, body: Some(resting) };
    let from = crate::words::code::From { caller: Pid::NONE, server: pid, reference: 0 };
    let begin = Instant::now();
    let mut repeat = || {
        for _ in 0..times {
            if run.slot.wants_attention() || run.is_waiting() {
                return Ok(false);
            }
            run.boundary()?;
            if !matches!(run.world.gate.admit(&run), Admission::Free) {
                return Ok(false);
            }
            run.callback(During::Message, &Event::Call(from, body))?;
            run.continue_on()?;
        }
        Ok(!run.is_waiting())
    };
    let drilled = repeat();
    let took = begin.elapsed();
    match drilled {
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

/// Ends a process whose body was taken out of a callback that does not return. The callback's thread finds out when it
/// does.
pub(crate) fn abandon(world: &Arc<World>, body: Box<Body>, exit: &Exit) {
    if let Some(slot) = world.table.slot(body.pid.slot) {
        end(world, slot, body, exit);
    }
}

/// Stops the timer that fires when an open request is due.
fn silence(world: &World, body: &mut Body) {
    if let Some((_, timer)) = body.requests.as_mut().and_then(|requests| requests.alarm.take()) {
        world.timers.cancel(timer);
    }
}

/// Stops the timers that are for nobody but this process.
fn stop_timers(world: &World, body: &mut Body) {
    silence(world, body);
    if let Some(Idle::Armed(_, timer)) = body.idle() {
        world.timers.cancel(timer);
    }
}

fn end(world: &Arc<World>, slot: &Slot<Process>, mut body: Box<Body>, exit: &Exit) {
    let pid = body.pid;
    stop_timers(world, &mut body);
    crate::upgrade::stir(world, &mut body);
    report_crash(world, &body, exit);
    body.card.code.exits.add(exit);
    // Who ended normally had done its work: on a node that lives these are many, and no upgrade's fault.
    if *exit != Exit::Normal {
        world.journal.died(|| Death {
            pid,
            module: body.card.code.name().to_owned(),
            name: world.registry.names(pid).into_iter().next(),
            exit: exit.clone(),
        });
    }
    world.registry.forget(pid);
    let (mail, signals, counted) = slot.close();
    // Behind the close of the slot: who gives it a port or table now sees that it is too late.
    world.ports.forget(pid);
    world.tables.forget(&**world, pid);
    world.table.release(pid.slot);
    // What is left of the app's values drops here, on a pool thread and outside any callback, before anybody is told: who
    // hears of the end may purge the code. An abandoned process has none: its callback has them.
    body.actor = Actor::Running;
    if let Some(gate) = counted {
        world.gate.rested(pid, gate);
    }
    tell(world, &mut body, exit);
    mail.into_iter().for_each(|mail| world.refuse_mail(mail, exit));
    signals.into_iter().for_each(|signal| world.refuse_signal(pid, signal, exit));
}

/// Tells everyone who is bound to a process that it has ended.
fn tell(world: &World, body: &mut Body, exit: &Exit) {
    let pid = body.pid;
    if let During::Call(from) | During::Notice(from) = &body.during {
        world.answer(from.caller, from.reference, Answer::Exit(exit.clone()));
    }
    for mail in body.inbox.drain(..) {
        world.refuse_mail(mail, exit);
    }
    let Ties { links, watchers, watching, unanswered } =
        body.ties.take().map(|ties| *ties).unwrap_or_default();
    for from in unanswered {
        world.answer(from.caller, from.reference, Answer::Exit(exit.clone()));
    }
    if body.card.parent != Pid::NONE && !links.contains(&body.card.parent) {
        world.signal(body.card.parent, Signal::Exit(pid, exit.clone()));
    }
    // OTP's supervisors are linked to their children; ours know them by their rows.
    if let Some(rows) = &body.card.rows {
        for child in rows.read().iter().filter_map(|row| row.child.pid()) {
            world.signal(child, Signal::Exit(pid, exit.clone()));
        }
    }
    for link in links {
        world.signal(link, Signal::Exit(pid, exit.clone()));
    }
    for watch in watchers {
        world.tell_watcher(watch, pid, exit);
    }
    for (reference, watched) in watching {
        world.signal(watched, Signal::Demonitor(pid, reference));
    }
    // Last: whoever waits for the start goes on when everybody else knows.
    if let During::Init(Some((starter, reference))) = body.during {
        world.answer(starter, reference, Answer::Exit(exit.clone()));
    }
}

fn report_crash(world: &World, body: &Body, exit: &Exit) {
    if exit.is_abnormal() {
        let module = &body.card.code.module;
        let last_message =
            body.under_way.as_ref().and_then(|callback| Some(callback.mail.as_ref()?.to_string()));
        tracing::warn!(
            name: "process.crash",
            pid = %body.pid, app = module.app(), module = module.name(), version = module.version(),
            during = ?body.during, last_message, reason = %exit, "a process ended"
        );
        world.counters.crashes.add();
        world.crashes.note(|| Crash {
            pid: body.pid,
            name: world.registry.names(body.pid).into_iter().next(),
            module: module.name().to_owned(),
            app: module.app().to_owned(),
            exit: exit.clone(),
        });
    }
}
