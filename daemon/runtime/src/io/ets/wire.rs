//! The encoding of the messages that processes get about tables.

use reld_wire::Reply;
use reld_wire::port;
use reld_wire::table::{Error, Event};
use reld_wire::told::Told;
use serde::Serialize;

use crate::words::code::Bytes;
use crate::words::term;

/// Encodes an event as a message to a process.
pub(super) fn told(event: &Event) -> Bytes {
    term::encode(&Told::<port::Event, _>::Table(event))
}

/// Encodes an answer.
pub(super) fn reply<T: Serialize>(result: Result<T, Error>) -> Bytes {
    term::encode(&Reply::from(result))
}
