//! One connection: the received bytes that were not read yet, the written bytes that were not sent
//! yet, and the processes that wait.
//!
//! ```text
//!  Connecting --opened--> Open --close--> Closing --all written--> (the driver drops the socket)
//!       |                   |                ^
//!       +------failed-------+--- Dead        +-- also after the end of the input was read, unless half_open
//! ```
//!
//! The driver owns the socket. It polls [`Connection::poll_room`] before it reads, and
//! [`Connection::poll_output`] for bytes to write. So a process that does not read slows its peer
//! down, and a peer that does not read slows the writer down: in each direction at most `buffer`
//! bytes wait here, plus one write, which is never split.

use std::future::Future;
use std::sync::{OnceLock, Weak};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use serde_bytes::ByteBuf;

use super::framing::{self, Frame};
use super::waiters::{Waiter, Waiters};
use super::wire::closed;
use super::{Asker, Given, Ports};
use crate::words::contain::contained_task;
use crate::words::pid::Pid;
use reld_wire::port::{Error as PortError, Event as PortEvent, How, Options as PortOptions, PortId, Reason};

/// One connection. Its methods are for the driver, the task that owns the socket.
pub struct Connection {
    id: PortId,
    options: PortOptions,
    /// The address to connect to; empty for an accepted connection.
    target: String,
    ends: OnceLock<Ends>,
    ports: Weak<Ports>,
    state: Mutex<State>,
}

/// The addresses of an open connection.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    pub(super) local: String,
    pub(super) peer: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Open,
    /// No more bytes are read or queued; queued bytes are still sent.
    Closing,
    /// The socket is no longer usable.
    Dead,
}

struct State {
    phase: Phase,
    input: Input,
    /// The reason why the input ended. It is delivered after all input was read.
    ended: Option<PortError>,
    output: Vec<u8>,
    /// The number of bytes that the driver has taken from `output` and not yet written.
    in_flight: usize,
    readers: Waiters,
    writers: Waiters,
    /// The process that is notified when the attempt to connect ends.
    connector: Option<Pid>,
    /// The waker of the driver's task.
    driver: Option<Waker>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The methods for the driver.
impl Connection {
    /// Returns the address to connect to.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns the options of the socket.
    pub fn options(&self) -> &PortOptions {
        &self.options
    }

    /// Returns the address of the peer; `None` before the connection is open.
    pub fn peer(&self) -> Option<String> {
        self.ends.get().map(|ends| ends.peer.clone())
    }

    /// Runs the driver. A panic of the driver counts as a failure of the connection.
    pub async fn drive(&self, driver: impl Future<Output = ()>) {
        if let Err(panicked) = contained_task(driver).await {
            self.failed(PortError::new(Reason::Io, panicked.to_string()));
        }
    }

    /// Records that the socket is connected.
    pub fn opened(&self, local: String, peer: String) {
        self.ends.get_or_init(|| Ends { local, peer });
        let mut state = self.state.lock();
        if state.phase != Phase::Connecting {
            return;
        }
        state.phase = Phase::Open;
        if let Some(pid) = state.connector.take() {
            self.tell(pid, &PortEvent::Connected { connection: self.id });
        }
        self.serve_writers(&mut state);
    }

    /// Records that the socket failed, or that connecting failed.
    pub fn failed(&self, error: PortError) {
        let mut state = self.state.lock();
        if state.phase == Phase::Dead {
            return;
        }
        let was_connecting = state.phase == Phase::Connecting;
        state.die(error.clone());
        if let Some(pid) = state.connector.take().filter(|_| was_connecting) {
            self.tell(pid, &PortEvent::Closed { port: self.id, error });
        }
        self.serve_writers(&mut state);
        self.serve_readers(&mut state);
    }

    /// Waits until there is room for input, and returns how many bytes fit; `None` when no more
    /// input is wanted.
    pub fn poll_room(&self, context: &mut Context<'_>) -> Poll<Option<usize>> {
        let mut state = self.state.lock();
        if state.phase != Phase::Open || state.ended.is_some() {
            return Poll::Ready(None);
        }
        match self.options.buffer.saturating_sub(state.input.len()) {
            0 => state.park(context),
            room => Poll::Ready(Some(room)),
        }
    }

    /// Adds received bytes.
    pub fn input(&self, bytes: &[u8]) {
        let mut state = self.state.lock();
        if state.phase == Phase::Open {
            state.input.push(bytes);
            self.serve_readers(&mut state);
        }
    }

    /// Records that the peer sends no more.
    pub fn ended(&self) {
        let mut state = self.state.lock();
        state.ended.get_or_insert_with(|| PortError::new(Reason::Closed, "the peer closed the connection"));
        self.serve_readers(&mut state);
    }

