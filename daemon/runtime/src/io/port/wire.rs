//! The encoding of the messages that processes get about ports.

use reld_wire::Reply;
use reld_wire::port::{Error, Event, Reason};
use reld_wire::table;
use reld_wire::told::Told;
use serde::Serialize;

use crate::words::code::Bytes;
use crate::words::term;

/// Encodes an event as a message to a process.
pub(super) fn told(event: &Event) -> Bytes {
    term::encode(&Told::<_, table::Event>::Port(event))
}

/// Returns the error of a port that is closed, or has lost its peer.
pub(super) fn closed() -> Error {
    Error::new(Reason::Closed, "the port is closed")
}

/// Encodes an answer.
pub(super) fn reply<T: Serialize>(result: Result<T, Error>) -> Bytes {
    term::encode(&Reply::from(result))
}
