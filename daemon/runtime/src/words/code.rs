//! What the runtime needs from loaded code.
//!
//! The loader implements these traits for modules of libraries; the runtime implements them for its own behaviours
//! (supervisor), and tests for doubles. Nothing here says how code was loaded.
//!
//! A [`Module`] is one callback table of one image. It makes [`Instance`]s: a process's state together with the code
//! that built it. An instance is only ever touched by its own image; what moves between images is bytes.

use std::any::Any;
use std::fmt;

pub(crate) use reld_wire::application::StopCause;
use serde::{Deserialize, Serialize};

use crate::words::exit::Exit;
use crate::words::pid::Pid;

/// A MessagePack value in its bytes: states, messages, arguments, replies.
pub type Bytes = Vec<u8>;

/// What kind of process a module makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Callbacks and a state. OTP: gen_server.
    GenServer,
    /// Only an init; the loop is the runtime's. OTP: supervisor.
    Supervisor,
    /// start, prep_stop, stop and config_change. OTP: application.
    Application,
    /// A home-brewed process that stays on its version until it ends.
    Task,
    /// A server whose library drives a state machine. OTP: gen_statem.
    GenStatem,
    /// A server that hands events to handlers. OTP: gen_event.
    GenEvent,
    /// A server that handles events for such a one. In OTP handlers live in its process.
    EventHandler,
}

impl Behaviour {
    /// Says whether its processes are servers to the runtime: callbacks and a state. What makes them a machine or a
    /// handler of events is in their library.
    pub fn is_server(self) -> bool {
        match self {
            Self::GenServer | Self::GenStatem | Self::GenEvent | Self::EventHandler => true,
            Self::Supervisor | Self::Application | Self::Task => false,
        }
    }
}

/// Names an open request of a process, or a monitor that it holds; never used twice by one process.
pub type Ref = u64;

/// A running timer. Plain data: a state may keep it over an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TimerRef {
    /// When it fires, in nanoseconds since the node started; for an interval, the first time.
    pub at_ns: u64,
    /// Names the timer in the node's life.
    pub id: u64,
}

/// Where the answer to a call goes. OTP: `From`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct From {
    /// The process that called.
    pub caller: Pid,
    /// The process that was called.
    pub server: Pid,
    /// The caller's reference of the open call.
    pub reference: Ref,
}

