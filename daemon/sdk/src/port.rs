//! Sockets: TCP and Unix, listeners and connections. OTP: `gen_tcp`.
//!
//! All sockets belong to the node. An app holds [`Listener`] and [`Connection`]: numbers, which a state may keep over an
//! upgrade. Nothing is lost meanwhile: clients that connect wait in the kernel's queue, and what they send waits in the
//! node until somebody reads it.
//!
//! Every wait exists in two forms. **Told**: [`Listener::request_accept`], [`Connection::request_read`] and the like
//! return at once, and the result arrives as [`Info::Port`](crate::Info::Port). A process that waits so is idle, takes
//! other messages meanwhile, and never holds up an upgrade: this is the form for a server. **Awaited**:
//! [`Listener::accept`], [`Connection::read`] and the like park the callback, and with it the process, until there is
//! something. That is handy in tasks and for a short exchange; an upgrade has to wait for such a callback, and is refused
//! when it does not come back in time.
//!
//! A server that answers each line with its number. One process serves one client; what it holds is its state:
//!
//! ```
//! use reld_sdk::port::{self, Connection, Listener};
//! use reld_sdk::{Exit, From, GenServer, Info, Next, NotStarted, log, spawn};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Door {
//!     listener: Listener,
//! }
//!
//! impl GenServer for Door {
//!     type Args = String;
//!     type Call = ();
//!     type Reply = ();
//!     type Cast = ();
//!     type Message = ();
//!
//!     async fn init(address: String) -> Result<Self, NotStarted> {
//!         // The supervisor's: a door that is restarted finds it open.
//!         let listener = port::Options::new().line(1024).supervisor().listen(&address)?;
//!         listener.request_accept()?;
//!         Ok(Self { listener })
//!     }
//!
//!     async fn handle_info(&mut self, info: Info<()>) -> Next {
//!         let Info::Port(port::Event::Accepted { connection, .. }) = info else { return Next::Continue };
//!         if let Err(exit) = let_in(connection).await {
//!             // A client that has left already is no reason to close the door.
//!             log::info!("a client is turned away: {exit}");
//!             let _ = connection.close();
//!         }
//!         self.listener.request_accept().map_or_else(|error| Next::Stop(error.into()), |()| Next::Continue)
//!     }
//! }
//!
//! async fn let_in(connection: Connection) -> Result<(), Exit> {
//!     // A simple_one_for_one supervisor would be asked by start_child_of.
//!     let session = spawn("session", &connection).await?;
//!     // A session that ends takes its connection with it.
//!     Ok(connection.controlling_process(session)?)
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Session {
//!     connection: Connection,
//!     lines: u64,
//! }
//!
//! impl GenServer for Session {
//!     type Args = Connection;
//!     type Call = ();
//!     type Reply = ();
//!     type Cast = ();
//!     type Message = ();
//!
//!     async fn init(connection: Connection) -> Result<Self, NotStarted> {
//!         connection.request_read()?;
//!         Ok(Self { connection, lines: 0 })
//!     }
//!
//!     async fn handle_info(&mut self, info: Info<()>) -> Next {
//!         match info {
//!             Info::Port(port::Event::Data { bytes, .. }) => {
//!                 self.lines += 1;
//!                 let line = [format!("{} ", self.lines).as_bytes(), &bytes].concat();
//!                 // Waits while the client does not read: it gets no further line meanwhile.
//!                 let answered = self.connection.write(&line).await;
//!                 match answered.and_then(|()| self.connection.request_read()) {
//!                     Ok(()) => Next::Continue,
//!                     Err(error) => Next::Stop(error.into()),
//!                 }
//!             }
//!             Info::Port(port::Event::Closed { .. }) => Next::Stop(Exit::Normal),
//!             _ => Next::Continue,
//!         }
//!     }
//! }
//! ```
//!
//! The [harness](crate::harness) tells such a process what came in, and shows what it wrote:
//!
//! ```
//! # use reld_sdk::port::{self, Connection};
//! # use reld_sdk::{Exit, GenServer, Info, Next, NotStarted};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Serialize, Deserialize)]
//! # struct Session { connection: Connection }
//! # impl GenServer for Session {
//! #     type Args = Connection; type Call = (); type Reply = (); type Cast = (); type Message = ();
//! #     async fn init(connection: Connection) -> Result<Self, NotStarted> {
//! #         connection.request_read()?;
//! #         Ok(Self { connection })
//! #     }
//! #     async fn handle_info(&mut self, info: Info<()>) -> Next {
//! #         if let Info::Port(port::Event::Data { bytes, .. }) = info {
//! #             self.connection.write(&[b"1 ", bytes.as_slice()].concat()).await.unwrap();
//! #         }
//! #         Next::Continue
//! #     }
//! # }
//! use reld_sdk::harness::{Node, connection};
//!
//! let mut session = Node::new().start::<Session>(&connection(7))?;
//! session.port(port::Event::Data { connection: connection(7), bytes: b"hi\n".to_vec() })?;
//! assert_eq!(session.written(connection(7)), b"1 hi\n");
//! # Ok::<(), NotStarted>(())
//! ```
//!
//! # Who owns what
//!
//! The process that listens or connects owns the port, and who accepts a connection owns that. When the owner ends, the
//! port is closed, after what was written has been sent; dropping a handle does nothing. Any process may read, write and
//! close; [`Connection::controlling_process`] makes another one the owner.
//!
//! # How often an acceptor may end
//!
//! A client that connects and leaves at once fails whatever is done with its connection next. An acceptor that ends of
//! that uses up the restart intensity of its supervisor with a handful of clients, and an app of type `permanent` takes
//! the node down. So an acceptor ends only where its *listener* fails, and an intensity of a few in some seconds fits it.
//! Sessions are children of type `temporary`: their ends count for nothing.
//!
//! # Backpressure
//!
//! In each direction [`Options::buffer`] bytes wait in the node. A process that does not read stops its peer. For one
//! that writes faster than its peer reads, [`Connection::send`] answers [`Reason::Busy`] and [`Connection::write`] waits.

use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::behaviour::read;
use crate::codec::{self, Undecodable};
use crate::exit::Exit;
use crate::host::{self, Closed, Refused, RequestKind};
use crate::names::Pid;
use crate::time::{INFINITY, milliseconds};
use crate::wait::Wait;

/// A socket that clients connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Listener(u64);

/// A socket that is connected, or about to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Connection(u64);

/// What became of a request to be told: arrives as [`Info::Port`](crate::Info::Port).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// After [`Listener::request_accept`]: a client has connected. One event for each request.
    Accepted {
        /// Where.
        listener: Listener,
        /// Its connection, which the process owns now.
        connection: Connection,
        /// The client's address.
        peer: String,
    },
    /// After [`Options::request_connect`]: the connection is there. If it fails, `Closed` comes instead.
    Connected {
        /// Which.
        connection: Connection,
    },
    /// After [`Connection::request_read`]: a line with its newline, a packet, or some bytes. One event for each request.
    Data {
        /// Where.
        connection: Connection,
        /// What.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// After [`Connection::request_writable`].
    Writable {
        /// Which.
        connection: Connection,
    },
    /// Instead of any other: the peer is gone and everything it sent was read, the connection failed, or another process
    /// closed the port. It needs no [`Connection::close`] any more, unless it is [half open](Options::half_open).
    Closed {
        /// The number of the listener or connection; see [`Connection::is`].
        port: u64,
        /// Why.
        error: Error,
    },
}

/// Why a port did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    reason: Reason,
    text: String,
}

