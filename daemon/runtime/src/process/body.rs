//! The body of a process: its state, its mail, and everything it is bound to.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::process::card::Card;
use crate::process::debug::Debug;
use crate::process::gate::Round;
use crate::process::mail::Mail;
use crate::process::queue::Queue;
use crate::process::shadow::Shadow;
use crate::process::shown;
use crate::process::slot::Kind;
use crate::words::code::{Bytes, Callback, Event, From, Instance, Ref, TimerRef};
use crate::words::exit::Exit;
use crate::words::pid::Pid;

/// The types that make up a process, for the claim protocol.
pub(crate) struct Process;

impl Kind for Process {
    type Body = Box<Body>;
    type Mail = Mail;
    type Signal = Signal;
    type Card = Arc<Card>;

    fn room_for_mail() -> Queue<Mail> {
        SPARE_MAIL.take()
    }

    fn room_for_signals() -> Queue<Signal> {
        SPARE_SIGNALS.take()
    }
}

thread_local! {
    /// Buffers that processes on this thread have emptied. Most messages reuse one of these.
    static SPARE_MAIL: Cell<Queue<Mail>> = const { Cell::new(Queue::EMPTY) };
    static SPARE_SIGNALS: Cell<Queue<Signal>> = const { Cell::new(Queue::EMPTY) };
}

/// The capacity up to which a buffer is kept: a mailbox that was full once must not cost memory for
/// ever.
const SPARE_MAX: usize = 64;

/// Keeps the buffer of an empty mailbox for the next mailbox that needs one.
pub(crate) fn spare_mail(mail: Queue<Mail>) {
    if let Some(spare) = mail.spare(SPARE_MAX) {
        SPARE_MAIL.set(spare);
    }
}

/// Keeps the buffer of handled signals for the next process that needs one.
pub(crate) fn spare_signals(signals: Queue<Signal>) {
    if let Some(spare) = signals.spare(SPARE_MAX) {
        SPARE_SIGNALS.set(spare);
    }
}

/// An idle timeout: it fires when no message arrives in time. OTP: the `Timeout` of
/// `{noreply, State, Timeout}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Idle {
    /// The callback under way has asked for this timeout. The time counts from the end of that
    /// callback.
    Wanted(Duration),
    /// The timer runs. The number distinguishes its mail from the mail of an earlier timeout.
    Armed(Ref, TimerRef),
}

/// The result of an open request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The server replied; for [`Wait::Time`], the time is over.
    Reply(Bytes),
    /// The init of a started process is done; `None` if it returned ignore.
    Started(Option<Pid>),
    /// The request timed out.
    Timeout,
    /// The server ended, or never existed.
    Exit(Exit),
}

/// A request of the daemon to a process, carried out on the thread of the process at a callback
/// boundary. OTP: system message.
pub(crate) type System = Box<dyn FnOnce(&mut Body) + Send>;

/// A signal: unlike mail, it reaches a process even while the process is held.
pub(crate) enum Signal {
    Answer(Ref, Answer),
    /// An exit signal from a link, a parent or `exit/2`.
    Exit(Pid, Exit),
    /// Ends the process even if it traps exits. OTP: `exit(Pid, kill)`, when the reason is
    /// [`Exit::Killed`].
    End(Exit),
    Link(Pid),
    Unlink(Pid),
    /// Starts a monitor: the end of the process becomes `Down` mail, or the answer to an open
    /// request.
    Monitor(Watch),
    Demonitor(Pid, Ref),
    /// Another process has answered, on behalf of this one, a call that this one had taken.
    Settled(From),
    System(System),
    /// An open request may be due.
    Deadline,
}

/// A monitor: the process to notify when another process ends, and the way to do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watch {
    pub(crate) watcher: Pid,
    pub(crate) reference: Ref,
    /// Whether the watcher is notified by the answer to an open request rather than by mail.
    pub(crate) as_answer: bool,
}

/// The event that a parked callback waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The answer to a call.
    Answer(Pid),
    /// The end of an init.
    Start(Pid),
    /// The end of a process.
    End(Pid),
    /// A point in time.
    Time,
    /// A port.
    Port,
    /// Work on a spare thread.
    Blocking,
    /// A message. Only tasks wait for messages.
    Message,
}

impl Wait {
    /// Returns the process that the callback waits for, or [`Pid::NONE`].
    pub(crate) fn target(self) -> Pid {
        match self {
            Self::Answer(pid) | Self::Start(pid) | Self::End(pid) => pid,
            Self::Time | Self::Port | Self::Blocking | Self::Message => Pid::NONE,
        }
    }
}

/// An open request of a process.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) reference: Ref,
    pub(crate) wait: Wait,
    pub(crate) due: Due,
}

/// The time at which a request times out; for [`Wait::Time`], the time at which it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Never,
    /// So long after the process begins to wait in its slot. Most calls are answered before, and
    /// read no clock.
    After(Duration),
    At(Instant),
}

