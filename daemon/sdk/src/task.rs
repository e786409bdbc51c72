//! task: a home-brewed process, one `async fn` with its own loop.

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

/// A process that is one function. Stays on its version until it ends or [goes on](continue_with) in the current one, and
/// keeps that version's library in use: prefer [`GenServer`](crate::GenServer) for all that lives long. OTP: a process made by `spawn`.
pub trait Task: 'static {
    /// The start argument.
    type Args: DeserializeOwned + Send;

    /// Runs; the process ends when it returns, `Ok` as `normal`.
    fn run(args: Self::Args) -> impl Future<Output = Result<(), Exit>> + Send;
}

/// A message of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<M> {
    /// A request that wants a [`reply`](crate::reply).
    Call(From, M),
    /// A request without reply, and who sent it.
    Cast(Pid, M),
    /// Any other message, and who sent it.
    Info(Pid, M),
    /// A linked process ended, and this one traps exits.
    Exit {
        /// The process that ended.
        from: Pid,
        /// Why.
        reason: Exit,
    },
    /// A monitored process ended.
    Down {
        /// The monitor, which is used up.
        monitor: MonitorRef,
        /// The process that ended.
        from: Pid,
        /// Why.
        reason: Exit,
    },
    /// What became of a request to a port.
    Port(port::Event),
    /// What became of a shared table.
    Table(ets::Event),
}

/// Why [`recv`] gave no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecvError {
    /// The message is not an `M`. It is gone; the next one can be taken.
    #[error(transparent)]
    Undecodable(#[from] Undecodable),
    /// Only a task may take its messages itself.
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
/// [`RecvError::Undecodable`] for a message that is not an `M`, [`RecvError::Refused`] outside a task.
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
        Mail::Told(told) => Ok(match read::<Told>("what the node tells", &told)? {
            Told::Port(event) => Message::Port(event.into()),
            Told::Table(event) => Message::Table(event.into()),
        }),
        Mail::Exit(from, reason) => Ok(Message::Exit { from, reason }),
        Mail::Down(monitor, from, reason) => Ok(Message::Down { monitor, from, reason }),
    }
}

/// Goes on in the current version of a task's module, which may be the task's own: as the last thing that `run` does, as
/// the answer of it. The process stays the same, with its mail, names, links, monitors and timers; open requests are given
/// up. So a task comes to new code, and a purge finds it in none that is old. OTP: `?MODULE:loop(State)`. `[task]`
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
/// There is no such module, it makes no tasks, or this is none.
pub fn continue_with(module: &str, args: &impl Serialize) -> Result<(), Exit> {
    let args = codec::encode(args).map_err(|error| error.of("start argument"))?;
    let entry = codec::encode(&Entry { module: module.to_owned(), args: ByteBuf::from(args) })?;
    let asked = host::ask(|host| host.continue_with(entry)).and_then(|taken| taken);
    asked.map_err(|Refused| Exit::error(format!("{module:?} is no module of a task that could go on there")))
}

/// The task behaviour of a callback type.
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
            // What a task receives is known to its code only.
            _ => Ok(()),
        }
    }
}

async fn run<T: Task>(args: T::Args) -> Result<Done<std::convert::Infallible>, Exit> {
    let exit = T::run(args).await.err().unwrap_or(Exit::Normal);
    Ok(Done { state: None, next: After::Stop(exit), reply: None })
}