/// The kinds of [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// There is no such port any more, or the peer is gone. OTP: `closed`.
    Closed,
    /// As much as allowed waits to be sent.
    Busy,
    /// Only the owner may do this.
    NotOwner,
    /// The process that is to be the owner has ended.
    NoProcess,
    /// A line or packet is longer than allowed. OTP: `emsgsize`.
    TooLong,
    /// Another program, or another process of this node, listens there. OTP: `eaddrinuse`.
    AddressInUse,
    /// The address cannot be read, or is not one of this machine.
    BadAddress,
    /// The daemon may not do this.
    PermissionDenied,
    /// Nobody listens there. OTP: `econnrefused`.
    ConnectionRefused,
    /// The time ran out.
    TimedOut,
    /// Not inside a callback.
    Refused,
    /// Anything else; the text says what.
    #[serde(other)]
    Io,
}

impl Error {
    /// Returns the kind.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    fn new(reason: Reason, text: impl ToString) -> Self {
        Self { reason, text: text.to_string() }
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

/// How a port behaves, and the ways to open one.
///
/// What a listener is opened with holds for the connections that it accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Options {
    framing: Framing,
    buffer: usize,
    nodelay: bool,
    backlog: u32,
    half_open: bool,
    #[serde(skip)]
    supervisor: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Framing {
    Raw,
    Line(usize),
    Packet(u8),
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// Bytes as they come, 64 KiB of buffer in each direction, small writes sent at once, a backlog of 1024.
    pub const fn new() -> Self {
        Self {
            framing: Framing::Raw,
            buffer: 64 * 1024,
            nodelay: true,
            backlog: 1024,
            half_open: false,
            supervisor: false,
        }
    }

    /// Reads line by line, each with its newline; the last one may lack it. One that is longer than `max` bytes closes
    /// the connection with [`Reason::TooLong`]. OTP: `{packet, line}`, which cuts such a line.
    #[must_use]
    pub const fn line(mut self, max: usize) -> Self {
        self.framing = Framing::Line(max);
        self
    }

    /// Reads and writes packets, each behind its length in 1, 2 or 4 bytes, big endian. OTP: `{packet, N}`.
    #[must_use]
    pub const fn packet(mut self, length_bytes: u8) -> Self {
        self.framing = Framing::Packet(length_bytes);
        self
    }

    /// Sets how many bytes wait in the node, in each direction; no line or packet can be longer.
    #[must_use]
    pub const fn buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes;
        self
    }

