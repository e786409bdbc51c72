//! Requests to a supervisor, and their answers. OTP: the functions of `supervisor`.
//!
//! The daemon refuses unknown members of a request. A library skips unknown members of an answer.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::pid::Pid;
use crate::reply;
use crate::spec::{ChildSpec, ChildType};

/// The body of a request. Ids and start arguments are MessagePack values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Adds a child and starts it. The answer is the pid, or nil if the child's init returned
    /// `ignore`.
    StartChild(ChildSpec),
    /// Starts a child of a simple_one_for_one with this argument. The answer is that of
    /// `start_child`.
    StartChildArgs(ByteBuf),
    /// Terminates a child. Its child spec is kept, unless the child is temporary. The answer is
    /// nil.
    TerminateChild(ByteBuf),
    /// Terminates a child of a simple_one_for_one. The answer is nil.
    TerminatePid(Pid),
    /// Starts a child that does not run and has a child spec. The answer is that of `start_child`.
    RestartChild(ByteBuf),
    /// Deletes the child spec of a child that does not run. The answer is nil.
    DeleteChild(ByteBuf),
    /// Gives a child another id. If the child runs, it is not restarted. The answer is nil.
    RenameChild(ByteBuf, ByteBuf),
    /// Gets the spec of a child with this id. The answer is a [`ChildSpec`].
    GetChildspec(ByteBuf),
    /// Gets the spec of a running child. The answer is a [`ChildSpec`].
    GetChildspecOf(Pid),
    /// Lists the children. The answer is a list of [`Child`], in which the child that was started
    /// last comes first.
    WhichChildren,
    /// Counts the children. The answer is [`Counts`].
    CountChildren,
}

/// The answer of a supervisor.
pub type Reply<T> = reply::Reply<T, Error>;

/// The refusal of a request. The daemon writes the reason as a [`Reason`], and a library reads it
/// as a [`Word`](crate::Word).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error<R = Reason> {
    /// The reason as a word.
    pub reason: R,
    /// The pid of the running child, if the request was refused because of that child.
    #[serde(default)]
    pub pid: Option<Pid>,
    /// The reason as text for people.
    #[serde(default)]
    pub text: String,
}

impl<R> Error<R> {
    /// Makes a refusal without a running child.
    pub fn new(reason: R, text: String) -> Self {
        Self { reason, pid: None, text }
    }
}

/// The reason why a request was refused, in the words of OTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A child with this id runs already.
    AlreadyStarted,
    /// A child with this id exists, but does not run.
    AlreadyPresent,
    /// No child has this id.
    NotFound,
    /// The child runs. It must be terminated first.
    Running,
    /// The child is being restarted.
    Restarting,
    /// The child's init failed.
    StartFailed,
    /// The spec does not fit the module or the supervisor.
    BadSpec,
    /// The module is not loaded.
    UnknownModule,
    /// The request is not possible for a simple_one_for_one.
    SimpleOneForOne,
    /// The request cannot be decoded.
    BadRequest,
}

/// Writes the word of the reason.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// One child, as `which_children` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// The id, a MessagePack value. It is nil for children of a simple_one_for_one.
    pub id: ByteBuf,
    /// The pid of the child, if it runs.
    pub pid: Option<Pid>,
    /// Whether the child is being restarted.
    pub restarting: bool,
    /// The kind of the child: a worker or a supervisor.
    #[serde(rename = "type")]
    pub child_type: ChildType,
    /// The module of the child.
    pub module: String,
}

/// The numbers of children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The number of child specs. It is 1 for a simple_one_for_one.
    pub specs: usize,
    /// The number of children that run.
    pub active: usize,
    /// The number of children that are supervisors.
    pub supervisors: usize,
    /// The number of children that are workers.
    pub workers: usize,
}
