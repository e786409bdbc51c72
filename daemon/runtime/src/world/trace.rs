//! What processes tell each other, while somebody looks. OTP: `erlang:trace/3` with `send`, `receive` and `procs`.
//!
//! | what                             | from               | to             | said        |
//! |----------------------------------|--------------------|----------------|-------------|
//! | call, cast, info                 | the sender         | the receiver   | the message |
//! | reply                            | the server         | the caller     | the message |
//! | exit, down                       | who ended          | who is told    | the reason  |
//! | spawn                            | who asked for it   | the new one    | nothing     |
//! | suspend, resume, change_code ... | outside            | the process    | nothing     |
//!
//! What a process sends itself, timers included, is left out. Off by default; then it costs a look at a flag that nobody
//! writes to, for each message.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::RwLock;

use crate::process::body::Signal;
use crate::process::mail::Mail;
use crate::words::code::Bytes;
use crate::words::exit::Exit;
use crate::words::pid::Pid;

/// One thing that a process told another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// When.
    pub at: Instant,
    /// Who; `None` is whoever is no process: an operator, the node itself.
    pub from: Option<Pid>,
    /// Whom.
    pub to: Option<Pid>,
    /// See the table above.
    pub what: &'static str,
    /// With which words.
    pub said: Said,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A message, MessagePack.
    Message(Bytes),
    /// An exit reason.
    Reason(Exit),
    /// Nothing but the fact.
    Nothing,
}

/// What somebody looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only {
    /// What goes from, or to, one of these; anybody when there are none.
    pub processes: Vec<Pid>,
    /// What is of one of these kinds; all when there are none.
    pub kinds: Vec<Kind>,
}

/// A kind of what is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request that wants a reply.
    Call,
    /// That reply.
    Reply,
    /// A request that wants none.
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

/// Who looks, if anybody does.
#[derive(Default)]
pub(crate) struct Tracer {
    on: AtomicBool,
    eye: RwLock<Option<Eye>>,
}

struct Eye {
    only: Only,
    tell: Box<dyn Fn(Traced) + Send + Sync>,
}

impl Tracer {
    /// Has `tell` called for what passes; says whether nobody else looks already.
    pub(crate) fn begin(&self, only: Only, tell: impl Fn(Traced) + Send + Sync + 'static) -> bool {
        let mut eye = self.eye.write();
        let is_free = eye.is_none();
        if is_free {
            *eye = Some(Eye { only, tell: Box::new(tell) });
            self.on.store(true, Ordering::Relaxed);
        }
        is_free
    }

    pub(crate) fn end(&self) {
        self.on.store(false, Ordering::Relaxed);
        *self.eye.write() = None;
    }

    /// Shows that mail is sent.
    pub(crate) fn mail(&self, to: Pid, mail: &Mail) {
        if !self.is_on() {
            return;
        }
        match mail {
            Mail::Call(_, from, body) => self.show(from.caller, to, "call", || Said::Message(body.clone())),
            Mail::Cast(from, body) => self.show(*from, to, "cast", || Said::Message(body.clone())),
            Mail::Info(from, body) => self.show(*from, to, "info", || Said::Message(body.clone())),
            Mail::Down(_, from, exit) => self.show(*from, to, "down", || Said::Reason(exit.clone())),
            // An exit was shown as a signal; the others are between a process and the node.
            Mail::Exit(..) | Mail::Told(_) | Mail::Timeout(_) => {}
        }
    }

    /// Shows that a signal is sent.
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

    /// Shows that a server replies.
    pub(crate) fn reply(&self, from: Pid, to: Pid, body: &[u8]) {
        if self.is_on() {
            self.show(from, to, "reply", || Said::Message(body.to_vec()));
        }
    }

    /// Shows what has no words.
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
        if let Some(eye) = &*self.eye.read()
            && eye.only.lets_pass(from, to, what)
        {
            let process = |pid: Pid| Some(pid).filter(|pid| ![Pid::OUTSIDE, Pid::NONE].contains(pid));
            (eye.tell)(Traced {
                at: Instant::now(),
                from: process(from),
                to: process(to),
                what,
                said: said(),
            });
        }
    }
}
