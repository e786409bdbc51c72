//! Requests to a supervisor, and their answers. OTP: the functions of `supervisor`.
//!
//! The daemon refuses unknown members of a request. A library skips unknown members of an answer.

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
    /// Adds a child and starts it. Answered with the pid, or nil if the child's init returned
    /// `ignore`.
    StartChild(ChildSpec),
    /// Starts a child of a simple_one_for_one with this argument. Answered like `start_child`.
    StartChildArgs(ByteBuf),
    /// Terminates a child. Its row stays, unless the child is temporary. Answered with nil.
    TerminateChild(ByteBuf),
    /// Terminates a child of a simple_one_for_one. Answered with nil.
    TerminatePid(Pid),
    /// Starts a child that has a row and does not run. Answered like `start_child`.
    RestartChild(ByteBuf),
    /// Removes the row of a child that does not run. Answered with nil.
    DeleteChild(ByteBuf),
    /// Gives a child another id; a running child keeps running. Answered with nil.
    RenameChild(ByteBuf, ByteBuf),
    /// Asks for the spec of a child. Answered with its [`ChildSpec`].
    GetChildspec(ByteBuf),
    /// Asks for the spec of a running child. Answered with its [`ChildSpec`].
    GetChildspecOf(Pid),
    /// Lists the children. Answered with each [`Child`], the latest started first.
    WhichChildren,
    /// Counts the children. Answered with [`Counts`].
    CountChildren,
}

/// The answer of a supervisor.
pub type Reply<T> = reply::Reply<T, Error>;

/// Why a request was refused. The daemon writes a [`Reason`]; a library reads it as a
/// [`Word`](crate::Word).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error<R = Reason> {
    /// The reason as a word.
    pub reason: R,
    /// The running child, if the refusal is about one.
    #[serde(default)]
    pub pid: Option<Pid>,
    /// The reason for people.
    #[serde(default)]
    pub text: String,
}

impl<R> Error<R> {
    /// Makes a refusal without a running child.
    pub fn new(reason: R, text: String) -> Self {
        Self { reason, pid: None, text }
    }
}

/// Why a request was refused, in the words of OTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A child with the id runs.
    AlreadyStarted,
    /// A child with the id exists and does not run.
    AlreadyPresent,
    /// No child has the id.
    NotFound,
    /// The child runs; terminate it first.
    Running,
    /// The child is being restarted.
    Restarting,
    /// The child's init failed.
    StartFailed,
    /// The spec does not fit the module, or the supervisor.
    BadSpec,
    /// The module is not loaded.
    UnknownModule,
    /// The request makes no sense for a simple_one_for_one.
    SimpleOneForOne,
    /// The request cannot be decoded.
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
    /// The id, a MessagePack value; nil for children of a simple_one_for_one.
    pub id: ByteBuf,
    /// The process, while the child runs.
    pub pid: Option<Pid>,
    /// Whether the child is being restarted.
    pub restarting: bool,
    /// Worker or supervisor.
    #[serde(rename = "type")]
    pub child_type: ChildType,
    /// The module that it was started from.
    pub module: String,
}

/// How many children there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The number of child specs; 1 for a simple_one_for_one.
    pub specs: usize,
    /// Children that run.
    pub active: usize,
    /// Children that are supervisors.
    pub supervisors: usize,
    /// Children that are workers.
    pub workers: usize,
}
