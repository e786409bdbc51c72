//! Ports: listeners and connections, owned by the node. OTP: ports, `gen_tcp`.
//!
//! ```text
//!  callback --request--> Ports --> Listener, Connection <--poll, input, opened, ..-- driver task, with the socket
//!     ^                                    |
//!     +-- answer, or PortEvent as mail ----+
//! ```
//!
//! A process holds the number of a port, never a socket, so its state keeps the port across an
//! upgrade. Received bytes are kept here until a process takes them, and go to one process only.
//! Written bytes are kept here until they are sent. The runtime knows no sockets: the daemon
//! supplies [`Sockets`], which move bytes between a socket and the buffers of the port.
//!
//! Each port has an owner. When the owner ends, the port is closed; bytes already written are still
//! sent.

mod connection;
mod framing;
mod listener;
mod waiters;
mod wire;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::RwLock;
use reld_wire::port::{
    Addresses, Error as PortError, Event as PortEvent, How, Options as PortOptions, PortId, Reason, Request,
};
use serde::Serialize;

pub use self::connection::Connection;
pub use self::listener::Listener;
use self::waiters::Waiter;
use self::wire::{closed, reply, told};
use crate::io::owners::Owners;
use crate::words::code::{Bytes, Ref};
use crate::words::pid::Pid;
use crate::words::term;

/// The sockets behind the ports. The daemon supplies them.
pub trait Sockets: Send + Sync {
    /// Listens at [`Listener::asked`], serves the listener from then on, and returns the bound
    /// address.
    ///
    /// # Errors
    /// The reason why the address cannot be bound.
    fn listen(&self, listener: Arc<Listener>) -> Result<String, PortError>;

    /// Connects to [`Connection::target`] and serves the connection. Returns at once.
    fn connect(&self, connection: Arc<Connection>);
}

/// A port, for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortInfo {
    /// The number of the port.
    pub port: PortId,
    /// The owner.
    pub owner: Pid,
    /// The local address; empty while the port connects.
    pub local: String,
    /// The address of the peer; `None` for a listener.
    pub peer: Option<String>,
    /// The number of bytes that were received and not yet read.
    pub unread: usize,
    /// The number of bytes that processes have written and that are not yet sent.
    pub unsent: usize,
}

/// All ports of a node.
pub(crate) struct Ports {
    owners: Weak<dyn Owners>,
    sockets: OnceLock<Box<dyn Sockets>>,
    /// This lock is never held while a port's own lock is taken.
    table: RwLock<Table>,
    last: AtomicU64,
}

#[derive(Default)]
struct Table {
    entries: HashMap<PortId, Entry>,
    by_owner: HashMap<Pid, Vec<PortId>>,
}

struct Entry {
    port: Port,
    owner: Pid,
}

#[derive(Clone)]
enum Port {
    Listener(Arc<Listener>),
    Connection(Arc<Connection>),
}

/// The process that makes a request.
pub(crate) struct Asker<'a> {
    pub(crate) ports: &'a Arc<Ports>,
    pub(crate) pid: Pid,
    pub(crate) parent: Pid,
    pub(crate) reference: Ref,
    /// Returns whether a request of this process is still open.
    pub(crate) is_open: &'a dyn Fn(Ref) -> bool,
}

impl Asker<'_> {
    fn to_notify(&self) -> Waiter {
        Waiter { pid: self.pid, reference: None }
    }

    fn open_request(&self) -> Waiter {
        Waiter { pid: self.pid, reference: Some(self.reference) }
    }

    /// Returns whether a waiter has ended, or has given up its request.
    fn is_over(&self, waiter: &Waiter) -> bool {
        if waiter.pid == self.pid {
            waiter.reference.is_some_and(|reference| !(self.is_open)(reference))
        } else {
            !self.ports.is_alive(waiter.pid)
        }
    }
}

/// The result of a request.
enum Given {
    Event(PortEvent),
    Error(PortError),
    /// The request was carried out, or nothing is available.
    Nothing,
    /// The process waits. It will be woken, and then repeats the request.
    Later,
}

