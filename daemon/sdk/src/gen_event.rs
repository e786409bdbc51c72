//! gen_event: a manager that hands events to handlers, of its own app and of others.
//!
//! ```text
//!   notify, sync_notify, call          +--> handler "log"    a process of module board_log
//!   ---------------------------> manager
//!                                      +--> handler "lamp"   a process of module lamp, of another app
//! ```
//!
//! Unlike OTP, where handlers are modules inside the manager's process, each handler here is a process of its own, below
//! the manager in the tree. So a handler that crashes takes nothing along, it has a module entry and a state of its
//! own, and an upgrade finds and converts it like any other process, though no child spec names it. The manager still
//! hands one event after the other to one handler after the other, in the order in which they were added: a handler
//! sees every event whole and in order, and [`sync_notify`] returns when all have.
//!
//! The functions here ask a running manager. A handler must not ask its own: it waits for the handler.
//!
//! | OTP | here |
//! |---|---|
//! | `start`, `start_link`, `start_monitor` | a child of type `gen_event` in a supervisor, or [`spawn`](crate::spawn) |
//! | `stop` | [`exit`](crate::exit()) with `shutdown`; `relctl sys terminate` |
//! | `notify`, `sync_notify` | [`notify`], [`sync_notify`] |
//! | `add_handler`, `add_sup_handler` | [`add_handler`], [`add_sup_handler`] |
//! | `delete_handler` | [`delete_handler`] |
//! | `swap_handler`, `swap_sup_handler` | [`swap_handler`], [`swap_sup_handler`] |
//! | `which_handlers` | [`which_handlers`] |
//! | `call`, `send_request` and its kin | [`call`], whose future can be joined with others, given up, and timed |

mod handler;
mod manager;

use std::future::{Future, ready};
use std::time::Duration;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

pub use self::handler::{Handler, Hosted};
pub(crate) use self::handler::{HandlerAnswer, HandlerStart, Order};
pub use self::manager::Supervision;
pub use self::manager::{Handlers, Manager};
use self::manager::{Notice, Request, Response};
use crate::call::{CallError, request};
use crate::codec::{self, Undecodable, read};
use crate::exit::{Exit, NotStarted};
use crate::gen_server::Info;
use crate::host::RequestKind;
use crate::names::{MonitorRef, Pid, To};
use crate::process::{SendError, monitor};
use crate::time::INFINITY;
use crate::value::{State, Value};

/// A manager of event handlers. OTP: the process that `gen_event:start_link` makes.
pub trait GenEvent: 'static {
    /// The start argument.
    type Args: DeserializeOwned + Send;

    /// Names the first handlers; the place to [register](crate::register) a name. One that does not start fails the
    /// manager's start.
    fn init(args: Self::Args) -> impl Future<Output = Result<Vec<HandlerSpec>, NotStarted>> + Send;
}

/// A handler of events. `Self` is its state. OTP: the callbacks of `gen_event`.
///
/// What it does to itself ([`self_pid`](crate::self_pid), links, timers) concerns its own process; what is
/// [sent](crate::send) to the manager reaches `handle_info` of every handler.
pub trait EventHandler: Serialize + DeserializeOwned + Send + Sized + 'static {
    /// The start argument.
    type Args: DeserializeOwned + Send;
    /// Events. One that cannot be read as this ends the handler: read old forms for one release.
    type Event: DeserializeOwned + Send;
    /// Requests to this handler.
    type Call: DeserializeOwned + Send;
    /// The reply to them.
    type Reply: Serialize + Send;
    /// Any other message, to the manager or to the handler's own process.
    type Message: DeserializeOwned + Send;

    /// Fields of an older version's state that this version means to lose, as in
    /// [`GenServer::DROPPED`](crate::GenServer::DROPPED).
    const DROPPED: &'static [&'static str] = &[];

    /// Makes the first state. OTP: `init/1`.
    fn init(args: Self::Args) -> impl Future<Output = Result<Self, NotStarted>> + Send;

    /// Takes the place of another handler; `left` is what that one's terminate returned, none when there was no such
    /// handler. Starts as usual by default. OTP: `init({Args, Term})`.
    fn swapped(
        args: Self::Args,
        left: Option<Value>,
    ) -> impl Future<Output = Result<Self, NotStarted>> + Send {
        drop(left);
        Self::init(args)
    }

    /// Handles an event. OTP: `handle_event/2`.
    fn handle_event(&mut self, event: Self::Event) -> impl Future<Output = Handled> + Send;

    /// Handles a request to this handler. By default it ends with an error that says so. OTP: `handle_call/2`.
    fn handle_call(
        &mut self,
        request: Self::Call,
    ) -> impl Future<Output = Result<(Handled, Self::Reply), Exit>> + Send {
        drop(request);
        ready(Err(Exit::error("a call came, but there is no handle_call")))
    }

    /// Handles any other message. By default it is dropped. OTP: `handle_info/2`.
    fn handle_info(&mut self, info: Info<Self::Message>) -> impl Future<Output = Handled> + Send {
        drop(info);
        ready(Handled::Keep)
    }

    /// Ends in order. What it returns goes to who deletes or replaces the handler. OTP: `terminate/2`.
    fn terminate(&mut self, why: HandlerEnd) -> impl Future<Output = Value> + Send {
        drop(why);
        ready(Value::nothing())
    }

    /// As [`GenServer::change_code`](crate::GenServer::change_code).
    ///
    /// # Errors
    /// An error takes the whole upgrade back.
    fn change_code(from: &str, state: State, extra: Value) -> Result<Self, Exit> {
        drop((from, extra));
        Ok(state.read_without(Self::DROPPED)?)
    }

    /// As [`GenServer::change_code_down`](crate::GenServer::change_code_down).
    ///
    /// # Errors
    /// An error takes the whole downgrade back.
    fn change_code_down(&self, to: &str, extra: Value) -> Result<State, Exit> {
        drop((to, extra));
        Ok(State::write(self)?)
    }
}