    /// Waits for output and takes it. Returns `None` when all output is written and the driver
    /// should drop the socket.
    pub fn poll_output(&self, context: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        let mut state = self.state.lock();
        match (state.phase, state.output.is_empty()) {
            (Phase::Dead, _) | (Phase::Closing, true) => Poll::Ready(None),
            (Phase::Connecting, _) | (Phase::Open, true) => state.park(context),
            (Phase::Open | Phase::Closing, false) => {
                let output = std::mem::take(&mut state.output);
                state.in_flight = output.len();
                Poll::Ready(Some(output))
            }
        }
    }

    /// Records that the driver has written the output that it took last.
    pub fn written(&self) {
        let mut state = self.state.lock();
        state.in_flight = 0;
        self.serve_writers(&mut state);
    }

    /// Waits until the connection is being closed. From then on the driver may stop writing.
    pub fn poll_closing(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Closing | Phase::Dead => Poll::Ready(()),
            Phase::Connecting | Phase::Open => state.park(context),
        }
    }
}

/// The methods for processes.
impl Connection {
    pub(super) fn new(id: PortId, options: PortOptions, target: String, ports: Weak<Ports>) -> Self {
        let state = State {
            phase: Phase::Connecting,
            input: Input::default(),
            ended: None,
            output: Vec::new(),
            in_flight: 0,
            readers: Waiters::default(),
            writers: Waiters::default(),
            connector: None,
            driver: None,
        };
        Self { id, options, target, ends: OnceLock::new(), ports, state: Mutex::new(state) }
    }

    pub(super) fn id(&self) -> PortId {
        self.id
    }

    pub(super) fn ends(&self) -> Option<&Ends> {
        self.ends.get()
    }

    /// Makes the connection notify a process when connecting succeeds or fails.
    pub(super) fn tell_connected(&self, pid: Pid) {
        self.state.lock().connector = Some(pid);
    }

    /// Returns the next message. If there is none, `how` decides whether the process waits. The end
    /// of the input is delivered once; after that the port is removed.
    pub(super) fn read(&self, how: How, asker: &Asker<'_>) -> Given {
        let mut state = self.state.lock();
        if how == How::Tell {
            state.readers.push(asker.to_notify(), |waiter| asker.is_over(waiter));
            self.serve_readers(&mut state);
            return Given::Nothing;
        }
        match self.next(&mut state) {
            Some(event) => event.into(),
            None if how == How::Wait => {
                state.readers.push(asker.open_request(), |waiter| asker.is_over(waiter));
                Given::Later
            }
            None => Given::Nothing,
        }
    }

