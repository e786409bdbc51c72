//! Commands for test processes, used as message bodies and start arguments, and their replies.

use reld_runtime::{Answer, term};
use reld_wire::{Exit, Pid};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// One command for a callback. The MessagePack body of every test message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Do {
    /// Adds to the count and replies it.
    Add(u64),
    /// Replies the count.
    Get,
    /// Replies the version of the running code.
    Version,
    /// Replies the log.
    Log,
    /// Sends a note to the test.
    Note(String),
    /// Appends `TEXT@VERSION`, with the version of the running code, to the log in the state.
    Remember(String),
    /// Notes "blocked", then blocks its thread until the latch opens.
    Block(u64),
    /// Notes "once". The first use of the latch works, later ones crash.
    Once(u64),
    /// Crashes at these uses of the latch, counted from 1.
    FailsAt(u64, Vec<u64>),
    Sleep(u64),
    /// Waits for ever; a note is sent when the wait is dropped.
    Hang,
    /// Calls another process and replies its reply.
    Call(Pid, Box<Self>, Option<u64>),
    /// Makes that many calls at once and replies how many timed out.
    CallMany(Pid, u64, u64),
    Cast(Pid, Box<Self>),
    Info(Pid, Box<Self>),
    /// Defers the reply.
    Defer,
    /// Answers the oldest deferred call.
    Settle(u64),
    /// Makes another process answer the oldest deferred call.
    Delegate(Pid),
    /// Answers a call to another process: its caller, server and reference.
    SettleFor((Pid, Pid, u64), u64),
    /// Answers the current call before the callback ends.
    Early(u64),
    Crash(String),
    Stop(Exit),
    Ignore,
    Trap(bool),
    Link(Pid),
    Unlink(Pid),
    Monitor(Pid),
    Demonitor(u64),
    Register(String),
    /// Registers the name, or crashes.
    Claim(String),
    Unregister(String),
    Whereis(String),
    /// Replies the process at a place, or the reason why there is none.
    Find(String),
    /// Sends a command to itself after this many milliseconds, and keeps the timer.
    After(u64, Box<Self>),
    /// Carries the command out before all queued messages.
    Continue(Box<Self>),
    /// Makes a task continue in the current code of a module when it ends.
    GoOn(String, Vec<Self>),
    /// Bounds the mailbox.
    Bound(usize),
    /// Notes "timeout" when no message arrives for this many milliseconds.
    Idle(u64),
    /// Spawns a child of itself.
    SpawnChild(String, Vec<Self>),
    /// Cancels the kept timer and replies whether it was in time.
    Cancel,
    Exit(Pid, Exit),
    Spawn(String, Vec<Self>, bool),
    Env(String),
    /// Makes the processes of these names stop normally.
    StopNamed(Vec<String>),
    /// Takes the next message of a task and carries it out.
    Recv,
    /// A command for the terminate callback.
    AtTerminate(Box<Self>),
    /// Sends a request to a port or a table, and replies the answer as text.
    Port(ByteBuf),
    Table(ByteBuf),
    /// Panics on a spare thread, and waits for the end of that work.
    PanicOnSpareThread,
    Me,
    All(Vec<Self>),
}

/// The reply of a test process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Said {
    Nothing,
    Number(u64),
    Text(String),
    Texts(Vec<String>),
    Flag(bool),
    Pid(Option<Pid>),
    Ended(Exit),
    TimedOut,
}

impl Said {
    pub(crate) fn of(answer: Answer) -> Self {
        match answer {
            Answer::Reply(reply) => term::decode(&reply).expect("processes of the test answer in its words"),
            Answer::Started(pid) => Self::Pid(pid),
            Answer::Timeout => Self::TimedOut,
            Answer::Exit(exit) => Self::Ended(exit),
        }
    }
}

/// Shows MessagePack as text.
pub(crate) fn shown(mut bytes: &[u8]) -> String {
    rmpv::decode::read_value(&mut bytes).expect("it is MessagePack").to_string()
}

pub(crate) fn text(text: &str) -> String {
    text.to_owned()
}
