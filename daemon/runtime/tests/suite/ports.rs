//! Ports without sockets: the test acts as the driver.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Waker};

use reld_runtime::{Connection, Listener, RequestKind, Sockets, Status, term};
use reld_wire::port::{Error as PortError, Reason as PortReason};
use reld_wire::{Exit, Pid};
use serde::Serialize;
use serde_bytes::ByteBuf;

use crate::kit::words::{Do, Said, text};
use crate::kit::{Kit, SOON};

/// Gives the test the listeners and connections that the daemon would serve.
struct Driver {
    listeners: Sender<Arc<Listener>>,
    connections: Sender<Arc<Connection>>,
}

impl Sockets for Driver {
    fn listen(&self, listener: Arc<Listener>) -> Result<String, PortError> {
        if listener.asked() == "taken" {
            return Err(PortError::new(PortReason::AddressInUse, "taken: in use"));
        }
        let bound = format!("bound {}", listener.asked());
        self.listeners.send(listener).expect("the test waits");
        Ok(bound)
    }

    fn connect(&self, connection: Arc<Connection>) {
        self.connections.send(connection).expect("the test waits");
    }
}

struct House {
    kit: Kit,
    listeners: Receiver<Arc<Listener>>,
    connections: Receiver<Arc<Connection>>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Ask {
    Listen { address: String },
    Connect { address: String, options: Small, how: How },
    Accept { port: u64, how: How },
    Read { port: u64, how: How },
    Write { port: u64, bytes: ByteBuf },
    Writable { port: u64, how: How },
    Close { port: u64 },
    Give { port: u64, to: Pid },
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum How {
    Now,
    Wait,
    Tell,
}

/// Connections with a buffer of eight bytes, which are soon full.
#[derive(Serialize)]
struct Small {
    buffer: usize,
}

impl House {
    fn new() -> Self {
        let (listeners_in, listeners) = channel();
        let (connections_in, connections) = channel();
        let kit = Kit::new();
        kit.node.supply_sockets(Driver { listeners: listeners_in, connections: connections_in });
        Self { kit, listeners, connections }
    }

    #[track_caller]
    fn check(&self, pid: Pid, ask: &Ask, expected: &str) {
        assert_eq!(self.kit.ask(pid, port(ask)), Said::Text(text(expected)));
    }

    /// A process with a listener; the port number is 1.
    fn door(&self) -> (Pid, Arc<Listener>) {
        let pid = self.kit.counter(&[]);
        self.check(pid, &Ask::Listen { address: text("here") }, r#"{"ok": 1}"#);
        (pid, self.listeners.recv_timeout(SOON).expect("it listens"))
    }

    /// A process with an open connection; the port number is 1.
    fn session(&self) -> (Pid, Arc<Connection>) {
        let pid = self.kit.counter(&[]);
        let connect = Ask::Connect { address: text("there"), options: Small { buffer: 8 }, how: How::Now };
        self.check(pid, &connect, r#"{"ok": 1}"#);
        let connection = self.connections.recv_timeout(SOON).expect("it connects");
        connection.opened(text("here"), text("there"));
        (pid, connection)
    }
}

fn port(ask: &Ask) -> Do {
    Do::Port(ByteBuf::from(term::encode(ask)))
}

fn poll<T>(ask: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    match ask(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ready) => Some(ready),
        Poll::Pending => None,
    }
}

const READ: Ask = Ask::Read { port: 1, how: How::Tell };

#[test]
fn input_is_sent_once_for_each_request_and_then_the_end() {
    let house = House::new();
    let (pid, connection) = house.session();
    connection.input(b"ab");
    house.check(pid, &READ, r#"{"ok": nil}"#);
    house.kit.expect(r#"{"port": {"data": {"connection": 1, "bytes": [97, 98]}}}"#);
    connection.input(b"c");
    connection.input(b"d");
    connection.ended();
    house.check(pid, &READ, r#"{"ok": nil}"#);
    house.kit.expect(r#"{"port": {"data": {"connection": 1, "bytes": [99, 100]}}}"#);
    house.check(pid, &READ, r#"{"ok": nil}"#);
    let closed = r#"{"reason": "closed", "text": "the peer closed the connection"}"#;
    house.kit.expect(&format!(r#"{{"port": {{"closed": {{"port": 1, "error": {closed}}}}}}}"#));
    house.check(pid, &READ, r#"{"error": {"reason": "closed", "text": "the port is closed"}}"#);
    assert_eq!(house.kit.node.ports(), []);
}

#[test]
fn a_peer_is_read_no_faster_than_its_process_reads() {
    let house = House::new();
    let (pid, connection) = house.session();
    assert_eq!(poll(|context| connection.poll_room(context)), Some(Some(8)));
    connection.input(b"12345678");
    assert_eq!(poll(|context| connection.poll_room(context)), None);
    house.check(pid, &READ, r#"{"ok": nil}"#);
    assert_eq!(poll(|context| connection.poll_room(context)), Some(Some(8)));
}

#[test]
fn a_writer_is_notified_of_room_and_its_bytes_are_sent_even_after_its_end() {
    let house = House::new();
    let (pid, connection) = house.session();
    let write = |bytes: &[u8]| Ask::Write { port: 1, bytes: ByteBuf::from(bytes) };
    house.check(pid, &write(b"123456789"), r#"{"ok": nil}"#);
    let busy = r#"{"error": {"reason": "busy", "text": "9 bytes wait to be written"}}"#;
    house.check(pid, &write(b"x"), busy);
    house.check(pid, &Ask::Writable { port: 1, how: How::Tell }, r#"{"ok": nil}"#);
    assert_eq!(poll(|context| connection.poll_output(context)), Some(Some(b"123456789".to_vec())));
    house.check(pid, &write(b"x"), busy);
    connection.written();
    house.kit.expect(r#"{"port": {"writable": {"connection": 1}}}"#);
    house.check(pid, &write(b"last"), r#"{"ok": nil}"#);
    house.kit.node.exit(pid, Exit::Killed);
    house.kit.gone(pid);
    assert_eq!(house.kit.node.ports(), []);
    assert_eq!(poll(|context| connection.poll_output(context)), Some(Some(b"last".to_vec())));
    assert_eq!(poll(|context| connection.poll_output(context)), Some(None));
}

#[test]
fn no_input_is_given_to_a_waiting_process_that_has_ended() {
    let house = House::new();
    let (pid, connection) = house.session();
    let waits = house.kit.counter(&[]);
    house.kit.cast(waits, port(&Ask::Read { port: 1, how: How::Wait }));
    let told = house.kit.counter(&[]);
    house.check(told, &READ, r#"{"ok": nil}"#);
    house.kit.until(|| house.kit.node.process(waits).is_some_and(|info| info.status == Status::Waiting));
    for pid in [waits, told] {
        house.kit.node.exit(pid, Exit::Killed);
        house.kit.gone(pid);
    }
    connection.input(b"x");
    house.check(pid, &READ, r#"{"ok": nil}"#);
    house.kit.expect(r#"{"port": {"data": {"connection": 1, "bytes": [120]}}}"#);
}

#[test]
fn a_waiting_request_is_woken_asks_again_and_gets_the_input() {
    let house = House::new();
    let (pid, connection) = house.session();
    let kit = &house.kit;
    let wait = port(&Ask::Read { port: 1, how: How::Wait });
    let node = kit.node.clone();
    std::thread::scope(|scope| {
        let asked =
            scope.spawn(move || Said::of(node.call(RequestKind::Call, pid, term::encode(&wait), Some(SOON))));
        kit.until(|| kit.node.process(pid).is_some_and(|info| info.status == Status::Waiting));
        connection.input(b"x");
        assert_eq!(asked.join().expect("it is answered"), Said::Text(text(r#"{"ok": nil}"#)));
    });
    house.check(
        pid,
        &Ask::Read { port: 1, how: How::Now },
        r#"{"ok": {"data": {"connection": 1, "bytes": [120]}}}"#,
    );
    house.check(pid, &Ask::Read { port: 1, how: How::Now }, r#"{"ok": nil}"#);
}

#[test]
fn a_client_is_accepted_when_a_process_waits_and_is_given_to_a_living_one() {
    let house = House::new();
    let (door, listener) = house.door();
    assert_eq!(poll(|context| listener.poll_wanted(context)), None);
    let accept = || Ask::Accept { port: 1, how: How::Tell };
    let dead = house.kit.counter(&[]);
    house.check(dead, &accept(), r#"{"ok": nil}"#);
    house.kit.node.exit(dead, Exit::Killed);
    house.kit.gone(dead);
    let acceptor = house.kit.counter(&[]);
    house.check(acceptor, &accept(), r#"{"ok": nil}"#);
    assert_eq!(poll(|context| listener.poll_wanted(context)), Some(true));
    let connection = listener.accepted(text("here"), text("client")).expect("it is open");
    house.kit.expect(r#"{"port": {"accepted": {"listener": 1, "connection": 2, "peer": "client"}}}"#);
    let owners = || house.kit.node.ports().iter().map(|port| port.owner).collect::<Vec<_>>();
    assert_eq!(owners(), [door, acceptor]);
    let refused =
        format!(r#"{{"error": {{"reason": "not_owner", "text": "the port belongs to {acceptor}"}}}}"#);
    house.check(door, &Ask::Give { port: 2, to: door }, &refused);
    house.check(acceptor, &Ask::Give { port: 2, to: door }, r#"{"ok": nil}"#);
    assert_eq!(owners(), [door, door]);
    house.kit.node.exit(door, Exit::Killed);
    house.kit.gone(door);
    assert_eq!(owners(), []);
    assert_eq!(poll(|context| listener.poll_wanted(context)), Some(false));
    assert_eq!(poll(|context| connection.poll_closing(context)), Some(()));
    assert!(listener.accepted(text("here"), text("late")).is_none());
}

#[test]
fn a_panic_of_the_driver_fails_the_connection_and_notifies_its_reader() {
    let house = House::new();
    let (pid, connection) = house.session();
    house.check(pid, &READ, r#"{"ok": nil}"#);
    assert_eq!(poll(|context| pin!(connection.drive(async { panic!("a bug") })).poll(context)), Some(()));
    let failed = r#"{"reason": "io", "text": "the daemon panicked: a bug"}"#;
    house.kit.expect(&format!(r#"{{"port": {{"closed": {{"port": 1, "error": {failed}}}}}}}"#));
}

#[test]
fn success_and_failure_of_connecting_are_sent_and_a_taken_address_is_refused() {
    let house = House::new();
    let pid = house.kit.counter(&[]);
    let connect = || Ask::Connect { address: text("there"), options: Small { buffer: 8 }, how: How::Tell };
    house.check(pid, &connect(), r#"{"ok": 1}"#);
    house.connections.recv_timeout(SOON).expect("it connects").opened(text("a"), text("b"));
    house.kit.expect(r#"{"port": {"connected": {"connection": 1}}}"#);
    house.check(pid, &connect(), r#"{"ok": 2}"#);
    let failed = house.connections.recv_timeout(SOON).expect("it connects");
    failed.failed(PortError::new(PortReason::ConnectionRefused, "there: refused"));
    let why = r#"{"reason": "connection_refused", "text": "there: refused"}"#;
    house.kit.expect(&format!(r#"{{"port": {{"closed": {{"port": 2, "error": {why}}}}}}}"#));
    house.check(pid, &Ask::Close { port: 2 }, r#"{"ok": nil}"#);
    let taken = r#"{"error": {"reason": "address_in_use", "text": "taken: in use"}}"#;
    house.check(pid, &Ask::Listen { address: text("taken") }, taken);
    house.check(
        pid,
        &Ask::Accept { port: 1, how: How::Now },
        r#"{"error": {"reason": "wrong_kind", "text": "the port is a connection"}}"#,
    );
}