    /// Lets the kernel gather small writes. TCP only. OTP: `{nodelay, false}`, its default.
    #[must_use]
    pub const fn delay(mut self) -> Self {
        self.nodelay = false;
        self
    }

    /// Sets how many clients wait in the kernel to be accepted.
    #[must_use]
    pub const fn backlog(mut self, clients: u32) -> Self {
        self.backlog = clients;
        self
    }

    /// Keeps the connection open for writing when the peer sends no more: it has to be closed then. OTP:
    /// `{exit_on_close, false}`.
    #[must_use]
    pub const fn half_open(mut self) -> Self {
        self.half_open = true;
        self
    }

    /// Gives the listener to the supervisor of the process: it stays open while the process is restarted, whose `listen`
    /// at the same address returns it again. OTP has no such thing.
    #[must_use]
    pub const fn supervisor(mut self) -> Self {
        self.supervisor = true;
        self
    }

    /// Listens at `"127.0.0.1:80"`, `"[::1]:80"` or `"unix:/run/x.sock"`. The port 0 lets the system choose;
    /// [`Listener::address`] tells. A Unix socket that nobody listens at is replaced. OTP: `gen_tcp:listen/2`.
    /// `[callback]`
    ///
    /// # Errors
    /// [`Reason::AddressInUse`], [`Reason::BadAddress`], [`Reason::PermissionDenied`].
    pub fn listen(self, address: &str) -> Result<Listener, Error> {
        let supervisor = self.supervisor;
        now(&Request::Listen { address, options: self, supervisor })
    }

    /// Connects, by name or address, and waits for it. Dropping the future gives it up. OTP: `gen_tcp:connect/4`.
    /// `[callback]`
    ///
    /// # Errors
    /// [`Reason::ConnectionRefused`], [`Reason::TimedOut`], [`Reason::BadAddress`].
    pub async fn connect(self, address: &str, timeout: Duration) -> Result<Connection, Error> {
        let connection: Connection = now(&Request::Connect { address, options: self, how: How::Now })?;
        let attempt = Attempt(Some(connection));
        later(|| Request::Writable { port: connection.0, how: How::Wait }, timeout).await?;
        attempt.succeeded();
        Ok(connection)
    }

    /// Begins to connect; [`Event::Connected`] or [`Event::Closed`] tells how it ended. `[callback]`
    ///
    /// # Errors
    /// Not inside a callback.
    pub fn request_connect(self, address: &str) -> Result<Connection, Error> {
        now(&Request::Connect { address, options: self, how: How::Tell })
    }
}

/// A connection that nobody knows yet: closed when the attempt is given up.
struct Attempt(Option<Connection>);

