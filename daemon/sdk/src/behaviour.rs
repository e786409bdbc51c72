//! What the fence (`ffi.rs`) and the harness need from a callback module, whatever its behaviour.

use crate::callback::Work;
use crate::codec::{Undecodable, read};
use crate::exit::Exit;
use crate::names::{From, MonitorRef, Pid};
use crate::schema::Schema;
use crate::value::{State, Value};
use serde::de::DeserializeOwned;

/// What a callback is called with, besides init. The kinds that a behaviour does not know are refused by name.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// A request that wants a reply.
    Call(From, &'a [u8]),
    /// A request without reply.
    Cast(&'a [u8]),
    /// Any other message.
    Info(&'a [u8]),
    /// What the process put before all else.
    Continue(&'a [u8]),
    /// Nothing came for as long as the process said.
    Timeout,
    /// A linked process ended.
    Exit(Pid, Exit),
    /// A monitored process ended.
    Down(MonitorRef, Pid, Exit),
    /// From the node itself.
    Told(&'a [u8]),
    /// The process is about to end.
    Terminate(Exit),
    /// The application is about to be stopped; its root.
    PrepStop(&'a [u8]),
    /// The application comes to a phase of its start.
    StartPhase(&'a [u8]),
    /// The application's environment changed.
    ConfigChange(&'a [u8]),
}

impl Event<'_> {
    /// Returns the crash of a behaviour that has no such callback.
    pub(crate) fn unexpected(&self) -> Exit {
        Exit::error(format!("this behaviour has no callback for {self:?}"))
    }
}

/// The kinds of bodies that can be asked about without running anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyKind {
    /// Start arguments.
    Init,
    /// A call.
    Call,
    /// A cast.
    Cast,
    /// Any other message.
    Info,
}

/// What of a process people may be shown: see [`GenServer::FORMAT_STATUS`](crate::GenServer::FORMAT_STATUS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPart {
    /// Its state.
    State,
    /// The body of a call to it.
    Call,
    /// The body of a cast to it.
    Cast,
    /// Any other message to it.
    Message,
}

/// Makes of a part of a process what people may be shown of it. OTP: `format_status/1`.
pub type FormatStatus = fn(StatusPart, Value) -> Result<Value, Undecodable>;

/// A callback module.
pub(crate) trait Behaviour: 'static {
    /// One of `reld_abi::BEHAVIOUR_*`.
    const BEHAVIOUR: u32;

    /// What its processes keep between callbacks.
    type State: Send + 'static;

    /// What people are shown instead of its states and messages.
    const FORMAT_STATUS: Option<FormatStatus> = None;

    /// Begins an init.
    fn init(args: &[u8]) -> Result<Work<Self::State>, Exit>;

    /// Begins any other callback. `Err` is a crash: the state was dropped.
    fn handle(state: Box<Self::State>, event: Event<'_>) -> Result<Work<Self::State>, Exit>;

    /// Says whether a body would be decoded.
    fn accepts(kind: BodyKind, body: &[u8]) -> Result<(), Exit>;

    /// Describes what it reads and writes.
    fn schema() -> Schema {
        Schema::unknown()
    }
}

/// A callback module whose processes have a state that can change hands.
pub(crate) trait Stateful: Behaviour {
    /// Writes a state.
    fn export(state: &Self::State) -> Result<Vec<u8>, Exit>;

    /// Reads a state of the same meaning.
    fn import(state: &[u8]) -> Result<Self::State, Exit>;

    /// Reads a state of another version, going up.
    fn change_code(from: &str, state: State, extra: Value) -> Result<Self::State, Exit>;

    /// Writes a state for another version, going down.
    fn change_code_down(state: &Self::State, to: &str, extra: Value) -> Result<State, Exit>;
}

/// Says whether a body can be read as `T`.
pub(crate) fn readable<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<(), Exit> {
    read::<T>(what, body)?;
    Ok(())
}
