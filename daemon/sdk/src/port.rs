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

mod wire;

use std::time::Duration;

use reld_wire::port::{How, PortId};
use serde_bytes::Bytes;

use self::wire::{Request, addresses, later, now, unexpected};
use crate::names::Pid;
use crate::time::INFINITY;

pub use self::wire::{Connection, Error, Event, Listener, Options, Reason};

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
    fn id(self) -> PortId {
        PortId(self.0)
    }

    /// Asks for one client; [`Event::Accepted`] tells of it. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`].
    pub fn request_accept(self) -> Result<(), Error> {
        now(&Request::Accept { port: self.id(), how: How::Tell })
    }

    /// Waits for a client. An upgrade waits for the callback; prefer [`Listener::request_accept`]. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`], [`Reason::TimedOut`].
    pub async fn accept(self, timeout: Duration) -> Result<Connection, Error> {
        match later(|| Request::Accept { port: self.id(), how: How::Wait }, timeout).await? {
            Event::Accepted { connection, .. } => Ok(connection),
            other => Err(unexpected(&other)),
        }
    }

    /// Returns where it listens. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`].
    pub fn address(self) -> Result<String, Error> {
        Ok(addresses(self.id())?.local)
    }

    /// Makes another process the owner. Only the owner may. `[callback]`
    ///
    /// # Errors
    /// [`Reason::NotOwner`], [`Reason::NoProcess`], [`Reason::Closed`].
    pub fn controlling_process(self, to: Pid) -> Result<(), Error> {
        now(&Request::Give { port: self.id(), to: to.0 })
    }

    /// Stops listening. Clients that nobody has accepted are turned away. `[callback]`
    ///
    /// # Errors
    /// Not inside a callback; that it is closed already is none.
    pub fn close(self) -> Result<(), Error> {
        now(&Request::Close { port: self.id() })
    }
}

impl Connection {
    fn id(self) -> PortId {
        PortId(self.0)
    }

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
        now(&Request::Read { port: self.id(), how: How::Tell })
    }

    /// Waits for the next line, packet or bytes. An upgrade waits for the callback; prefer
    /// [`Connection::request_read`]. OTP: `gen_tcp:recv/3`. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`] at the end, [`Reason::TooLong`], [`Reason::TimedOut`]; after the last, nothing is lost.
    pub async fn read(self, timeout: Duration) -> Result<Vec<u8>, Error> {
        match later(|| Request::Read { port: self.id(), how: How::Wait }, timeout).await? {
            Event::Data { bytes, .. } => Ok(bytes),
            other => Err(unexpected(&other)),
        }
    }

    /// Hands bytes to the node, which sends them, in order, even if the process ends. A write is never cut. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Busy`] while the peer does not read: nothing was taken. [`Reason::Closed`].
    pub fn send(self, bytes: &[u8]) -> Result<(), Error> {
        now(&Request::Write { port: self.id(), bytes: Bytes::new(bytes) })
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
        later(|| Request::Writable { port: self.id(), how: How::Wait }, timeout).await.map(|_| ())
    }

    /// Asks to be told by [`Event::Writable`] when [`Connection::send`] takes more. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`].
    pub fn request_writable(self) -> Result<(), Error> {
        now(&Request::Writable { port: self.id(), how: How::Tell })
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
        Ok(addresses(self.id())?.peer.unwrap_or_default())
    }

    /// Returns the address of this end. OTP: `inet:sockname/1`. `[callback]`
    ///
    /// # Errors
    /// As [`Connection::peer`].
    pub fn local(self) -> Result<String, Error> {
        Ok(addresses(self.id())?.local)
    }

    /// Makes another process the owner. Only the owner may. OTP: `gen_tcp:controlling_process/2`, without its moving of
    /// messages: what was requested arrives where it was requested. `[callback]`
    ///
    /// # Errors
    /// [`Reason::NotOwner`], [`Reason::NoProcess`], [`Reason::Closed`].
    pub fn controlling_process(self, to: Pid) -> Result<(), Error> {
        now(&Request::Give { port: self.id(), to: to.0 })
    }

    /// Closes it; what was written before is still sent, for five seconds at most. `[callback]`
    ///
    /// # Errors
    /// Not inside a callback; that it is closed already is none.
    pub fn close(self) -> Result<(), Error> {
        now(&Request::Close { port: self.id() })
    }
}