/// Whether a handler stays after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handled {
    /// It stays. OTP: `ok`.
    Keep,
    /// It goes, after terminate. OTP: `remove_handler`.
    Remove,
}

/// Why a handler ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandlerEnd {
    /// It said so itself. OTP: `remove_handler`.
    Remove,
    /// Somebody deleted it, with this word. OTP: the `Args` of `delete_handler`.
    Delete(Value),
    /// Another one takes its place. OTP: the `Args1` of `swap_handler`.
    Swap(Value),
    /// Its manager ends, or the process that [supervises](add_sup_handler) it has.
    Stop(Exit),
}

/// A handler to be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlerSpec {
    pub(crate) id: Value,
    pub(crate) module: String,
    pub(crate) args: Value,
}

impl HandlerSpec {
    /// A handler of that module, which may be another app's. The id is any value, unique in its manager. OTP:
    /// `{Module, Id}`.
    ///
    /// # Panics
    /// When the `Serialize` of `id` or `args` refuses, as [`ChildSpec::worker`](crate::ChildSpec::worker) does.
    pub fn new(id: impl Serialize, module: &str, args: impl Serialize) -> Self {
        let written = |what: &str, value: Result<Value, Undecodable>| {
            value.unwrap_or_else(|error| panic!("the {what} of a handler cannot be written: {error}"))
        };
        Self {
            id: written("id", Value::write(&id)),
            module: module.to_owned(),
            args: written("start argument", Value::write(&args)),
        }
    }
}

/// A row of [`which_handlers`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandlerRow {
    /// The handler's id.
    pub id: Value,
    /// Its module.
    pub module: String,
    /// Its process.
    pub pid: Pid,
    /// Whose end is its own. Left out where it says nothing, for managers of an older SDK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervision: Option<Supervision>,
}

/// A handler that its adder supervises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupHandler {
    /// The handler's process.
    pub pid: Pid,
    /// The adder's monitor of it: [`Info::Down`] with this says that the handler is gone, and why.
    pub monitor: MonitorRef,
}

/// Why a manager did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// There is no such handler. OTP: `bad_module`.
    #[error("there is no such handler")]
    NotFound,
    /// A handler of that id is there.
    #[error("a handler with that id is there")]
    AlreadyAdded,
    /// Its init failed.
    #[error("the handler did not start: {0}")]
    StartFailed(String),
    /// The handler ended over the request, and is no handler any more.
    #[error("the handler ended: {0}")]
    Ended(String),
    /// A reason of a newer manager.
    #[error("{0}")]
    Other(String),
    /// The manager did not answer.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<Undecodable> for EventError {
    fn from(error: Undecodable) -> Self {
        Self::Call(error.into())
    }
}

/// Adds a handler, behind those that are there. OTP: `add_handler/3`. `[callback]`
///
/// # Errors
/// `AlreadyAdded`, `StartFailed`, `Call`.
pub async fn add_handler(manager: impl Into<To>, handler: HandlerSpec) -> Result<(), EventError> {
    ask::<IgnoredAny>(manager.into(), &Request::AddHandler(handler), INFINITY).await.map(drop)
}

