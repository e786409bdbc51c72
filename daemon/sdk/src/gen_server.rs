//! gen_server: a process with a state, driven by the daemon's loop.

use std::future::{Future, ready};
use std::marker::PhantomData;

use reld_wire::told::Told;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::behaviour::{Behaviour, BodyKind, Event, FormatStatus, Stateful, readable};
use crate::callback::{After, Done, Work};
use crate::codec::{self, read};
use crate::exit::{Exit, NotStarted};
use crate::names::{From, MonitorRef, Pid};
use crate::schema::{self, Schema};
use crate::value::{State, Value};
use crate::{ets, port};

/// A server process. `Self` is its state. OTP: `gen_server`.
///
/// Write the callbacks as plain `async fn`. While one waits, the process takes no other message; the thread is free.
/// A panic in a callback ends the process with [`Exit::Panic`], and its supervisor decides. Unlike OTP, `terminate` is
/// not called then: the state went down with the callback.
///
/// An upgrade needs the process to be between two callbacks. So a callback should not wait for long; reply later with
/// [`Answer::NoReply`] and [`reply`](crate::reply) instead.
pub trait GenServer: Serialize + DeserializeOwned + Send + Sized + 'static {
    /// The start argument.
    type Args: DeserializeOwned + Send;
    /// Requests that want a reply.
    type Call: DeserializeOwned + Send;
    /// The reply to them.
    type Reply: Serialize + Send;
    /// Requests without reply.
    type Cast: DeserializeOwned + Send;
    /// Any other message: of [`send`](crate::send), of timers.
    type Message: DeserializeOwned + Send;

    /// Fields of an older version's state that this version means to lose, each by its place (`"limits.max"`).
    ///
    /// A field that is neither read nor named here fails the upgrade, with an error that spells its place; so does `relctl
    /// diff`. A place is the names on the way to it, with dots between them, as the older version wrote them:
    ///
    /// | What leads there | is called | so `max` is at |
    /// |---|---|---|
    /// | a field of a struct | by its name, as serde writes it | `limits.max` |
    /// | an `Option`, a `Box`, a newtype | not at all | `limits.max` |
    /// | an element of a list, set, array or tuple: any of them | `[]` | `limits.[].max` |
    /// | a value of a map, under any key | `*` | `limits.*.max` |
    /// | what a variant of an enum holds | by the variant's name | `mode.Busy.max`, `mode.Busy.[].max` |
    /// | a key of a map that has parts itself | `?` | `limits.?.max` |
    ///
    /// Going down, it says that such a field is no other name of one that this version has added:
    /// those are left out then.
    ///
    /// In a type that holds itself each depth is a place of its own, so no list names them all:
    /// [`change_code`](Self::change_code) has to leave such a field out. Below an enum that is `untagged`, or tagged within,
    /// and among flattened fields, serde shows nobody what is not read ([`State`]).
    const DROPPED: &'static [&'static str] = &[];

    /// What people are shown of this server: its state in `relctl sys status`, and the messages to it in `relctl proc`, in
    /// `relctl sys log` and in crash reports. For secrets. By default all of it. OTP: `format_status/1`.
    ///
    /// ```
    /// # use reld_sdk::{FormatStatus, GenServer, NotStarted, StatusPart, Value};
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct Vault { owner: String, key: String }
    ///
    /// impl GenServer for Vault {
    ///     const FORMAT_STATUS: Option<FormatStatus> = Some(|part, value| match part {
    ///         StatusPart::State => Value::write(&Self { key: "...".to_owned(), ..value.read()? }),
    ///         _ => Ok(value),
    ///     });
    /// #   type Args = (); type Call = (); type Reply = (); type Cast = (); type Message = ();
    /// #   async fn init((): ()) -> Result<Self, NotStarted> { Err(NotStarted::Ignore) }
    /// }
    /// ```
    ///
    /// Nothing is shown of what it fails for. It does not run inside the process: everything that works in callbacks only
    /// is refused. As in OTP, who asks for the state itself gets it (`relctl state`), and a trace shows what is sent.
    const FORMAT_STATUS: Option<FormatStatus> = None;

    /// Makes the first state. OTP: `init/1`.
    fn init(args: Self::Args) -> impl Future<Output = Result<Self, NotStarted>> + Send;

    /// Handles a request that wants a reply. By default the process ends with an error that says so.
    fn handle_call(
        &mut self,
        request: Self::Call,
        from: From,
    ) -> impl Future<Output = Answer<Self::Reply>> + Send {
        drop((request, from));
        ready(Answer::stop(Exit::error("a call came, but there is no handle_call")))
    }

    /// Handles a request without reply. By default the process ends with an error that says so.
    fn handle_cast(&mut self, request: Self::Cast) -> impl Future<Output = Next> + Send {
        drop(request);
        ready(Next::Stop(Exit::error("a cast came, but there is no handle_cast")))
    }

    /// Handles any other message. By default it is logged and dropped, as a stray message is no reason to end.
    fn handle_info(&mut self, info: Info<Self::Message>) -> impl Future<Output = Next> + Send {
        log::warn!("dropped, as there is no handle_info: {}", info.kind());
        drop(info);
        ready(Next::Continue)
    }

    /// Does what the last callback left to do by [`continue_with`](crate::continue_with), before any other message. By
    /// default the process ends with an error that says so. OTP: `handle_continue/2`.
    fn handle_continue(&mut self, argument: Value) -> impl Future<Output = Next> + Send {
        drop(argument);
        ready(Next::Stop(Exit::error("there is something to continue with, but no handle_continue")))
    }

    /// Nothing came for as long as the last callback said by [`receive_timeout`](crate::receive_timeout). By default the
    /// process ends with an error that says so. OTP: the message `timeout` in `handle_info`.
    fn handle_timeout(&mut self) -> impl Future<Output = Next> + Send {
        ready(Next::Stop(Exit::error("the time is over, but there is no handle_timeout")))
    }

    /// Ends in order: called before a [`Next::Stop`], and before its supervisor's `shutdown` if it traps exits.
    fn terminate(&mut self, reason: Exit) -> impl Future<Output = ()> + Send {
        drop(reason);
        ready(())
    }

    /// Makes a state of this version from one of the older version `from`. `extra` is the appup's.
    ///
    /// Reads the state as it is by default, so new fields need a `#[serde(default)]` and renamed
    /// ones an alias. May run several times for one upgrade, whose last result counts, and as a
    /// trial before a downgrade. OTP: `code_change/3`.
    ///
    /// # Errors
    /// An error takes the whole upgrade back.
    fn change_code(from: &str, state: State, extra: Value) -> Result<Self, Exit> {
        drop((from, extra));
        Ok(state.read_without(Self::DROPPED)?)
    }

    /// Makes a state that the older version `to` can read. `extra` is the appup's.
    ///
    /// Writes the state as it is by default. Where both versions have a
    /// [`schema`](Self::schema), fields that only this one has are cut out of what it writes. May
    /// run several times for one downgrade, and as a trial before an upgrade. OTP:
    /// `code_change({down, Vsn}, ..)`.
    ///
    /// # Errors
    /// An error takes the whole downgrade back.
    fn change_code_down(&self, to: &str, extra: Value) -> Result<State, Exit> {
        drop((to, extra));
        Ok(State::write(self)?)
    }

    /// Describes the types, so that `relctl diff` can compare this version with another one, and a
    /// way down can leave out what this one has added. What the description does not have counts as
    /// not there: describe what `Serialize` and `Deserialize` really do.
    ///
    /// Unknown by default. With `#[derive(JsonSchema)]` on the state and the types above it is one line:
    /// `Schema::of_server::<Self>()`.
    fn schema() -> Schema {
        Schema::unknown()
    }
}

