//! Requests to ports, their answers, and what a process is told: MessagePack on both sides.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::words::code::Bytes;
use crate::words::pid::Pid;
use crate::words::term;

/// A socket of the node: a listener or a connection. Plain data: a state may keep it over an upgrade. Never used twice
/// in a node's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PortId(pub u64);

/// What a process can ask of a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Opens a listener; answered with its [`PortId`].
    Listen {
        address: String,
        #[serde(default)]
        options: PortOptions,
        /// The supervisor of the asker shall own it. Where that has one of this address already, it is that one.
        #[serde(default)]
        supervisor: bool,
    },
    /// Begins to connect; answered with a [`PortId`] at once. [`How::Tell`] for the outcome as a message.
    Connect {
        address: String,
        #[serde(default)]
        options: PortOptions,
        #[serde(default)]
        how: How,
    },
    /// Takes a connection from a listener.
    Accept { port: PortId, how: How },
    /// Takes what has come in: one line, one packet, or all there is.
    Read { port: PortId, how: How },
    /// Queues bytes; [`Reason::Busy`] while the queue is full.
    Write { port: PortId, bytes: ByteBuf },
    /// Waits until the connection is there and its queue takes more.
    Writable { port: PortId, how: How },
    /// Closes a port; what was written before is still sent.
    Close { port: PortId },
    /// Makes another process the owner. OTP: `controlling_process/2`.
    Give { port: PortId, to: Pid },
    /// Answered with [`Addresses`].
    Address { port: PortId },
}

/// What to do when there is nothing to give yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    /// Answer nil.
    #[default]
    Now,
    /// Answer nil later, when it is worth asking again.
    Wait,
    /// Answer nil now, and send an [`Event`] when there is something.
    Tell,
}

/// How a connection is cut into messages. OTP: the option `packet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// Not at all.
    #[default]
    Raw,
    /// After each newline, which belongs to the line; none is longer than this many bytes.
    Line(usize),
    /// By a length of 1, 2 or 4 bytes, big endian, before each packet.
    Packet(u8),
}

/// How a port behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortOptions {
    /// How what comes in is cut.
    pub framing: Framing,
    /// How many bytes wait in the node before the peer, or the writing process, has to; for each direction.
    pub buffer: usize,
    /// Whether small writes are sent at once. TCP only.
    pub nodelay: bool,
    /// How many connections the kernel keeps for a listener that nobody asks.
    pub backlog: u32,
    /// Whether the connection stays open for writing when the peer sends no more. OTP: `{exit_on_close, false}`.
    pub half_open: bool,
}

impl Default for PortOptions {
    fn default() -> Self {
        Self { framing: Framing::Raw, buffer: 64 * 1024, nodelay: true, backlog: 1024, half_open: false }
    }
}

/// What became of a request that was to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortEvent {
    /// A client connected; the process that asked owns the connection.
    Accepted {
        /// Where.
        listener: PortId,
        /// Its connection.
        connection: PortId,
        /// Who, as an address.
        peer: String,
    },
    /// The connection is there.
    Connected {
        /// Which.
        connection: PortId,
    },
    /// Something came in.
    Data {
        /// Where.
        connection: PortId,
        /// What.
        bytes: ByteBuf,
    },
    /// The queue takes more.
    Writable {
        /// Whose.
        connection: PortId,
    },
    /// There will be nothing more: the peer is gone, the connection failed, or the port was closed.
    Closed {
        /// Which.
        port: PortId,
        /// Why.
        error: PortError,
    },
}

impl PortEvent {
    /// Returns the event as the message that a process gets.
    pub(crate) fn told(&self) -> Bytes {
        term::encode(&Told::Port(self))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Told<'a> {
    Port(&'a PortEvent),
}

/// Both ends of a port, for people and for [`Request::Connect`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) local: String,
    pub(crate) peer: Option<String>,
}

/// Why a port did not do what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is no such port any more, or the peer is gone.
    Closed,
    /// The queue for writing is full.
    Busy,
    /// Only the owner may do this.
    NotOwner,
    /// The new owner has ended.
    NoProcess,
    /// It is a listener and no connection, or the other way round.
    WrongKind,
    /// A line or packet is longer than allowed.
    TooLong,
    /// Another program, or another port, has the address.
    AddressInUse,
    /// The address cannot be read, or does not exist here.
    BadAddress,
    /// The daemon may not do this.
    PermissionDenied,
    /// Nobody listens there.
    ConnectionRefused,
    /// The time ran out.
    TimedOut,
    /// The request could not be understood.
    BadRequest,
    /// Anything else that the operating system says.
    Io,
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct PortError {
    /// Why.
    pub reason: Reason,
    /// The same for people, naming the address or the port.
    pub text: String,
}

impl PortError {
    /// Makes an error.
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }

    /// The peer is gone, or the port was closed.
    pub(crate) fn closed() -> Self {
        Self::new(Reason::Closed, "the port is closed")
    }
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Reply<T> {
    Ok(T),
    Error(PortError),
}

/// Writes an answer.
pub(crate) fn reply<T: Serialize>(result: Result<T, PortError>) -> Bytes {
    term::encode(&match result {
        Ok(value) => Reply::Ok(value),
        Err(error) => Reply::Error(error),
    })
}