impl From<PortEvent> for Given {
    fn from(event: PortEvent) -> Self {
        match event {
            PortEvent::Closed { error, .. } => Self::Error(error),
            event => Self::Event(event),
        }
    }
}

impl Given {
    fn reply(self) -> Option<Bytes> {
        match self {
            Self::Event(event) => Some(reply(Ok(Some(event)))),
            Self::Error(error) => Some(reply::<()>(Err(error))),
            Self::Nothing => Some(reply(Ok(()))),
            Self::Later => None,
        }
    }
}

/// Carries out a request; returns `None` when the answer comes later.
pub(crate) fn ask(asker: &Asker<'_>, request: &[u8]) -> Option<Bytes> {
    let request = match term::decode::<Request>(request) {
        Ok(request) => request,
        Err(text) => return Some(reply::<()>(Err(PortError::new(Reason::BadRequest, text)))),
    };
    let ports = asker.ports;
    match request {
        Request::Listen { address, options, supervisor } => {
            done(ports.listen(asker, address, options, supervisor))
        }
        Request::Connect { address, options, how } => done(ports.connect(asker, address, options, how)),
        Request::Accept { port, how } => {
            ports.listener(port).map_or_else(Given::Error, |listener| listener.accept(how, asker)).reply()
        }
        Request::Read { port, how } => {
            ports.connection(port).map_or_else(Given::Error, |connection| connection.read(how, asker)).reply()
        }
        Request::Writable { port, how } => {
            let connection = ports.connection(port);
            connection.map_or_else(Given::Error, |connection| connection.writable(how, asker)).reply()
        }
        Request::Write { port, bytes } => {
            done(ports.connection(port).and_then(|connection| connection.write(&bytes)))
        }
        Request::Close { port } => {
            ports.close(port, asker.pid);
            done(Ok(()))
        }
        Request::Give { port, to } => done(ports.give(port, asker.pid, to)),
        Request::Address { port } => done(ports.addresses(port)),
    }
}

fn done<T: Serialize>(result: Result<T, PortError>) -> Option<Bytes> {
    Some(reply(result))
}

impl Ports {
    /// Returns an empty table of ports for these processes.
    pub(crate) fn new(owners: Weak<dyn Owners>) -> Self {
        Self { owners, sockets: OnceLock::new(), table: RwLock::default(), last: AtomicU64::new(0) }
    }

    /// Supplies the sockets; the first call wins.
    pub(crate) fn supply(&self, sockets: Box<dyn Sockets>) {
        // The daemon supplies the sockets once, so the result does not matter.
        let _ = self.sockets.set(sockets);
    }

    fn sockets(&self) -> Result<&dyn Sockets, PortError> {
        let none = || PortError::new(Reason::Io, "this node has no sockets");
        self.sockets.get().map(|sockets| &**sockets).ok_or_else(none)
    }

