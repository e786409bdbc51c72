//! task: a process with a loop of its own, in one `async fn`.

use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::task::Poll;

use reld_wire::task::Entry;
use reld_wire::told::Told;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use crate::behaviour::{Behaviour, BodyKind, Event, readable};
use crate::callback::{After, Done, Work};
use crate::codec::{self, Undecodable, read};
use crate::exit::Exit;
use crate::host::{self, Mail, Refused};
use crate::names::{From, MonitorRef, Pid};
use crate::waker;
use crate::{ets, port};

/// A process that is one function. The process stays on its version until it ends or
/// [continues](continue_with) in the current version, and keeps the library of its version in use.
/// Prefer [`GenServer`](crate::GenServer) for long-lived processes. OTP: a process made by `spawn`.
pub trait Task: 'static {
    /// The start argument.
    type Args: DeserializeOwned + Send;

    /// Runs the task. The process ends when the function returns; `Ok` means `normal`.
    fn run(args: Self::Args) -> impl Future<Output = Result<(), Exit>> + Send;
}

/// A message of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<M> {
    /// A request that expects a [`reply`](crate::reply).
    Call(From, M),
    /// A request without a reply, and its sender.
    Cast(Pid, M),
    /// Any other message, and its sender.
    Info(Pid, M),
    /// A linked process ended, and this one traps exits.
    Exit {
        /// The process that ended.
        from: Pid,
        /// The exit reason.
        reason: Exit,
    },
    /// A monitored process ended.
    Down {
        /// The monitor, which ends with this message.
        monitor: MonitorRef,
        /// The process that ended.
        from: Pid,
        /// The exit reason.
        reason: Exit,
    },
    /// The result of a request to a port.
    Port(port::Event),
    /// An event of a shared table.
    Table(ets::Event),
}

/// The reason why [`recv`] returned no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecvError {
    /// The message is not an `M`. It is dropped; you can receive the next one.
    #[error(transparent)]
    Undecodable(#[from] Undecodable),
    /// The process is not a task, and only tasks receive messages themselves.
    #[error("only a task can receive")]
    Refused,
}

impl std::convert::From<RecvError> for Exit {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Undecodable(error) => error.into(),
            RecvError::Refused => Self::error(error),
        }
    }
}

/// Waits for the task's next message. `[task]`
///
/// # Errors
/// [`RecvError::Undecodable`] for a message that is not an `M`, [`RecvError::Refused`] outside a
/// task.
pub async fn recv<M: DeserializeOwned>() -> Result<Message<M>, RecvError> {
    let mail = poll_fn(|context| match host::ask(|host| host.recv()).and_then(|taken| taken) {
        Ok(None) => {
            waker::park_for_mail(context.waker());
            Poll::Pending
        }
        taken => Poll::Ready(taken.and_then(|mail| mail.ok_or(Refused))),
    });
    match mail.await.map_err(|Refused| RecvError::Refused)? {
        Mail::Call(from, body) => Ok(Message::Call(from, read("call", &body)?)),
        Mail::Cast(from, body) => Ok(Message::Cast(from, read("cast", &body)?)),
        Mail::Info(from, body) => Ok(Message::Info(from, read("message", &body)?)),
        Mail::Told(told) => Ok(match read::<Told>("event of the node", &told)? {
            Told::Port(event) => Message::Port(event.into()),
            Told::Table(event) => Message::Table(event.into()),
        }),
        Mail::Exit(from, reason) => Ok(Message::Exit { from, reason }),
        Mail::Down(monitor, from, reason) => Ok(Message::Down { monitor, from, reason }),
    }
}

/// Continues in the current version of a task's module, which may be the task's own module. Call it
/// last in `run`, and return its result. The process stays the same, with its mail, names, links,
/// monitors and timers; open requests are given up. So a task moves to new code, and a purge does
/// not find it in old code. OTP: `?MODULE:loop(State)`. `[task]`
///
/// ```
/// use reld_sdk::{Exit, Task, task};
///
/// struct Looper;
///
/// impl Task for Looper {
///     type Args = u64;
///
///     async fn run(n: u64) -> Result<(), Exit> {
///         task::recv::<()>().await?;
///         task::continue_with("looper", &(n + 1))
///     }
/// }
/// ```
///
/// # Errors
/// The module does not exist or is not a task, or this process is not a task.
pub fn continue_with(module: &str, args: &impl Serialize) -> Result<(), Exit> {
    let args = codec::encode(args).map_err(|error| error.of("start argument"))?;
    let entry = codec::body(&Entry { module: module.to_owned(), args: ByteBuf::from(args) })?;
    let asked = host::ask(|host| host.continue_with(entry)).and_then(|taken| taken);
    asked.map_err(|Refused| {
        Exit::error(format!(
            "cannot continue in module {module:?}: it is not a loaded task, or this process is not a task"
        ))
    })
}

/// The task behaviour, implemented by the callback type `T`.
#[derive(Debug)]
pub(crate) struct Run<T>(PhantomData<fn() -> T>);

impl<T: Task> Behaviour for Run<T> {
    const BEHAVIOUR: u32 = reld_abi::BEHAVIOUR_TASK;

    type State = std::convert::Infallible;

    fn init(args: &[u8]) -> Result<Work<Self::State>, Exit> {
        Ok(Box::pin(run::<T>(read("start argument", args)?)))
    }

    fn handle(_: Box<Self::State>, event: Event<'_>) -> Result<Work<Self::State>, Exit> {
        Err(event.unexpected())
    }

    fn accepts(kind: BodyKind, body: &[u8]) -> Result<(), Exit> {
        match kind {
            BodyKind::Init => readable::<T::Args>("start argument", body),
            // Only the code of the task knows its message types.
            _ => Ok(()),
        }
    }
}

async fn run<T: Task>(args: T::Args) -> Result<Done<std::convert::Infallible>, Exit> {
    let exit = T::run(args).await.err().unwrap_or(Exit::Normal);
    Ok(Done { state: None, next: After::Stop(exit), reply: None })
}
