//! What is written to processes about ports.

use reld_wire::Reply;
use reld_wire::port::{Error, Event, Reason};
use reld_wire::table;
use reld_wire::told::Told;
use serde::Serialize;

use crate::words::code::Bytes;
use crate::words::term;

/// Returns an event as the message that a process gets.
pub(super) fn told(event: &Event) -> Bytes {
    term::encode(&Told::<_, table::Event>::Port(event))
}

/// The peer is gone, or the port was closed.
pub(super) fn closed() -> Error {
    Error::new(Reason::Closed, "the port is closed")
}

/// Writes an answer.
pub(super) fn reply<T: Serialize>(result: Result<T, Error>) -> Bytes {
    term::encode(&Reply::from(result))
}
