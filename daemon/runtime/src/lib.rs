//! The process world: processes, mailboxes, links, timers, supervisors, applications, the code
//! server.
//!
//! A process is an entry in a table. It runs on the node's worker threads; their number is
//! independent of the number of processes. The code of a process is a [`Module`], which the runtime
//! knows only through the traits of [`code`](Module). A module comes from a library or is written
//! in a test. Everything that crosses a process boundary is bytes.
//!
//! **Guarantees.** A pid is never reused. A process runs one callback at a time. Each message to a
//! living process is handled once, in order. Only the code that built a state touches it. Until the
//! switch of an [`Upgrade`], processes see no change.
//!
//! **Does not know** tarballs, releases, `dlopen` or sockets. It contains no `unsafe` code.
//!
//! ```
//! use reld_runtime::{Answer, RequestKind, Runtime};
//! use reld_wire::{Exit, Pid};
//! use std::time::Duration;
//!
//! let node = Runtime::new(2);
//! let unknown = Pid { slot: 7, generation: 1 };
//! let answer = node.call(RequestKind::Call, unknown, Vec::new(), Some(Duration::from_secs(1)));
//! assert_eq!(answer, Answer::Exit(Exit::Noproc));
//! ```

mod io;
mod look;
mod pool;
mod process;
mod runtime;
mod tree;
mod upgrade;
mod words;
mod world;

pub use io::ets::TableInfo;
pub use io::port::{Connection, Listener, PortInfo, Sockets};
pub use look::census::{Census, Share};
pub use look::details::{Inside, Letter, ProcessDetails};
pub use look::inspect::{CallbackInfo, Node, ProcessInfo, Status, TiesInfo};
pub use look::sys::SysStatus;
pub use look::trace::Tracing;
pub use pool::blocking::Blocking;
pub use pool::stuck::Stuck;
pub use process::batch::Batch;
pub use process::body::{Answer, Wait};
pub use process::card::Env;
pub use process::debug::{Logged, Statistics, Way};
pub use process::gate::{Member, Unrest};
pub use process::mail::RequestKind;
pub use process::rows::Child;
pub use process::system::SysError;
pub use runtime::Runtime;
pub use runtime::code::Purge;
pub use tree::supervisor::{Change, Kept, Prospect, Supervised, Supervisor, ask_init};
pub use upgrade::Upgrade;
pub use upgrade::conversion::{Conversion, ConvertError, Converted, Passage, Precopied};
pub use upgrade::pause::Pause;
pub use words::child_spec::{ChildSpec, SupervisorSpec};
pub use words::code::{
    Behaviour, BodyKind, Bytes, Callback, Event, From, Instance, Module, Next, Outcome, Ref, Step, TimerRef,
    one_by_one,
};
pub use words::code_server::{CodeError, Place, Version};
pub use words::contain::{Panicked, contained, contained_task};
pub use words::cut::Cut;
pub use words::figures::Figures;
pub use words::pid::{ParsePidError, parse_pid};
pub use words::term;
pub use world::applications::{AppError, AppSpec, AppStatus, PREP_STOP, StartType};
pub use world::context;
pub use world::journal::{Crash, Death, Entries};
pub use world::places::NotFound;
pub use world::trace::{Kind as TraceKind, Only as TraceOnly, Said, Traced};
