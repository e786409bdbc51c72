//! The interface between the runtime and loaded code.
//!
//! The loader implements these traits for the modules of libraries. The runtime implements them for
//! its own behaviour (supervisor), and tests implement them for doubles. Nothing here depends on
//! how code was loaded.
//!
//! A [`Module`] is one callback table of one image. It makes [`Instance`]s. An instance is the
//! state of a process together with the code that built it. Only its own image touches an instance;
//! only bytes move between images.

use std::any::Any;
use std::fmt;

pub(crate) use reld_wire::application::StopCause;
use serde::{Deserialize, Serialize};

use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::words::sync::{AtomicBool, Ordering};

/// An encoded MessagePack value: a state, message, argument or reply.
pub type Bytes = Vec<u8>;

/// The kind of process that a module makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// A server with callbacks and a state. OTP: gen_server.
    GenServer,
    /// An init only; the runtime implements the loop. OTP: supervisor.
    Supervisor,
    /// A module with `start`, `prep_stop`, `stop` and `config_change`. OTP: application.
    Application,
    /// A process with a loop of its own, which stays on its version until it ends.
    Task,
    /// A server with a state machine, which its library implements. OTP: gen_statem.
    GenStatem,
    /// A server that passes events on to handlers. OTP: gen_event.
    GenEvent,
    /// A server that handles the events of a [`GenEvent`](Self::GenEvent). In OTP, handlers are
    /// part of the process of the event manager.
    EventHandler,
}

impl Behaviour {
    /// Returns whether the runtime treats the processes as servers, with callbacks and a state.
    /// State machines and event handlers count as servers too, because their libraries implement
    /// the rest.
    pub fn is_server(self) -> bool {
        match self {
            Self::GenServer | Self::GenStatem | Self::GenEvent | Self::EventHandler => true,
            Self::Supervisor | Self::Application | Self::Task => false,
        }
    }
}

/// Identifies an open request or a monitor of a process. A process never uses a reference twice.
pub type Ref = u64;

/// A running timer. It is plain data, so a state may keep it across an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TimerRef {
    /// The time at which the timer fires, in nanoseconds since the node started; for an interval,
    /// the first such time.
    pub at_ns: u64,
    /// Identifies the timer for the life of the node.
    pub id: u64,
}

/// Identifies a call, so that it can be answered. OTP: `From`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct From {
    /// The process that called.
    pub caller: Pid,
    /// The process that was called.
    pub server: Pid,
    /// The reference of the open call in the caller.
    pub reference: Ref,
}

