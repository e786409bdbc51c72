//! The messages between a process and its ports: requests, answers, events.

use std::time::Duration;

use reld_wire::Reply;
use reld_wire::port::{self as wire, Addresses, Framing, How, PortId};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

use crate::codec::{self, Undecodable, read};
use crate::exit::Exit;
use crate::host::{self, Closed, Refused, RequestKind};
use crate::names::Pid;
use crate::time::{INFINITY, milliseconds};
use crate::wait::Wait;

/// A socket that clients connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Listener(pub(super) u64);

/// A connected socket, or one that is connecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Connection(pub(super) u64);

/// The result of a request. It arrives as [`Info::Port`](crate::Info::Port).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A client has connected, after [`Listener::request_accept`]. Each request gets one event.
    Accepted {
        /// The listener.
        listener: Listener,
        /// The new connection. The process is its owner.
        connection: Connection,
        /// The client's address.
        peer: String,
    },
    /// The connection is open, after [`Options::request_connect`]. If connecting fails, `Closed`
    /// comes instead.
    Connected {
        /// The connection.
        connection: Connection,
    },
    /// Input has arrived, after [`Connection::request_read`]: a line with its newline, a packet, or
    /// some bytes. Each request gets one event.
    Data {
        /// The connection.
        connection: Connection,
        /// The bytes.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// The connection takes more bytes, after [`Connection::request_writable`].
    Writable {
        /// The connection.
        connection: Connection,
    },
    /// Comes instead of any other event. Either the peer is gone and all its bytes were read, or
    /// the connection failed, or another process closed the port. You need not call
    /// [`Connection::close`], unless the connection is [half open](Options::half_open).
    Closed {
        /// The number of the listener or connection; see [`Connection::is`].
        port: u64,
        /// The reason.
        error: Error,
    },
}

impl From<wire::Event> for Event {
    fn from(event: wire::Event) -> Self {
        let connection = |PortId(number)| Connection(number);
        match event {
            wire::Event::Accepted { listener: PortId(listener), connection: of, peer } => {
                Self::Accepted { listener: Listener(listener), connection: connection(of), peer }
            }
            wire::Event::Connected { connection: of } => Self::Connected { connection: connection(of) },
            wire::Event::Data { connection: of, bytes } => {
                Self::Data { connection: connection(of), bytes: bytes.into_vec() }
            }
            wire::Event::Writable { connection: of } => Self::Writable { connection: connection(of) },
            wire::Event::Closed { port: PortId(port), error } => Self::Closed { port, error: error.into() },
        }
    }
}

/// The error of a failed request to a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    pub(super) reason: Reason,
    text: String,
}

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The port does not exist any more, or the peer is gone. OTP: `closed`.
    Closed,
    /// The maximum number of bytes is already waiting to be sent.
    Busy,
    /// Only the owner may make this request.
    NotOwner,
    /// The new owner has ended.
    NoProcess,
    /// A line or packet is longer than allowed. OTP: `emsgsize`.
    TooLong,
    /// Another program, or another process of this node, listens at this address. OTP:
    /// `eaddrinuse`.
    AddressInUse,
    /// The address cannot be parsed, or does not belong to this machine.
    BadAddress,
    /// The daemon lacks the permission.
    PermissionDenied,
    /// No program listens at this address. OTP: `econnrefused`.
    ConnectionRefused,
    /// The time-out expired.
    TimedOut,
    /// The function was not called inside a callback.
    Refused,
    /// Any other error; see the text.
    #[serde(other)]
    Io,
}

impl Error {
    /// Returns the kind of the error.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    fn new(reason: Reason, text: impl ToString) -> Self {
        Self { reason, text: text.to_string() }
    }
}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        Self { reason: error.reason.into(), text: error.text }
    }
}

