//! gen_server: a process with a state and callbacks, driven by the daemon.

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
/// Write the callbacks as plain `async fn`. While one waits, the process handles no other message,
/// but its thread is free. A panic in a callback ends the process with [`Exit::Panic`], and its
/// supervisor decides whether to restart it. Unlike OTP, `terminate` is not called then, because
/// the state is lost with the callback.
///
/// An upgrade needs the process to be between two callbacks, so a callback should not wait for
/// long. Instead, return [`Answer::NoReply`] and call [`reply`](crate::reply) later.
pub trait GenServer: Serialize + DeserializeOwned + Send + Sized + 'static {
    /// The start argument.
    type Args: DeserializeOwned + Send;
    /// The requests that expect a reply.
    type Call: DeserializeOwned + Send;
    /// The reply to a call.
    type Reply: Serialize + Send;
    /// The requests without a reply.
    type Cast: DeserializeOwned + Send;
    /// Any other message, from [`send`](crate::send) or a timer.
    type Message: DeserializeOwned + Send;

    /// The fields of an older version's state that this version drops on purpose, each by its path
    /// (`"limits.max"`).
    ///
    /// A field that is neither read nor listed here fails the upgrade, and `relctl diff`, with an
    /// error that names the field's path. A path consists of the names that lead to the field,
    /// joined by dots, as the older version wrote them:
    ///
    /// | Container | name in the path | path of `max` |
    /// |---|---|---|
    /// | a field of a struct | its name, as serde writes it | `limits.max` |
    /// | an `Option`, a `Box`, a newtype | none | `limits.max` |
    /// | any element of a list, set, array or tuple | `[]` | `limits.[].max` |
    /// | a value of a map, under any key | `*` | `limits.*.max` |
    /// | the content of an enum variant | the name of the variant | `mode.Busy.max`, `mode.Busy.[].max` |
    /// | a compound key of a map | `?` | `limits.?.max` |
    ///
    /// On a downgrade, this list has another meaning too: it declares that a removed field is not
    /// just an added field under another name. Then the added fields can be cut out.
    ///
    /// In a recursive type each depth has its own path, so no list can have all of them: convert
    /// such a field in [`change_code`](Self::change_code) instead. serde does not report unread
    /// fields below an enum that is `untagged` or internally tagged, or among flattened fields
    /// ([`State`]).
    const DROPPED: &'static [&'static str] = &[];

    /// Redacts secrets of this server before people see them: its state in `relctl sys status`, and
    /// its messages in `relctl proc`, in `relctl sys log` and in crash reports. The default shows
    /// everything. OTP: `format_status/1`.
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
    /// If the function returns an error, the value is not shown at all. The function does not run
    /// inside the process, so functions marked `[callback]` are refused. As in OTP, `relctl state`
    /// and traces show states and messages unredacted.
    const FORMAT_STATUS: Option<FormatStatus> = None;

    /// Returns the first state. OTP: `init/1`.
    fn init(args: Self::Args) -> impl Future<Output = Result<Self, NotStarted>> + Send;

    /// Handles a request that expects a reply. The default ends the process with an error.
    fn handle_call(
        &mut self,
        request: Self::Call,
        from: From,
    ) -> impl Future<Output = Answer<Self::Reply>> + Send {
        drop((request, from));
        ready(Answer::stop(Exit::error("received a call, but handle_call is not implemented")))
    }

    /// Handles a request without a reply. The default ends the process with an error.
    fn handle_cast(&mut self, request: Self::Cast) -> impl Future<Output = Next> + Send {
        drop(request);
        ready(Next::Stop(Exit::error("received a cast, but handle_cast is not implemented")))
    }

    /// Handles any other message. The default logs and drops the message, because a stray message
    /// is no reason to end.
    fn handle_info(&mut self, info: Info<Self::Message>) -> impl Future<Output = Next> + Send {
        log::warn!("dropped {}, because handle_info is not implemented", info.kind());
        drop(info);
        ready(Next::Continue)
    }

    /// Continues the last callback, which called [`continue_with`](crate::continue_with). Runs
    /// before any other message is handled. The default ends the process with an error. OTP:
    /// `handle_continue/2`.
    fn handle_continue(&mut self, argument: Value) -> impl Future<Output = Next> + Send {
        drop(argument);
        ready(Next::Stop(Exit::error("continue_with was called, but handle_continue is not implemented")))
    }

    /// Called when no message arrives within the time that the last callback set by
    /// [`receive_timeout`](crate::receive_timeout). The default ends the process with an error.
    /// OTP: the message `timeout` in `handle_info`.
    fn handle_timeout(&mut self) -> impl Future<Output = Next> + Send {
        ready(Next::Stop(Exit::error("receive_timeout has expired, but handle_timeout is not implemented")))
    }

    /// Cleans up before the process ends. Called after [`Next::Stop`]. Also called when the
    /// supervisor shuts the process down, if the process traps exits.
    fn terminate(&mut self, reason: Exit) -> impl Future<Output = ()> + Send {
        drop(reason);
        ready(())
    }

    /// Makes a state of this version from a state of the older version `from`. `extra` comes from
    /// the appup.
    ///
    /// The default reads the state as it is, so new fields need a `#[serde(default)]` and renamed
    /// fields an alias. The function may run several times in one upgrade, and only the last result
    /// is kept. It may also run as a trial before a downgrade. OTP: `code_change/3`.
    ///
    /// # Errors
    /// An error undoes the whole upgrade.
    fn change_code(from: &str, state: State, extra: Value) -> Result<Self, Exit> {
        drop((from, extra));
        Ok(state.read_without(Self::DROPPED)?)
    }

    /// Makes a state that the older version `to` can read. `extra` comes from the appup.
    ///
    /// The default writes the state as it is. If both versions have a [`schema`](Self::schema),
    /// fields that only this version has are cut out of the result. The function may run several
    /// times in one downgrade, and as a trial before an upgrade. OTP: `code_change({down, Vsn},
    /// ..)`.
    ///
    /// # Errors
    /// An error undoes the whole downgrade.
    fn change_code_down(&self, to: &str, extra: Value) -> Result<State, Exit> {
        drop((to, extra));
        Ok(State::write(self)?)
    }

    /// Describes the types of this server. `relctl diff` compares the description with another
    /// version, and a downgrade uses it to cut out added fields. A field that is missing from the
    /// description counts as absent, so describe exactly what `Serialize` and `Deserialize` do.
    ///
    /// The default is unknown. With `#[derive(JsonSchema)]` on the state and the types above, one
    /// line is enough: `Schema::of_server::<Self>()`.
    fn schema() -> Schema {
        Schema::unknown()
    }
}

