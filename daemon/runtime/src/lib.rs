//! The process world: processes, mailboxes, supervisors, applications, the code server.
mod code;
mod exit;
mod pid;

pub use code::{Behaviour, BodyKind, Bytes, Callback, Event, From, Instance, Module, Next, Outcome, Ref, Step};
pub use exit::Exit;
pub use pid::{ParsePidError, Pid};
