//! One process in full. OTP: `erlang:process_info/1`.

use crate::look::inspect::{ProcessInfo, process};
use crate::process::body::Body;
use crate::process::mail::{Mail, RequestKind};
use crate::process::queue::Queue;
use crate::words::code::{BodyKind, Bytes, From, Ref, TimerRef};
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::world::{Fire, World};

/// A process with its mailbox, monitors and timers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessDetails {
    /// The row that `ps` shows.
    pub info: ProcessInfo,
    /// The part that can be read only between two callbacks; `None` while one runs.
    pub inside: Option<Inside>,
    /// The pending timers that will send to the process, in the order of firing, with the message
    /// bodies.
    pub timers: Vec<(TimerRef, Bytes)>,
}

/// The part of a process that a running callback would own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// The messages in the mailbox, oldest first.
    pub mailbox: Vec<Letter>,
    /// The monitors by which this process watches others.
    pub monitors: Vec<(Ref, Pid)>,
    /// The processes that monitor this one.
    pub monitored_by: Vec<Pid>,
    /// The calls that the process has received and not answered.
    pub unanswered: Vec<From>,
}

/// One message in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Letter {
    /// A call. The body is left out if the runtime itself handles the call, such as a request to a
    /// supervisor.
    Call(From, Option<Bytes>),
    /// A cast.
    Cast(Pid, Bytes),
    /// Any other message.
    Info(Pid, Bytes),
    /// A linked process ended.
    Exit(Pid, Exit),
    /// A monitored process ended.
    Down(Ref, Pid, Exit),
    /// An event of a port or table, from the node itself.
    Told(Bytes),
}

/// Returns a process with its mailbox, monitors and timers.
pub(crate) fn of(world: &World, pid: Pid) -> Option<ProcessDetails> {
    let info = process(world, pid)?;
    let (_, inside) = world.slot(pid)?.glance(pid.generation, |body, mail| Inside::of(body, mail))?;
    Some(ProcessDetails { info, inside, timers: timers_to(world, pid) })
}

/// Returns the targets of the pending app timers, one pid for each timer.
pub(crate) fn timers(world: &World) -> Vec<Pid> {
    let mut targets = Vec::new();
    world.timers.each(|_, what| {
        if let Fire::Info(to, _) | Fire::Interval(to, _) = what {
            targets.push(*to);
        }
    });
    targets
}

fn timers_to(world: &World, pid: Pid) -> Vec<(TimerRef, Bytes)> {
    let mut timers = Vec::new();
    world.timers.each(|timer, what| {
        if let Fire::Info(to, body) | Fire::Interval(to, body) = what
            && *to == pid
        {
            timers.push((timer, body.clone()));
        }
    });
    timers
}

impl Inside {
    fn of(body: &Body, mail: &Queue<Mail>) -> Self {
        let ties = body.ties.as_deref();
        Self {
            mailbox: body.inbox.iter().chain(mail.iter()).filter_map(Letter::of).collect(),
            monitors: ties.map(|ties| ties.watching.clone()).unwrap_or_default(),
            // A process that awaits the exit is a watcher as well, but is not displayed as a
            // monitor.
            monitored_by: ties.map_or_else(Vec::new, |ties| {
                ties.watchers.iter().filter(|watch| !watch.as_answer).map(|watch| watch.watcher).collect()
            }),
            unanswered: ties.map(|ties| ties.unanswered.clone()).unwrap_or_default(),
        }
    }
}

impl Letter {
    fn of(mail: &Mail) -> Option<Self> {
        Some(match mail {
            Mail::Call(RequestKind::Call, from, body) => Self::Call(*from, Some(body.clone())),
            Mail::Call(_, from, _) => Self::Call(*from, None),
            Mail::Cast(from, body) => Self::Cast(*from, body.clone()),
            Mail::Info(from, body) => Self::Info(*from, body.clone()),
            Mail::Exit(from, exit) => Self::Exit(*from, exit.clone()),
            Mail::Down(monitor, pid, exit) => Self::Down(*monitor, *pid, exit.clone()),
            Mail::Told(event) => Self::Told(event.clone()),
            // The idle timeout of a process is not a message.
            Mail::Timeout(_) => return None,
        })
    }
}

/// Returns the details of a process, with each message body replaced by the result of `look`.
pub(crate) fn shown(look: &dyn Fn(BodyKind, Bytes) -> Bytes, mut details: ProcessDetails) -> ProcessDetails {
    let letter = |letter| match letter {
        Letter::Call(from, body) => Letter::Call(from, body.map(|body| look(BodyKind::Call, body))),
        Letter::Cast(from, body) => Letter::Cast(from, look(BodyKind::Cast, body)),
        Letter::Info(from, body) => Letter::Info(from, look(BodyKind::Info, body)),
        other => other,
    };
    details.inside = details.inside.map(|mut inside| {
        inside.mailbox = inside.mailbox.into_iter().map(letter).collect();
        inside
    });
    let timers = details.timers.into_iter();
    details.timers = timers.map(|(timer, body)| (timer, look(BodyKind::Info, body))).collect();
    details
}
