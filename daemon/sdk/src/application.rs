//! application: starts the supervision tree of an app, and has callbacks for its stop.

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

/// The start and stop of an app. `Self` is the state in between. OTP: `application`.
pub trait Application: Serialize + DeserializeOwned + Send + Sized + 'static {
    /// The fields of an older version's state that this version drops on purpose, as in
    /// [`GenServer::DROPPED`](crate::GenServer::DROPPED).
    const DROPPED: &'static [&'static str] = &[];

    /// Returns the root supervisor to start, if any. OTP: `start/2`.
    fn start(args: StartArgs) -> impl Future<Output = Result<(Self, Root), NotStarted>> + Send;

    /// Called once the tree runs, for each of the `[[start_phases]]` of app.toml in their order.
    /// After the last phase the app counts as started. OTP: `start_phase/3`.
    ///
    /// # Errors
    /// An error fails the start, and the tree is stopped again.
    fn start_phase(&mut self, phase: StartPhase) -> impl Future<Output = Result<(), Exit>> + Send {
        let name = phase.name;
        ready(Err(Exit::error(format!(
            "app.toml lists the phase {name}, but start_phase is not implemented"
        ))))
    }

    /// Called before the tree is stopped, while all of the tree still runs. The daemon sets a time
    /// limit. Transient and temporary children that end with `normal` in this time are not
    /// restarted. OTP: `prep_stop/1`.
    fn prep_stop(&mut self, stopping: Stopping) -> impl Future<Output = ()> + Send {
        let _ = stopping;
        ready(())
    }

    /// Called after the tree has stopped. OTP: `stop/1`.
    fn stop(&mut self) -> impl Future<Output = ()> + Send {
        ready(())
    }

    /// Called before [`config_change`](Self::config_change), to check the new values, which
    /// [`env`](crate::env) already returns. OTP has no such callback.
    ///
    /// # Errors
    /// An error refuses the change: `config_change` is not called, and the app runs on.
    /// `relctl env set` then takes the change back. After an upgrade the new values stay, and the
    /// report has the error.
    fn accept_config(&self, change: &EnvChange) -> Result<(), Exit> {
        let _ = change;
        Ok(())
    }

    /// Called after an upgrade, a downgrade or `relctl env set` that changed the app's environment;
    /// [`env`](crate::env) already returns the new values. It is not called for an app that the
    /// release adds or restarts. OTP: `config_change/3`.
    fn config_change(&mut self, change: EnvChange) -> impl Future<Output = ()> + Send {
        drop(change);
        ready(())
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

    /// Works like [`GenServer::schema`](crate::GenServer::schema); the function for an application
    /// is `Schema::of_application::<Self>()`.
    fn schema() -> Schema {
        Schema::unknown()
    }
}

face! {
    /// The reason for the start of an app. OTP: start type.
    #[non_exhaustive]
    pub enum StartType = wire::StartType {
        /// The app starts on this node, with nothing to take over.
        Normal,
    }
}

/// The argument of an app's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartArgs {
    start_type: StartType,
    body: Value,
}

impl StartArgs {
    /// Returns the start type.
    pub fn start_type(&self) -> StartType {
        self.start_type
    }

    /// Reads the app's environment: `[env]` of app.toml, with the configuration of the release and
    /// of the node on top.
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
    /// The name of the phase in app.toml.
    pub name: String,
    /// The start type.
    pub start_type: StartType,
    /// The argument of the phase in app.toml.
    pub arg: Value,
}

impl From<wire::StartPhase> for StartPhase {
    fn from(phase: wire::StartPhase) -> Self {
        let wire::StartPhase { phase: name, start_type, arg } = phase;
        Self { name, start_type: start_type.into(), arg: arg.into() }
    }
}

/// The argument of `prep_stop`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "wire::PrepStop")]
#[non_exhaustive]
pub struct Stopping {
    /// The root supervisor, if it still runs.
    pub root: Option<Pid>,
    /// The cause of the stop.
    pub cause: StopCause,
}

impl From<wire::PrepStop> for Stopping {
    fn from(stopping: wire::PrepStop) -> Self {
        Self { root: stopping.root.map(Pid), cause: stopping.cause.into() }
    }
}

face! {
    /// The cause of an app's stop.
    #[non_exhaustive]
    pub enum StopCause = wire::StopCause {
        /// An operator stops the app.
        ByHand,
        /// The node stops.
        NodeStops,
        /// The node restarts.
        NodeRestarts,
        /// An upgrade restarts or removes the app, or is undone after it started the app.
        Upgrade,
        /// The tree has ended by itself: the root supervisor is gone.
        TreeEnded,
    }
}

/// The keys of an app's environment that were changed. OTP passes the values too; here you
/// read them with [`env`](crate::env).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "wire::EnvChange<IgnoredAny>")]
#[non_exhaustive]
pub struct EnvChange {
    /// The keys with another value.
    pub changed: Vec<String>,
    /// The added keys.
    pub new: Vec<String>,
    /// The removed keys.
    pub removed: Vec<String>,
}

impl From<wire::EnvChange<IgnoredAny>> for EnvChange {
    fn from(change: wire::EnvChange<IgnoredAny>) -> Self {
        let wire::EnvChange { changed, new, removed } = change;
        Self { changed: changed.into_keys().collect(), new: new.into_keys().collect(), removed }
    }
}

/// The root supervisor that an app starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Root(Option<wire::Root>);

impl Root {
    /// Returns a root supervisor of `module` that is started with `args`.
    ///
    /// # Errors
    /// `args` cannot be serialized.
    pub fn new(module: &str, args: &impl Serialize) -> Result<Self, Undecodable> {
        let args = ByteBuf::from(codec::encode(args)?);
        Ok(Self(Some(wire::Root { module: module.to_owned(), args })))
    }

    /// Returns no root supervisor, for an app without a tree.
    pub fn none() -> Self {
        Self(None)
    }
}

/// The application behaviour, implemented by the callback type `A`.
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
    let reply = codec::body(&root).map_err(|error| error.of("root supervisor"))?;
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
    if let Err(refusal) = state.accept_config(&change) {
        let reply = codec::body(&refusal.to_string()).map_err(|error| error.of("refusal"))?;
        return Ok(Done { reply: Some(reply), ..Done::go_on(state) });
    }
    state.config_change(change).await;
    Ok(Done::go_on(state))
}

async fn stop<A: Application>(mut state: Box<A>) -> Result<Done<A>, Exit> {
    state.stop().await;
    Ok(Done::go_on(state))
}

impl Schema {
    /// Describes the state of an application.
    pub fn of_application<A: Application + JsonSchema>() -> Self {
        Self::of_parts([("state", schema::read::<A>()), ("dropped", A::DROPPED.into())])
    }
}
