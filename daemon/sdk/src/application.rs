//! application: starts the tree of an app, and is told when it is about to stop and when it has.

use std::future::{Future, ready};
use std::marker::PhantomData;

use reld_wire::application as wire;
use schemars::JsonSchema;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::behaviour::{Behaviour, BodyKind, Event, Stateful};
use crate::callback::{After, Done, Work};
use crate::codec::{self, Undecodable, read};
use crate::exit::{Exit, NotStarted};
use crate::face::face;
use crate::names::Pid;
use crate::schema::{self, Schema};
use crate::value::{State, Value};

/// An app's start and stop. `Self` is what it remembers in between. OTP: `application`.
pub trait Application: Serialize + DeserializeOwned + Send + Sized + 'static {
    /// Fields of an older version's state that this version means to lose, as in
    /// [`GenServer::DROPPED`](crate::GenServer::DROPPED).
    const DROPPED: &'static [&'static str] = &[];

    /// Says which root supervisor to start, if any. OTP: `start/2`.
    fn start(args: StartArgs) -> impl Future<Output = Result<(Self, Root), NotStarted>> + Send;

    /// Called once the tree runs, for each of the `[[start_phases]]` of app.toml in their order; the app counts as started
    /// when all are through. OTP: `start_phase/3`.
    ///
    /// # Errors
    /// An error is one of the start: the tree is stopped again.
    fn start_phase(&mut self, phase: StartPhase) -> impl Future<Output = Result<(), Exit>> + Send {
        let name = phase.name;
        ready(Err(Exit::error(format!("app.toml lists the phase {name}, and the app has no start_phase"))))
    }

    /// Called before the tree is stopped, while all of it still runs, within a time that the daemon bounds. Children
    /// that end `normal` here, and are transient or temporary, are not started again. OTP: `prep_stop/1`.
    fn prep_stop(&mut self, stopping: Stopping) -> impl Future<Output = ()> + Send {
        let _ = stopping;
        ready(())
    }

    /// Called after the tree has stopped. OTP: `stop/1`.
    fn stop(&mut self) -> impl Future<Output = ()> + Send {
        ready(())
    }

    /// Called after an upgrade or a downgrade that changed the app's environment; [`env`](crate::env) answers the new
    /// values already. An app that the release adds or restarts is not told: its start was. OTP: `config_change/3`.
    fn config_change(&mut self, change: EnvChange) -> impl Future<Output = ()> + Send {
        drop(change);
        ready(())
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

    /// As [`GenServer::schema`](crate::GenServer::schema), by `Schema::of_application::<Self>()`.
    fn schema() -> Schema {
        Schema::unknown()
    }
}

face! {
    /// How an app is started. OTP: start type.
    #[non_exhaustive]
    pub enum StartType = wire::StartType {
        /// On this node, with nothing to take over.
        Normal,
    }
}

/// What an app is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartArgs {
    start_type: StartType,
    body: Value,
}

impl StartArgs {
    /// Returns how the app is started.
    pub fn start_type(&self) -> StartType {
        self.start_type
    }

    /// Reads the app's environment: `[env]` of app.toml, with the release's configuration on top.
    ///
    /// # Errors
    /// A key that `T` needs is missing or of another type.
    pub fn env<T: DeserializeOwned>(&self) -> Result<T, Undecodable> {
        codec::decode::<wire::StartArgs<T>>(self.body.bytes()).map(|args| args.env)
    }

    pub(crate) fn parse(body: &[u8]) -> Result<Self, Undecodable> {
        let args: wire::StartArgs<IgnoredAny> = read("start argument", body)?;
        Ok(Self { start_type: args.start_type.into(), body: Value::from_bytes(body) })
    }
}

/// A phase of an app's start.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "wire::StartPhase")]
#[non_exhaustive]
pub struct StartPhase {
    /// Its name in app.toml.
    pub name: String,
    /// How the app is started.
    pub start_type: StartType,
    /// Its argument in app.toml.
    pub arg: Value,
}

impl From<wire::StartPhase> for StartPhase {
    fn from(phase: wire::StartPhase) -> Self {
        let wire::StartPhase { phase: name, start_type, arg } = phase;
        Self { name, start_type: start_type.into(), arg: arg.into() }
    }
}

/// What an app is told that is about to be stopped.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "wire::PrepStop")]
#[non_exhaustive]
pub struct Stopping {
    /// Its root supervisor, if that still runs.
    pub root: Option<Pid>,
    /// Who stops it.
    pub cause: StopCause,
}

impl From<wire::PrepStop> for Stopping {
    fn from(stopping: wire::PrepStop) -> Self {
        Self { root: stopping.root.map(Pid), cause: stopping.cause.into() }
    }
}

face! {
    /// Who stops an app.
    #[non_exhaustive]
    pub enum StopCause = wire::StopCause {
        /// Somebody stops this app.
        ByHand,
        /// The node stops.
        NodeStops,
        /// The node stops, to start again at once.
        NodeRestarts,
        /// An upgrade restarts or removes the app, or takes back that it started it.
        Upgrade,
        /// Its tree has ended by itself: there is no root any more.
        TreeEnded,
    }
}

