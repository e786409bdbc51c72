//! Answers to look verbs.

mod app;
mod code;
mod node;
mod process;
mod resources;
mod sys;
mod tree;

pub use app::{App, AppList, AppStatus};
pub use code::{CodeTable, Heap, Library, Module, OldCode, Resident};
pub use node::{EndedApp, NodeStatus, Progress, RunningRelease, StuckCode, WaitingOrder};
pub use process::{
    Behaviour, Callback, CodeAge, Letter, LetterKind, PendingTimer, Process, ProcessDetails, ProcessList,
    ProcessStatus, TopList, TopProcess,
};
pub use resources::{Port, PortList, Table, TableList};
pub use sys::{LoggedMessage, MessageCounts, ProcessLog, ProcessState, ProcessStatistics, SysStatus};
pub use tree::{ChildList, ChildRow, ChildSpecShown, Forest, TreeNode};