impl From<wire::Reason> for Reason {
    fn from(reason: wire::Reason) -> Self {
        match reason {
            wire::Reason::Closed => Self::Closed,
            wire::Reason::Busy => Self::Busy,
            wire::Reason::NotOwner => Self::NotOwner,
            wire::Reason::NoProcess => Self::NoProcess,
            wire::Reason::TooLong => Self::TooLong,
            wire::Reason::AddressInUse => Self::AddressInUse,
            wire::Reason::BadAddress => Self::BadAddress,
            wire::Reason::PermissionDenied => Self::PermissionDenied,
            wire::Reason::ConnectionRefused => Self::ConnectionRefused,
            wire::Reason::TimedOut => Self::TimedOut,
            wire::Reason::WrongKind | wire::Reason::BadRequest | wire::Reason::Io => Self::Io,
        }
    }
}

impl From<Error> for Exit {
    fn from(error: Error) -> Self {
        Self::error(error)
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::new(Reason::Refused, refused)
    }
}

impl From<Undecodable> for Error {
    fn from(error: Undecodable) -> Self {
        Self::new(Reason::Io, error)
    }
}

/// The options of a port, and the functions that open one.
///
/// Accepted connections get the options of their listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    of_port: wire::Options,
    supervisor: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// Returns the default options: raw bytes, a buffer of 64 KiB in each direction, small writes
    /// sent at once, and a backlog of 1024.
    pub const fn new() -> Self {
        Self { of_port: wire::Options::USUAL, supervisor: false }
    }

    /// Reads line by line. Each line includes its newline; the last one may lack it. A line longer
    /// than `max` bytes closes the connection with [`Reason::TooLong`]. OTP: `{packet, line}`,
    /// which splits such a line.
    #[must_use]
    pub const fn line(mut self, max: usize) -> Self {
        self.of_port.framing = Framing::Line(max);
        self
    }

    /// Reads and writes packets. Before each packet comes its length in 1, 2 or 4 bytes, big
    /// endian. OTP: `{packet, N}`.
    #[must_use]
    pub const fn packet(mut self, length_bytes: u8) -> Self {
        self.of_port.framing = Framing::Packet(length_bytes);
        self
    }

    /// Sets the number of bytes that can wait in the node, in each direction. No line or packet can
    /// be longer.
    #[must_use]
    pub const fn buffer(mut self, bytes: usize) -> Self {
        self.of_port.buffer = bytes;
        self
    }

    /// Lets the kernel gather small writes. For TCP only. OTP: `{nodelay, false}`, its default.
    #[must_use]
    pub const fn delay(mut self) -> Self {
        self.of_port.nodelay = false;
        self
    }

    /// Sets the number of clients that can wait in the kernel to be accepted.
    #[must_use]
    pub const fn backlog(mut self, clients: u32) -> Self {
        self.of_port.backlog = clients;
        self
    }

    /// Keeps the connection open for writing after the peer has finished sending. Then you have to
    /// close the connection yourself. OTP: `{exit_on_close, false}`.
    #[must_use]
    pub const fn half_open(mut self) -> Self {
        self.of_port.half_open = true;
        self
    }

    /// Makes the supervisor of the process the owner of the listener. So the listener stays open
    /// while the process is restarted, and the next `listen` at the same address returns it again.
    /// OTP has no counterpart.
    #[must_use]
    pub const fn supervisor(mut self) -> Self {
        self.supervisor = true;
        self
    }

    /// Listens at `"127.0.0.1:80"`, `"[::1]:80"`, `"unix:/run/x.sock"` or `"systemd:web"`. With
    /// port 0 the system chooses a port; see [`Listener::address`]. A stale Unix socket is
    /// replaced. OTP: `gen_tcp:listen/2`. `[callback]`
    ///
    /// `systemd:` is followed by the name of a socket that systemd opened for the node
    /// (`FileDescriptorName=` of a socket unit), for example at a port below 1024. It stays open
    /// when the listener is closed and while the node restarts, so clients wait and none is
    /// refused.
    ///
    /// # Errors
    /// [`Reason::AddressInUse`], [`Reason::BadAddress`], [`Reason::PermissionDenied`].
    pub fn listen(self, address: &str) -> Result<Listener, Error> {
        let supervisor = self.supervisor;
        now(&Request::Listen { address: address.to_owned(), options: self.of_port, supervisor })
    }

    /// Connects to a name or an address, and waits for the connection. Dropping the future gives
    /// the attempt up. OTP: `gen_tcp:connect/4`. `[callback]`
    ///
    /// # Errors
    /// [`Reason::ConnectionRefused`], [`Reason::TimedOut`], [`Reason::BadAddress`].
    pub async fn connect(self, address: &str, timeout: Duration) -> Result<Connection, Error> {
        let connection: Connection =
            now(&Request::Connect { address: address.to_owned(), options: self.of_port, how: How::Now })?;
        let attempt = Attempt(Some(connection));
        later(|| Request::Writable { port: connection.id(), how: How::Wait }, timeout).await?;
        attempt.succeeded();
        Ok(connection)
    }

    /// Begins to connect. The result arrives as [`Event::Connected`] or [`Event::Closed`].
    /// `[callback]`
    ///
    /// # Errors
    /// The function was not called inside a callback.
    pub fn request_connect(self, address: &str) -> Result<Connection, Error> {
        now(&Request::Connect { address: address.to_owned(), options: self.of_port, how: How::Tell })
    }
}

