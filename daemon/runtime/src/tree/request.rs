//! Requests to a supervisor and what they are answered with: MessagePack on both sides. OTP, g.5.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::process::rows::{Child, Row, Rows};
use crate::words::child_spec::{AutoShutdown, ChildSpec, ChildType, Strategy, read_id, show_id};
use crate::words::code::Bytes;
use crate::words::pid::Pid;
use crate::words::term;

/// What a supervisor can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Adds a child and starts it.
    StartChild(ChildSpec),
    /// Starts a child of a simple_one_for_one with this argument.
    StartChildArgs(ByteBuf),
    /// Ends a child; its row stays, unless it is temporary.
    TerminateChild(#[serde(deserialize_with = "read_id")] ByteBuf),
    /// Ends a child of a simple_one_for_one.
    TerminatePid(Pid),
    /// Starts a child whose row is there, not running.
    RestartChild(#[serde(deserialize_with = "read_id")] ByteBuf),
    /// Removes a row that is not running.
    DeleteChild(#[serde(deserialize_with = "read_id")] ByteBuf),
    /// Gives a child, which runs on, another id.
    RenameChild(
        #[serde(deserialize_with = "read_id")] ByteBuf,
        #[serde(deserialize_with = "read_id")] ByteBuf,
    ),
    /// Returns the spec of a child.
    GetChildspec(#[serde(deserialize_with = "read_id")] ByteBuf),
    /// Returns the spec of a child that runs.
    GetChildspecOf(Pid),
    /// Lists the children, latest started first.
    WhichChildren,
    /// Counts them.
    CountChildren,
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

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// Why.
    pub reason: Reason,
    /// The running child, where there is one.
    #[serde(default)]
    pub pid: Option<Pid>,
    /// For people.
    #[serde(default)]
    pub text: String,
}

impl Error {
    pub(crate) fn new(reason: Reason, text: String) -> Self {
        Self { reason, pid: None, text }
    }

    pub(crate) fn of(reason: Reason, id: &[u8]) -> Self {
        Self::new(reason, format!("child {}", show_id(id)))
    }
}

/// An answer on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply<T> {
    /// Done.
    Ok(T),
    /// Refused.
    Error(Error),
}

pub(crate) fn reply<T: Serialize + Clone>(result: &Result<T, Error>) -> Bytes {
    term::encode(&match result {
        Ok(value) => Reply::Ok(value.clone()),
        Err(error) => Reply::Error(error.clone()),
    })
}

/// One child, as `which_children` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its id, a MessagePack value; nil for children of a simple_one_for_one.
    pub id: ByteBuf,
    /// Its process.
    pub pid: Option<Pid>,
    /// Whether it is about to be started again.
    pub restarting: bool,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ChildType,
    /// The module it was started from.
    pub module: String,
}

impl Listed {
    pub(crate) fn of(rows: &Rows, row: &Row) -> Self {
        Self {
            id: ByteBuf::from(rows.id(row).map_or_else(|| term::encode(&()), <[u8]>::to_vec)),
            pid: row.child.pid(),
            restarting: row.child == Child::Restarting,
            kind: row.spec.kind,
            module: row.spec.module.clone(),
        }
    }
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

impl Counts {
    pub(crate) fn of(rows: &Rows, specs: usize) -> Self {
        let supervisors = rows.iter().filter(|row| row.spec.kind == ChildType::Supervisor).count();
        Self {
            specs,
            active: rows.iter().filter(|row| row.child.pid().is_some()).count(),
            supervisors,
            workers: rows.len() - supervisors,
        }
    }
}

/// A supervisor's state, as `get_state` shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Exported {
    pub(crate) strategy: Strategy,
    pub(crate) intensity: u32,
    pub(crate) period_ms: u64,
    pub(crate) auto_shutdown: AutoShutdown,
    pub(crate) children: Vec<Listed>,
}
