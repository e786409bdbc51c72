//! The manager's process, which keeps the handlers and passes them one event after the other.

use std::marker::PhantomData;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::{
    EventError, GenEvent, Handled, HandlerAnswer, HandlerEnd, HandlerRow, HandlerSpec, HandlerStart, Order,
};
use crate::behaviour::{Behaviour, BodyKind, Event, Stateful, readable};
use crate::body::Body;
use crate::call::{CallError, request, start};
use crate::callback::{Done, Work};
use crate::codec::{self, Undecodable, read};
use crate::exit::{Exit, NotStarted};
use crate::host::{RequestKind, Tie};
use crate::names::{MonitorRef, Pid, To};
use crate::process::{demonitor, monitor, trap_exit};
use crate::time::INFINITY;
use crate::value::{State, Value};

/// The state of a manager: its handlers, in the order in which they handle events.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Handlers {
    handlers: Vec<HandlerRow>,
}

/// The supervision of a handler by the process that added it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervision {
    /// The process that added the handler.
    pub by: Pid,
    /// The manager's monitor of that process.
    pub(super) monitor: MonitorRef,
}

/// The calls to a manager.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    AddHandler(HandlerSpec),
    AddSupHandler(HandlerSpec),
    DeleteHandler {
        id: Value,
        args: Value,
    },
    SwapHandler {
        id: Value,
        args: Value,
        new: HandlerSpec,
    },
    SwapSupHandler {
        id: Value,
        args: Value,
        new: HandlerSpec,
    },
    WhichHandlers,
    SyncNotify(Value),
    Call {
        id: Value,
        request: Value,
    },
    /// The same as `Call`, sent by `relctl`.
    Ask {
        id: serde_json::Value,
        request: serde_json::Value,
    },
}

/// The casts to a manager.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Notice {
    Notify(Value),
    /// The same as `Notify`, sent by `relctl`.
    Event(serde_json::Value),
}

/// The way in which a handler is started.
#[derive(Default)]
struct StartAs {
    /// Whether the handler replaces another one.
    swaps: bool,
    /// The value that the old handler's terminate returned.
    left: Option<Value>,
}

/// The answer to a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Response<T> {
    Ok(T),
    Error(Refusal),
}

/// The reason of a refused request.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refusal {
    reason: String,
    #[serde(default)]
    text: String,
}

impl Refusal {
    fn new(reason: &str, text: impl std::fmt::Display) -> Self {
        Self { reason: reason.to_owned(), text: text.to_string() }
    }

    fn not_found() -> Self {
        Self::new("not_found", "")
    }
}

impl From<Refusal> for EventError {
    fn from(Refusal { reason, text }: Refusal) -> Self {
        match reason.as_str() {
            "not_found" => Self::NotFound,
            "already_added" => Self::AlreadyAdded,
            "start_failed" => Self::StartFailed(text),
            "ended" => Self::Ended(text),
            other => Self::Other(format!("{other}: {text}")),
        }
    }
}

impl Handlers {
    fn find(&self, id: &Value) -> Result<usize, Refusal> {
        self.handlers.iter().position(|row| row.id == *id).ok_or_else(Refusal::not_found)
    }

    /// Adds a handler. If `by` is given, that process supervises the handler.
    async fn add(&mut self, spec: HandlerSpec, start_as: StartAs, by: Option<Pid>) -> Result<Pid, Refusal> {
        if self.find(&spec.id).is_ok() {
            return Err(Refusal::new("already_added", ""));
        }
        let HandlerSpec { id, module, args } = spec;
        let StartAs { swaps, left } = start_as;
        let started = start(&module, &HandlerStart { args, swaps, left }, Tie::Child).await;
        let pid = started.map_err(|error| Refusal::new("start_failed", format!("{module}: {error}")))?;
        let supervision = by.and_then(|by| Some(Supervision { by, monitor: monitor(by).ok()? }));
        self.handlers.push(HandlerRow { id, module, pid, supervision });
        Ok(pid)
    }

    /// Takes a handler off the list.
    fn remove(&mut self, at: usize) -> HandlerRow {
        let row = self.handlers.remove(at);
        if let Some(Supervision { monitor, .. }) = row.supervision {
            // If the handler is removed because its supervising process ended, the monitor is
            // already gone.
            let _ = demonitor(monitor);
        }
        row
    }

    async fn end(&mut self, at: usize, why: HandlerEnd) -> Result<Value, Refusal> {
        let row = self.remove(at);
        let ended = order(row.pid, &Order::End(why)).await;
        ended.map(|answer| answer.reply).map_err(|error| Refusal::new("ended", error))
    }