/// The event that a callback handles.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A request that expects a reply.
    Call(From, &'a [u8]),
    /// A request without a reply.
    Cast(&'a [u8]),
    /// Any other message, timers included.
    Info(&'a [u8]),
    /// A linked process ended while this one traps exits.
    Exit(Pid, &'a Exit),
    /// A monitored process ended.
    Down(Ref, Pid, &'a Exit),
    /// An event of the node about a port or table: MessagePack.
    Told(&'a [u8]),
    /// The event that the previous callback asked to handle next. OTP: `handle_continue`.
    Continue(&'a [u8]),
    /// The idle timeout of the process has passed.
    Timeout,
    /// The process is about to end.
    Terminate(&'a Exit),
    /// The application is about to be stopped. Holds its root supervisor, if that is still alive,
    /// and the cause of the stop.
    PrepStop(Option<Pid>, StopCause),
    /// The application reaches a phase of its start: `{phase, type, arg}`, MessagePack.
    StartPhase(&'a [u8]),
    /// The environment of the application changed. Holds the argument of `config_change`,
    /// MessagePack.
    ConfigChange(&'a [u8]),
}

/// The kinds of bodies that [`Module::accepts`] can check.
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

/// The result of running a callback.
#[derive(Debug)]
pub enum Step {
    /// The callback is done.
    Ready(Outcome),
    /// The callback waits, and the process is parked with it.
    Pending(Box<dyn Callback>),
}

/// The outcome of a finished callback.
#[derive(Debug)]
pub struct Outcome {
    /// The instance of the process. `None` after a crash, an ignored or failed init, and the end of
    /// a task.
    pub instance: Option<Box<dyn Instance>>,
    /// The next action of the process.
    pub next: Next,
    /// The reply to the call, or the result of an init: the spec of a supervisor, the root of an
    /// application.
    pub reply: Option<Bytes>,
}

/// The action of a process after a callback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Takes the next message.
    Continue,
    /// Calls `terminate`, then exits with this reason.
    Stop(Exit),
    /// Ends, because init declined to start a process. Only init may return it. OTP: `ignore`.
    Ignore,
    /// Ends at once, because the callback crashed. `terminate` is not called, because the state is
    /// lost.
    Crash(Exit),
}

/// One callback table of one image.
pub trait Module: Send + Sync + fmt::Debug {
    /// Returns the module's name, unique among the current modules of a node.
    fn name(&self) -> &str;

    /// Returns the version of the app that the image belongs to.
    fn version(&self) -> &str;

    /// Returns the name of the app that the image belongs to.
    fn app(&self) -> &str;

    /// Returns the kind of process that the module makes.
    fn behaviour(&self) -> Behaviour;

    /// Starts a process by running its init. The init of a supervisor never waits, and returns the
    /// spec as its reply.
    fn init(&self, args: &[u8]) -> Step;

    /// Makes an instance from the bytes of a state of the same shape.
    ///
    /// # Errors
    /// [`Exit::Undecodable`] when a field is missing, has another type, or is not known.
    fn import(&self, state: &[u8]) -> Result<Box<dyn Instance>, Exit>;

    /// Makes an instance of this version from the state of version `from`. OTP: `code_change/3` of
    /// an upgrade.
    ///
    /// # Errors
    /// The error of the app, or its panic.
    fn change_code(&self, from: &str, state: &[u8], extra: &[u8]) -> Result<Box<dyn Instance>, Exit>;

    /// Makes the bytes of a state of version `to` from a state of this version. OTP:
    /// `code_change({down, _}, ..)`.
    ///
    /// # Errors
    /// The error of the app, or its panic.
    fn change_code_down(&self, to: &str, state: &[u8], extra: &[u8]) -> Result<Bytes, Exit>;

    /// Checks whether the module can decode this body. Runs no callback.
    ///
    /// # Errors
    /// [`Exit::Undecodable`], with the field that does not fit.
    fn accepts(&self, kind: BodyKind, body: &[u8]) -> Result<(), Exit>;

    /// Returns whether states and messages must be redacted before they are displayed: see
    /// [`Module::format_status`].
    fn hides(&self) -> bool {
        false
    }

    /// Makes the displayed form of a state or of the body of a message. Runs no other callback.
    /// OTP: `format_status/1`.
    ///
    /// # Errors
    /// The error of the app, or its panic. The value is then not displayed.
    fn format_status(&self, kind: BodyKind, body: &[u8]) -> Result<Bytes, Exit> {
        let _ = kind;
        Ok(body.to_vec())
    }
}

/// The state of a process, with the code that built it. Dropping the instance drops the state on
/// the calling thread.
pub trait Instance: Send + fmt::Debug {
    /// Runs one callback.
    fn callback(self: Box<Self>, event: &Event<'_>) -> Step;

    /// Runs the callbacks of several casts and infos, in their order. Returns the result of the
    /// last one, and how many were begun: at least one. Stops early after a callback that does
    /// anything but continue, and when a flag of `stop` is set.
    fn callbacks(self: Box<Self>, events: &[Event<'_>], stop: [&AtomicBool; 3]) -> (Step, usize);

    /// Encodes the state; the instance stays unchanged.
    ///
    /// # Errors
    /// The encoder of the app failed or panicked.
    fn export(&self) -> Result<Bytes, Exit>;

    /// Called when the instance becomes the state of its process. Only states of the runtime's own
    /// behaviour use this.
    fn installed(&self) {}

    /// Returns a state of the runtime's own behaviour, for the module that knows its type; `None`
    /// for the state of an app.
    fn own(&self) -> Option<&dyn Any> {
        None
    }
}

/// Runs the callbacks of several events by [`Instance::callback`], as [`Instance::callbacks`] does.
pub fn one_by_one(
    mut instance: Box<dyn Instance>,
    events: &[Event<'_>],
    stop: [&AtomicBool; 3],
) -> (Step, usize) {
    let mut begun = 0;
    loop {
        let step = instance.callback(&events[begun]);
        begun += 1;
        let is_last = begun == events.len() || stop.iter().any(|flag| flag.load(Ordering::Acquire));
        match step {
            Step::Ready(Outcome { instance: Some(next), next: Next::Continue, reply: None }) if !is_last => {
                instance = next;
            }
            step => return (step, begun),
        }
    }
}

/// A waiting callback. Dropping it ends the callback where it waits.
pub trait Callback: Send + fmt::Debug {
    /// Resumes the callback. Returns `None` when the callback waits again.
    ///
    /// `completed` holds the open requests that have an answer now.
    fn poll(&mut self, completed: &[Ref]) -> Option<Outcome>;
}