/// The run state of a process. `world/run.rs` shows the transitions.
#[derive(Debug)]
pub(crate) enum Actor {
    /// The init has not been called yet. Holds the start argument.
    Unborn(Bytes),
    /// No callback is under way.
    Resting(Box<dyn Instance>),
    /// A callback is parked at an await.
    Waiting(Box<dyn Callback>),
    /// A callback runs on this thread.
    Running,
}

/// The purpose of the callback under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum During {
    /// Init. Holds the process that waits for the result.
    Init(Option<Asker>),
    /// A call that the outcome may answer.
    Call(Asker),
    /// `prep_stop`, `start_phase` or `config_change`. The request is answered when the callback
    /// ends.
    Notice(Asker),
    /// A message without a reply, such as a cast, info, exit or down.
    Message,
    /// `prep_stop` of an application after its tree has ended with this reason. The callback `stop`
    /// comes next.
    PrepStop(Box<Exit>),
    /// The last callback. The process then exits with this reason.
    Terminate(Box<Exit>),
}

/// A process that waits for this one, and the reference of its request.
pub(crate) type Asker = (Pid, Ref);

/// A callback that did not return at once, or that crashed.
#[derive(Debug)]
pub(crate) struct UnderWay {
    /// When it was first parked.
    pub(crate) since: Instant,
    /// The message that it handles, redacted for display.
    pub(crate) mail: Option<Mail>,
}

/// The body of a process, owned by its claimer. A node may have a million of them, so fields that
/// are empty in most processes are boxed.
pub(crate) struct Body {
    pub(crate) pid: Pid,
    pub(crate) card: Arc<Card>,
    pub(crate) actor: Actor,
    pub(crate) during: During,
    /// The callback under way, if it is parked.
    pub(crate) under_way: Option<Box<UnderWay>>,
    /// Mail that the claimer has taken from the slot and not handled yet.
    pub(crate) inbox: Queue<Mail>,
    /// Whether the mailbox has a bound. Its slot then counts the messages in the inbox too.
    pub(crate) is_bounded: bool,
    pub(crate) requests: Option<Box<Requests>>,
    pub(crate) trap_exit: bool,
    pub(crate) suspended: bool,
    pub(crate) after: Option<Box<AfterCallback>>,
    pub(crate) ties: Option<Box<Ties>>,
    /// Statistics and log, while an operator has them turned on.
    pub(crate) debug: Option<Box<Debug>>,
    /// The round of pre-copy that found the process at rest; 0 if the process has begun a callback
    /// since.
    pub(crate) round: Round,
    /// The state converted by that round, or later by the upgrade. It becomes void when a callback
    /// begins.
    pub(crate) shadow: Option<Box<Shadow>>,
}

/// The requests of a process to other processes.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pub(crate) open: Vec<Open>,
    /// Answers that the callback has not taken yet.
    pub(crate) answers: Vec<(Ref, Answer)>,
    /// The timer for the first open request that is due, and the time of the timer. The request may
    /// have been answered since the timer was set.
    pub(crate) alarm: Option<(Instant, TimerRef)>,
    last_ref: Ref,
}

/// Work that waits for the end of the callback under way.
#[derive(Default)]
pub(crate) struct AfterCallback {
    /// The exit signal of the parent.
    pub(crate) ending: Option<Exit>,
    pub(crate) system: Vec<System>,
    /// The `handle_continue` that the callback asked for; it runs before any mail.
    pub(crate) continues: Option<Bytes>,
    /// The idle timeout that the callback asked for; any other callback cancels it.
    pub(crate) idle: Option<Idle>,
}

/// Links, monitors and unanswered calls of a process.
#[derive(Debug, Default)]
pub(crate) struct Ties {
    pub(crate) links: Vec<Pid>,
    pub(crate) watchers: Vec<Watch>,
    /// Monitors of this process on others.
    pub(crate) watching: Vec<(Ref, Pid)>,
    /// Calls that this process has taken and not answered yet.
    pub(crate) unanswered: Vec<From>,
}

impl AfterCallback {
    /// Returns whether the next boundary has work.
    fn is_due(&self) -> bool {
        self.ending.is_some() || !self.system.is_empty()
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.is_due() && self.continues.is_none() && self.idle.is_none()
    }
}

impl Requests {
    /// Opens a request. The caller may set its `wait` later.
    pub(crate) fn open(&mut self, wait: Wait, timeout: Option<Duration>) -> Ref {
        let reference = self.new_ref();
        let due = timeout.map_or(Due::Never, Due::After);
        self.open.push(Open { reference, wait, due });
        reference
    }

    /// Begins the time of new requests. Returns the time at which the first request is due.
    pub(crate) fn first_due(&mut self) -> Option<Instant> {
        let mut now = None;
        let due = self.open.iter_mut().filter_map(|open| {
            if let Due::After(timeout) = open.due {
                let due = now.get_or_insert_with(Instant::now).checked_add(timeout);
                open.due = due.map_or(Due::Never, Due::At);
            }
            if let Due::At(due) = open.due { Some(due) } else { None }
        });
        due.min()
    }

