//! One listener: the connections that came and were not taken, and who waits for one.
//!
//! The driver accepts only as many as are waited for; all others stay in the kernel's queue. So an upgrade, a suspended
//! acceptor or one that is just restarted costs a client a moment and no connection.

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

/// One listener, as the driver of its socket sees it.
pub struct Listener {
    id: PortId,
    /// Where it was asked to listen.
    asked: String,
    /// Where it listens.
    address: OnceLock<String>,
    options: PortOptions,
    ports: Weak<Ports>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_closed: bool,
    /// Connections that nobody has taken, with their peers.
    queue: VecDeque<(PortId, String)>,
    waiters: Waiters,
    /// The driver's task.
    driver: Option<Waker>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The driver's side.
impl Listener {
    /// Returns where to listen.
    pub fn asked(&self) -> &str {
        &self.asked
    }

    /// Returns how the socket is to be set up.
    pub fn options(&self) -> &PortOptions {
        &self.options
    }

    /// Waits until a connection is wanted; `false` when the listener is closed.
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

    /// A client has connected; `None` when the listener was closed meanwhile.
    pub fn accepted(&self, local: String, peer: String) -> Option<Arc<Connection>> {
        let ports = self.ports.upgrade()?;
        let connection = ports.accepted(self.id, self.options)?;
        connection.opened(local, peer.clone());
        let mut state = self.state.lock();
        if state.is_closed {
            // Its closer has seen the queue; this one came too late for that.
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

/// The processes' side.
impl Listener {
    pub(super) fn new(id: PortId, asked: String, options: PortOptions, ports: Weak<Ports>) -> Self {
        Self { id, asked, address: OnceLock::new(), options, ports, state: Mutex::default() }
    }

    /// Notes where it listens.
    pub(super) fn listens(&self, address: String) {
        self.address.get_or_init(|| address);
    }

    pub(super) fn address(&self) -> &str {
        self.address.get().map_or("", String::as_str)
    }

    pub(super) fn id(&self) -> PortId {
        self.id
    }

    /// Gives a connection, or does as `how` says.
    pub(super) fn accept(&self, how: How, asker: &Asker<'_>) -> Given {
        let mut state = self.state.lock();
        if state.is_closed {
            return Given::Error(closed());
        }
        match how {
            How::Tell => {
                state.waiters.push(asker.told(), |waiter| asker.is_over(waiter));
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
                state.waiters.push(asker.waits(), |waiter| asker.is_over(waiter));
                state.wake();
                Given::Later
            }
        }
    }

    /// Takes the next connection for a process.
    fn next(&self, ports: &Ports, state: &mut State, pid: Pid) -> Option<PortEvent> {
        loop {
            let (connection, peer) = state.queue.pop_front()?;
            // One that is gone from the table went with the listener's owner.
            if ports.move_to(connection, pid) {
                return Some(PortEvent::Accepted { listener: self.id, connection, peer });
            }
        }
    }

    fn serve(&self, ports: &Ports, state: &mut State) {
        while !state.queue.is_empty() {
            let Some(pid) = state.waiters.next_told(|pid| ports.is_alive(pid)) else { break };
            match self.next(ports, state, pid) {
                Some(event) => ports.tell(pid, &event),
                None => return,
            }
        }
        if !state.queue.is_empty() {
            for (pid, reference) in state.waiters.take_waiting() {
                ports.look_again(pid, reference);
            }
        }
    }

    /// Closes it, with the connections that nobody has taken. Who waits is told, but for the one who closes.
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
