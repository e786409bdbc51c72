//! gen_event: a manager that passes events to handlers of its own app and of other apps.
//!
//! ```text
//!   notify, sync_notify, call          +--> handler "log"    a process of module board_log
//!   ---------------------------> manager
//!                                      +--> handler "lamp"   a process of module lamp, of another app
//! ```
//!
//! In OTP, handlers are modules inside the manager's process. Here each handler is a process of its
//! own, below the manager in the tree. So a crash of a handler affects nothing else. A handler has
//! its own module entry and state, and an upgrade finds and converts it like any other process,
//! although no child spec names it. The manager still passes one event after the other to one
//! handler after the other, in the order in which the handlers were added. So each handler gets
//! every event, in order, and [`sync_notify`] returns when all handlers have handled the event.
//!
//! The functions here call a running manager. A handler must not call its own manager, because the
//! manager waits for the handler.
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
//! | `call`, `send_request` and its kin | [`call`]; its future can be joined with others, dropped, or given a time-out |

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

/// A manager of event handlers. OTP: the process started by `gen_event:start_link`.
pub trait GenEvent: 'static {
    /// The start argument.
    type Args: DeserializeOwned + Send;

    /// Returns the first handlers. If you want a registered name, [register](crate::register) it
    /// here. If a handler does not start, the start of the manager fails.
    fn init(args: Self::Args) -> impl Future<Output = Result<Vec<HandlerSpec>, NotStarted>> + Send;
}

/// A handler of events. `Self` is its state. OTP: the callbacks of `gen_event`.
///
/// [`self_pid`](crate::self_pid), links and timers belong to the handler's own process. A message
/// [sent](crate::send) to the manager reaches `handle_info` of every handler.
pub trait EventHandler: Serialize + DeserializeOwned + Send + Sized + 'static {
    /// The start argument.
    type Args: DeserializeOwned + Send;
    /// The events. An event that cannot be decoded ends the handler, so keep reading old forms for
    /// one release.
    type Event: DeserializeOwned + Send;
    /// The requests to this handler.
    type Call: DeserializeOwned + Send;
    /// The reply to a request.
    type Reply: Serialize + Send;
    /// Any other message, to the manager or to the handler's own process.
    type Message: DeserializeOwned + Send;

    /// The fields of an older version's state that this version drops on purpose, as in
    /// [`GenServer::DROPPED`](crate::GenServer::DROPPED).
    const DROPPED: &'static [&'static str] = &[];

    /// Returns the first state. OTP: `init/1`.
    fn init(args: Self::Args) -> impl Future<Output = Result<Self, NotStarted>> + Send;

    /// Replaces another handler. `left` is the value that the old handler's terminate returned, or
    /// `None` if there was no such handler. Calls `init` by default. OTP: `init({Args, Term})`.
    fn swapped(
        args: Self::Args,
        left: Option<Value>,
    ) -> impl Future<Output = Result<Self, NotStarted>> + Send {
        drop(left);
        Self::init(args)
    }

    /// Handles an event. OTP: `handle_event/2`.
    fn handle_event(&mut self, event: Self::Event) -> impl Future<Output = Handled> + Send;

    /// Handles a request to this handler. The default ends the handler with an error. OTP:
    /// `handle_call/2`.
    fn handle_call(
        &mut self,
        request: Self::Call,
    ) -> impl Future<Output = Result<(Handled, Self::Reply), Exit>> + Send {
        drop(request);
        ready(Err(Exit::error("received a call, but handle_call is not implemented")))
    }

    /// Handles any other message. The default drops the message. OTP: `handle_info/2`.
    fn handle_info(&mut self, info: Info<Self::Message>) -> impl Future<Output = Handled> + Send {
        drop(info);
        ready(Handled::Keep)
    }

    /// Cleans up before the handler ends. The returned value goes to the process that deletes the
    /// handler, or to the handler that replaces it. OTP: `terminate/2`.
    fn terminate(&mut self, why: HandlerEnd) -> impl Future<Output = Value> + Send {
        drop(why);
        ready(Value::nothing())
    }

    /// Works like [`GenServer::change_code`](crate::GenServer::change_code).
    ///
    /// # Errors
    /// An error undoes the whole upgrade.
    fn change_code(from: &str, state: State, extra: Value) -> Result<Self, Exit> {
        drop((from, extra));
        Ok(state.read_without(Self::DROPPED)?)
    }

    /// Works like [`GenServer::change_code_down`](crate::GenServer::change_code_down).
    ///
    /// # Errors
    /// An error undoes the whole downgrade.
    fn change_code_down(&self, to: &str, extra: Value) -> Result<State, Exit> {
        drop((to, extra));
        Ok(State::write(self)?)
    }
}

