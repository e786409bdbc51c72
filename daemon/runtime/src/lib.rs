//! The process world: processes, mailboxes, links, timers, supervisors, applications, the code server.
//!
//! A process is an entry in a table; it runs on the node's own threads, whose number has nothing to do with the number
//! of processes. Its code is a [`Module`], which the runtime knows only through the traits of [`code`](Module): from a
//! library, or written in a test. Everything that crosses a process's border is bytes.
//!
//! **Promises.** A pid is never reused. A process runs one callback at a time. What is sent to a living process is
//! handled once, in order. A state is only ever touched by the code that built it. Until the switch of an
//! [`Upgrade`], nothing that a process can see has changed.
//!
//! **Does not know** tarballs, releases, `dlopen`, sockets. There is no `unsafe` here.
//!
//! ```
//! use reld_runtime::{Answer, RequestKind, Runtime, Pid};
//! use std::time::Duration;
//!
//! let node = Runtime::new(2);
//! let nobody = Pid { slot: 7, generation: 1 };
//! let answer = node.call(RequestKind::Call, nobody, Vec::new(), Some(Duration::from_secs(1)));
//! assert_eq!(answer, Answer::Exit(reld_runtime::Exit::Noproc));
//! ```

mod application;
mod batch;
mod blocking;
mod census;
mod child_spec;
mod code;
mod code_server;
mod contain;
pub mod context;
mod convert;
mod crashes;
mod custody;
mod debug;
mod details;
mod ets;
mod exit;
mod figures;
mod gate;
mod inspect;
mod journal;
mod lanes;
mod link;
mod native;
mod pid;
mod port;
mod process;
mod registry;
mod request;
mod rows;
mod run;
mod runtime;
mod scheduler;
mod shown;
mod sleepers;
mod slot;
mod supervisor;
mod sweep;
mod sync;
mod sys;
mod table;
pub mod term;
mod timer;
mod top;
mod trace;
mod upgrade;
mod world;

pub use application::{AppError, AppSpec, AppStatus, PREP_STOP, StartType, StopCause};
pub use batch::Batch;
pub use blocking::Blocking;
pub use census::{Census, Share};
pub use child_spec::{AutoShutdown, ChildSpec, ChildType, Restart, Shutdown, Strategy, SupervisorSpec};
pub use code::{
    Behaviour, BodyKind, Bytes, Callback, Event, From, Instance, Module, Next, Outcome, Ref, Step,
};
pub use code_server::{CodeError, Place, Version};
pub use contain::{Panicked, contained, contained_task};
pub use convert::{Conversion, ConvertError, Converted, Stuck};
pub use crashes::Crash;
pub use debug::{Logged, Statistics, Way};
pub use details::{Inside, Letter, ProcessDetails};
pub use ets::{Access, TableId, TableInfo, TableKind};
pub use exit::Exit;
pub use figures::Figures;
pub use gate::{Member, Unrest};
pub use inspect::{CallbackInfo, Node, ProcessInfo, Status, TiesInfo};
pub use journal::{Death, Entries};
pub use pid::{ParsePidError, Pid};
pub use port::{
    Connection, Framing, Listener, PortError, PortEvent, PortId, PortInfo, PortOptions, Reason as PortReason,
    Sockets,
};
pub use process::{Answer, Env, RequestKind, Wait};
pub use request::{Counts, Error as RequestError, Listed, Reason, Reply, Request};
pub use rows::Child;
pub use runtime::{Purge, Runtime};
pub use supervisor::{Change, Kept, Prospect, Supervised, Supervisor, ask_init};
pub use sys::{SysError, SysStatus};
pub use timer::TimerRef;
pub use trace::{Kind as TraceKind, Only as TraceOnly, Said, Traced, Tracing};
pub use upgrade::{Pause, Precopied, Upgrade};
