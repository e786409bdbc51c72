//! Predictions of an upgrade.

use reld_plan::{Dropped, MemberChange, ModuleName, Vsn};
use serde_json::Value;

use super::conversion::ChangedChildren;
use super::library::Library;
use crate::process::Process;

/// A module to be replaced, for [`super::Node::foresee`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coming<'a> {
    /// The module.
    pub module: &'a ModuleName,
    /// The library with the new code.
    pub library: &'a Library,
    /// The change of its processes.
    pub change: MemberChange,
    /// The places that their states would lose.
    pub dropped: &'a Dropped,
    /// Whether, according to the schemas, the new code may be unable to read a state. If so, states
    /// are tried with every [`Look`].
    pub is_doubtful: bool,
}

/// The scope of a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Only findings that hold until a supervision tree changes, and states that may be unreadable.
    /// Used before an install.
    Tree,
    /// Also findings that hold only at this moment: all states, and messages in mailboxes.
    Moment,
}

/// The prediction of an upgrade.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Foreseen {
    /// The changes of supervisors' children.
    pub children: Vec<ForeseenChildren>,
    /// Data that the new code rejects.
    pub refused: Vec<ForeseenRefusal>,
    /// Supervisors with unknown future children, each with the reason.
    pub unknown: Vec<String>,
    /// Other data that was not or could not be tried, each with the reason.
    pub unasked: Vec<String>,
}

/// The changes of the child specs of one supervisor.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeseenChildren {
    /// The ids that would vanish and appear.
    pub changed: ChangedChildren,
    /// Ids that stay, with a different spec.
    pub differing: Vec<Value>,
}

/// Data that new code rejects.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeseenRefusal {
    /// The process with this data. For a start argument, the supervisor.
    pub process: Process,
    /// The kind of data.
    pub what: Refusable,
    /// The module that rejects it.
    pub module: ModuleName,
    /// The version of the module.
    pub vsn: Vsn,
    /// The reason.
    pub reason: String,
}

/// Data that code can reject.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusable {
    /// The start argument of the child with this id, which a restart of the child would use.
    StartArgument(Value),
    /// The state of the process.
    State,
    /// A message in the mailbox.
    Message,
    /// The start argument of the supervisor itself, which its init receives again.
    Init,
    /// The name in the new spec of the supervisor, which another process has.
    Name(String),
}
