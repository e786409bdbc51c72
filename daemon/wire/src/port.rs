//! Requests to ports, their answers, and what a process is told of them. Since ABI 1.2.
//!
//! The daemon skips members of a request that it does not know.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::pid::Pid;
use crate::reply::Refusal;

/// A socket of the node: a listener or a connection. Plain data: a state may keep it over an upgrade. Never used twice
/// in a node's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PortId(pub u64);

/// What a process can ask of a port. `B` is bytes, which may be borrowed where they are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request<B = ByteBuf> {
    /// Opens a listener; answered with its [`PortId`].
    Listen {
        /// Where.
        address: String,
        /// May be absent.
        #[serde(default)]
        options: Options,
        /// The supervisor of the asker shall own it. Where that has one of this address already, it is that one. May be
        /// absent.
        #[serde(default)]
        supervisor: bool,
    },
    /// Begins to connect; answered with a [`PortId`] at once. [`How::Tell`] for the outcome as a message.
    Connect {
        /// To where.
        address: String,
        /// May be absent.
        #[serde(default)]
        options: Options,
        /// May be absent.
        #[serde(default)]
        how: How,
    },
    /// Takes a connection from a listener. Answered with [`Event::Accepted`] or nil.
    Accept {
        /// The listener.
        port: PortId,
        /// What to do while there is none.
        how: How,
    },
    /// Takes what has come in: one line, one packet, or all there is. Answered with [`Event::Data`] or nil.
    Read {
        /// The connection.
        port: PortId,
        /// What to do while there is nothing.
        how: How,
    },
    /// Queues bytes; [`Reason::Busy`] while the queue is full.
    Write {
        /// The connection.
        port: PortId,
        /// What is sent.
        bytes: B,
    },
    /// Waits until the connection is there and its queue takes more. Answered with [`Event::Writable`] or nil.
    Writable {
        /// The connection.
        port: PortId,
        /// What to do while it does not.
        how: How,
    },
    /// Closes a port; what was written before is still sent.
    Close {
        /// Which.
        port: PortId,
    },
    /// Makes another process the owner. OTP: `controlling_process/2`.
    Give {
        /// Which.
        port: PortId,
        /// The new owner.
        to: Pid,
    },
    /// Answered with [`Addresses`].
    Address {
        /// Of which.
        port: PortId,
    },
}

/// What to do when there is nothing to give yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
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

/// How a port behaves. Each member may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
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

impl Options {
    /// What an absent member is.
    pub const USUAL: Self =
        Self { framing: Framing::Raw, buffer: 64 * 1024, nodelay: true, backlog: 1024, half_open: false };
}

impl Default for Options {
    fn default() -> Self {
        Self::USUAL
    }
}

/// What became of a request that was to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A client connected; the process that asked owns the connection.
    Accepted {
        /// Where.
        listener: PortId,
        /// Its connection.
        connection: PortId,
        /// The client's address.
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
        error: Error,
    },
}

/// Both ends of a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// This end.
    pub local: String,
    /// The other end; nil for a listener.
    pub peer: Option<String>,
}

/// Why a port did not do what it was asked for.
pub type Error = Refusal<Reason>;

/// The kinds of [`Error`].
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
    /// Anything else that the operating system says. A word of a newer daemon is read as this.
    #[serde(other)]
    Io,
}
