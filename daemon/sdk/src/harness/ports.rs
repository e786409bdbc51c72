//! Ports under test: no input arrives by itself, and output is kept for the test.

use std::collections::{BTreeMap, BTreeSet};

use reld_wire::Reply;
use reld_wire::port::{self, Addresses, PortId, Reason, Request};
use serde::Serialize;

use crate::body::Body;
use crate::codec;
use crate::port::{Connection, Listener};

/// Returns a connection for a process under test.
pub fn connection(number: u64) -> Connection {
    Connection::of(number)
}

/// The ports of the process under test.
#[derive(Default)]
pub(super) struct Ports {
    last: u64,
    written: BTreeMap<u64, Vec<u8>>,
    closed: BTreeSet<u64>,
    /// The connections that the peer has left.
    left: BTreeSet<u64>,
    /// The number of open requests for a client, by listener.
    accepting: BTreeMap<u64, usize>,
}

impl Ports {
    /// Answers a request at once. `None` stands for a wait that never ends.
    pub(super) fn ask(&mut self, request: &[u8]) -> Option<Body> {
        let request = codec::decode::<Request>(request).ok()?;
        if self.has_left(&request) {
            return answer::<()>(Err(port::Error::new(Reason::Closed, "the peer closed the connection")));
        }
        match request {
            Request::Listen { .. } | Request::Connect { .. } => {
                self.last += 1;
                ok(PortId(self.last))
            }
            Request::Write { port: PortId(port), bytes } => {
                self.written.entry(port).or_default().extend(bytes);
                ok(())
            }
            Request::Close { port: PortId(port) } => {
                self.closed.insert(port);
                ok(())
            }
            Request::Accept { port: PortId(listener), .. } => {
                *self.accepting.entry(listener).or_default() += 1;
                ok(())
            }
            Request::Read { .. } | Request::Writable { .. } | Request::Give { .. } => ok(()),
            Request::Address { .. } => {
                ok(Addresses { local: "harness".to_owned(), peer: Some("harness".to_owned()) })
            }
        }
    }

    /// Returns whether a request is for a connection that the peer has left. Such a connection can
    /// still be closed.
    fn has_left(&self, request: &Request) -> bool {
        match request {
            Request::Write { port, .. }
            | Request::Read { port, .. }
            | Request::Writable { port, .. }
            | Request::Give { port, .. }
            | Request::Address { port } => self.left.contains(&port.0),
            Request::Listen { .. }
            | Request::Connect { .. }
            | Request::Accept { .. }
            | Request::Close { .. } => false,
        }
    }

    pub(super) fn is_accepting(&self, listener: Listener) -> bool {
        self.accepting.get(&listener.number()).is_some_and(|requests| *requests > 0)
    }

    /// Closes the request that an accepted client answers.
    pub(super) fn accepted(&mut self, listener: Listener) {
        if let Some(requests) = self.accepting.get_mut(&listener.number()) {
            *requests = requests.saturating_sub(1);
        }
    }

    pub(super) fn hang_up(&mut self, port: u64) {
        self.left.insert(port);
    }

    pub(super) fn take_written(&mut self, port: u64) -> Vec<u8> {
        self.written.remove(&port).unwrap_or_default()
    }

    pub(super) fn is_closed(&self, port: u64) -> bool {
        self.closed.contains(&port)
    }
}

fn ok<T: Serialize>(value: T) -> Option<Body> {
    answer(Ok(value))
}

fn answer<T: Serialize>(result: Result<T, port::Error>) -> Option<Body> {
    codec::body(&Reply::from(result)).ok()
}