/// How a call is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<R> {
    /// Now. OTP: `{reply, R, S}`.
    Reply(R),
    /// Later, by [`reply`](crate::reply). OTP: `{noreply, S}`.
    NoReply,
    /// Now or never, and the process ends. OTP: `{stop, Reason, Reply, S}`.
    Stop {
        /// Why it ends.
        exit: Exit,
        /// What the caller gets; without one it gets the exit.
        reply: Option<R>,
    },
}

impl<R> Answer<R> {
    /// Ends the process; the caller gets the exit.
    pub fn stop(exit: Exit) -> Self {
        Self::Stop { exit, reply: None }
    }

    /// Ends the process after a last reply.
    pub fn stop_with(exit: Exit, reply: R) -> Self {
        Self::Stop { exit, reply: Some(reply) }
    }
}

/// What a server does after a callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Takes its next message. OTP: `{noreply, S}`.
    Continue,
    /// Ends, after terminate. OTP: `{stop, Reason, S}`.
    Stop(Exit),
}

/// A message that is neither call nor cast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Info<M> {
    /// Sent by [`send`](crate::send) or a timer.
    Message(M),
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
    /// What became of a request to a port, such as [`request_read`](port::Connection::request_read).
    Port(port::Event),
    /// What became of a shared table.
    Table(ets::Event),
}

impl<M> std::convert::From<Told> for Info<M> {
    fn from(told: Told) -> Self {
        match told {
            Told::Port(event) => Self::Port(event.into()),
            Told::Table(event) => Self::Table(event.into()),
        }
    }
}

impl<M> Info<M> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Message(_) => "a message",
            Self::Exit { .. } => "an exit signal",
            Self::Down { .. } => "the end of a monitored process",
            Self::Port(_) => "what became of a request to a port",
            Self::Table(_) => "what became of a table",
        }
    }
}

/// The gen_server behaviour of a callback type.
#[derive(Debug)]
pub struct Server<S>(PhantomData<fn() -> S>);

impl<S: GenServer> Behaviour for Server<S> {
    const BEHAVIOUR: u32 = reld_abi::BEHAVIOUR_GEN_SERVER;
    const FORMAT_STATUS: Option<FormatStatus> = S::FORMAT_STATUS;

    type State = S;

    fn init(args: &[u8]) -> Result<Work<S>, Exit> {
        Ok(Box::pin(init(read("start argument", args)?)))
    }

