//! The messages in a mailbox.

use std::fmt;

use crate::words::code::{Behaviour, Bytes, From, Ref};
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::words::term;

/// The kind of request that a call carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// An ordinary request to the module's `handle_call`.
    Call,
    /// A request to a supervisor, which the runtime itself handles.
    Supervisor,
    /// A request to the process of an application. OTP: `prep_stop`.
    PrepStop,
    /// A request to the process of an application. OTP: `start_phase`.
    StartPhase,
    /// A request to the process of an application. OTP: `config_change`.
    ConfigChange,
}

impl RequestKind {
    /// Returns whether processes of that behaviour take such requests.
    pub(crate) fn fits(self, behaviour: Behaviour) -> bool {
        match self {
            Self::Call => behaviour.is_server(),
            Self::Supervisor => behaviour == Behaviour::Supervisor,
            Self::PrepStop | Self::StartPhase | Self::ConfigChange => behaviour == Behaviour::Application,
        }
    }
}

/// A message that a process handles in the order of arrival.
#[derive(Debug)]
pub(crate) enum Mail {
    Call(RequestKind, From, Bytes),
    Cast(Pid, Bytes),
    Info(Pid, Bytes),
    Exit(Pid, Exit),
    Down(Ref, Pid, Exit),
    /// An event of the node about a port or table: MessagePack.
    Told(Bytes),
    /// The idle timeout with that number has passed.
    Timeout(Ref),
}

impl Mail {
    /// Returns the name of the kind, the sender if there is one, and the body. The body is
    /// MessagePack, and empty for messages without one.
    pub(crate) fn parts(&self) -> (&'static str, Option<Pid>, &[u8]) {
        match self {
            Self::Call(_, from, body) => ("call", Some(from.caller), body),
            Self::Cast(from, body) => ("cast", Some(*from), body),
            Self::Info(from, body) => ("info", Some(*from), body),
            Self::Exit(from, _) => ("exit", Some(*from), &[]),
            Self::Down(_, from, _) => ("down", Some(*from), &[]),
            Self::Told(body) => ("told", None, body),
            Self::Timeout(_) => ("timeout", None, &[]),
        }
    }
}

/// The form used in reports.
impl fmt::Display for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, from, body) = self.parts();
        f.write_str(what)?;
        if !body.is_empty() {
            write!(f, " {}", term::shown(body))?;
        }
        match from {
            Some(Pid::OUTSIDE) | None => Ok(()),
            Some(from) => write!(f, " from {from}"),
        }
    }
}
