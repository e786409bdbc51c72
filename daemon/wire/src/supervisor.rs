//! Requests to a supervisor, and their answers. OTP: the functions of `supervisor`.
//!
//! The daemon refuses members that it does not know in a request. A library skips those of an answer.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::pid::Pid;
use crate::reply;
use crate::spec::{ChildSpec, ChildType};

/// The body of a request. Ids and arguments are MessagePack values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Adds a child and starts it. Answered with its pid, nil when its init said `ignore`.
    StartChild(ChildSpec),
    /// Starts a child of a simple_one_for_one with this argument. Answered as `start_child`.
    StartChildArgs(ByteBuf),
    /// Ends a child; its row stays, unless it is temporary. Answered with nil.
    TerminateChild(ByteBuf),
    /// Ends a child of a simple_one_for_one. Answered with nil.
    TerminatePid(Pid),
    /// Starts a child whose row is there, not running. Answered as `start_child`.
    RestartChild(ByteBuf),
    /// Removes a row that is not running. Answered with nil.
    DeleteChild(ByteBuf),
    /// Gives a child, which runs on, another id. Answered with nil.
    RenameChild(ByteBuf, ByteBuf),
    /// Answered with the [`ChildSpec`] of a child.
    GetChildspec(ByteBuf),
    /// Answered with the [`ChildSpec`] of a child that runs.
    GetChildspecOf(Pid),
    /// Answered with each [`Child`], latest started first.
    WhichChildren,
    /// Answered with [`Counts`].
    CountChildren,
}

/// The answer of a supervisor.
pub type Reply<T> = reply::Reply<T, Error>;

/// Why a request was refused. The daemon writes a [`Reason`]; a library reads it as a [`Word`](crate::Word).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error<R = Reason> {
    /// Why.
    pub reason: R,
    /// The running child, where there is one.
    #[serde(default)]
    pub pid: Option<Pid>,
    /// For people.
    #[serde(default)]
    pub text: String,
}

impl<R> Error<R> {
    /// Makes a refusal that names no child that runs.
    pub fn new(reason: R, text: String) -> Self {
        Self { reason, pid: None, text }
    }
}

/// Why a request was refused; OTP's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A child of that id runs.
    AlreadyStarted,
    /// A row of that id is there, not running.
    AlreadyPresent,
    /// No child has that id.
    NotFound,
    /// The child runs; terminate it first.
    Running,
    /// The child is about to be started again.
    Restarting,
    /// The child's init failed.
    StartFailed,
    /// The spec does not fit the module, or the supervisor.
    BadSpec,
    /// The module is not loaded.
    UnknownModule,
    /// The request makes no sense for a simple_one_for_one.
    SimpleOneForOne,
    /// The request could not be understood.
    BadRequest,
}

/// Prints the word.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// One child, as `which_children` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// Its id, a MessagePack value; nil for children of a simple_one_for_one.
    pub id: ByteBuf,
    /// Its process, while there is one.
    pub pid: Option<Pid>,
    /// Whether it is about to be started again.
    pub restarting: bool,
    /// What it is.
    #[serde(rename = "type")]
    pub child_type: ChildType,
    /// The module it was started from.
    pub module: String,
}

/// How many children there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows; 1 for a simple_one_for_one.
    pub specs: usize,
    /// Living children.
    pub active: usize,
    /// Children that are supervisors.
    pub supervisors: usize,
    /// Children that are not.
    pub workers: usize,
}
