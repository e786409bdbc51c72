//! Ports under test: no input arrives by itself, and output is kept for the test.

use std::collections::{BTreeMap, BTreeSet};

use reld_wire::Reply;
use reld_wire::port::{self, Addresses, PortId, Request};
use serde::Serialize;

use crate::codec;
use crate::port::Connection;

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
}

impl Ports {
    /// Answers a request at once. `None` stands for a wait that never ends.
    pub(super) fn ask(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        match codec::decode::<Request>(request).ok()? {
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
            Request::Accept { .. }
            | Request::Read { .. }
            | Request::Writable { .. }
            | Request::Give { .. } => ok(()),
            Request::Address { .. } => {
                ok(Addresses { local: "harness".to_owned(), peer: Some("harness".to_owned()) })
            }
        }
    }

    pub(super) fn take_written(&mut self, port: u64) -> Vec<u8> {
        self.written.remove(&port).unwrap_or_default()
    }

    pub(super) fn is_closed(&self, port: u64) -> bool {
        self.closed.contains(&port)
    }
}

fn ok<T: Serialize>(value: T) -> Option<Vec<u8>> {
    codec::encode(&Reply::<T, port::Error>::Ok(value)).ok()
}
