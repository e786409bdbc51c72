//! gen_statem: a state machine with data, driven by the daemon.
//!
//! The engine is part of the library, on top of a process that the daemon treats as a gen_server.
//! One callback handles one event and all events that follow from it inside the machine: inserted
//! events, state enter calls, and the postponed events that a change of state brings back. Between
//! two callbacks the engine's data is plain data, and is converted together with the app's data
//! (see `machine.rs`).

mod event;
mod machine;

use std::future::{Future, ready};
use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::event::StatemEvent;
pub(crate) use self::event::{Kept, TimeoutKind};
pub use self::machine::Machine;
use crate::behaviour::{Behaviour, BodyKind, Event, Stateful, readable};
use crate::body::Body;
use crate::callback::{After, Done, Work};
use crate::codec::{self, Undecodable, read};
use crate::exit::{Exit, NotStarted};
use crate::names::From;
use crate::value::{State, Value};

/// A state machine. `Self` is its data; `Self::State` is its current state. OTP: `gen_statem`,
/// `handle_event_function`.
///
/// One callback handles every event in every state, so that `match (state, event)` is the machine's
/// table:
///
/// ```
/// use std::time::Duration;
/// use reld_sdk::{GenStatem, NotStarted, StatemEvent, Transition};
/// use serde::{Deserialize, Serialize};
///
/// /// A door that locks itself, and answers a knock only once it is open.
/// #[derive(Serialize, Deserialize)]
/// struct Door { code: u32 }
///
/// #[derive(Clone, PartialEq, Serialize, Deserialize)]
/// enum Lock { Locked, Open }
///
/// #[derive(Serialize, Deserialize)]
/// enum Ask { Enter(u32), Knock }
///
/// impl GenStatem for Door {
///     type Args = u32;
///     type State = Lock;
///     type Call = Ask;
///     type Reply = bool;
///     type Cast = ();
///     type Message = ();
///     type Own = ();
///
///     async fn init(code: u32) -> Result<(Transition<Self>, Self), NotStarted> {
///         Ok((Transition::next(Lock::Locked), Self { code }))
///     }
///
///     async fn handle_event(&mut self, state: &Lock, event: StatemEvent<Self>) -> Transition<Self> {
///         match (state, event) {
///             (Lock::Locked, StatemEvent::Call(from, Ask::Enter(code))) if code == self.code => {
///                 Transition::next(Lock::Open).reply(from, &true).state_timeout(Duration::from_secs(5), &())
///             }
///             (_, StatemEvent::Call(from, Ask::Enter(_))) => Transition::keep().reply(from, &false),
///             (Lock::Locked, StatemEvent::Call(_, Ask::Knock)) => Transition::keep().postpone(),
///             (Lock::Open, StatemEvent::Call(from, Ask::Knock)) => Transition::keep().reply(from, &true),
///             (Lock::Open, StatemEvent::StateTimeout(())) => Transition::next(Lock::Locked),
///             _ => Transition::keep(),
///         }
///     }
/// }
/// ```
///
/// A panic in a callback ends the process, as in a [`GenServer`](crate::GenServer).
pub trait GenStatem: Serialize + DeserializeOwned + Send + Sized + 'static {
    /// The start argument.
    type Args: DeserializeOwned + Send;
    /// The states, usually an enum. Values that are equal are the same state.
    type State: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync;
    /// The requests that expect a reply.
    type Call: DeserializeOwned + Send;
    /// The reply to a call.
    type Reply: Serialize + Send;
    /// The requests without a reply.
    type Cast: DeserializeOwned + Send;
    /// Any other message.
    type Message: DeserializeOwned + Send;
    /// The machine's messages to itself. They are the content of time-outs and of [internal
    /// events](Transition::internal).
    type Own: Serialize + DeserializeOwned + Send;

    /// Whether entering a state is an event: [`StatemEvent::Enter`]. OTP: `state_enter`.
    const STATE_ENTER: bool = false;

    /// The fields of an older version's data that this version drops on purpose, as in
    /// [`GenServer::DROPPED`](crate::GenServer::DROPPED).
    const DROPPED: &'static [&'static str] = &[];

    /// Returns the first data, and the transition to the first state. OTP: `init/1`.
    fn init(args: Self::Args) -> impl Future<Output = Result<(Transition<Self>, Self), NotStarted>> + Send;

    /// Handles an event. OTP: `handle_event/4`.
    fn handle_event(
        &mut self,
        state: &Self::State,
        event: StatemEvent<Self>,
    ) -> impl Future<Output = Transition<Self>> + Send;

    /// Cleans up before the process ends, like
    /// [`GenServer::terminate`](crate::GenServer::terminate).
    fn terminate(&mut self, state: &Self::State, reason: Exit) -> impl Future<Output = ()> + Send {
        let _ = (state, reason);
        ready(())
    }

    /// Makes the state and data of this version from the state and data of the older version
    /// `from`. OTP: `code_change/4`.
    ///
    /// The default reads both as they are. Postponed events and running time-outs are carried over
    /// automatically. Their content is decoded when they are handled, like any message of an older
    /// version.
    ///
    /// # Errors
    /// An error undoes the whole upgrade.
    fn change_code(from: &str, state: State, data: State, extra: Value) -> Result<(Self::State, Self), Exit> {
        let _ = (from, extra);
        Ok((state.read()?, data.read_without(Self::DROPPED)?))
    }

    /// Makes a state and data that the older version `to` can read. OTP:
    /// `code_change({down, Vsn}, ..)`.
    ///
    /// # Errors
    /// An error undoes the whole downgrade.
    fn change_code_down(&self, state: &Self::State, to: &str, extra: Value) -> Result<(State, State), Exit> {
        let _ = (to, extra);
        Ok((State::write(state)?, State::write(self)?))
    }
}

