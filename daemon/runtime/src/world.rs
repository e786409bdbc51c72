//! The state shared by all parts of a node, and the ways in which processes reach each other.
//!
//! **Knows** `words`, `process`, `pool` and `io`.

pub(crate) mod applications;
pub(crate) mod change;
pub mod context;
mod gate;
pub(crate) mod journal;
mod owners;
pub(crate) mod places;
pub(crate) mod run;
mod stuck;
mod survey;
pub(crate) mod trace;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak, mpsc};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::io::ets::Tables;
use crate::io::port::Ports;
use crate::pool::blocking::Spare;
use crate::pool::scheduler::Scheduler;
use crate::pool::stuck::Stuck;
use crate::pool::timer::{Fired, Timers};
use crate::process::body::{Answer, Body, Process, Signal, Watch};
use crate::process::card::{Card, Env};
use crate::process::gate::GateHouse;
use crate::process::mail::{Mail, RequestKind};
use crate::process::registry::Registry;
use crate::process::shadow::Fates;
use crate::process::slot::{Room, Slot, Unposted, Wake};
use crate::process::table::Table;
use crate::words::code::{Bytes, From, Ref, Step, TimerRef};
use crate::words::code_server::{Code, CodeServer};
use crate::words::contain::contained;
use crate::words::exit::Exit;
use crate::words::figures::{Counters, Figures};
use crate::words::pid::Pid;
use crate::world::applications::Applications;
use crate::world::journal::{Crashes, Journal};
use crate::world::trace::Tracer;

/// Receives the answer to a request from outside.
pub(crate) type Outside = Box<dyn FnOnce(Answer) + Send>;

/// Runs the init of a supervisor, as the process with that pid. The module `tree` provides this
/// function, because `world` must not know `tree`.
pub(crate) type Supervise = fn(Pid, Arc<Code>, Bytes) -> Step;

/// The effect of a timer.
#[derive(Clone)]
pub(crate) enum Fire {
    Info(Pid, Bytes),
    /// Fires again and again, as long as the process is alive.
    Interval(Pid, Bytes),
    Deadline(Pid),
    Outside(Ref),
    /// The idle timeout of a process, with the number of the timeout.
    Idle(Pid, Ref),
}

/// An open request from outside.
struct Asker {
    done: Outside,
    /// The process that was called; `None` for other requests.
    called: Option<Pid>,
    timer: Option<TimerRef>,
}

/// A node's process world.
pub(crate) struct World {
    pub(crate) table: Table<Process>,
    pub(crate) scheduler: Scheduler,
    pub(crate) timers: Timers<Fire>,
    pub(crate) registry: Registry,
    pub(crate) ports: Arc<Ports>,
    pub(crate) tables: Tables,
    pub(crate) spare: Spare,
    pub(crate) code: CodeServer,
    pub(crate) gate: GateHouse,
    pub(crate) journal: Journal,
    pub(crate) crashes: Crashes,
    pub(crate) counters: Counters,
    pub(crate) tracer: Tracer,
    pub(crate) apps: Applications,
    pub(crate) fates: Fates,
    /// Starts a supervisor, in place of the init of a module.
    pub(crate) supervise: Supervise,
    /// Conversions and callbacks that were given up and have not returned.
    pub(crate) stuck: Mutex<Vec<Stuck>>,
    /// Returns whether the upgrade under way is given up.
    pub(crate) given_up: OnceLock<Box<dyn Fn() -> bool + Send + Sync>>,
    outside: Mutex<HashMap<Ref, Asker>>,
    next_outside: AtomicU64,
}

/// How often a waiting upgrade checks whether it is given up.
const CHECK_EVERY: Duration = Duration::from_millis(20);

/// When so many messages wait for a process, it is offered to other workers. Until then it waits
/// for its sender's callback to return, which costs less than waking a worker for each message.
const BURST: usize = 32;

/// The arguments of a process start.
pub(crate) struct Start {
    pub(crate) code: Arc<Code>,
    pub(crate) app: Arc<Env>,
    pub(crate) args: Bytes,
    pub(crate) parent: Pid,
    /// A process to link with from the beginning.
    pub(crate) link: Option<Pid>,
    /// The process that waits for the end of init, and the reference of its request.
    pub(crate) starter: Option<(Pid, Ref)>,
    /// A monitor that watches the process from the beginning.
    pub(crate) watch: Option<Watch>,
}

