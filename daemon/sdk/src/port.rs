//! Sockets: TCP and Unix listeners and connections. OTP: `gen_tcp`.
//!
//! All sockets belong to the node. An app holds [`Listener`] and [`Connection`], which are numbers
//! that a state may keep across an upgrade. Nothing is lost during the upgrade: new clients wait in
//! the kernel's queue, and received bytes wait in the node until a process reads them.
//!
//! Each wait has two forms. **By message**: [`Listener::request_accept`],
//! [`Connection::request_read`] and the like return at once, and the result arrives as
//! [`Info::Port`](crate::Info::Port). Meanwhile the process is idle, handles other messages, and
//! never delays an upgrade; use this form in a server. **By await**: [`Listener::accept`],
//! [`Connection::read`] and the like park the callback, and with it the process, until there is a
//! result. That is handy in tasks and for a short exchange. But an upgrade has to wait for such a
//! callback, and fails if it does not return in time.
//!
//! This server answers each line with its number. One process serves one client, and keeps its
//! connection in the state:
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
//!         // Owned by the supervisor, so that it stays open while the door is restarted.
//!         let listener = port::Options::new().line(1024).supervisor().listen(&address)?;
//!         listener.request_accept()?;
//!         Ok(Self { listener })
//!     }
//!
//!     async fn handle_info(&mut self, info: Info<()>) -> Next {
//!         let next = match info {
//!             Info::Port(port::Event::Accepted { connection, .. }) => {
//!                 if let Err(exit) = let_in(connection).await {
//!                     // A client that has left already must not end the acceptor.
//!                     log::info!("a client was turned away: {exit}");
//!                     let _ = connection.close();
//!                 }
//!                 self.listener.request_accept()
//!             }
//!             // The listener has failed.
//!             Info::Port(port::Event::Closed { error, .. }) => Err(error),
//!             _ => Ok(()),
//!         };
//!         next.map_or_else(|error| Next::Stop(error.into()), |()| Next::Continue)
//!     }
//! }
//!
//! async fn let_in(connection: Connection) -> Result<(), Exit> {
//!     // With a simple_one_for_one supervisor, use start_child_of instead.
//!     let session = spawn("session", &connection).await?;
//!     // The connection is closed when the session ends.
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
//!                 // Waits until the client reads; meanwhile no further line is read.
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
//!
//! // The harness sends input to a process, and returns its output.
//! use reld_sdk::harness::{Node, connection};
//!
//! let client = connection(7);
//! let mut session = Node::new().start::<Session>(&client)?;
//! session.port(port::Event::Data { connection: client, bytes: b"hi\n".to_vec() })?;
//! assert_eq!(session.written(client), b"1 hi\n");
//!
//! let mut door = Node::new().start::<Door>(&"127.0.0.1:0")?;
//! let listener = door.state().expect("it runs").listener;
//! door.hang_up(client);
//! door.port(port::Event::Accepted { listener, connection: client, peer: "gone".to_owned() })?;
//! assert_eq!(door.ended(), None);
//! assert!(door.is_closed(client));
//! # Ok::<(), NotStarted>(())
//! ```
//!
//! # Ownership
//!
//! The process that listens or connects owns the port, and the process that accepts a connection
//! owns the connection. When the owner ends, bytes that were already written are sent and the port
//! is closed. Dropping a handle does nothing. Any process may read, write and close;
//! [`Connection::controlling_process`] makes another process the owner.
//!
//! # Acceptors and restart intensity
//!
//! A supervisor that restarts its children more often than its
//! [intensity](crate::SupervisorSpec::intensity) allows ends, and so does the supervisor above it.
//! If the app is of type `permanent`, the whole node ends. Any client can connect and leave at
//! once, and then the next operation on that connection fails. An acceptor that ended with this
//! error would let a handful of clients stop the node.
//!
//! So first make sure that no client can use up the intensity:
//!
//! * An acceptor ends only if its *listener* fails. It logs any other error, closes that
//!   connection, and continues.
//! * Sessions are `temporary` children: a supervisor does not restart them, so they do not count.
//!
//! Then choose the intensity by the failures that are left, which a restart can repair:
//!
//! * With one acceptor the default of 1 restart in 5 seconds is right. A listener that fails twice
//!   in that time, or a bug that ends the acceptor twice, needs a person.
//! * Acceptors that share a listener end together. Allow one restart for each of them, or they use
//!   up the intensity with a single failure.
//! * Keep the period short: a lasting fault occurs again at once, and failures of different days
//!   should not add up.
//!
//! # Descriptors
//!
//! At its start the daemon raises its limit of open files to the hard limit. When all descriptors
//! are in use, clients wait in the kernel's queue ([`Options::backlog`]): the daemon logs
//! `port.accept` and tries again every 100 ms, and the acceptor does not notice. But the daemon
//! needs descriptors too, for libraries and for `relctl`. So an acceptor should request the next
//! client only while there are fewer sessions than a limit of yours. The app in the
//! [guide](crate::guide) does so.
//!
//! # Backpressure
//!
//! In each direction, at most [`Options::buffer`] bytes wait in the node. If a process does not
//! read, its peer has to stop sending. If a process writes faster than its peer reads,
//! [`Connection::send`] fails with [`Reason::Busy`] and [`Connection::write`] waits.

mod wire;

use std::time::Duration;

use reld_wire::port::{How, PortId};
use serde_bytes::Bytes;

use self::wire::{Request, addresses, later, now, unexpected};
use crate::names::Pid;
use crate::time::INFINITY;