/// What a callback is called with.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A request that wants a reply.
    Call(From, &'a [u8]),
    /// A request without reply.
    Cast(&'a [u8]),
    /// Any other message, timers included.
    Info(&'a [u8]),
    /// A linked process ended while this one traps exits.
    Exit(Pid, &'a Exit),
    /// A monitored process ended.
    Down(Ref, Pid, &'a Exit),
    /// What the node itself tells the process, of ports and tables: MessagePack.
    Told(&'a [u8]),
    /// What the process put before all else.
    Continue(&'a [u8]),
    /// Nothing came for as long as the process said.
    Timeout,
    /// The process is about to end.
    Terminate(&'a Exit),
    /// The application is about to be stopped; its root supervisor, if that still lives, and who stops it.
    PrepStop(Option<Pid>, StopCause),
    /// The application comes to a phase of its start: `{phase, type, arg}`, MessagePack.
    StartPhase(&'a [u8]),
    /// The application's environment changed: what `config_change` is told, MessagePack.
    ConfigChange(&'a [u8]),
}

/// The kinds of bodies that [`Module::accepts`] can be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// Start arguments.
    Init,
    /// The body of a call.
    Call,
    /// The body of a cast.
    Cast,
    /// The body of any other message.
    Info,
    /// A state.
    State,
}

/// How a callback goes on.
#[derive(Debug)]
pub enum Step {
    /// It is done.
    Ready(Outcome),
    /// It waits; the process is parked with it.
    Pending(Box<dyn Callback>),
}

/// How a callback ended.
#[derive(Debug)]
pub struct Outcome {
    /// The process's instance; `None` after a crash, an ignored or failed init, and for a task that ended.
    pub instance: Option<Box<dyn Instance>>,
    /// What the process does next.
    pub next: Next,
    /// The reply to the call, or the result of an init (a supervisor's spec, an application's root).
    pub reply: Option<Bytes>,
}

/// What a process does after a callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Takes its next message.
    Continue,
    /// Ends in order: terminate is called, then it exits with this reason.
    Stop(Exit),
    /// OTP: `ignore`, from init only.
    Ignore,
    /// The callback crashed; no terminate, since the state is gone.
    Crash(Exit),
}

/// One callback table of one image.
pub trait Module: Send + Sync + fmt::Debug {
    /// Returns the module's name, unique among the current modules of a node.
    fn name(&self) -> &str;

    /// Returns the version of the app that the image was built as.
    fn version(&self) -> &str;

    /// Returns the app that the image was built as.
    fn app(&self) -> &str;

    /// Returns what kind of process the module makes.
    fn behaviour(&self) -> Behaviour;

    /// Starts a process: runs its init. For a supervisor this never waits and replies with the spec.
    fn init(&self, args: &[u8]) -> Step;

    /// Makes an instance from the bytes of a state of the same shape.
    ///
    /// # Errors
    /// [`Exit::Undecodable`] when a field is missing, of another type, or was read by nobody.
    fn import(&self, state: &[u8]) -> Result<Box<dyn Instance>, Exit>;

    /// Makes an instance of this version from the state of version `from`. OTP: `code_change/3`, going up.
    ///
    /// # Errors
    /// Whatever the app answers, or its panic.
    fn change_code(&self, from: &str, state: &[u8], extra: &[u8]) -> Result<Box<dyn Instance>, Exit>;

    /// Makes the bytes of a state of version `to` from one of this version. OTP: `code_change({down, _}, ..)`.
    ///
    /// # Errors
    /// Whatever the app answers, or its panic.
    fn change_code_down(&self, to: &str, state: &[u8], extra: &[u8]) -> Result<Bytes, Exit>;

    /// Says whether the module would decode this body. Decodes only; runs no callback.
    ///
    /// # Errors
    /// [`Exit::Undecodable`], naming what does not fit.
    fn accepts(&self, kind: BodyKind, body: &[u8]) -> Result<(), Exit>;

    /// Says whether people are to be shown something else than its states and messages: see [`Module::format_status`].
    fn hides(&self) -> bool {
        false
    }

    /// Makes what people are shown of a state, or of the body of a message. Runs no callback. OTP: `format_status/1`.
    ///
    /// # Errors
    /// Whatever the app answers, or its panic; then nothing is shown.
    fn format_status(&self, kind: BodyKind, body: &[u8]) -> Result<Bytes, Exit> {
        let _ = kind;
        Ok(body.to_vec())
    }
}

/// The state of a process, with the code that built it. Dropping it drops the state, on the calling thread.
pub trait Instance: Send + fmt::Debug {
    /// Runs one callback.
    fn callback(self: Box<Self>, event: &Event<'_>) -> Step;

    /// Writes the state as bytes; the instance stays as it is.
    ///
    /// # Errors
    /// The app's encoder failed or panicked.
    fn export(&self) -> Result<Bytes, Exit>;

    /// It becomes the state of its process. For the runtime's own states; others do nothing.
    fn installed(&self) {}

    /// Returns a state of the runtime's own, for the wing that knows its type; `None` for one of an app.
    fn own(&self) -> Option<&dyn Any> {
        None
    }
}

/// A callback that waits. Dropping it ends the callback at the point where it waits.
pub trait Callback: Send + fmt::Debug {
    /// Goes on as far as it can; `None` when it waits again.
    ///
    /// `completed` are the open requests whose answers can now be taken.
    fn poll(&mut self, completed: &[Ref]) -> Option<Outcome>;
}
