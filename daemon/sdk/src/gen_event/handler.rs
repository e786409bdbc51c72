//! The handler's process, which carries out the orders of its manager.

use std::marker::PhantomData;

use reld_wire::told::Told;
use serde::{Deserialize, Serialize};

use super::{EventHandler, Handled, HandlerEnd};
use crate::behaviour::{Behaviour, BodyKind, Event, Stateful, readable};
use crate::callback::{After, Done, Work};
use crate::codec::{self, read};
use crate::exit::Exit;
use crate::gen_server::Info;
use crate::value::{State, Value};

/// The start argument that a manager passes to a handler.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HandlerStart {
    pub(crate) args: Value,
    /// Whether the handler replaces another one.
    pub(crate) swaps: bool,
    /// The value that the old handler's terminate returned.
    pub(crate) left: Option<Value>,
}

/// An order of a manager. It is sent as a call; the answer is a [`HandlerAnswer`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    Event(Value),
    Call(Value),
    /// A message that was sent to the manager.
    Message(Value),
    End(HandlerEnd),
}

/// The answer to an order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HandlerAnswer {
    pub(crate) handled: Handled,
    /// The reply to a call, or the value from terminate if the handler ends.
    pub(crate) reply: Value,
}

/// A handler in its process.
#[derive(Debug)]
pub struct Hosted<H> {
    handler: H,
    /// Whether terminate has run, so that the process must end.
    is_ended: bool,
}

impl<H> Hosted<H> {
    /// Returns the handler's state.
    pub(crate) fn handler(&self) -> &H {
        &self.handler
    }

    fn new(handler: H) -> Self {
        Self { handler, is_ended: false }
    }
}

/// The behaviour of an event handler, implemented by the callback type `H`.
#[derive(Debug)]
pub struct Handler<H>(PhantomData<fn() -> H>);

impl<H: EventHandler> Behaviour for Handler<H> {
    const BEHAVIOUR: u32 = reld_abi::BEHAVIOUR_EVENT_HANDLER;

    type State = Hosted<H>;

    fn init(args: &[u8]) -> Result<Work<Hosted<H>>, Exit> {
        let HandlerStart { args, swaps, left } = read("start of a handler", args)?;
        let args = read("start argument", args.bytes())?;
        Ok(Box::pin(init(args, swaps, left)))
    }

    fn handle(state: Box<Hosted<H>>, event: Event<'_>) -> Result<Work<Hosted<H>>, Exit> {
        Ok(match event {
            Event::Call(_, body) => match read("order", body)? {
                Order::Event(event) => Box::pin(handle(state, read("event", event.bytes())?)),
                Order::Call(request) => Box::pin(call(state, read("call", request.bytes())?)),
                Order::Message(message) => {
                    Box::pin(ordered(state, Info::Message(read("message", message.bytes())?)))
                }
                Order::End(why) => Box::pin(end(state, why)),
            },
            Event::Info(body) => Box::pin(info(state, Info::Message(read("message", body)?))),
            Event::Told(told) => Box::pin(info(state, read::<Told>("event of the node", told)?.into())),
            Event::Exit(from, reason) => Box::pin(info(state, Info::Exit { from, reason })),
            Event::Down(monitor, from, reason) => Box::pin(info(state, Info::Down { monitor, from, reason })),
            Event::Terminate(reason) => Box::pin(terminate(state, reason)),
            event => return Err(event.unexpected()),
        })
    }

    fn accepts(kind: BodyKind, body: &[u8]) -> Result<(), Exit> {
        match kind {
            BodyKind::Init => readable::<HandlerStart>("start of a handler", body),
            BodyKind::Call => readable::<Order>("order", body),
            BodyKind::Cast => Err(Exit::error("events go to the manager of a handler")),
            BodyKind::Info => readable::<H::Message>("message", body),
        }
    }
}

impl<H: EventHandler> Stateful for Handler<H> {
    fn export(state: &Hosted<H>) -> Result<Vec<u8>, Exit> {
        Ok(codec::encode(&state.handler).map_err(|error| error.of("state"))?)
    }

    fn import(state: &[u8]) -> Result<Hosted<H>, Exit> {
        let handler = codec::decode_all(state, H::DROPPED).map_err(|error| error.of("state"))?;
        Ok(Hosted::new(handler))
    }

    fn change_code(from: &str, state: State, extra: Value) -> Result<Hosted<H>, Exit> {
        H::change_code(from, state, extra).map(Hosted::new)
    }

    fn change_code_down(state: &Hosted<H>, to: &str, extra: Value) -> Result<State, Exit> {
        state.handler.change_code_down(to, extra)
    }
}

async fn init<H: EventHandler>(
    args: H::Args,
    swaps: bool,
    left: Option<Value>,
) -> Result<Done<Hosted<H>>, Exit> {
    let started = if swaps { H::swapped(args, left).await } else { H::init(args).await };
    Ok(match started {
        Ok(handler) => Done::go_on(Box::new(Hosted::new(handler))),
        Err(not_started) => Done::not_started(not_started),
    })
}

async fn handle<H: EventHandler>(
    mut state: Box<Hosted<H>>,
    event: H::Event,
) -> Result<Done<Hosted<H>>, Exit> {
    let handled = state.handler.handle_event(event).await;
    answer(state, handled, Value::nothing()).await
}

async fn call<H: EventHandler>(mut state: Box<Hosted<H>>, request: H::Call) -> Result<Done<Hosted<H>>, Exit> {
    let (handled, reply) = state.handler.handle_call(request).await?;
    let reply = Value::write(&reply).map_err(|error| error.of("reply"))?;
    answer(state, handled, reply).await
}