    /// Replaces a handler. The process that supervises the old one supervises the new one, unless
    /// `by` is given.
    async fn swap(
        &mut self,
        id: &Value,
        args: Value,
        new: HandlerSpec,
        by: Option<Pid>,
    ) -> Result<Pid, Refusal> {
        let (left, inherited) = match self.find(id) {
            Ok(at) => {
                let by = self.handlers[at].supervision.map(|supervision| supervision.by);
                (self.end(at, HandlerEnd::Swap(args)).await.ok(), by)
            }
            Err(_) => (None, None),
        };
        self.add(new, StartAs { swaps: true, left }, by.or(inherited)).await
    }

    async fn call(&mut self, id: &Value, request: Value) -> Result<Value, Refusal> {
        let at = self.find(id)?;
        match order(self.handlers[at].pid, &Order::Call(request)).await {
            Ok(HandlerAnswer { handled, reply }) => {
                if handled == Handled::Remove {
                    self.remove(at);
                }
                Ok(reply)
            }
            Err(error) => {
                gone(&self.remove(at), &error);
                Err(Refusal::new("ended", error))
            }
        }
    }

    /// Gives the same order to all handlers, one after the other. Removes the handlers that end.
    async fn order_all(&mut self, order_: &Order) -> Result<(), Undecodable> {
        let body = codec::body(order_)?;
        let mut at = 0;
        while let Some(row) = self.handlers.get(at) {
            match send(row.pid, body.clone()).await {
                Ok(HandlerAnswer { handled: Handled::Keep, .. }) => at += 1,
                Ok(HandlerAnswer { handled: Handled::Remove, .. }) => drop(self.remove(at)),
                Err(error) => gone(&self.remove(at), &error),
            }
        }
        Ok(())
    }

    async fn ask(&mut self, asked: Request, asker: Pid) -> Result<Body, Undecodable> {
        match asked {
            Request::AddHandler(spec) => response(self.add(spec, StartAs::default(), None).await.map(drop)),
            Request::AddSupHandler(spec) => response(self.add(spec, StartAs::default(), Some(asker)).await),
            Request::DeleteHandler { id, args } => response(match self.find(&id) {
                Ok(at) => self.end(at, HandlerEnd::Delete(args)).await,
                Err(refusal) => Err(refusal),
            }),
            Request::SwapHandler { id, args, new } => {
                response(self.swap(&id, args, new, None).await.map(drop))
            }
            Request::SwapSupHandler { id, args, new } => {
                response(self.swap(&id, args, new, Some(asker)).await)
            }
            Request::WhichHandlers => response(Ok(&self.handlers)),
            Request::SyncNotify(event) => {
                self.order_all(&Order::Event(event)).await?;
                response(Ok(()))
            }
            Request::Call { id, request } => response(self.call(&id, request).await),
            Request::Ask { id, request } => {
                let (id, request) = (Value::write(&id)?, Value::write(&request)?);
                match self.call(&id, request).await {
                    Ok(reply) => response(Ok(reply.read::<serde_json::Value>()?)),
                    Err(refusal) => response(Err::<(), _>(refusal)),
                }
            }
        }
    }
}

fn response<T: Serialize>(result: Result<T, Refusal>) -> Result<Body, Undecodable> {
    codec::body(&match result {
        Ok(value) => Response::Ok(value),
        Err(refusal) => Response::Error(refusal),
    })
}

async fn order(pid: Pid, order: &Order) -> Result<HandlerAnswer, CallError> {
    send(pid, codec::body(order)?).await
}

async fn send(pid: Pid, body: Body) -> Result<HandlerAnswer, CallError> {
    let reply = request(RequestKind::Call, To::Pid(pid), body, INFINITY).await?;
    Ok(read("handler's answer", &reply)?)
}

fn gone(row: &HandlerRow, why: &dyn std::fmt::Display) {
    log::warn!("event handler {} {} is removed: {why}", row.module, row.pid);
}

/// The behaviour of an event manager, implemented by the callback type `M`.
#[derive(Debug)]
pub struct Manager<M>(PhantomData<fn() -> M>);

impl<M: GenEvent> Behaviour for Manager<M> {
    const BEHAVIOUR: u32 = reld_abi::BEHAVIOUR_GEN_EVENT;

    type State = Handlers;

    fn init(args: &[u8]) -> Result<Work<Handlers>, Exit> {
        Ok(Box::pin(init::<M>(read("start argument", args)?)))
    }