/// As [`add_handler`], with the ends of both bound together: when the calling process ends, the handler does, by
/// [`HandlerEnd::Stop`]; when the handler goes, the caller is told by [`Info::Down`].
///
/// The reason is `normal` for a handler that was deleted or removed itself, `shutdown` when the manager ends, `shutdown:
/// swapped` when another one took its place, which the caller then supervises without being told again, and what ended it
/// otherwise. OTP: `add_sup_handler/3`, with `{gen_event_EXIT, ..}`; unlike there it is a monitor of the handler's process.
/// `[callback]`
///
/// # Errors
/// As [`add_handler`].
pub async fn add_sup_handler(manager: impl Into<To>, handler: HandlerSpec) -> Result<SupHandler, EventError> {
    watched(ask(manager.into(), &Request::AddSupHandler(handler), INFINITY).await?)
}

/// As [`swap_handler`], and the new handler is supervised by the caller as [`add_sup_handler`] says. OTP:
/// `swap_sup_handler/3`. `[callback]`
///
/// # Errors
/// As [`swap_handler`].
pub async fn swap_sup_handler(
    manager: impl Into<To>,
    id: &impl Serialize,
    args: &impl Serialize,
    new: HandlerSpec,
) -> Result<SupHandler, EventError> {
    let request = Request::SwapSupHandler { id: Value::write(id)?, args: Value::write(args)?, new };
    watched(ask(manager.into(), &request, INFINITY).await?)
}

/// One that has ended already is told at once.
fn watched(pid: Pid) -> Result<SupHandler, EventError> {
    let monitor = monitor(pid).map_err(CallError::from)?;
    Ok(SupHandler { pid, monitor })
}

/// Removes a handler; returns what its terminate returned. OTP: `delete_handler/3`. `[callback]`
///
/// # Errors
/// `NotFound`, `Ended`, `Call`.
pub async fn delete_handler(
    manager: impl Into<To>,
    id: &impl Serialize,
    args: &impl Serialize,
) -> Result<Value, EventError> {
    let request = Request::DeleteHandler { id: Value::write(id)?, args: Value::write(args)? };
    ask(manager.into(), &request, INFINITY).await
}

/// Puts a handler in the place of another one, which may be missing. Who supervises the old one supervises the new one.
/// OTP: `swap_handler/3`. `[callback]`
///
/// # Errors
/// `AlreadyAdded`, `StartFailed` (the old one is gone then), `Call`.
pub async fn swap_handler(
    manager: impl Into<To>,
    id: &impl Serialize,
    args: &impl Serialize,
    new: HandlerSpec,
) -> Result<(), EventError> {
    let request = Request::SwapHandler { id: Value::write(id)?, args: Value::write(args)?, new };
    ask::<IgnoredAny>(manager.into(), &request, INFINITY).await.map(drop)
}

/// Returns the handlers, in the order in which they were added. OTP: `which_handlers/1`. `[callback]`
///
/// # Errors
/// `Call`.
pub async fn which_handlers(manager: impl Into<To>) -> Result<Vec<HandlerRow>, EventError> {
    ask(manager.into(), &Request::WhichHandlers, INFINITY).await
}

/// Hands an event to all handlers, and does not wait. OTP: `notify/2`. `[callback]`
///
/// # Errors
/// See [`SendError`]; that nobody is there is none.
pub fn notify(manager: impl Into<To>, event: &impl Serialize) -> Result<(), SendError> {
    crate::process::cast(manager, &Notice::Notify(Value::write(event)?))
}

/// Hands an event to all handlers, and waits until the last has handled it. OTP: `sync_notify/2`. `[callback]`
///
/// # Errors
/// `Call`.
pub async fn sync_notify(manager: impl Into<To>, event: &impl Serialize) -> Result<(), EventError> {
    let request = Request::SyncNotify(Value::write(event)?);
    ask::<IgnoredAny>(manager.into(), &request, INFINITY).await.map(drop)
}

/// Asks one handler. OTP: `call/4`. `[callback]`
///
/// # Errors
/// `NotFound`, `Ended`, `Call`.
pub async fn call<R: DeserializeOwned>(
    manager: impl Into<To>,
    id: &impl Serialize,
    request: &impl Serialize,
    timeout: Duration,
) -> Result<R, EventError> {
    let request = Request::Call { id: Value::write(id)?, request: Value::write(request)? };
    let reply: Value = ask(manager.into(), &request, timeout).await?;
    Ok(reply.read()?)
}

async fn ask<T: DeserializeOwned>(manager: To, body: &Request, timeout: Duration) -> Result<T, EventError> {
    let body = codec::encode(body)?;
    let reply = request(RequestKind::Call, manager, body, timeout).await?;
    match read("manager's reply", &reply)? {
        Response::Ok(value) => Ok(value),
        Response::Error(refusal) => Err(refusal.into()),
    }
}