/// Which keys of its environment an upgrade changed for an app. Unlike OTP, which hands the values over too: here
/// [`env`](crate::env) reads them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "wire::EnvChange<IgnoredAny>")]
#[non_exhaustive]
pub struct EnvChange {
    /// Keys with another value.
    pub changed: Vec<String>,
    /// Keys that were not there.
    pub new: Vec<String>,
    /// Keys that are not there any more.
    pub removed: Vec<String>,
}

impl From<wire::EnvChange<IgnoredAny>> for EnvChange {
    fn from(change: wire::EnvChange<IgnoredAny>) -> Self {
        let wire::EnvChange { changed, new, removed } = change;
        Self { changed: changed.into_keys().collect(), new: new.into_keys().collect(), removed }
    }
}

/// The root supervisor that an app's start names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Root(Option<wire::Root>);

impl Root {
    /// A supervisor of `module`, started with `args`.
    ///
    /// # Errors
    /// The `Serialize` of `args` refused.
    pub fn new(module: &str, args: &impl Serialize) -> Result<Self, Undecodable> {
        let args = ByteBuf::from(codec::encode(args)?);
        Ok(Self(Some(wire::Root { module: module.to_owned(), args })))
    }

    /// None: an app without processes of its own.
    pub fn none() -> Self {
        Self(None)
    }
}

/// The application behaviour of a callback type.
#[derive(Debug)]
pub(crate) struct App<A>(PhantomData<fn() -> A>);

impl<A: Application> Behaviour for App<A> {
    const BEHAVIOUR: u32 = reld_abi::BEHAVIOUR_APPLICATION;

    type State = A;

    fn init(args: &[u8]) -> Result<Work<A>, Exit> {
        Ok(Box::pin(start(StartArgs::parse(args)?)))
    }

    fn handle(state: Box<A>, event: Event<'_>) -> Result<Work<A>, Exit> {
        Ok(match event {
            Event::StartPhase(body) => Box::pin(start_phase(state, read("start_phase", body)?)),
            Event::PrepStop(body) => Box::pin(prep_stop(state, read("prep_stop", body)?)),
            Event::ConfigChange(body) => Box::pin(config_change(state, read("config_change", body)?)),
            Event::Terminate(_) => Box::pin(stop(state)),
            other => return Err(other.unexpected()),
        })
    }

    fn accepts(kind: BodyKind, body: &[u8]) -> Result<(), Exit> {
        match kind {
            BodyKind::Init => Ok(StartArgs::parse(body).map(drop)?),
            _ => Err(Exit::error("an application takes no messages")),
        }
    }

    fn schema() -> Schema {
        A::schema()
    }
}

impl<A: Application> Stateful for App<A> {
    fn export(state: &A) -> Result<Vec<u8>, Exit> {
        Ok(codec::encode(state).map_err(|error| error.of("state"))?)
    }

    fn import(state: &[u8]) -> Result<A, Exit> {
        Ok(codec::decode_all(state, A::DROPPED).map_err(|error| error.of("state"))?)
    }

    fn change_code(from: &str, state: State, extra: Value) -> Result<A, Exit> {
        A::change_code(from, state, extra)
    }

    fn change_code_down(state: &A, to: &str, extra: Value) -> Result<State, Exit> {
        state.change_code_down(to, extra)
    }
}

async fn start<A: Application>(args: StartArgs) -> Result<Done<A>, Exit> {
    let (state, root) = match A::start(args).await {
        Ok(started) => started,
        Err(not_started) => return Ok(Done::not_started(not_started)),
    };
    let reply = codec::encode(&root).map_err(|error| error.of("root supervisor"))?;
    Ok(Done { state: Some(Box::new(state)), next: After::Continue, reply: Some(reply) })
}

async fn start_phase<A: Application>(mut state: Box<A>, phase: StartPhase) -> Result<Done<A>, Exit> {
    state.start_phase(phase).await?;
    Ok(Done::go_on(state))
}

async fn prep_stop<A: Application>(mut state: Box<A>, stopping: Stopping) -> Result<Done<A>, Exit> {
    state.prep_stop(stopping).await;
    Ok(Done::go_on(state))
}

async fn config_change<A: Application>(mut state: Box<A>, change: EnvChange) -> Result<Done<A>, Exit> {
    state.config_change(change).await;
    Ok(Done::go_on(state))
}

async fn stop<A: Application>(mut state: Box<A>) -> Result<Done<A>, Exit> {
    state.stop().await;
    Ok(Done::go_on(state))
}

impl Schema {
    /// Describes what an application remembers between its start and its stop.
    pub fn of_application<A: Application + JsonSchema>() -> Self {
        Self::of_parts([("state", schema::read::<A>()), ("dropped", A::DROPPED.into())])
    }
}