/// The answer of `handle_call`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<R> {
    /// Replies now. OTP: `{reply, R, S}`.
    Reply(R),
    /// Replies later, by [`reply`](crate::reply). OTP: `{noreply, S}`.
    NoReply,
    /// Ends the process, with or without a reply. OTP: `{stop, Reason, Reply, S}`.
    Stop {
        /// The exit reason.
        exit: Exit,
        /// The reply. Without a reply the caller gets the exit reason.
        reply: Option<R>,
    },
}

impl<R> Answer<R> {
    /// Ends the process. The caller gets the exit reason.
    pub fn stop(exit: Exit) -> Self {
        Self::Stop { exit, reply: None }
    }

    /// Ends the process after a last reply.
    pub fn stop_with(exit: Exit, reply: R) -> Self {
        Self::Stop { exit, reply: Some(reply) }
    }
}

/// The next action of a server after a callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Handles the next message. OTP: `{noreply, S}`.
    Continue,
    /// Ends after `terminate`. OTP: `{stop, Reason, S}`.
    Stop(Exit),
}

/// A message that is neither a call nor a cast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Info<M> {
    /// A message sent by [`send`](crate::send) or a timer.
    Message(M),
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
    /// The result of a request to a port, such as [`request_read`](port::Connection::request_read).
    Port(port::Event),
    /// An event of a shared table.
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
            Self::Port(_) => "an event of a port",
            Self::Table(_) => "an event of a table",
        }
    }
}

/// The gen_server behaviour, implemented by the callback type `S`.
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
            Event::Told(told) => Box::pin(info(state, read::<Told>("event of the node", told)?.into())),
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

// Each callback has a future of its own. One future for all of them would always have the size of
// the largest.

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
    let reply = reply.as_ref().map(codec::body).transpose().map_err(|error| error.of("reply"))?;
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
        // The module writes replies, and reads all other types.
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