/// The decision of a handler whether it stays after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handled {
    /// The handler stays. OTP: `ok`.
    Keep,
    /// The handler is removed, after its terminate. OTP: `remove_handler`.
    Remove,
}

/// The reason why a handler ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandlerEnd {
    /// The handler returned [`Handled::Remove`]. OTP: `remove_handler`.
    Remove,
    /// The handler was deleted, with this argument. OTP: the `Args` of `delete_handler`.
    Delete(Value),
    /// Another handler replaces this one, with this argument. OTP: the `Args1` of `swap_handler`.
    Swap(Value),
    /// The manager ends, or the process that [supervises](add_sup_handler) the handler has ended.
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
    /// Describes a handler of that module, which may belong to another app. The id is any value
    /// that is unique in its manager. OTP: `{Module, Id}`.
    ///
    /// # Panics
    /// If `id` or `args` cannot be serialized, as in
    /// [`ChildSpec::worker`](crate::ChildSpec::worker).
    pub fn new(id: impl Serialize, module: &str, args: impl Serialize) -> Self {
        let written = |what: &str, value: Result<Value, Undecodable>| {
            value.unwrap_or_else(|error| panic!("the {what} of a handler cannot be serialized: {error}"))
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
    /// The handler's module.
    pub module: String,
    /// The handler's process.
    pub pid: Pid,
    /// The process that supervises the handler. It is left out if there is none, because managers
    /// with an older SDK do not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervision: Option<Supervision>,
}

/// A handler that the calling process supervises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupHandler {
    /// The handler's process.
    pub pid: Pid,
    /// The caller's monitor of the handler: [`Info::Down`] with this reference reports that the
    /// handler is gone, with the reason.
    pub monitor: MonitorRef,
}

/// The error of a failed request to a manager.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// There is no such handler. OTP: `bad_module`.
    #[error("there is no such handler")]
    NotFound,
    /// There is already a handler with that id.
    #[error("there is already a handler with that id")]
    AlreadyAdded,
    /// The init of the handler failed.
    #[error("the handler did not start: {0}")]
    StartFailed(String),
    /// The handler ended while it handled the request, and was removed.
    #[error("the handler ended: {0}")]
    Ended(String),
    /// A newer manager gave a reason that this SDK does not know.
    #[error("{0}")]
    Other(String),
    /// The manager did not reply.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<Undecodable> for EventError {
    fn from(error: Undecodable) -> Self {
        Self::Call(error.into())
    }
}

/// Adds a handler, after the existing ones. OTP: `add_handler/3`. `[callback]`
///
/// # Errors
/// `AlreadyAdded`, `StartFailed`, `Call`.
pub async fn add_handler(manager: impl Into<To>, handler: HandlerSpec) -> Result<(), EventError> {
    ask::<IgnoredAny>(manager.into(), &Request::AddHandler(handler), INFINITY).await.map(drop)
}