/// The reaction of a machine to an event: its next state, and actions. OTP: the result of a state
/// callback.
#[must_use]
#[derive(Debug)]
pub struct Transition<M: GenStatem> {
    pub(crate) to: Target<M::State>,
    pub(crate) postpone: bool,
    pub(crate) replies: Vec<(From, Body)>,
    pub(crate) timeouts: Vec<SetTimeout>,
    pub(crate) inserted: Vec<Kept>,
    /// The error of the first value that could not be serialized.
    pub(crate) failed: Option<Undecodable>,
}

#[derive(Debug)]
pub(crate) enum Target<S> {
    Keep,
    Repeat,
    Next(S),
    Stop(Exit),
}

/// A time-out to be set, or cancelled.
#[derive(Debug)]
pub(crate) struct SetTimeout {
    pub(crate) kind: TimeoutKind,
    /// The time and the content; `None` cancels the time-out.
    pub(crate) set: Option<(Duration, Value)>,
}

impl<M: GenStatem> Transition<M> {
    fn to(to: Target<M::State>) -> Self {
        let (replies, timeouts, inserted) = (Vec::new(), Vec::new(), Vec::new());
        Self { to, postpone: false, replies, timeouts, inserted, failed: None }
    }

    /// Keeps the state. OTP: `keep_state`.
    pub fn keep() -> Self {
        Self::to(Target::Keep)
    }

    /// Keeps the state, and enters it once more if `STATE_ENTER` is set. OTP: `repeat_state`.
    pub fn repeat() -> Self {
        Self::to(Target::Repeat)
    }

    /// Changes the state. If the new state differs from the old one, the state time-out is
    /// cancelled and postponed events come back, oldest first. OTP: `next_state`.
    pub fn next(state: M::State) -> Self {
        Self::to(Target::Next(state))
    }

    /// Ends the machine after terminate. Replies are sent before that. OTP: `stop`.
    pub fn stop(exit: Exit) -> Self {
        Self::to(Target::Stop(exit))
    }

    /// Postpones this event until the state changes. OTP: `postpone`.
    pub fn postpone(mut self) -> Self {
        self.postpone = true;
        self
    }

    /// Answers a call: the current one, or an earlier one with a `From` that you kept in the data.
    pub fn reply(mut self, to: From, reply: &M::Reply) -> Self {
        if let Some(reply) = self.written(reply) {
            self.replies.push((to, reply));
        }
        self
    }

    /// Sets the state time-out. It fires as [`StatemEvent::StateTimeout`], unless the state changes
    /// before. Replaces a running state time-out.
    pub fn state_timeout(self, after: Duration, content: &M::Own) -> Self {
        self.set(TimeoutKind::State, after, content)
    }

    /// Cancels the state time-out.
    pub fn cancel_state_timeout(self) -> Self {
        self.cancel(TimeoutKind::State)
    }

    /// Sets the event time-out. It fires as [`StatemEvent::EventTimeout`], unless any other event
    /// comes before.
    pub fn event_timeout(self, after: Duration, content: &M::Own) -> Self {
        self.set(TimeoutKind::Event, after, content)
    }

    /// Sets a time-out with that name. It fires as [`StatemEvent::Timeout`], independent of other
    /// events. Replaces a running time-out with the same name. OTP: `{{timeout, Name}, ..}`.
    pub fn timeout(self, name: &str, after: Duration, content: &M::Own) -> Self {
        self.set(TimeoutKind::Named(name.to_owned()), after, content)
    }

    /// Cancels the time-out with that name.
    pub fn cancel_timeout(self, name: &str) -> Self {
        self.cancel(TimeoutKind::Named(name.to_owned()))
    }

    /// Inserts an event before all waiting events. Several inserted events are handled in the order
    /// of their insertion. OTP: `{next_event, internal, ..}`.
    pub fn internal(mut self, content: &M::Own) -> Self {
        if let Some(body) = self.value(content) {
            self.inserted.push(Kept::Internal { body });
        }
        self
    }

    /// Inserts a cast, as [`internal`](Self::internal) does. OTP: `{next_event, cast, ..}`.
    pub fn next_cast(mut self, request: &impl Serialize) -> Self {
        if let Some(body) = self.value(request) {
            self.inserted.push(Kept::Cast { body });
        }
        self
    }