impl Attempt {
    fn succeeded(mut self) {
        self.0 = None;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(connection) = self.0 {
            // Refused when the process is being killed: its ports go with it.
            let _ = connection.close();
        }
    }
}

/// Listens with the usual options. See [`Options::listen`]. `[callback]`
///
/// # Errors
/// As [`Options::listen`].
pub fn listen(address: &str) -> Result<Listener, Error> {
    Options::new().listen(address)
}

/// Connects with the usual options. See [`Options::connect`]. `[callback]`
///
/// # Errors
/// As [`Options::connect`].
pub async fn connect(address: &str, timeout: Duration) -> Result<Connection, Error> {
    Options::new().connect(address, timeout).await
}

impl Listener {
    /// Asks for one client; [`Event::Accepted`] tells of it. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`].
    pub fn request_accept(self) -> Result<(), Error> {
        now(&Request::Accept { port: self.0, how: How::Tell })
    }

    /// Waits for a client. An upgrade waits for the callback; prefer [`Listener::request_accept`]. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`], [`Reason::TimedOut`].
    pub async fn accept(self, timeout: Duration) -> Result<Connection, Error> {
        match later(|| Request::Accept { port: self.0, how: How::Wait }, timeout).await? {
            Event::Accepted { connection, .. } => Ok(connection),
            other => Err(unexpected(&other)),
        }
    }

    /// Returns where it listens. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`].
    pub fn address(self) -> Result<String, Error> {
        Ok(addresses(self.0)?.local)
    }

    /// Makes another process the owner. Only the owner may. `[callback]`
    ///
    /// # Errors
    /// [`Reason::NotOwner`], [`Reason::NoProcess`], [`Reason::Closed`].
    pub fn controlling_process(self, to: Pid) -> Result<(), Error> {
        now(&Request::Give { port: self.0, to })
    }

    /// Stops listening. Clients that nobody has accepted are turned away. `[callback]`
    ///
    /// # Errors
    /// Not inside a callback; that it is closed already is none.
    pub fn close(self) -> Result<(), Error> {
        now(&Request::Close { port: self.0 })
    }
}

impl Connection {
    pub(crate) fn of(number: u64) -> Self {
        Self(number)
    }

    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// Asks for the next line, packet or bytes; [`Event::Data`] or [`Event::Closed`] brings it. OTP: `{active, once}`.
    /// `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`] once the end was told.
    pub fn request_read(self) -> Result<(), Error> {
        now(&Request::Read { port: self.0, how: How::Tell })
    }

    /// Waits for the next line, packet or bytes. An upgrade waits for the callback; prefer
    /// [`Connection::request_read`]. OTP: `gen_tcp:recv/3`. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`] at the end, [`Reason::TooLong`], [`Reason::TimedOut`]; after the last, nothing is lost.
    pub async fn read(self, timeout: Duration) -> Result<Vec<u8>, Error> {
        match later(|| Request::Read { port: self.0, how: How::Wait }, timeout).await? {
            Event::Data { bytes, .. } => Ok(bytes),
            other => Err(unexpected(&other)),
        }
    }

    /// Hands bytes to the node, which sends them, in order, even if the process ends. A write is never cut. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Busy`] while the peer does not read: nothing was taken. [`Reason::Closed`].
    pub fn send(self, bytes: &[u8]) -> Result<(), Error> {
        now(&Request::Write { port: self.0, bytes })
    }

    /// As [`Connection::send`], but waits while the peer does not read. OTP: `gen_tcp:send/2`. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`].
    pub async fn write(self, bytes: &[u8]) -> Result<(), Error> {
        loop {
            match self.send(bytes) {
                Err(error) if error.reason == Reason::Busy => self.writable(INFINITY).await?,
                sent => return sent,
            }
        }
    }

    /// Waits until [`Connection::send`] takes more. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`], [`Reason::TimedOut`].
    pub async fn writable(self, timeout: Duration) -> Result<(), Error> {
        later(|| Request::Writable { port: self.0, how: How::Wait }, timeout).await.map(|_| ())
    }

    /// Asks to be told by [`Event::Writable`] when [`Connection::send`] takes more. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`].
    pub fn request_writable(self) -> Result<(), Error> {
        now(&Request::Writable { port: self.0, how: How::Tell })
    }