    /// Queues bytes.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), PortError> {
        let head = framing::head(self.options.framing, bytes.len());
        let head = head.ok_or_else(|| {
            PortError::new(
                Reason::TooLong,
                format!("a packet of {} bytes does not fit its length field", bytes.len()),
            )
        })?;
        let mut state = self.state.lock();
        match state.phase {
            Phase::Closing | Phase::Dead => return Err(state.why_ended()),
            Phase::Connecting | Phase::Open if !self.takes_more(&state) => {
                let text = format!("{} bytes wait to be written", state.pending());
                return Err(PortError::new(Reason::Busy, text));
            }
            Phase::Connecting | Phase::Open => {}
        }
        state.output.extend_from_slice(&head);
        state.output.extend_from_slice(bytes);
        state.wake();
        Ok(())
    }

    /// Waits until the connection is open and its queue has room.
    pub(super) fn writable(&self, how: How, asker: &Asker<'_>) -> Given {
        let mut state = self.state.lock();
        if how == How::Tell {
            state.writers.push(asker.to_notify(), |waiter| asker.is_over(waiter));
            self.serve_writers(&mut state);
            return Given::Nothing;
        }
        match state.phase {
            Phase::Closing | Phase::Dead => Given::Error(state.why_ended()),
            Phase::Open if self.takes_more(&state) => {
                Given::Event(PortEvent::Writable { connection: self.id })
            }
            Phase::Connecting | Phase::Open if how == How::Wait => {
                state.writers.push(asker.open_request(), |waiter| asker.is_over(waiter));
                Given::Later
            }
            Phase::Connecting | Phase::Open => Given::Nothing,
        }
    }

    /// Closes the connection. Queued bytes are still sent. All waiters are notified, except the
    /// process that closes the connection.
    pub(super) fn close(&self, by: Pid) {
        let mut state = self.state.lock();
        match state.phase {
            Phase::Open => state.phase = Phase::Closing,
            Phase::Connecting => state.phase = Phase::Dead,
            Phase::Closing | Phase::Dead => {}
        }
        state.input = Input::default();
        let error = state.ended.get_or_insert_with(closed).clone();
        state.wake();
        let mut waiters = state.readers.take_all();
        waiters.extend(state.writers.take_all());
        self.tell_closed(waiters.into_iter().filter(|waiter| waiter.pid != by), &error);
    }

    /// Returns the number of bytes received and not yet read, and of bytes written and not yet
    /// sent.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.input.len(), state.pending())
    }

    fn takes_more(&self, state: &State) -> bool {
        state.pending() < self.options.buffer
    }

    /// Takes the next event for a reader.
    fn next(&self, state: &mut State) -> Option<PortEvent> {
        let max = self.options.buffer;
        match framing::frame(self.options.framing, state.input.bytes(), max, state.ended.is_some()) {
            Frame::Whole { skip, len } => {
                let bytes = ByteBuf::from(state.input.take(skip, len));
                state.wake();
                Some(PortEvent::Data { connection: self.id, bytes })
            }
            Frame::TooLong(longest) => {
                let text = format!("the incoming message is longer than {longest} bytes");
                let error = PortError::new(Reason::TooLong, text);
                state.die(error.clone());
                self.used_up(state);
                Some(PortEvent::Closed { port: self.id, error })
            }
            Frame::More => {
                let error = state.ended.clone()?;
                self.used_up(state);
                Some(PortEvent::Closed { port: self.id, error })
            }
        }
    }

    /// Removes the port after the end of the input was delivered. A half-open port stays as long as
    /// it may be written to.
    fn used_up(&self, state: &mut State) {
        if self.options.half_open && state.phase == Phase::Open {
            return;
        }
        if state.phase == Phase::Open {
            state.phase = Phase::Closing;
        }
        state.wake();
        if let Some(ports) = self.ports.upgrade() {
            ports.drop_entry(self.id);
        }
    }

    fn serve_readers(&self, state: &mut State) {
        let Some(ports) = self.ports.upgrade() else { return };
        while self.has_next(state) {
            let Some(pid) = state.readers.next_to_notify(|pid| ports.is_alive(pid)) else { break };
            if let Some(event) = self.next(state) {
                ports.tell(pid, &event);
            }
        }
        if self.has_next(state) {
            state
                .readers
                .take_open_requests()
                .into_iter()
                .for_each(|(pid, reference)| ports.wake_request(pid, reference));
        }
    }

    fn has_next(&self, state: &State) -> bool {
        let ended = state.ended.is_some();
        let frame = framing::frame(self.options.framing, state.input.bytes(), self.options.buffer, ended);
        ended || frame != Frame::More
    }

    fn serve_writers(&self, state: &mut State) {
        match state.phase {
            Phase::Connecting => {}
            Phase::Open if self.takes_more(state) => {
                let Some(ports) = self.ports.upgrade() else { return };
                for waiter in state.writers.take_all() {
                    match waiter.reference {
                        Some(reference) => ports.wake_request(waiter.pid, reference),
                        None => ports.tell(waiter.pid, &PortEvent::Writable { connection: self.id }),
                    }
                }
            }
            Phase::Open => {}
            Phase::Closing | Phase::Dead => {
                let error = state.why_ended();
                self.tell_closed(state.writers.take_all().into_iter(), &error);
            }
        }
    }

    fn tell_closed(&self, waiters: impl Iterator<Item = Waiter>, error: &PortError) {
        let Some(ports) = self.ports.upgrade() else { return };
        ports.tell_closed(self.id, waiters, error);
    }

    fn tell(&self, pid: Pid, event: &PortEvent) {
        if let Some(ports) = self.ports.upgrade() {
            ports.tell(pid, event);
        }
    }
}

impl State {
    fn pending(&self) -> usize {
        self.output.len() + self.in_flight
    }

    fn why_ended(&self) -> PortError {
        self.ended.clone().unwrap_or_else(closed)
    }

    fn die(&mut self, error: PortError) {
        self.phase = Phase::Dead;
        self.ended.get_or_insert(error);
        self.output = Vec::new();
        self.wake();
    }

    fn park<T>(&mut self, context: &Context<'_>) -> Poll<T> {
        match &mut self.driver {
            Some(driver) => driver.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    fn wake(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }
}

/// A buffer that is read from the front. An empty buffer allocates nothing.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    start: usize,
}

impl Input {
    fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.start > self.len() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn take(&mut self, skip: usize, len: usize) -> Vec<u8> {
        let from = self.start + skip;
        if skip == 0 && len == self.bytes.len() {
            return std::mem::take(&mut self.bytes);
        }
        let taken = self.bytes[from..from + len].to_vec();
        self.start = from + len;
        if self.start == self.bytes.len() {
            *self = Self::default();
        }
        taken
    }
}