    /// Inserts a call, as [`internal`](Self::internal) does. OTP: `{next_event, {call, From}, ..}`.
    pub fn next_call(mut self, from: From, request: &impl Serialize) -> Self {
        if let Some(body) = self.value(request) {
            self.inserted.push(Kept::Call { from, body });
        }
        self
    }

    fn set(mut self, kind: TimeoutKind, after: Duration, content: &M::Own) -> Self {
        if let Some(content) = self.value(content) {
            self.timeouts.push(SetTimeout { kind, set: Some((after, content)) });
        }
        self
    }

    fn cancel(mut self, kind: TimeoutKind) -> Self {
        self.timeouts.push(SetTimeout { kind, set: None });
        self
    }

    fn value(&mut self, content: &impl Serialize) -> Option<Value> {
        let written = Value::write(content);
        written.map_err(|error| self.failed.get_or_insert(error.of("event")).clone()).ok()
    }

    fn written(&mut self, reply: &M::Reply) -> Option<Body> {
        let written = codec::body(reply);
        written.map_err(|error| self.failed.get_or_insert(error.of("reply")).clone()).ok()
    }
}

/// The gen_statem behaviour, implemented by the callback type `M`.
#[derive(Debug)]
pub struct Statem<M>(PhantomData<fn() -> M>);

impl<M: GenStatem> Behaviour for Statem<M> {
    const BEHAVIOUR: u32 = reld_abi::BEHAVIOUR_GEN_STATEM;

    type State = Machine<M>;

    fn init(args: &[u8]) -> Result<Work<Machine<M>>, Exit> {
        Ok(Box::pin(init(read("start argument", args)?)))
    }

    fn handle(mut machine: Box<Machine<M>>, event: Event<'_>) -> Result<Work<Machine<M>>, Exit> {
        let kept = match event {
            Event::Call(from, body) => Kept::Call { from, body: Value::from_bytes(body) },
            Event::Cast(body) => Kept::Cast { body: Value::from_bytes(body) },
            Event::Info(body) => match event::own_timeout(body) {
                None => Kept::Info { body: Value::from_bytes(body) },
                Some(number) => match machine.fired(number) {
                    Some(fired) => fired,
                    // The time-out was cancelled while its message was on its way.
                    None => return Ok(Box::pin(async move { Ok(Done::go_on(machine)) })),
                },
            },
            Event::Told(body) => Kept::Told { body: Value::from_bytes(body) },
            Event::Exit(from, reason) => Kept::Exit { from, reason },
            Event::Down(monitor, from, reason) => Kept::Down { monitor, from, reason },
            Event::Terminate(reason) => return Ok(Box::pin(terminate(machine, reason))),
            event => return Err(event.unexpected()),
        };
        Ok(Box::pin(handle(machine, kept)))
    }

    fn accepts(kind: BodyKind, body: &[u8]) -> Result<(), Exit> {
        match kind {
            BodyKind::Init => readable::<M::Args>("start argument", body),
            BodyKind::Call => readable::<M::Call>("call", body),
            BodyKind::Cast => readable::<M::Cast>("cast", body),
            BodyKind::Info => readable::<M::Message>("message", body),
        }
    }
}

impl<M: GenStatem> Stateful for Statem<M> {
    fn export(machine: &Machine<M>) -> Result<Vec<u8>, Exit> {
        Ok(machine.write()?)
    }

    fn import(state: &[u8]) -> Result<Machine<M>, Exit> {
        Machine::read(state, |state, data| Ok((state.read()?, data.read_without(M::DROPPED)?)))
    }

    fn change_code(from: &str, state: State, extra: Value) -> Result<Machine<M>, Exit> {
        Machine::read(&state.into_bytes(), |state, data| M::change_code(from, state, data, extra))
    }

    fn change_code_down(machine: &Machine<M>, to: &str, extra: Value) -> Result<State, Exit> {
        let (state, data) = machine.data.change_code_down(&machine.state, to, extra)?;
        Ok(State::from_bytes(&machine.write_with(&state.into_bytes(), &data.into_bytes())?))
    }
}

async fn init<M: GenStatem>(args: M::Args) -> Result<Done<Machine<M>>, Exit> {
    let (first, data) = match M::init(args).await {
        Ok(made) => made,
        Err(not_started) => return Ok(Done::not_started(not_started)),
    };
    let (machine, stop) = Machine::start(first, data).await?;
    Ok(match stop {
        None => Done::go_on(machine),
        Some(exit) => Done::not_started(NotStarted::Stop(exit)),
    })
}

async fn handle<M: GenStatem>(mut machine: Box<Machine<M>>, event: Kept) -> Result<Done<Machine<M>>, Exit> {
    let next = machine.run(event).await?.map_or(After::Continue, After::Stop);
    Ok(Done { state: Some(machine), next, reply: None })
}

async fn terminate<M: GenStatem>(
    mut machine: Box<Machine<M>>,
    reason: Exit,
) -> Result<Done<Machine<M>>, Exit> {
    let Machine { state, data, .. } = &mut *machine;
    data.terminate(state, reason).await;
    Ok(Done::go_on(machine))
}

#[cfg(test)]
mod tests;