/// A connection that was not returned yet. It is closed if the attempt is given up.
struct Attempt(Option<Connection>);

impl Attempt {
    fn succeeded(mut self) {
        self.0 = None;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(connection) = self.0 {
            // The request is refused if the process is being killed; its ports are closed anyway
            // then.
            let _ = connection.close();
        }
    }
}

pub(super) type Request<'a> = wire::Request<&'a Bytes>;

pub(super) fn addresses(port: PortId) -> Result<Addresses, Error> {
    now(&Request::Address { port })
}

pub(super) fn open(request: &Request<'_>, timeout: Duration) -> Result<u64, Error> {
    let body = codec::body(request)?;
    Ok(host::ask(|host| host.call(RequestKind::Port, Pid::NONE, body, milliseconds(timeout)))??)
}

/// Sends a request that is answered at once.
pub(super) fn now<T: DeserializeOwned>(request: &Request<'_>) -> Result<T, Error> {
    let reference = open(request, INFINITY)?;
    match host::ask(|host| host.take(reference))?? {
        Some(closed) => answer(closed),
        None => {
            let _ = host::ask(|host| host.forget(reference));
            Err(Error::new(Reason::Io, "the daemon did not answer at once"))
        }
    }
}

/// Sends a request, waits, and sends it again until there is a result.
pub(super) async fn later<'a>(request: impl Fn() -> Request<'a>, timeout: Duration) -> Result<Event, Error> {
    let deadline = std::time::Instant::now().checked_add(timeout);
    loop {
        let left = deadline.map_or(INFINITY, |at| at.saturating_duration_since(std::time::Instant::now()));
        let event: Option<wire::Event> = answer(Wait::new(open(&request(), left)?).await?)?;
        if let Some(event) = event {
            return Ok(event.into());
        }
    }
}

pub(super) fn answer<T: DeserializeOwned>(closed: Closed) -> Result<T, Error> {
    match closed {
        Closed::Reply(reply) => {
            let reply: Reply<T, wire::Error> = read("answer of a port", &reply)?;
            Result::from(reply).map_err(Error::from)
        }
        Closed::Timeout => Err(Error::new(Reason::TimedOut, "the time ran out")),
        Closed::Exit(exit) => Err(Error::new(Reason::Closed, exit)),
    }
}

pub(super) fn unexpected(event: &Event) -> Error {
    Error::new(Reason::Io, format!("the daemon answered {event:?}"))
}