    fn handle(state: Box<S>, event: Event<'_>) -> Result<Work<S>, Exit> {
        Ok(match event {
            Event::Call(from, body) => Box::pin(call(state, read("call", body)?, from)),
            Event::Cast(body) => Box::pin(cast(state, read("cast", body)?)),
            Event::Info(body) => Box::pin(info(state, Info::Message(read("message", body)?))),
            Event::Told(told) => Box::pin(info(state, read::<Told>("what the node tells", told)?.into())),
            Event::Exit(from, reason) => Box::pin(info(state, Info::Exit { from, reason })),
            Event::Down(monitor, from, reason) => Box::pin(info(state, Info::Down { monitor, from, reason })),
            Event::Continue(body) => Box::pin(continue_on(state, Value::from_bytes(body))),
            Event::Timeout => Box::pin(timeout(state)),
            Event::Terminate(reason) => Box::pin(terminate(state, reason)),
            Event::PrepStop(_) | Event::StartPhase(_) | Event::ConfigChange(_) => {
                return Err(event.unexpected());
            }
        })
    }

    fn accepts(kind: BodyKind, body: &[u8]) -> Result<(), Exit> {
        match kind {
            BodyKind::Init => readable::<S::Args>("start argument", body),
            BodyKind::Call => readable::<S::Call>("call", body),
            BodyKind::Cast => readable::<S::Cast>("cast", body),
            BodyKind::Info => readable::<S::Message>("message", body),
        }
    }

    fn schema() -> Schema {
        S::schema()
    }
}

impl<S: GenServer> Stateful for Server<S> {
    fn export(state: &S) -> Result<Vec<u8>, Exit> {
        Ok(codec::encode(state).map_err(|error| error.of("state"))?)
    }

    fn import(state: &[u8]) -> Result<S, Exit> {
        Ok(codec::decode_all(state, S::DROPPED).map_err(|error| error.of("state"))?)
    }

    fn change_code(from: &str, state: State, extra: Value) -> Result<S, Exit> {
        S::change_code(from, state, extra)
    }

    fn change_code_down(state: &S, to: &str, extra: Value) -> Result<State, Exit> {
        state.change_code_down(to, extra)
    }
}

// Each callback is its own small future: one with all of them would be as large as the largest.

async fn init<S: GenServer>(args: S::Args) -> Result<Done<S>, Exit> {
    Ok(match S::init(args).await {
        Ok(state) => Done::go_on(Box::new(state)),
        Err(not_started) => Done::not_started(not_started),
    })
}

async fn call<S: GenServer>(mut state: Box<S>, request: S::Call, from: From) -> Result<Done<S>, Exit> {
    let (next, reply) = match state.handle_call(request, from).await {
        Answer::Reply(reply) => (After::Continue, Some(reply)),
        Answer::NoReply => (After::Continue, None),
        Answer::Stop { exit, reply } => (After::Stop(exit), reply),
    };
    let reply = reply.as_ref().map(codec::encode).transpose().map_err(|error| error.of("reply"))?;
    Ok(Done { state: Some(state), next, reply })
}

async fn cast<S: GenServer>(mut state: Box<S>, request: S::Cast) -> Result<Done<S>, Exit> {
    let next = state.handle_cast(request).await;
    Ok(Done { state: Some(state), next: next.into(), reply: None })
}

async fn info<S: GenServer>(mut state: Box<S>, info: Info<S::Message>) -> Result<Done<S>, Exit> {
    let next = state.handle_info(info).await;
    Ok(Done { state: Some(state), next: next.into(), reply: None })
}

async fn continue_on<S: GenServer>(mut state: Box<S>, argument: Value) -> Result<Done<S>, Exit> {
    let next = state.handle_continue(argument).await;
    Ok(Done { state: Some(state), next: next.into(), reply: None })
}

async fn timeout<S: GenServer>(mut state: Box<S>) -> Result<Done<S>, Exit> {
    let next = state.handle_timeout().await;
    Ok(Done { state: Some(state), next: next.into(), reply: None })
}

async fn terminate<S: GenServer>(mut state: Box<S>, reason: Exit) -> Result<Done<S>, Exit> {
    state.terminate(reason).await;
    Ok(Done::go_on(state))
}

impl std::convert::From<Next> for After {
    fn from(next: Next) -> Self {
        match next {
            Next::Continue => Self::Continue,
            Next::Stop(exit) => Self::Stop(exit),
        }
    }
}

impl Schema {
    /// Describes a server by its types.
    pub fn of_server<S>() -> Self
    where
        S: JsonSchema
            + GenServer<
                Args: JsonSchema,
                Call: JsonSchema,
                Reply: JsonSchema,
                Cast: JsonSchema,
                Message: JsonSchema,
            >,
    {
        // A reply is what the module writes; the rest is what it reads.
        let spoken = [
            ("args", schema::both::<S::Args>()),
            ("call", schema::both::<S::Call>()),
            ("reply", schema::both::<S::Reply>().turned()),
            ("cast", schema::both::<S::Cast>()),
            ("info", schema::both::<S::Message>()),
        ];
        Self::of_spoken(schema::read::<S>(), S::DROPPED.into(), spoken)
    }
}
