//! The interface of a callback module for the fence (`ffi.rs`) and the harness, for any behaviour.

use crate::callback::Work;
use crate::codec::{Undecodable, read};
use crate::exit::Exit;
use crate::names::{From, MonitorRef, Pid};
use crate::schema::Schema;
use crate::value::{State, Value};
use serde::de::DeserializeOwned;

/// The event of a callback, except init. A behaviour that has no callback for the event returns an
/// error.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// A request that expects a reply.
    Call(From, &'a [u8]),
    /// A request without a reply.
    Cast(&'a [u8]),
    /// Any other message.
    Info(&'a [u8]),
    /// The argument that the last callback passed to `continue_with`.
    Continue(&'a [u8]),
    /// No message arrived within the time that the process has set.
    Timeout,
    /// A linked process ended.
    Exit(Pid, Exit),
    /// A monitored process ended.
    Down(MonitorRef, Pid, Exit),
    /// An event of a port or table.
    Told(&'a [u8]),
    /// The process is about to end.
    Terminate(Exit),
    /// The application is about to be stopped. The body holds its root supervisor.
    PrepStop(&'a [u8]),
    /// The application has reached a phase of its start.
    StartPhase(&'a [u8]),
    /// The application's environment changed.
    ConfigChange(&'a [u8]),
}

impl Event<'_> {
    /// Returns the error of a behaviour without such a callback.
    pub(crate) fn unexpected(&self) -> Exit {
        Exit::error(format!("this behaviour has no callback for {self:?}"))
    }
}

/// The kinds of bodies that can be checked without running a callback.
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

/// The parts of a process that are displayed to people, see
/// [`GenServer::FORMAT_STATUS`](crate::GenServer::FORMAT_STATUS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPart {
    /// The state.
    State,
    /// The body of a call to the process.
    Call,
    /// The body of a cast to the process.
    Cast,
    /// Any other message to the process.
    Message,
}

/// Redacts a part of a process before people see it. OTP: `format_status/1`.
pub type FormatStatus = fn(StatusPart, Value) -> Result<Value, Undecodable>;

/// A callback module.
pub(crate) trait Behaviour: 'static {
    /// One of `reld_abi::BEHAVIOUR_*`.
    const BEHAVIOUR: u32;

    /// The state of the module's processes between two callbacks.
    type State: Send + 'static;

    /// The function that redacts states and messages before people see them.
    const FORMAT_STATUS: Option<FormatStatus> = None;

    /// Begins init.
    fn init(args: &[u8]) -> Result<Work<Self::State>, Exit>;

    /// Begins any other callback. `Err` is a crash; the state is dropped.
    fn handle(state: Box<Self::State>, event: Event<'_>) -> Result<Work<Self::State>, Exit>;

    /// Returns whether a body can be decoded.
    fn accepts(kind: BodyKind, body: &[u8]) -> Result<(), Exit>;

    /// Describes the types that the module reads and writes.
    fn schema() -> Schema {
        Schema::unknown()
    }
}

/// A callback module with a state that can be exported and imported.
pub(crate) trait Stateful: Behaviour {
    /// Encodes a state.
    fn export(state: &Self::State) -> Result<Vec<u8>, Exit>;

    /// Decodes a state of the same version.
    fn import(state: &[u8]) -> Result<Self::State, Exit>;

    /// Decodes a state of another version, on an upgrade.
    fn change_code(from: &str, state: State, extra: Value) -> Result<Self::State, Exit>;

    /// Encodes a state for another version, on a downgrade.
    fn change_code_down(state: &Self::State, to: &str, extra: Value) -> Result<State, Exit>;
}

/// Checks that a body can be decoded as `T`.
pub(crate) fn readable<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<(), Exit> {
    read::<T>(what, body)?;
    Ok(())
}
