//! What a process is made of.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::process::card::Card;
use crate::process::debug::Debug;
use crate::process::gate::Round;
use crate::process::mail::Mail;
use crate::process::shadow::Shadow;
use crate::process::shown;
use crate::process::slot::Kind;
use crate::words::code::{Bytes, Callback, From, Instance, Ref, TimerRef};
use crate::words::exit::Exit;
use crate::words::pid::Pid;

/// The types that make up a process, for the claim protocol.
pub(crate) struct Process;

impl Kind for Process {
    type Body = Box<Body>;
    type Mail = Mail;
    type Signal = Signal;
    type Card = Arc<Card>;

    fn room_for_mail() -> VecDeque<Mail> {
        SPARE_MAIL.take()
    }

    fn room_for_signals() -> Vec<Signal> {
        SPARE_SIGNALS.take()
    }
}

thread_local! {
    /// Buffers that a process of this thread has emptied: most messages find the room of an earlier one.
    static SPARE_MAIL: Cell<VecDeque<Mail>> = const { Cell::new(VecDeque::new()) };
    static SPARE_SIGNALS: Cell<Vec<Signal>> = const { Cell::new(Vec::new()) };
}

/// Larger buffers are not kept: one full mailbox must not cost memory for ever.
const SPARE_MAX: usize = 64;

/// Keeps the empty buffer of a mailbox for the next one.
pub(crate) fn spare_mail(buffer: VecDeque<Mail>) {
    if (1..=SPARE_MAX).contains(&buffer.capacity()) && buffer.is_empty() {
        SPARE_MAIL.set(buffer);
    }
}

/// Keeps an empty buffer of signals for the next ones.
pub(crate) fn spare_signals(buffer: Vec<Signal>) {
    if (1..=SPARE_MAX).contains(&buffer.capacity()) && buffer.is_empty() {
        SPARE_SIGNALS.set(buffer);
    }
}

/// A wait of a process for nothing to come. OTP: the time-out of `{noreply, State, Timeout}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Idle {
    /// From the end of the callback under way.
    Wanted(Duration),
    /// Until this timer fires; the number tells its mail from that of a wait that has ended.
    Armed(Ref, TimerRef),
}

/// What an open request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The server replied; for a wait, the time is over.
    Reply(Bytes),
    /// The request's time ran out.
    Timeout,
    /// The server ended, or was never there.
    Exit(Exit),
}

/// A request of the daemon to a process, done by the process's own thread at a callback boundary. OTP: system message.
pub(crate) type System = Box<dyn FnOnce(&mut Body) + Send>;

/// What reaches a process whatever holds it.
pub(crate) enum Signal {
    Answer(Ref, Answer),
    /// An exit signal from a link, a parent or `exit/2`.
    Exit(Pid, Exit),
    /// The end, whatever the process traps. OTP: `exit(Pid, kill)`, for the reason [`Exit::Killed`].
    End(Exit),
    Link(Pid),
    Unlink(Pid),
    /// Watch the process: `Down` mail, or the answer to an open request.
    Monitor(Watch),
    Demonitor(Pid, Ref),
    /// Another process has answered a call of this one.
    Settled(From),
    System(System),
    /// An open request may be due.
    Deadline,
}

/// Who is told when a process ends, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watch {
    pub(crate) watcher: Pid,
    pub(crate) reference: Ref,
    /// As the answer to an open request rather than as mail.
    pub(crate) as_answer: bool,
}

/// What a parked callback waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The answer to a call.
    Answer(Pid),
    /// The end of an init.
    Start(Pid),
    /// The end of a process.
    End(Pid),
    /// A time.
    Time,
    /// A port.
    Port,
    /// Work on a spare thread.
    Blocking,
    /// A message. Tasks only.
    Message,
}

impl Wait {
    /// Returns whom it is for; [`Pid::NONE`] for nobody.
    pub(crate) fn target(self) -> Pid {
        match self {
            Self::Answer(pid) | Self::Start(pid) | Self::End(pid) => pid,
            Self::Time | Self::Port | Self::Blocking | Self::Message => Pid::NONE,
        }
    }
}

/// A request that a process has open.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) reference: Ref,
    pub(crate) wait: Wait,
    /// When its time has run out; for a wait for a time, when that is over.
    pub(crate) due: Option<Instant>,
}

/// Where a process stands. See `world/run.rs` for the moves.
#[derive(Debug)]
pub(crate) enum Actor {
    /// Its init has not been called yet; the start argument.
    Unborn(Bytes),
    /// No callback is under way.
    Resting(Box<dyn Instance>),
    /// A callback is parked at an await.
    Waiting(Box<dyn Callback>),
    /// A callback runs on this thread.
    Running,
}

/// What the callback under way is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum During {
    /// Its init, and who waits for the end of that.
    Init(Option<(Pid, Ref)>),
    /// A request that its outcome may answer.
    Call(From),
    /// prep_stop or config_change, whose end is the answer.
    Notice(From),
    /// A cast, info, exit or down.
    Message,
    /// prep_stop of an application whose tree has ended with this reason: the stop callback comes next.
    PrepStop(Box<Exit>),
    /// The last callback; then the process exits with this reason.
    Terminate(Exit),
}

/// A callback that has not returned at once, or has crashed.
#[derive(Debug)]
pub(crate) struct UnderWay {
    /// When it was parked first.
    pub(crate) since: Instant,
    /// The message that it is about, as people are shown it.
    pub(crate) mail: Option<Mail>,
}