    fn next_id(&self) -> PortId {
        PortId(self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn listen(
        &self,
        asker: &Asker<'_>,
        address: String,
        options: PortOptions,
        supervisor: bool,
    ) -> Result<PortId, PortError> {
        let owner = if supervisor && asker.parent != Pid::NONE { asker.parent } else { asker.pid };
        if owner != asker.pid
            && let Some(listener) = self.listener_of(owner, &address)
        {
            return Ok(listener.id());
        }
        let ports = Arc::downgrade(asker.ports);
        let listener = Arc::new(Listener::new(self.next_id(), address, options, ports));
        let bound = self.sockets()?.listen(Arc::clone(&listener))?;
        listener.listens(bound);
        let id = listener.id();
        self.add(id, Port::Listener(listener), owner);
        Ok(id)
    }

    fn listener_of(&self, owner: Pid, asked: &str) -> Option<Arc<Listener>> {
        let table = self.table.read();
        table.of(owner).find_map(|id| match &table.entries.get(&id)?.port {
            Port::Listener(listener) if listener.asked() == asked => Some(Arc::clone(listener)),
            _ => None,
        })
    }

    fn connect(
        &self,
        asker: &Asker<'_>,
        address: String,
        options: PortOptions,
        how: How,
    ) -> Result<PortId, PortError> {
        let sockets = self.sockets()?;
        let id = self.next_id();
        let connection = Arc::new(Connection::new(id, options, address, Arc::downgrade(asker.ports)));
        if how == How::Tell {
            connection.tell_connected(asker.pid);
        }
        self.add(id, Port::Connection(Arc::clone(&connection)), asker.pid);
        sockets.connect(connection);
        Ok(id)
    }

    /// Makes the port of a client that has connected. The listener's owner owns the port until a
    /// process accepts it.
    fn accepted(self: &Arc<Self>, listener: PortId, options: PortOptions) -> Option<Arc<Connection>> {
        let owner = self.table.read().entries.get(&listener)?.owner;
        let id = self.next_id();
        let connection = Arc::new(Connection::new(id, options, String::new(), Arc::downgrade(self)));
        self.add(id, Port::Connection(Arc::clone(&connection)), owner);
        Some(connection)
    }

    fn add(&self, id: PortId, port: Port, owner: Pid) {
        self.table.write().insert(id, port, owner);
        self.close_if_orphaned(id, owner);
    }

    /// Closes a port if its owner had ended before it became the owner: that end did not close the
    /// port.
    fn close_if_orphaned(&self, id: PortId, owner: Pid) -> bool {
        let orphaned = !self.is_alive(owner);
        if orphaned {
            self.close(id, owner);
        }
        orphaned
    }

    fn port(&self, id: PortId) -> Result<Port, PortError> {
        self.table.read().entries.get(&id).map(|entry| entry.port.clone()).ok_or_else(closed)
    }

    fn listener(&self, id: PortId) -> Result<Arc<Listener>, PortError> {
        match self.port(id)? {
            Port::Listener(listener) => Ok(listener),
            Port::Connection(_) => Err(PortError::new(Reason::WrongKind, "the port is a connection")),
        }
    }

    fn connection(&self, id: PortId) -> Result<Arc<Connection>, PortError> {
        match self.port(id)? {
            Port::Connection(connection) => Ok(connection),
            Port::Listener(_) => Err(PortError::new(Reason::WrongKind, "the port is a listener")),
        }
    }

    fn addresses(&self, id: PortId) -> Result<Addresses, PortError> {
        match self.port(id)? {
            Port::Listener(listener) => Ok(Addresses { local: listener.address().to_owned(), peer: None }),
            Port::Connection(connection) => {
                let ends =
                    connection.ends().ok_or_else(|| PortError::new(Reason::Closed, "it is not connected"))?;
                Ok(Addresses { local: ends.local.clone(), peer: Some(ends.peer.clone()) })
            }
        }
    }

    fn give(&self, id: PortId, by: Pid, to: Pid) -> Result<(), PortError> {
        {
            let table = self.table.read();
            let owner = table.entries.get(&id).ok_or_else(closed)?.owner;
            if owner != by {
                return Err(PortError::new(Reason::NotOwner, format!("the port belongs to {owner}")));
            }
        }
        if !self.is_alive(to) {
            return Err(PortError::new(Reason::NoProcess, format!("{to} is not alive")));
        }
        self.move_to(id, to);
        Ok(())
    }

    /// Gives a port another owner; returns whether the port existed. If the new owner has ended
    /// meanwhile, the port is closed.
    fn move_to(&self, id: PortId, to: Pid) -> bool {
        let moved = self.table.write().move_to(id, to);
        if moved {
            self.close_if_orphaned(id, to);
        }
        moved
    }

    /// Removes a port that has delivered the end of its input.
    fn drop_entry(&self, id: PortId) {
        self.table.write().remove(id);
    }

    fn close(&self, id: PortId, by: Pid) {
        // The port is removed from the table first, so that the lock of the table is not held while
        // the port is locked.
        let removed = self.table.write().remove(id);
        match removed {
            Some(Port::Listener(listener)) => listener.close(self, by),
            Some(Port::Connection(connection)) => connection.close(by),
            None => {}
        }
    }

    /// Closes all ports of a process that has ended.
    pub(crate) fn forget(&self, pid: Pid) {
        // Most processes own no port and must not contend for the write lock.
        if !self.table.read().by_owner.contains_key(&pid) {
            return;
        }
        let owned: Vec<_> = self.table.read().of(pid).collect();
        owned.into_iter().for_each(|id| self.close(id, pid));
    }

    /// Returns all ports in the order of their numbers.
    pub(crate) fn list(&self) -> Vec<PortInfo> {
        let mut ports: Vec<_> = self
            .table
            .read()
            .entries
            .iter()
            .map(|(id, entry)| (*id, entry.owner, entry.port.clone()))
            .collect();
        ports.sort_by_key(|(id, ..)| *id);
        ports.into_iter().map(|(id, owner, port)| PortInfo::of(id, owner, &port)).collect()
    }
}

impl PortInfo {
    fn of(port: PortId, owner: Pid, of: &Port) -> Self {
        match of {
            Port::Listener(listener) => {
                let local = listener.address().to_owned();
                Self { port, owner, local, peer: None, unread: 0, unsent: 0 }
            }
            Port::Connection(connection) => {
                let (unread, unsent) = connection.waiting();
                let (local, peer) = match connection.ends() {
                    Some(ends) => (ends.local.clone(), ends.peer.clone()),
                    None => (String::new(), connection.target().to_owned()),
                };
                Self { port, owner, local, peer: Some(peer), unread, unsent }
            }
        }
    }
}

impl Table {
    fn of(&self, owner: Pid) -> impl Iterator<Item = PortId> {
        self.by_owner.get(&owner).into_iter().flatten().copied()
    }

    fn insert(&mut self, id: PortId, port: Port, owner: Pid) {
        self.entries.insert(id, Entry { port, owner });
        self.by_owner.entry(owner).or_default().push(id);
    }

    fn remove(&mut self, id: PortId) -> Option<Port> {
        let entry = self.entries.remove(&id)?;
        self.disown(id, entry.owner);
        Some(entry.port)
    }

    fn move_to(&mut self, id: PortId, to: Pid) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        let from = std::mem::replace(&mut entry.owner, to);
        self.disown(id, from);
        self.by_owner.entry(to).or_default().push(id);
        true
    }

    fn disown(&mut self, id: PortId, owner: Pid) {
        if let Some(owned) = self.by_owner.get_mut(&owner) {
            owned.retain(|own| *own != id);
            if owned.is_empty() {
                self.by_owner.remove(&owner);
            }
        }
    }
}

/// Messages from ports to processes.
impl Ports {
    fn is_alive(&self, pid: Pid) -> bool {
        self.owners.upgrade().is_some_and(|owners| owners.is_alive(pid))
    }

    fn tell(&self, pid: Pid, event: &PortEvent) {
        if let Some(owners) = self.owners.upgrade() {
            owners.tell(pid, told(event));
        }
    }

    /// Answers an open request with nil, which makes the process repeat the request.
    fn wake_request(&self, pid: Pid, reference: Ref) {
        if let Some(owners) = self.owners.upgrade() {
            owners.answer(pid, reference, reply(Ok(())));
        }
    }

    /// Notifies all waiters that the port is closed. A process with an open request repeats the
    /// request and then gets the error.
    fn tell_closed(&self, port: PortId, waiters: impl Iterator<Item = Waiter>, error: &PortError) {
        for waiter in waiters {
            match waiter.reference {
                Some(reference) => self.wake_request(waiter.pid, reference),
                None => self.tell(waiter.pid, &PortEvent::Closed { port, error: error.clone() }),
            }
        }
    }
}
