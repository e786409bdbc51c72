//! A trace of the messages between processes, for an observer. OTP: `erlang:trace/3` with `send`,
//! `receive` and `procs`.
//!
//! | what                             | from              | to                   | said        |
//! |----------------------------------|-------------------|----------------------|-------------|
//! | call, cast, info                 | the sender        | the receiver         | the message |
//! | reply                            | the server        | the caller           | the message |
//! | exit, down                       | the ended process | the notified process | the reason  |
//! | spawn                            | the starter       | the new process      | nothing     |
//! | suspend, resume, change_code ... | outside           | the process          | nothing     |
//!
//! Messages of a process to itself, timers included, are left out. The trace is off by default. The
//! cost per message is then one read of a flag that no thread writes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::RwLock;

use crate::process::body::Signal;
use crate::process::mail::Mail;
use crate::words::code::Bytes;
use crate::words::exit::Exit;
use crate::words::pid::Pid;

/// One traced event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// The time of the event.
    pub at: Instant,
    /// The sending process; `None` for an operator or the node itself.
    pub from: Option<Pid>,
    /// The receiving process; `None` for an operator or the node itself.
    pub to: Option<Pid>,
    /// The kind of event: `call`, `cast`, `info`, `reply`, `exit`, `down`, `spawn`, or the name of
    /// a system message.
    pub what: &'static str,
    /// The content of the event.
    pub said: Said,
}

/// The content of a traced event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A message, MessagePack.
    Message(Bytes),
    /// An exit reason.
    Reason(Exit),
    /// No content.
    Nothing,
}

/// A filter for traced events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only {
    /// Only events from or to one of these processes; an empty list lets all pass.
    pub processes: Vec<Pid>,
    /// Only events of one of these kinds; an empty list lets all pass.
    pub kinds: Vec<Kind>,
}

/// A kind of traced event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request that expects a reply.
    Call,
    /// The reply to a call.
    Reply,
    /// A request without a reply.
    Cast,
    /// Any other message.
    Info,
    /// An exit signal.
    Exit,
    /// The end of a monitored process.
    Down,
    /// A new process.
    Spawn,
    /// A system message.
    Sys,
}

impl Kind {
    fn of(what: &str) -> Self {
        match what {
            "call" => Self::Call,
            "reply" => Self::Reply,
            "cast" => Self::Cast,
            "info" => Self::Info,
            "exit" => Self::Exit,
            "down" => Self::Down,
            "spawn" => Self::Spawn,
            _ => Self::Sys,
        }
    }
}

impl Only {
    fn lets_pass(&self, from: Pid, to: Pid, what: &str) -> bool {
        let Self { processes, kinds } = self;
        (processes.is_empty() || processes.contains(&from) || processes.contains(&to))
            && (kinds.is_empty() || kinds.contains(&Kind::of(what)))
    }
}

/// The observer of a node's messages, if there is one.
#[derive(Default)]
pub(crate) struct Tracer {
    on: AtomicBool,
    observer: RwLock<Option<Observer>>,
}

struct Observer {
    only: Only,
    notify: Box<dyn Fn(Traced) + Send + Sync>,
}

impl Tracer {
    /// Starts a trace: `notify` is called for each event that passes the filter. Returns false when
    /// another trace is under way.
    pub(crate) fn begin(&self, only: Only, notify: impl Fn(Traced) + Send + Sync + 'static) -> bool {
        let mut observer = self.observer.write();
        let is_free = observer.is_none();
        if is_free {
            *observer = Some(Observer { only, notify: Box::new(notify) });
            self.on.store(true, Ordering::Relaxed);
        }
        is_free
    }

    pub(crate) fn end(&self) {
        self.on.store(false, Ordering::Relaxed);
        *self.observer.write() = None;
    }

    /// Traces sent mail.
    pub(crate) fn mail(&self, to: Pid, mail: &Mail) {
        if !self.is_on() {
            return;
        }
        match mail {
            Mail::Call(_, from, body) => self.show(from.caller, to, "call", || Said::Message(body.clone())),
            Mail::Cast(from, body) => self.show(*from, to, "cast", || Said::Message(body.clone())),
            Mail::Info(from, body) => self.show(*from, to, "info", || Said::Message(body.clone())),
            Mail::Down(_, from, exit) => self.show(*from, to, "down", || Said::Reason(exit.clone())),
            // An exit was already traced as a signal; the other kinds pass between a process and
            // the node.
            Mail::Exit(..) | Mail::Told(_) | Mail::Timeout(_) => {}
        }
    }

    /// Traces a sent signal.
    pub(crate) fn signal(&self, to: Pid, signal: &Signal) {
        if !self.is_on() {
            return;
        }
        match signal {
            Signal::Exit(from, exit) => self.show(*from, to, "exit", || Said::Reason(exit.clone())),
            Signal::End(exit) => self.show(Pid::OUTSIDE, to, "exit", || Said::Reason(exit.clone())),
            _ => {}
        }
    }

    /// Traces the reply of a server.
    pub(crate) fn reply(&self, from: Pid, to: Pid, body: &[u8]) {
        if self.is_on() {
            self.show(from, to, "reply", || Said::Message(body.to_vec()));
        }
    }

    /// Traces an event without content.
    pub(crate) fn fact(&self, from: Pid, to: Pid, what: &'static str) {
        if self.is_on() {
            self.show(from, to, what, || Said::Nothing);
        }
    }

    fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    #[cold]
    fn show(&self, from: Pid, to: Pid, what: &'static str, said: impl FnOnce() -> Said) {
        if from == to {
            return;
        }
        if let Some(observer) = &*self.observer.read()
            && observer.only.lets_pass(from, to, what)
        {
            let process = |pid: Pid| Some(pid).filter(|pid| ![Pid::OUTSIDE, Pid::NONE].contains(pid));
            (observer.notify)(Traced {
                at: Instant::now(),
                from: process(from),
                to: process(to),
                what,
                said: said(),
            });
        }
    }
}