    fn handle(state: Box<Handlers>, event: Event<'_>) -> Result<Work<Handlers>, Exit> {
        Ok(match event {
            Event::Call(from, body) => Box::pin(ask(state, read("call", body)?, from.caller)),
            Event::Cast(body) => {
                let event = match read("cast", body)? {
                    Notice::Notify(event) => event,
                    Notice::Event(event) => Value::write(&event)?,
                };
                Box::pin(order_all(state, Order::Event(event)))
            }
            Event::Info(body) => Box::pin(order_all(state, Order::Message(Value::from_bytes(body)))),
            Event::Exit(pid, reason) => Box::pin(async move { Ok(forget(state, pid, &reason)) }),
            Event::Down(_, pid, reason) => Box::pin(orphan(state, pid, reason)),
            Event::Terminate(reason) => Box::pin(terminate(state, reason)),
            event => return Err(event.unexpected()),
        })
    }

    fn accepts(kind: BodyKind, body: &[u8]) -> Result<(), Exit> {
        match kind {
            BodyKind::Init => readable::<M::Args>("start argument", body),
            BodyKind::Call => readable::<Request>("call", body),
            BodyKind::Cast => readable::<Notice>("cast", body),
            // Only the handlers know their message types.
            BodyKind::Info => readable::<IgnoredAny>("message", body),
        }
    }
}

impl<M: GenEvent> Stateful for Manager<M> {
    fn export(state: &Handlers) -> Result<Vec<u8>, Exit> {
        Ok(codec::encode(state)?)
    }

    fn import(state: &[u8]) -> Result<Handlers, Exit> {
        Ok(codec::decode_all(state, &[]).map_err(|error| error.of("state"))?)
    }

    fn change_code(_: &str, state: State, _: Value) -> Result<Handlers, Exit> {
        Ok(state.read()?)
    }

    fn change_code_down(state: &Handlers, _: &str, _: Value) -> Result<State, Exit> {
        Ok(State::write(state)?)
    }
}

async fn init<M: GenEvent>(args: M::Args) -> Result<Done<Handlers>, Exit> {
    // The manager traps exits, because it has to notice the ends of handlers.
    trap_exit(true)?;
    let specs = match M::init(args).await {
        Ok(specs) => specs,
        Err(not_started) => return Ok(Done::not_started(not_started)),
    };
    let mut state = Box::<Handlers>::default();
    for spec in specs {
        if let Err(Refusal { reason, text }) = state.add(spec, StartAs::default(), None).await {
            let exit = Exit::Shutdown(format!("failed_to_add_handler: {reason} {text}"));
            return Ok(Done::not_started(NotStarted::Stop(exit)));
        }
    }
    Ok(Done::go_on(state))
}

async fn ask(mut state: Box<Handlers>, asked: Request, asker: Pid) -> Result<Done<Handlers>, Exit> {
    let reply = state.ask(asked, asker).await?;
    Ok(Done { reply: Some(reply), ..Done::go_on(state) })
}

async fn order_all(mut state: Box<Handlers>, order: Order) -> Result<Done<Handlers>, Exit> {
    state.order_all(&order).await?;
    Ok(Done::go_on(state))
}

/// Removes a handler that ended by itself, or was killed.
fn forget(mut state: Box<Handlers>, pid: Pid, reason: &Exit) -> Done<Handlers> {
    if let Some(at) = state.handlers.iter().position(|row| row.pid == pid) {
        gone(&state.remove(at), reason);
    }
    Done::go_on(state)
}

/// Ends the handlers that a process has supervised, because that process has ended.
async fn orphan(mut state: Box<Handlers>, pid: Pid, reason: Exit) -> Result<Done<Handlers>, Exit> {
    let is_orphan = |row: &HandlerRow| row.supervision.is_some_and(|supervision| supervision.by == pid);
    while let Some(at) = state.handlers.iter().position(is_orphan) {
        if let Err(Refusal { text, .. }) = state.end(at, HandlerEnd::Stop(reason.clone())).await {
            log::warn!("an event handler ended with an error: {text}");
        }
    }
    Ok(Done::go_on(state))
}

/// Ends all handlers, beginning with the one added last.
async fn terminate(mut state: Box<Handlers>, reason: Exit) -> Result<Done<Handlers>, Exit> {
    while let Some(at) = state.handlers.len().checked_sub(1) {
        if let Err(Refusal { text, .. }) = state.end(at, HandlerEnd::Stop(reason.clone())).await {
            log::warn!("an event handler ended with an error: {text}");
        }
    }
    Ok(Done::go_on(state))
}
