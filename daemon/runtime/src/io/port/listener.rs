//! One listener: the connections that no process has taken yet, and the processes that wait for a
//! connection.
//!
//! The driver accepts only as many connections as processes wait for; all others stay in the
//! kernel's queue. So an upgrade, or a suspended or restarting acceptor, delays clients but loses
//! no connection.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::connection::Connection;
use super::waiters::Waiters;
use super::wire::closed;
use super::{Asker, Given, Ports};
use crate::words::pid::Pid;
use reld_wire::port::{Event as PortEvent, How, Options as PortOptions, PortId};

/// One listener. Its methods are for the driver, the task that owns the socket.
pub struct Listener {
    id: PortId,
    /// The address that the owner asked for.
    asked: String,
    /// The address that the socket is bound to.
    address: OnceLock<String>,
    options: PortOptions,
    ports: Weak<Ports>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_closed: bool,
    /// Connections that no process has taken, with the addresses of their peers.
    queue: VecDeque<(PortId, String)>,
    waiters: Waiters,
    /// The waker of the driver's task.
    driver: Option<Waker>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The methods for the driver.
impl Listener {
    /// Returns the address to listen at.
    pub fn asked(&self) -> &str {
        &self.asked
    }

    /// Returns the options of the sockets.
    pub fn options(&self) -> &PortOptions {
        &self.options
    }

    /// Waits until a process wants a connection; returns `false` when the listener is closed.
    pub fn poll_wanted(&self, context: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Poll::Ready(false);
        }
        if state.waiters.len() > state.queue.len() {
            return Poll::Ready(true);
        }
        state.driver = Some(context.waker().clone());
        Poll::Pending
    }

    /// Waits until the listener is closed.
    pub fn poll_closed(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Poll::Ready(());
        }
        state.driver = Some(context.waker().clone());
        Poll::Pending
    }

    /// Adds the connection of a client; returns `None` when the listener was closed meanwhile.
    pub fn accepted(&self, local: String, peer: String) -> Option<Arc<Connection>> {
        let ports = self.ports.upgrade()?;
        let connection = ports.accepted(self.id, self.options)?;
        connection.opened(local, peer.clone());
        let mut state = self.state.lock();
        if state.is_closed {
            // `close` has emptied the queue already, so it cannot close this connection.
            drop(state);
            ports.drop_entry(connection.id());
            return None;
        }
        state.queue.push_back((connection.id(), peer));
        self.serve(&ports, &mut state);
        drop(state);
        Some(connection)
    }
}

/// The methods for processes.
impl Listener {
    pub(super) fn new(id: PortId, asked: String, options: PortOptions, ports: Weak<Ports>) -> Self {
        Self { id, asked, address: OnceLock::new(), options, ports, state: Mutex::default() }
    }

    /// Records the bound address.
    pub(super) fn listens(&self, address: String) {
        self.address.get_or_init(|| address);
    }

    pub(super) fn address(&self) -> &str {
        self.address.get().map_or("", String::as_str)
    }

    pub(super) fn id(&self) -> PortId {
        self.id
    }

    /// Returns a connection. If there is none, `how` decides whether the process waits.
    pub(super) fn accept(&self, how: How, asker: &Asker<'_>) -> Given {
        let mut state = self.state.lock();
        if state.is_closed {
            return Given::Error(closed());
        }
        match how {
            How::Tell => {
                state.waiters.push(asker.to_notify(), |waiter| asker.is_over(waiter));
                self.serve(asker.ports, &mut state);
                state.wake();
                Given::Nothing
            }
            How::Wait | How::Now => {
                if let Some(event) = self.next(asker.ports, &mut state, asker.pid) {
                    return Given::Event(event);
                }
                if how == How::Now {
                    return Given::Nothing;
                }
                state.waiters.push(asker.open_request(), |waiter| asker.is_over(waiter));
                state.wake();
                Given::Later
            }
        }
    }

    /// Takes the next connection, and makes a process its owner.
    fn next(&self, ports: &Ports, state: &mut State, pid: Pid) -> Option<PortEvent> {
        loop {
            let (connection, peer) = state.queue.pop_front()?;
            // A connection that is not in the table any more was closed when the listener's owner
            // ended.
            if ports.move_to(connection, pid) {
                return Some(PortEvent::Accepted { listener: self.id, connection, peer });
            }
        }
    }

    fn serve(&self, ports: &Ports, state: &mut State) {
        while !state.queue.is_empty() {
            let Some(pid) = state.waiters.next_to_notify(|pid| ports.is_alive(pid)) else { break };
            match self.next(ports, state, pid) {
                Some(event) => ports.tell(pid, &event),
                None => return,
            }
        }
        if !state.queue.is_empty() {
            for (pid, reference) in state.waiters.take_open_requests() {
                ports.wake_request(pid, reference);
            }
        }
    }

    /// Closes the listener, and the connections that no process has taken. All waiters are
    /// notified, except the process that closes the listener.
    pub(super) fn close(&self, ports: &Ports, by: Pid) {
        let mut state = self.state.lock();
        state.is_closed = true;
        state.wake();
        let queue = std::mem::take(&mut state.queue);
        let waiters = state.waiters.take_all();
        drop(state);
        ports.tell_closed(self.id, waiters.into_iter().filter(|waiter| waiter.pid != by), &closed());
        for (connection, _) in queue {
            ports.close(connection, by);
        }
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }
}
