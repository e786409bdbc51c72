//! What an upgrade would meet.

use reld_plan::{Dropped, MemberChange, ModuleName, Vsn};
use serde_json::Value;

use super::conversion::ChangedChildren;
use super::library::Library;
use crate::process::Process;

/// A module that is to be replaced, for [`super::Node::foresee`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coming<'a> {
    /// The module.
    pub module: &'a ModuleName,
    /// The library that it would come from.
    pub library: &'a Library,
    /// What would become of its processes.
    pub change: MemberChange,
    /// What would be left out of their states.
    pub dropped: &'a Dropped,
    /// The schemas say that a state may not be read: whatever [`Look`] is wanted, states are asked
    /// about.
    pub is_doubtful: bool,
}

/// How much is to be foreseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// What holds for as long as the tree does not change: before an install. States that may not
    /// be read, too.
    Tree,
    /// Also what holds for this moment only: states, and messages that wait.
    Moment,
}

/// What an upgrade would meet.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Foreseen {
    /// How the children of supervisors would change.
    pub children: Vec<ForeseenChildren>,
    /// What the code that is to come does not take.
    pub refused: Vec<ForeseenRefusal>,
    /// The supervisors of which nobody knows what their children will be, and why.
    pub unknown: Vec<String>,
    /// What else was not asked about, or could not be, and why.
    pub unasked: Vec<String>,
}

/// How the child specs of one supervisor would change.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeseenChildren {
    /// Which ids would go and come.
    pub changed: ChangedChildren,
    /// Ids that stay, with another spec.
    pub differing: Vec<Value>,
}

/// Something that code which is to come does not take.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeseenRefusal {
    /// Whose it is: of a start argument the supervisor.
    pub process: Process,
    /// What it is.
    pub what: Refusable,
    /// The module that does not take it.
    pub module: ModuleName,
    /// The module's version.
    pub vsn: Vsn,
    /// Why.
    pub reason: String,
}

/// What can be refused by code.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusable {
    /// The start argument of the child of this id, which would be started again with it.
    StartArgument(Value),
    /// The state.
    State,
    /// A message in the mailbox.
    Message,
    /// What the supervisor was started with, of which its init is asked what it wants.
    Init,
}