    /// Says whether an [`Event::Closed`] is about this connection.
    pub fn is(self, port: u64) -> bool {
        self.0 == port
    }

    /// Returns the address of the other end. OTP: `inet:peername/1`. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`], also while it is not connected yet.
    pub fn peer(self) -> Result<String, Error> {
        Ok(addresses(self.0)?.peer.unwrap_or_default())
    }

    /// Returns the address of this end. OTP: `inet:sockname/1`. `[callback]`
    ///
    /// # Errors
    /// As [`Connection::peer`].
    pub fn local(self) -> Result<String, Error> {
        Ok(addresses(self.0)?.local)
    }

    /// Makes another process the owner. Only the owner may. OTP: `gen_tcp:controlling_process/2`, without its moving of
    /// messages: what was requested arrives where it was requested. `[callback]`
    ///
    /// # Errors
    /// [`Reason::NotOwner`], [`Reason::NoProcess`], [`Reason::Closed`].
    pub fn controlling_process(self, to: Pid) -> Result<(), Error> {
        now(&Request::Give { port: self.0, to })
    }

    /// Closes it; what was written before is still sent, for five seconds at most. `[callback]`
    ///
    /// # Errors
    /// Not inside a callback; that it is closed already is none.
    pub fn close(self) -> Result<(), Error> {
        now(&Request::Close { port: self.0 })
    }
}

/// The wire; `daemon/runtime/src/io/port/wire.rs` reads it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Request<'a> {
    Listen {
        address: &'a str,
        options: Options,
        supervisor: bool,
    },
    Connect {
        address: &'a str,
        options: Options,
        how: How,
    },
    Accept {
        port: u64,
        how: How,
    },
    Read {
        port: u64,
        how: How,
    },
    Write {
        port: u64,
        #[serde(with = "serde_bytes")]
        bytes: &'a [u8],
    },
    Writable {
        port: u64,
        how: How,
    },
    Close {
        port: u64,
    },
    Give {
        port: u64,
        to: Pid,
    },
    Address {
        port: u64,
    },
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum How {
    Now,
    Wait,
    Tell,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply<T> {
    Ok(T),
    Error(Error),
}

#[derive(Deserialize)]
struct Addresses {
    local: String,
    peer: Option<String>,
}

fn addresses(port: u64) -> Result<Addresses, Error> {
    now(&Request::Address { port })
}

fn open(request: &Request<'_>, timeout: Duration) -> Result<u64, Error> {
    let body = codec::encode(request)?;
    Ok(host::ask(|host| host.call(RequestKind::Port, Pid::NONE, body, milliseconds(timeout)))??)
}

/// Asks for what is answered at once.
fn now<T: DeserializeOwned>(request: &Request<'_>) -> Result<T, Error> {
    let reference = open(request, INFINITY)?;
    match host::ask(|host| host.take(reference))?? {
        Some(closed) => answer(closed),
        None => {
            let _ = host::ask(|host| host.forget(reference));
            Err(Error::new(Reason::Io, "the daemon did not answer at once"))
        }
    }
}

/// Asks, waits, and asks again until there is something.
async fn later<'a>(request: impl Fn() -> Request<'a>, timeout: Duration) -> Result<Event, Error> {
    let deadline = std::time::Instant::now().checked_add(timeout);
    loop {
        let left = deadline.map_or(INFINITY, |at| at.saturating_duration_since(std::time::Instant::now()));
        if let Some(event) = answer(Wait::new(open(&request(), left)?).await?)? {
            return Ok(event);
        }
    }
}

fn answer<T: DeserializeOwned>(closed: Closed) -> Result<T, Error> {
    match closed {
        Closed::Reply(reply) => match read("answer of a port", &reply)? {
            Reply::Ok(value) => Ok(value),
            Reply::Error(error) => Err(error),
        },
        Closed::Timeout => Err(Error::new(Reason::TimedOut, "the time ran out")),
        Closed::Exit(exit) => Err(Error::new(Reason::Closed, exit)),
    }
}

fn unexpected(event: &Event) -> Error {
    Error::new(Reason::Io, format!("the daemon answered {event:?}"))
}