impl World {
    /// Returns whether the upgrade under way is given up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.get().is_some_and(|given_up| given_up())
    }

    /// Waits for an answer until the deadline, or until the upgrade under way is given up.
    pub(crate) fn wait_for<T>(&self, answer: &mpsc::Receiver<T>, deadline: Instant) -> Option<T> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match answer.recv_timeout(left.min(CHECK_EVERY)) {
                Err(mpsc::RecvTimeoutError::Timeout) if left > CHECK_EVERY && !self.is_given_up() => {}
                answer => return answer.ok(),
            }
        }
    }

    /// Makes an empty world. It runs nothing until [`run::start`].
    pub(crate) fn new(width: usize, supervise: Supervise) -> Arc<Self> {
        Arc::new_cyclic(|world: &Weak<Self>| Self {
            table: Table::new(),
            scheduler: Scheduler::new(width),
            timers: Timers::new(),
            registry: Registry::default(),
            ports: Arc::new(Ports::new(world.clone())),
            tables: Tables::default(),
            spare: Spare::default(),
            code: CodeServer::default(),
            gate: GateHouse::default(),
            journal: Journal::default(),
            crashes: Crashes::default(),
            counters: Counters::default(),
            tracer: Tracer::default(),
            apps: Applications::default(),
            fates: Fates::default(),
            supervise,
            stuck: Mutex::default(),
            given_up: OnceLock::new(),
            outside: Mutex::new(HashMap::new()),
            next_outside: AtomicU64::new(1),
        })
    }

    pub(crate) fn figures(&self) -> Figures {
        Figures {
            processes: self.table.count(),
            timers: self.timers.len(),
            messages: self.scheduler.handled(),
            restarts: self.counters.restarts.read(),
            crashes: self.counters.crashes.read(),
            over_limit: self.scheduler.over_limit(),
            mailbox_high: self.counters.mailbox_high.read(),
            mailbox_full: self.counters.mailbox_full.read(),
        }
    }

    /// Returns the slot of a pid that this node gave out.
    pub(crate) fn slot(&self, pid: Pid) -> Option<&Slot<Process>> {
        self.table.slot(pid.slot)
    }

    pub(crate) fn is_alive(&self, pid: Pid) -> bool {
        self.slot(pid).is_some_and(|slot| slot.card(pid.generation, |_| ()).is_some())
    }

    /// Gives a process another card. Only its claimer calls this.
    pub(crate) fn show(&self, body: &mut Body, card: Arc<Card>) {
        body.card = card;
        if let Some(slot) = self.slot(body.pid) {
            slot.set_card(body.pid.generation, Arc::clone(&body.card));
        }
    }

    pub(crate) fn act(&self, pid: Pid, wake: Wake) {
        if wake == Wake::Schedule {
            self.scheduler.schedule(pid.slot);
        }
    }

    /// Like [`World::act`], but queues the process behind all waiting processes, because it has
    /// just had its turn.
    pub(crate) fn act_last(&self, pid: Pid, wake: Wake) {
        if wake == Wake::Schedule {
            self.scheduler.schedule_last(pid.slot);
        }
    }

    /// Puts mail into the mailbox of a process. A call to a dead process or to a full mailbox is
    /// answered at once.
    pub(crate) fn post(&self, to: Pid, mail: Mail) {
        let room = room(to, &mail);
        self.post_in(to, mail, room);
    }

    fn post_in(&self, to: Pid, mail: Mail, room: Room) {
        self.tracer.mail(to, &mail);
        let pushed = match self.slot(to) {
            Some(slot) => slot.push_mail(to.generation, mail, room),
            None => Err(Unposted::Dead(mail)),
        };
        match pushed {
            Ok((wake, queued)) => {
                self.counters.mailbox(to, queued - 1, queued);
                self.act(to, wake);
                if queued.is_multiple_of(BURST) {
                    self.scheduler.offer(to.slot);
                }
            }
            Err(Unposted::Dead(mail)) => self.refuse_mail(mail, &Exit::Noproc),
            Err(Unposted::Full(mail, refused)) => {
                self.counters.mailbox_full(to, refused);
                self.refuse_mail(mail, &Exit::Overloaded);
            }
        }
    }

    /// Answers a call that its target will not take; drops other mail.
    pub(crate) fn refuse_mail(&self, mail: Mail, why: &Exit) {
        if let Mail::Call(_, from, _) = mail {
            self.answer(from.caller, from.reference, Answer::Exit(why.clone()));
        }
    }

    /// Sends a signal; returns whether the process was alive.
    pub(crate) fn signal(&self, to: Pid, signal: Signal) -> bool {
        self.tracer.signal(to, &signal);
        let pushed = match self.slot(to) {
            Some(slot) => slot.push_signal(to.generation, signal),
            None => Err(signal),
        };
        match pushed {
            Ok(wake) => {
                self.act(to, wake);
                true
            }
            Err(signal) => {
                self.refuse_signal(to, signal, &Exit::Noproc);
                false
            }
        }
    }

    /// Notifies the sender of a signal that its target is dead.
    pub(crate) fn refuse_signal(&self, to: Pid, signal: Signal, why: &Exit) {
        match signal {
            Signal::Link(with) => {
                self.signal(with, Signal::Exit(to, why.clone()));
            }
            Signal::Monitor(watch) => self.notify_watcher(watch, to, why),
            // Dropping a system message closes its channel, which notifies the sender.
            Signal::System(_)
            | Signal::Answer(..)
            | Signal::Exit(..)
            | Signal::End(_)
            | Signal::Unlink(_)
            | Signal::Demonitor(..)
            | Signal::Settled(_)
            | Signal::Deadline => {}
        }
    }

    /// Notifies a watcher that `dead` has ended.
    pub(crate) fn notify_watcher(&self, watch: Watch, dead: Pid, why: &Exit) {
        if watch.as_answer {
            self.answer(watch.watcher, watch.reference, Answer::Exit(why.clone()));
        } else {
            self.post(watch.watcher, Mail::Down(watch.reference, dead, why.clone()));
        }
    }

    /// Answers an open request.
    pub(crate) fn answer(&self, caller: Pid, reference: Ref, answer: Answer) {
        if caller == Pid::OUTSIDE {
            let waiting = self.outside.lock().remove(&reference);
            if let Some(Asker { done, timer, called }) = waiting {
                timer.map(|timer| self.timers.cancel(timer));
                if let (Some(called), Answer::Timeout) = (called, &answer) {
                    self.journal.timed_out(called);
                }
                // A panic of the outside caller's code must not end the answering process or the
                // timer thread.
                let _ = contained(|| done(answer));
            }
        } else {
            self.signal(caller, Signal::Answer(reference, answer));
        }
    }

    /// Opens a request from outside. `done` gets exactly one answer, on the thread that answers.
    pub(crate) fn ask(&self, timeout: Option<Duration>, done: Outside) -> Ref {
        self.open(timeout, None, done)
    }

    fn open(&self, timeout: Option<Duration>, called: Option<Pid>, done: Outside) -> Ref {
        let reference = self.next_outside.fetch_add(1, Ordering::Relaxed);
        // The lock is taken before the timer is set: a timer that fires at once then waits for the
        // insert.
        let mut outside = self.outside.lock();
        let timer = timeout.map(|timeout| self.timers.set(timeout, Fire::Outside(reference)));
        outside.insert(reference, Asker { done, timer, called });
        reference
    }

    /// Returns whether a process is a descendant of `ancestor` in the supervision tree.
    pub(crate) fn is_below(&self, pid: Pid, ancestor: Pid) -> bool {
        let parent = |pid: &Pid| self.slot(*pid)?.card(pid.generation, |card| card.parent);
        std::iter::successors(parent(&pid), parent).any(|parent| parent == ancestor)
    }

    /// Calls a process from outside.
    pub(crate) fn call(
        &self,
        kind: RequestKind,
        to: Pid,
        body: Bytes,
        timeout: Option<Duration>,
        done: Outside,
    ) -> From {
        let reference = self.open(timeout, Some(to), done);
        let from = From { caller: Pid::OUTSIDE, server: to, reference };
        self.post(to, Mail::Call(kind, from, body));
        from
    }

    /// Starts a process. Its starter gets an answer when init is done.
    pub(crate) fn start(&self, start: Start) -> Pid {
        let Start { code, app, args, parent, link, starter, watch } = start;
        let card = Card::of(&code, &app, parent);
        let asked_by = starter.map_or(parent, |(pid, _)| pid);
        let pid = self.table.open(card.clone(), |pid| {
            let mut body = Box::new(Body::new(pid, card, args, starter));
            if let Some(with) = link {
                body.ties().links.push(with);
            }
            if let Some(watch) = watch {
                body.ties().watchers.push(watch);
            }
            body
        });
        self.tracer.fact(asked_by, pid, "spawn");
        self.journal.started(pid);
        self.gate.born(self, pid);
        self.scheduler.schedule(pid.slot);
        pid
    }

    /// Starts a timer that sends one message.
    pub(crate) fn send_after(&self, to: Pid, after: Duration, body: Bytes) -> TimerRef {
        self.timers.set(after, Fire::Info(to, body))
    }

    /// Carries out the effect of a timer.
    pub(crate) fn fire(&self, fire: Fire) -> Fired {
        match fire {
            Fire::Interval(to, _) if !self.is_alive(to) => return Fired::Drop,
            // If the mailbox is full, this period's message is dropped.
            Fire::Interval(to, body) => self.post_in(to, Mail::Info(to, body), Room::Bounded),
            Fire::Info(to, body) => self.post(to, Mail::Info(to, body)),
            Fire::Idle(pid, number) => self.post(pid, Mail::Timeout(number)),
            Fire::Deadline(pid) => {
                self.signal(pid, Signal::Deadline);
            }
            Fire::Outside(reference) => self.answer(Pid::OUTSIDE, reference, Answer::Timeout),
        }
        Fired::Rearm
    }
}

/// Decides whether a full mailbox accepts a message. It refuses mail from other processes. It
/// accepts mail that the process has asked for: from itself, and from its timers, monitors and
/// ports, each of which sends one message at a time.
fn room(to: Pid, mail: &Mail) -> Room {
    match mail {
        Mail::Call(..) => Room::Bounded,
        Mail::Cast(from, _) | Mail::Info(from, _) if *from != to => Room::Bounded,
        Mail::Cast(..) | Mail::Info(..) => Room::Always,
        Mail::Exit(..) | Mail::Down(..) | Mail::Told(_) | Mail::Timeout(_) => Room::Always,
    }
}