/// A process, as its claimer has it. There may be a million: what most have nothing of lies behind a pointer.
pub(crate) struct Body {
    pub(crate) pid: Pid,
    pub(crate) card: Arc<Card>,
    pub(crate) actor: Actor,
    pub(crate) during: During,
    /// The callback under way, once it is parked.
    pub(crate) under_way: Option<Box<UnderWay>>,
    /// Mail taken from the slot and not handled yet.
    pub(crate) inbox: VecDeque<Mail>,
    /// Its slot counts what is in the inbox.
    pub(crate) is_bounded: bool,
    pub(crate) requests: Option<Box<Requests>>,
    pub(crate) trap_exit: bool,
    pub(crate) suspended: bool,
    pub(crate) after: Option<Box<AfterCallback>>,
    pub(crate) ties: Option<Box<Ties>>,
    /// What an operator has it note.
    pub(crate) debug: Option<Box<Debug>>,
    /// The round of pre-copy that found it at rest; 0 once it has begun a callback.
    pub(crate) round: Round,
    /// What that round, or the upgrade later, made of the state: void once a callback begins.
    pub(crate) shadow: Option<Box<Shadow>>,
}

/// What a process has asked others.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pub(crate) open: Vec<Open>,
    /// What was answered and not taken yet.
    pub(crate) answers: Vec<(Ref, Answer)>,
    /// The timer that fires when the first open request is due, or one that was, and when that is.
    pub(crate) alarm: Option<(Instant, TimerRef)>,
    last_ref: Ref,
}

/// What waits for the end of the callback under way.
#[derive(Default)]
pub(crate) struct AfterCallback {
    /// The parent's order to end.
    pub(crate) ending: Option<Exit>,
    pub(crate) system: Vec<System>,
    /// What the callback has put before all else.
    pub(crate) continues: Option<Bytes>,
    /// The wait for nothing that it asked for; any other callback ends it.
    pub(crate) idle: Option<Idle>,
}

/// What binds a process to others.
#[derive(Debug, Default)]
pub(crate) struct Ties {
    pub(crate) links: Vec<Pid>,
    pub(crate) watchers: Vec<Watch>,
    /// Monitors that this process holds.
    pub(crate) watching: Vec<(Ref, Pid)>,
    /// Calls that were taken and not answered yet.
    pub(crate) unanswered: Vec<From>,
}

impl Requests {
    /// Opens one; whom it waits for may be set later.
    pub(crate) fn open(&mut self, wait: Wait, due: Option<Instant>) -> Ref {
        let reference = self.new_ref();
        self.open.push(Open { reference, wait, due });
        reference
    }

    fn new_ref(&mut self) -> Ref {
        // 0 is the reference of mail.
        self.last_ref += 1;
        self.last_ref
    }
}

impl Body {
    pub(crate) fn new(pid: Pid, card: Arc<Card>, args: Bytes, starter: Option<(Pid, Ref)>) -> Self {
        Self {
            pid,
            card,
            actor: Actor::Unborn(args),
            during: During::Init(starter),
            under_way: None,
            inbox: VecDeque::new(),
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

    /// Returns the wait for nothing to come.
    pub(crate) fn idle(&self) -> Option<Idle> {
        self.after.as_ref().and_then(|after| after.idle)
    }

    /// Returns the requests that are open.
    pub(crate) fn open(&self) -> &[Open] {
        self.requests.as_ref().map_or(&[], |requests| &requests.open)
    }

    /// Returns a reference that no other open request or monitor of this process has or had.
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

    /// Notes the answer to an open request; a late one finds none and is dropped.
    pub(crate) fn answer(&mut self, reference: Ref, answer: Answer) {
        if let Some(requests) = &mut self.requests
            && let Some(at) = requests.open.iter().position(|open| open.reference == reference)
        {
            requests.open.swap_remove(at);
            requests.answers.push((reference, answer));
        }
    }

    /// Says whether there is something to do that no mail in the slot shows.
    pub(crate) fn has_work(&self) -> bool {
        match self.actor {
            Actor::Unborn(_) => true,
            Actor::Waiting(_) => false,
            Actor::Resting(_) | Actor::Running => !self.inbox.is_empty(),
        }
    }

    /// Forgets a monitor; says whether it was there.
    pub(crate) fn stop_watching(&mut self, reference: Ref) -> bool {
        let Some(ties) = &mut self.ties else { return false };
        let before = ties.watching.len();
        ties.watching.retain(|(held, _)| *held != reference);
        ties.watching.len() < before
    }

    /// Takes note of a callback that was parked, or of one that crashed, and the message that it is about.
    pub(crate) fn note_under_way(&mut self, mail: Option<Mail>) {
        if self.under_way.is_none() {
            // For people, who are shown it when this process has no say any more.
            let mail = mail.map(|mail| shown::mail(&*self.card.code.module, mail));
            self.under_way = Some(Box::new(UnderWay { since: Instant::now(), mail }));
        }
    }

    /// Forgets a call that was answered.
    pub(crate) fn settle(&mut self, from: From) {
        if self.during == During::Call(from) {
            // Its outcome has nobody to answer any more.
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
    fn a_million_processes_fit_where_they_are_said_to_fit() {
        let sizes = (size_of::<Body>(), size_of::<Slot<Process>>());
        assert!(
            sizes.0 <= 160 && sizes.1 <= 112,
            "body and slot have {sizes:?} bytes; DECISIONS.md says 160 and 112"
        );
    }
}
