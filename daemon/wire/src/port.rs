//! Requests to ports, their answers and their events. Since ABI 1.2.
//!
//! The daemon skips unknown members of a request.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::pid::Pid;
use crate::reply::Refusal;

/// A socket of the node: a listener or a connection. It is plain data, so a state may keep it
/// across an upgrade. The node never reuses an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PortId(pub u64);

/// A request of a process to a port. `B` is the type of the bytes, so that a writer can borrow
/// them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request<B = ByteBuf> {
    /// Opens a listener. The answer is the [`PortId`] of the listener.
    Listen {
        /// The address to listen at.
        address: String,
        /// The options of the port. May be absent.
        #[serde(default)]
        options: Options,
        /// If true, the owner is the supervisor of the requesting process. If that supervisor
        /// already owns a listener at this address, the answer is that listener. May be absent.
        #[serde(default)]
        supervisor: bool,
    },
    /// Begins to connect. The answer is a [`PortId`], before the connection is open. With
    /// [`How::Tell`] the outcome follows as a message.
    Connect {
        /// The address to connect to.
        address: String,
        /// The options of the port. May be absent.
        #[serde(default)]
        options: Options,
        /// Whether a message with the outcome follows. May be absent.
        #[serde(default)]
        how: How,
    },
    /// Takes a connection from a listener. The answer is [`Event::Accepted`] or nil.
    Accept {
        /// The listener.
        port: PortId,
        /// The kind of answer while there is no connection.
        how: How,
    },
    /// Takes received data: one line, one packet, or all bytes. The answer is [`Event::Data`] or
    /// nil.
    Read {
        /// The connection.
        port: PortId,
        /// The kind of answer while there is no data.
        how: How,
    },
    /// Queues bytes to be sent. The request is refused with [`Reason::Busy`] while the queue is
    /// full.
    Write {
        /// The connection.
        port: PortId,
        /// The bytes to send.
        bytes: B,
    },
    /// Waits until the connection is open and its queue has room. The answer is [`Event::Writable`]
    /// or nil.
    Writable {
        /// The connection.
        port: PortId,
        /// The kind of answer until then.
        how: How,
    },
    /// Closes a port. Queued bytes are still sent.
    Close {
        /// The port.
        port: PortId,
    },
    /// Makes another process the owner of a port. OTP: `controlling_process/2`.
    Give {
        /// The port.
        port: PortId,
        /// The new owner.
        to: Pid,
    },
    /// Gets the addresses of both ends. The answer is [`Addresses`].
    Address {
        /// The port.
        port: PortId,
    },
}

/// The kind of answer to a request that has no result yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The answer is nil, at once.
    #[default]
    Now,
    /// The answer is nil. It comes when the request can succeed if it is repeated.
    Wait,
    /// The answer is nil, at once. An [`Event`] is sent when there is a result.
    Tell,
}

/// The way in which received bytes are split into messages. OTP: the option `packet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// Bytes are not split.
    #[default]
    Raw,
    /// Bytes are split after each newline, which is part of the line. The number is the maximum
    /// length of a line in bytes.
    Line(usize),
    /// Each packet begins with its length as a big-endian number. The argument is the size of that
    /// number: 1, 2 or 4 bytes.
    Packet(u8),
}

/// The options of a port. Each member may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// The way in which received bytes are split into messages.
    pub framing: Framing,
    /// The number of bytes that the node buffers in each direction. When a buffer is full, the peer
    /// or the writing process has to wait.
    pub buffer: usize,
    /// Whether small writes are sent at once (`TCP_NODELAY`). TCP only.
    pub nodelay: bool,
    /// The number of connections that the kernel queues until they are accepted.
    pub backlog: u32,
    /// Whether the connection stays open for writing after the peer has closed its sending side.
    /// OTP: `{exit_on_close, false}`.
    pub half_open: bool,
}

impl Options {
    /// The values of absent members.
    pub const USUAL: Self =
        Self { framing: Framing::Raw, buffer: 64 * 1024, nodelay: true, backlog: 1024, half_open: false };
}

impl Default for Options {
    fn default() -> Self {
        Self::USUAL
    }
}

/// The result of a request. It is part of the answer, or, with [`How::Tell`], a message.
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
        /// The data, split according to the port's [`Framing`].
        bytes: ByteBuf,
    },
    /// The queue has room.
    Writable {
        /// The connection.
        connection: PortId,
    },
    /// No more data or connections will follow, because the peer is gone, the connection failed, or
    /// the port was closed.
    Closed {
        /// The port.
        port: PortId,
        /// The reason why the port is closed.
        error: Error,
    },
}

/// The addresses of both ends of a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The local address.
    pub local: String,
    /// The address of the peer, or nil for a listener.
    pub peer: Option<String>,
}

/// The reason why a request to a port was refused, or why a port was closed.
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
    /// The request needs a connection and the port is a listener, or the other way round.
    WrongKind,
    /// A line or packet is longer than the maximum.
    TooLong,
    /// The address is used by another program or another port.
    AddressInUse,
    /// The address cannot be parsed, or does not exist on this machine.
    BadAddress,
    /// The operating system denies the daemon this action.
    PermissionDenied,
    /// Nothing listens at the address.
    ConnectionRefused,
    /// The operating system's time limit has expired.
    TimedOut,
    /// The request could not be decoded.
    BadRequest,
    /// Any other error of the operating system. A library also reads an unknown word of a newer
    /// daemon as this one.
    #[serde(other)]
    Io,
}