/// Works like [`add_handler`], and makes the caller supervise the handler. When the caller ends,
/// the handler ends with [`HandlerEnd::Stop`]. When the handler is gone, the caller gets
/// [`Info::Down`].
///
/// The reason in `Down` is `normal` if the handler was deleted or removed itself, and `shutdown` if
/// the manager ended. It is `shutdown: swapped` if another handler replaced this one; the caller
/// then supervises the new handler, without another message. In all other cases it is the handler's
/// exit reason. OTP: `add_sup_handler/3`, with `{gen_event_EXIT, ..}`; unlike OTP, the caller
/// monitors the handler's process. `[callback]`
///
/// # Errors
/// The same as for [`add_handler`].
pub async fn add_sup_handler(manager: impl Into<To>, handler: HandlerSpec) -> Result<SupHandler, EventError> {
    watched(ask(manager.into(), &Request::AddSupHandler(handler), INFINITY).await?)
}

/// Works like [`swap_handler`], and makes the caller supervise the new handler as in
/// [`add_sup_handler`]. OTP: `swap_sup_handler/3`. `[callback]`
///
/// # Errors
/// The same as for [`swap_handler`].
pub async fn swap_sup_handler(
    manager: impl Into<To>,
    id: &impl Serialize,
    args: &impl Serialize,
    new: HandlerSpec,
) -> Result<SupHandler, EventError> {
    let request = Request::SwapSupHandler { id: Value::write(id)?, args: Value::write(args)?, new };
    watched(ask(manager.into(), &request, INFINITY).await?)
}

/// Monitors a new handler. If its process has already ended, the `Down` comes at once.
fn watched(pid: Pid) -> Result<SupHandler, EventError> {
    let monitor = monitor(pid).map_err(CallError::from)?;
    Ok(SupHandler { pid, monitor })
}

/// Removes a handler; returns the value that its terminate returned. OTP: `delete_handler/3`.
/// `[callback]`
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

/// Replaces a handler. If the old handler is missing, only adds the new one. The process that
/// supervises the old handler supervises the new one. OTP: `swap_handler/3`. `[callback]`
///
/// # Errors
/// `AlreadyAdded`, `StartFailed` (the old handler is gone in that case), `Call`.
pub async fn swap_handler(
    manager: impl Into<To>,
    id: &impl Serialize,
    args: &impl Serialize,
    new: HandlerSpec,
) -> Result<(), EventError> {
    let request = Request::SwapHandler { id: Value::write(id)?, args: Value::write(args)?, new };
    ask::<IgnoredAny>(manager.into(), &request, INFINITY).await.map(drop)
}

/// Returns the handlers, in the order in which they were added. OTP: `which_handlers/1`.
/// `[callback]`
///
/// # Errors
/// `Call`.
pub async fn which_handlers(manager: impl Into<To>) -> Result<Vec<HandlerRow>, EventError> {
    ask(manager.into(), &Request::WhichHandlers, INFINITY).await
}

/// Passes an event to all handlers without waiting. OTP: `notify/2`. `[callback]`
///
/// # Errors
/// See [`SendError`]. A missing manager is not an error.
pub fn notify(manager: impl Into<To>, event: &impl Serialize) -> Result<(), SendError> {
    crate::process::cast(manager, &Notice::Notify(Value::write(event)?))
}

/// Passes an event to all handlers, and waits until the last handler has handled it. OTP:
/// `sync_notify/2`. `[callback]`
///
/// # Errors
/// `Call`.
pub async fn sync_notify(manager: impl Into<To>, event: &impl Serialize) -> Result<(), EventError> {
    let request = Request::SyncNotify(Value::write(event)?);
    ask::<IgnoredAny>(manager.into(), &request, INFINITY).await.map(drop)
}

/// Calls one handler. OTP: `call/4`. `[callback]`
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
    let body = codec::body(body)?;
    let reply = request(RequestKind::Call, manager, body, timeout).await?;
    match read("manager's reply", &reply)? {
        Response::Ok(value) => Ok(value),
        Response::Error(refusal) => Err(refusal.into()),
    }
}
