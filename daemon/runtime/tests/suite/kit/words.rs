//! What tests tell their processes to do: message bodies, start arguments, replies.

use reld_runtime::{Answer, term};
use reld_wire::{Exit, Pid};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// One thing to do inside a callback. The body of every message of a test, in MessagePack.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Do {
    /// Adds to the count and says it.
    Add(u64),
    /// Says the count.
    Get,
    /// Says the version of the code that runs.
    Version,
    /// Says what was handled so far.
    Log,
    /// Tells the test.
    Note(String),
    /// Puts a word into the state's log.
    Remember(String),
    /// Tells the test "blocked", then keeps its thread until the latch opens.
    Block(u64),
    /// Tells the test "once"; works the first time that this latch is met, crashes later.
    Once(u64),
    /// Crashes those times that this latch is met, counted from 1.
    FailsAt(u64, Vec<u64>),
    Sleep(u64),
    /// Waits for ever, telling the test when the wait is dropped.
    Hang,
    /// Calls another process and says what it said.
    Call(Pid, Box<Self>, Option<u64>),
    /// Opens that many calls at once and says how many of them timed out.
    CallMany(Pid, u64, u64),
    Cast(Pid, Box<Self>),
    Info(Pid, Box<Self>),
    /// Keeps the call open.
    Defer,
    /// Answers the oldest call that was kept open.
    Settle(u64),
    /// Has another process answer the oldest call that was kept open.
    Delegate(Pid),
    /// Answers a call of another process: its caller, server and reference.
    SettleFor((Pid, Pid, u64), u64),
    /// Answers the call under way, before the callback ends.
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
    /// Sends to itself after so many milliseconds and keeps the timer.
    After(u64, Box<Self>),
    /// Does this before everything that waits.
    Continue(Box<Self>),
    /// Has a task go on in the current code of a module, when it ends.
    GoOn(String, Vec<Self>),
    /// Lets no more than so many messages wait.
    Bound(usize),
    /// Notes "timeout" when nothing comes for so many milliseconds.
    Idle(u64),
    /// Spawns a process below itself.
    Bear(String, Vec<Self>),
    /// Cancels the kept timer and says whether it was in time.
    Cancel,
    Exit(Pid, Exit),
    Spawn(String, Vec<Self>, bool),
    Env(String),
    /// Asks the processes of these names to stop normally.
    StopNamed(Vec<String>),
    /// Takes the next message of a task and tells the test.
    Recv,
    /// What the terminate callback does.
    AtTerminate(Box<Self>),
    /// Asks something of a port, or of a table, and says the answer as text.
    Port(ByteBuf),
    Table(ByteBuf),
    /// Has a spare thread panic, and waits for the end of that work.
    PanicsApart,
    Me,
    All(Vec<Self>),
}

/// What a process of the test answers.
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
            Answer::Timeout => Self::TimedOut,
            Answer::Exit(exit) => Self::Ended(exit),
        }
    }
}

/// Shows MessagePack.
pub(crate) fn shown(mut bytes: &[u8]) -> String {
    rmpv::decode::read_value(&mut bytes).expect("it is MessagePack").to_string()
}

pub(crate) fn text(text: &str) -> String {
    text.to_owned()
}
