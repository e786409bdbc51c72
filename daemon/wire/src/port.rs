//! Requests to ports, their answers and their events. Since ABI 1.2.
//!
//! The daemon skips unknown members of a request.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::pid::Pid;
use crate::reply::Refusal;

/// A socket of the node: a listener or a connection. It is plain data, so a state may keep it over
/// an upgrade. The node never reuses an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PortId(pub u64);

/// A request of a process to a port. `B` is bytes; a writer may borrow them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request<B = ByteBuf> {
    /// Opens a listener. Answered with the [`PortId`] of the listener.
    Listen {
        /// The address to listen at.
        address: String,
        /// Optional.
        #[serde(default)]
        options: Options,
        /// Makes the supervisor of the requesting process the owner. If that supervisor already
        /// owns a listener at this address, the answer is that listener. Optional.
        #[serde(default)]
        supervisor: bool,
    },
    /// Begins to connect. Answered with a [`PortId`] at once; with [`How::Tell`] the outcome
    /// follows as a message.
    Connect {
        /// The address to connect to.
        address: String,
        /// Optional.
        #[serde(default)]
        options: Options,
        /// Optional.
        #[serde(default)]
        how: How,
    },
    /// Takes a connection from a listener. Answered with [`Event::Accepted`] or nil.
    Accept {
        /// The listener.
        port: PortId,
        /// How to answer while there is no connection.
        how: How,
    },
    /// Takes received data: one line, one packet, or all bytes. Answered with [`Event::Data`] or
    /// nil.
    Read {
        /// The connection.
        port: PortId,
        /// How to answer while there is no data.
        how: How,
    },
    /// Queues bytes to be sent. Refused with [`Reason::Busy`] while the queue is full.
    Write {
        /// The connection.
        port: PortId,
        /// The bytes to send.
        bytes: B,
    },
    /// Waits until the connection is open and its queue has room. Answered with [`Event::Writable`]
    /// or nil.
    Writable {
        /// The connection.
        port: PortId,
        /// How to answer until then.
        how: How,
    },
    /// Closes a port. Queued bytes are still sent.
    Close {
        /// The port.
        port: PortId,
    },
    /// Makes another process the owner. OTP: `controlling_process/2`.
    Give {
        /// The port.
        port: PortId,
        /// The new owner.
        to: Pid,
    },
    /// Asks for the addresses of both ends. Answered with [`Addresses`].
    Address {
        /// The port.
        port: PortId,
    },
}

/// How a request is answered that has no result yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Answer nil.
    #[default]
    Now,
    /// Answer nil later, when a retry can succeed.
    Wait,
    /// Answer nil now, and send an [`Event`] when there is a result.
    Tell,
}

/// How received bytes are split into messages. OTP: the option `packet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// They are not split.
    #[default]
    Raw,
    /// After each newline, which is part of the line. The number is the longest line in bytes.
    Line(usize),
    /// By a big-endian length before each packet. The number is the size of that length: 1, 2 or 4
    /// bytes.
    Packet(u8),
}

/// The options of a port. Each member is optional.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// How received bytes are split into messages.
    pub framing: Framing,
    /// The bytes that the node buffers in each direction before the peer, or the writing process,
    /// has to wait.
    pub buffer: usize,
    /// Whether small writes are sent at once (`TCP_NODELAY`). TCP only.
    pub nodelay: bool,
    /// How many connections the kernel queues until they are accepted.
    pub backlog: u32,
    /// Whether the connection stays open for writing when the peer sends no more. OTP:
    /// `{exit_on_close, false}`.
    pub half_open: bool,
}

impl Options {
    /// The defaults of absent members.
    pub const USUAL: Self =
        Self { framing: Framing::Raw, buffer: 64 * 1024, nodelay: true, backlog: 1024, half_open: false };
}

impl Default for Options {
    fn default() -> Self {
        Self::USUAL
    }
}

/// The result of a request: sent as a message with [`How::Tell`], or part of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A client connected. The process that made the request owns the connection.
    Accepted {
        /// The listener.
        listener: PortId,
        /// The new connection.
        connection: PortId,
        /// The client's address.
        peer: String,
    },
    /// The connection is open.
    Connected {
        /// The connection.
        connection: PortId,
    },
    /// Data was received.
    Data {
        /// The connection.
        connection: PortId,
        /// The data, split as the framing of the port demands.
        bytes: ByteBuf,
    },
    /// The queue has room.
    Writable {
        /// The connection.
        connection: PortId,
    },
    /// No more data or connections follow: the peer is gone, the connection failed, or the port was
    /// closed.
    Closed {
        /// The port.
        port: PortId,
        /// The cause.
        error: Error,
    },
}

/// Both ends of a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The local address.
    pub local: String,
    /// The address of the peer; nil for a listener.
    pub peer: Option<String>,
}

/// Why a request to a port was refused, or why a port was closed.
pub type Error = Refusal<Reason>;

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The port is closed, or the peer is gone.
    Closed,
    /// The send queue is full.
    Busy,
    /// Only the owner may do this.
    NotOwner,
    /// The new owner has ended.
    NoProcess,
    /// The request is for a connection and the port is a listener, or the other way round.
    WrongKind,
    /// A line or packet is longer than allowed.
    TooLong,
    /// Another program, or another port, has the address.
    AddressInUse,
    /// The address cannot be read, or does not exist here.
    BadAddress,
    /// The daemon may not do this.
    PermissionDenied,
    /// Nothing listens at the address.
    ConnectionRefused,
    /// The time ran out.
    TimedOut,
    /// The request could not be understood.
    BadRequest,
    /// Any other error of the operating system. A library reads an unknown word of a newer daemon
    /// as this.
    #[serde(other)]
    Io,
}