async fn ordered<H: EventHandler>(
    mut state: Box<Hosted<H>>,
    message: Info<H::Message>,
) -> Result<Done<Hosted<H>>, Exit> {
    let handled = state.handler.handle_info(message).await;
    answer(state, handled, Value::nothing()).await
}

async fn info<H: EventHandler>(
    mut state: Box<Hosted<H>>,
    info: Info<H::Message>,
) -> Result<Done<Hosted<H>>, Exit> {
    let handled = state.handler.handle_info(info).await;
    // No caller waits for an answer. The manager notices the handler's end by itself.
    Ok(Done { reply: None, ..answer(state, handled, Value::nothing()).await? })
}

async fn end<H: EventHandler>(mut state: Box<Hosted<H>>, why: HandlerEnd) -> Result<Done<Hosted<H>>, Exit> {
    state.is_ended = true;
    // The supervising process learns from this reason how the handler ended.
    let exit = match why {
        HandlerEnd::Remove | HandlerEnd::Delete(_) => Exit::Normal,
        HandlerEnd::Swap(_) => Exit::Shutdown("swapped".to_owned()),
        HandlerEnd::Stop(_) => Exit::shutdown(),
    };
    let reply = state.handler.terminate(why).await;
    Ok(Done { next: After::Stop(exit), ..done(state, Handled::Remove, reply)? })
}

/// Answers an order. If the handler is removed, its process ends with this callback.
async fn answer<H: EventHandler>(
    mut state: Box<Hosted<H>>,
    handled: Handled,
    reply: Value,
) -> Result<Done<Hosted<H>>, Exit> {
    if handled == Handled::Remove {
        state.is_ended = true;
        state.handler.terminate(HandlerEnd::Remove).await;
    }
    done(state, handled, reply)
}

fn done<H>(state: Box<Hosted<H>>, handled: Handled, reply: Value) -> Result<Done<Hosted<H>>, Exit> {
    let reply = codec::body(&HandlerAnswer { handled, reply })?;
    let next = match handled {
        Handled::Keep => After::Continue,
        Handled::Remove => After::Stop(Exit::Normal),
    };
    Ok(Done { state: Some(state), next, reply: Some(reply) })
}

async fn terminate<H: EventHandler>(
    mut state: Box<Hosted<H>>,
    reason: Exit,
) -> Result<Done<Hosted<H>>, Exit> {
    if !state.is_ended {
        state.handler.terminate(HandlerEnd::Stop(reason)).await;
    }
    Ok(Done::go_on(state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::NotStarted;
    use crate::harness::Node;

    /// A handler that adds up numbers, and removes itself once the sum is large enough.
    #[derive(Debug, Serialize, Deserialize)]
    struct Sum {
        sum: u64,
    }

    impl EventHandler for Sum {
        type Args = u64;
        type Event = u64;
        type Call = ();
        type Reply = u64;
        type Message = u64;

        async fn init(sum: u64) -> Result<Self, NotStarted> {
            Ok(Self { sum })
        }

        async fn swapped(more: u64, left: Option<Value>) -> Result<Self, NotStarted> {
            let left: u64 = left.map(|left| left.read()).transpose()?.unwrap_or(100);
            Ok(Self { sum: left + more })
        }

        async fn handle_event(&mut self, by: u64) -> Handled {
            self.sum += by;
            if self.sum > 1000 { Handled::Remove } else { Handled::Keep }
        }

        async fn handle_call(&mut self, (): ()) -> Result<(Handled, u64), Exit> {
            Ok((Handled::Keep, self.sum))
        }

        async fn terminate(&mut self, why: HandlerEnd) -> Value {
            match why {
                HandlerEnd::Swap(_) => Value::write(&self.sum).expect("a number"),
                _ => Value::nothing(),
            }
        }
    }

    #[test]
    fn a_handler_handles_events_and_requests_and_is_removed_when_it_asks_for_it() {
        let mut sum = Node::new().start_handler::<Sum>(&1_u64).expect("it starts");
        assert_eq!(sum.notify(&4_u64), Ok(Handled::Keep));
        assert_eq!(sum.request::<u64>(&()), Ok(5));
        assert_eq!(sum.notify(&1000_u64), Ok(Handled::Remove));
        assert_eq!(sum.ended(), Some(&Exit::Normal));
    }

    #[test]
    fn an_event_that_cannot_be_read_ends_the_handler() {
        let mut sum = Node::new().start_handler::<Sum>(&1_u64).expect("it starts");
        assert!(matches!(sum.notify(&"x"), Err(Exit::Undecodable(text)) if text.starts_with("event: ")));
    }

    #[test]
    fn a_replacing_handler_gets_the_value_that_the_old_one_returned() {
        let mut old = Node::new().start_handler::<Sum>(&7_u64).expect("it starts");
        let why = HandlerEnd::Swap(Value::nothing());
        let answer: HandlerAnswer = old.call(&Order::End(why)).expect("it answers");
        assert_eq!(old.ended(), Some(&Exit::Shutdown("swapped".to_owned())));
        let start = |left| HandlerStart { args: Value::write(&1_u64).expect("encodes"), swaps: true, left };
        let start = |left| codec::encode(&start(left)).expect("encodes");
        assert!(Handler::<Sum>::init(&start(Some(answer.reply))).is_ok());
        assert!(Handler::<Sum>::accepts(BodyKind::Init, &start(None)).is_ok());
        assert!(Handler::<Sum>::accepts(BodyKind::Cast, &[]).is_err());
    }
}