pub use self::wire::{Connection, Error, Event, Listener, Options, Reason};

/// Listens with the default options. See [`Options::listen`]. `[callback]`
///
/// # Errors
/// The same as for [`Options::listen`].
pub fn listen(address: &str) -> Result<Listener, Error> {
    Options::new().listen(address)
}

/// Connects with the default options. See [`Options::connect`]. `[callback]`
///
/// # Errors
/// The same as for [`Options::connect`].
pub async fn connect(address: &str, timeout: Duration) -> Result<Connection, Error> {
    Options::new().connect(address, timeout).await
}

impl Listener {
    fn id(self) -> PortId {
        PortId(self.0)
    }

    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// Requests one client, which arrives as [`Event::Accepted`]. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`].
    pub fn request_accept(self) -> Result<(), Error> {
        now(&Request::Accept { port: self.id(), how: How::Tell })
    }

    /// Waits for a client. An upgrade has to wait for the callback that waits, so prefer
    /// [`Listener::request_accept`]. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`], [`Reason::TimedOut`].
    pub async fn accept(self, timeout: Duration) -> Result<Connection, Error> {
        match later(|| Request::Accept { port: self.id(), how: How::Wait }, timeout).await? {
            Event::Accepted { connection, .. } => Ok(connection),
            other => Err(unexpected(&other)),
        }
    }

    /// Returns the address of the listener. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`].
    pub fn address(self) -> Result<String, Error> {
        Ok(addresses(self.id())?.local)
    }

    /// Makes another process the owner. Only the owner may call this function. `[callback]`
    ///
    /// # Errors
    /// [`Reason::NotOwner`], [`Reason::NoProcess`], [`Reason::Closed`].
    pub fn controlling_process(self, to: Pid) -> Result<(), Error> {
        now(&Request::Give { port: self.id(), to: to.0 })
    }

    /// Stops listening. Clients that no process has accepted are turned away. `[callback]`
    ///
    /// # Errors
    /// The function was not called inside a callback. It is not an error if the listener is already
    /// closed.
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

    /// Requests the next line, packet or bytes, which arrive as [`Event::Data`] or
    /// [`Event::Closed`]. OTP: `{active, once}`. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`] after the end of the input was delivered.
    pub fn request_read(self) -> Result<(), Error> {
        now(&Request::Read { port: self.id(), how: How::Tell })
    }

    /// Waits for the next line, packet or bytes. An upgrade has to wait for the callback that
    /// waits, so prefer [`Connection::request_read`]. OTP: `gen_tcp:recv/3`. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`] at the end of the input, [`Reason::TooLong`], [`Reason::TimedOut`]. After
    /// a time-out no input is lost.
    pub async fn read(self, timeout: Duration) -> Result<Vec<u8>, Error> {
        match later(|| Request::Read { port: self.id(), how: How::Wait }, timeout).await? {
            Event::Data { bytes, .. } => Ok(bytes),
            other => Err(unexpected(&other)),
        }
    }

    /// Passes bytes to the node, which sends them in order, even after the process has ended. A
    /// write is never split. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Busy`] while the peer does not read; the node has then taken no byte.
    /// [`Reason::Closed`].
    pub fn send(self, bytes: &[u8]) -> Result<(), Error> {
        now(&Request::Write { port: self.id(), bytes: Bytes::new(bytes) })
    }

    /// Works like [`Connection::send`], but waits while the peer does not read. OTP:
    /// `gen_tcp:send/2`. `[callback]`
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

    /// Waits until [`Connection::send`] takes more bytes. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`], [`Reason::TimedOut`].
    pub async fn writable(self, timeout: Duration) -> Result<(), Error> {
        later(|| Request::Writable { port: self.id(), how: How::Wait }, timeout).await.map(|_| ())
    }

    /// Requests an [`Event::Writable`], which arrives when [`Connection::send`] takes more bytes.
    /// `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`].
    pub fn request_writable(self) -> Result<(), Error> {
        now(&Request::Writable { port: self.id(), how: How::Tell })
    }

    /// Returns whether an [`Event::Closed`] is about this connection.
    pub fn is(self, port: u64) -> bool {
        self.0 == port
    }

    /// Returns the address of the peer. OTP: `inet:peername/1`. `[callback]`
    ///
    /// # Errors
    /// [`Reason::Closed`], which also means that the connection is not open yet.
    pub fn peer(self) -> Result<String, Error> {
        Ok(addresses(self.id())?.peer.unwrap_or_default())
    }

    /// Returns the local address. OTP: `inet:sockname/1`. `[callback]`
    ///
    /// # Errors
    /// The same as for [`Connection::peer`].
    pub fn local(self) -> Result<String, Error> {
        Ok(addresses(self.id())?.local)
    }

    /// Makes another process the owner. Only the owner may call this function. OTP:
    /// `gen_tcp:controlling_process/2`. Unlike OTP, no messages move to the new owner: a result
    /// goes to the process that requested it. `[callback]`
    ///
    /// # Errors
    /// [`Reason::NotOwner`], [`Reason::NoProcess`], [`Reason::Closed`].
    pub fn controlling_process(self, to: Pid) -> Result<(), Error> {
        now(&Request::Give { port: self.id(), to: to.0 })
    }

    /// Closes the connection. Bytes that were already written are still sent, for at most five
    /// seconds. `[callback]`
    ///
    /// # Errors
    /// The function was not called inside a callback. It is not an error if the connection is
    /// already closed.
    pub fn close(self) -> Result<(), Error> {
        now(&Request::Close { port: self.id() })
    }
}
