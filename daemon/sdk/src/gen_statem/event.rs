//! The events of a machine, as the app gets them and as they are stored.

use reld_wire::told::Told;
use serde::{Deserialize, Serialize};

use super::GenStatem;
use crate::codec::{self, Undecodable, read};
use crate::exit::Exit;
use crate::gen_server::Info;
use crate::names::{From, MonitorRef, Pid};
use crate::value::Value;

/// An event of a machine. OTP: event type and content.
#[derive(Debug)]
pub enum StatemEvent<M: GenStatem> {
    /// A state is entered. Holds the previous state, which is the same state at the start and after
    /// [`Transition::repeat`](super::Transition). Occurs only with [`GenStatem::STATE_ENTER`]. The
    /// transition can neither change the state nor postpone the event.
    Enter(M::State),
    /// A request that expects a reply.
    Call(From, M::Call),
    /// A request without a reply.
    Cast(M::Cast),
    /// Any other message.
    Info(Info<M::Message>),
    /// An event that the machine inserted.
    Internal(M::Own),
    /// The state time-out has fired.
    StateTimeout(M::Own),
    /// The event time-out has fired: no other event came in that time.
    EventTimeout(M::Own),
    /// The time-out with that name has fired.
    Timeout(String, M::Own),
}

/// An event in a form that can wait, and move to another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kept {
    Call { from: From, body: Value },
    Cast { body: Value },
    Info { body: Value },
    Told { body: Value },
    Exit { from: Pid, reason: Exit },
    Down { monitor: MonitorRef, from: Pid, reason: Exit },
    Internal { body: Value },
    Timeout { kind: TimeoutKind, body: Value },
}

/// The kind of a time-out. At most one time-out of each kind runs at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TimeoutKind {
    Event,
    State,
    Named(String),
}

impl Kept {
    /// Decodes the event with the types of this version.
    pub(crate) fn read<M: GenStatem>(&self) -> Result<StatemEvent<M>, Undecodable> {
        Ok(match self {
            Self::Call { from, body } => StatemEvent::Call(*from, read("call", body.bytes())?),
            Self::Cast { body } => StatemEvent::Cast(read("cast", body.bytes())?),
            Self::Info { body } => StatemEvent::Info(Info::Message(read("message", body.bytes())?)),
            Self::Told { body } => StatemEvent::Info(read::<Told>("event of the node", body.bytes())?.into()),
            Self::Exit { from, reason } => {
                StatemEvent::Info(Info::Exit { from: *from, reason: reason.clone() })
            }
            Self::Down { monitor, from, reason } => {
                StatemEvent::Info(Info::Down { monitor: *monitor, from: *from, reason: reason.clone() })
            }
            Self::Internal { body } => StatemEvent::Internal(read("internal event", body.bytes())?),
            Self::Timeout { kind, body } => {
                let own = read("content of a time-out", body.bytes())?;
                match kind {
                    TimeoutKind::Event => StatemEvent::EventTimeout(own),
                    TimeoutKind::State => StatemEvent::StateTimeout(own),
                    TimeoutKind::Named(name) => StatemEvent::Timeout(name.clone(), own),
                }
            }
        })
    }
}

/// The message that a timer sends to its own machine.
#[derive(Serialize, Deserialize)]
struct OwnTimeout {
    #[serde(rename = "$gen_statem")]
    number: u64,
}

/// The first bytes of an [`OwnTimeout`]: a map with one key of eleven letters.
const OWN: &[u8] = b"\x81\xab$gen_statem";

/// Returns the message for the time-out with that number.
pub(super) fn timeout_message(number: u64) -> impl Serialize {
    OwnTimeout { number }
}

/// Returns the number of the time-out, if the body is the message of a time-out.
pub(super) fn own_timeout(body: &[u8]) -> Option<u64> {
    if !body.starts_with(OWN) {
        return None;
    }
    codec::decode::<OwnTimeout>(body).ok().map(|own| own.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_time_out_is_known_by_its_first_bytes() {
        let body = codec::encode(&timeout_message(70_000)).expect("encodes");
        assert_eq!(own_timeout(&body), Some(70_000));
        assert_eq!(own_timeout(&codec::encode(&7_u8).expect("encodes")), None);
        assert_eq!(own_timeout(b""), None);
    }
}