    fn new_ref(&mut self) -> Ref {
        // The reference 0 stands for mail.
        self.last_ref += 1;
        self.last_ref
    }
}

impl Body {
    pub(crate) fn new(pid: Pid, card: Arc<Card>, args: Bytes, starter: Option<Asker>) -> Self {
        Self {
            pid,
            card,
            actor: Actor::Unborn(args),
            during: During::Init(starter),
            under_way: None,
            inbox: Queue::EMPTY,
            is_bounded: false,
            requests: None,
            trap_exit: false,
            suspended: false,
            after: None,
            ties: None,
            debug: None,
            round: 0,
            shadow: None,
        }
    }

    pub(crate) fn ties(&mut self) -> &mut Ties {
        self.ties.get_or_insert_default()
    }

    pub(crate) fn requests(&mut self) -> &mut Requests {
        self.requests.get_or_insert_default()
    }

    pub(crate) fn after(&mut self) -> &mut AfterCallback {
        self.after.get_or_insert_default()
    }

    /// Returns the idle timeout.
    pub(crate) fn idle(&self) -> Option<Idle> {
        self.after.as_ref().and_then(|after| after.idle)
    }

    /// Returns the open requests.
    pub(crate) fn open(&self) -> &[Open] {
        self.requests.as_ref().map_or(&[], |requests| &requests.open)
    }

    /// Returns a reference that no other request or monitor of this process has or had.
    pub(crate) fn new_ref(&mut self) -> Ref {
        self.requests().new_ref()
    }

    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.actor, Actor::Waiting(_))
    }

    pub(crate) fn instance(&self) -> Option<&dyn Instance> {
        match &self.actor {
            Actor::Resting(instance) => Some(&**instance),
            _ => None,
        }
    }

    /// Takes the state for a callback that handles this event.
    pub(crate) fn take_instance(&mut self, event: &Event<'_>) -> Result<Box<dyn Instance>, Exit> {
        match std::mem::replace(&mut self.actor, Actor::Running) {
            Actor::Resting(instance) => Ok(instance),
            _ => Err(Exit::Error(format!("cannot run {event:?}: {} has no state", self.pid))),
        }
    }

    /// Gives up all requests, because the callback that opened them has ended.
    pub(crate) fn forget_requests(&mut self) {
        if let Some(requests) = &mut self.requests {
            requests.open.clear();
            requests.answers.clear();
        }
    }

    /// Closes a request, because its answer is there. Returns whether it was open.
    pub(crate) fn close(&mut self, reference: Ref) -> bool {
        let Some(requests) = &mut self.requests else { return false };
        let at = requests.open.iter().position(|open| open.reference == reference);
        at.map(|at| requests.open.swap_remove(at)).is_some()
    }

    /// Stores the answer to an open request. A late answer finds no request and is dropped.
    pub(crate) fn answer(&mut self, reference: Ref, answer: Answer) {
        if self.close(reference) {
            self.requests().answers.push((reference, answer));
        }
    }

    /// Returns whether the body itself has work. Mail in the slot does not count.
    pub(crate) fn has_work(&self) -> bool {
        match self.actor {
            Actor::Unborn(_) => true,
            Actor::Waiting(_) => false,
            Actor::Resting(_) | Actor::Running => {
                !self.inbox.is_empty() || self.after.as_ref().is_some_and(|after| after.is_due())
            }
        }
    }

    /// Removes a monitor of this process; returns whether it existed.
    pub(crate) fn stop_watching(&mut self, reference: Ref) -> bool {
        let Some(ties) = &mut self.ties else { return false };
        let before = ties.watching.len();
        ties.watching.retain(|(held, _)| *held != reference);
        ties.watching.len() < before
    }

    /// Records a callback that was parked or crashed, with the message that it handles.
    pub(crate) fn note_under_way(&mut self, mail: Option<Mail>) {
        if self.under_way.is_none() {
            // The message is redacted now: when it is displayed, the process can no longer run
            // `format_status`.
            let mail = mail.map(|mail| shown::mail(&*self.card.code.module, mail));
            self.under_way = Some(Box::new(UnderWay { since: Instant::now(), mail }));
        }
    }

    /// Removes a call that was answered from the unanswered calls.
    pub(crate) fn settle(&mut self, from: From) {
        if self.during == During::Call((from.caller, from.reference)) {
            // The outcome of the callback must not answer the call again.
            self.during = During::Message;
        }
        if let Some(ties) = &mut self.ties {
            ties.unanswered.retain(|open| *open != from);
        }
    }
}

#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
mod tests {
    use super::*;
    use crate::process::slot::Slot;

    #[test]
    fn body_and_slot_have_the_documented_sizes() {
        let sizes = (size_of::<Body>(), size_of::<Slot<Process>>());
        assert!(
            sizes.0 <= 128 && sizes.1 <= 64,
            "body and slot have {sizes:?} bytes; DECISIONS.md says 128 and 64"
        );
    }
}
