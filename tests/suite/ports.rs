//! Sockets of apps. The node owns them (issue 3.6, S69, I7).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use reld_api::response::{Outcome, Process};
use reld_tests::{Node, assert_contains, eventually, field, release};
use serde_json::json;

/// Time limit for a peer's data.
const PATIENCE: Duration = Duration::from_secs(30);

fn wire() -> (Node, String) {
    let node = Node::start();
    node.ok(&["upgrade", &release("wire-1.0.0")]);
    let door = node.pid("wire", "door");
    let address = node.call(&door, "address").as_str().expect("an address").to_owned();
    (node, address)
}

/// Sends a request to `wire_hand`, and returns the reply.
#[track_caller]
fn hand(node: &Node, request: &serde_json::Value) -> Vec<String> {
    let reply = node.call("wire_hand", request);
    serde_json::from_value(reply).expect("the hand answers with texts")
}

/// Returns the session processes. Each serves one client.
fn sessions(node: &Node) -> Vec<Process> {
    node.ps().into_iter().filter(|process| process.module == "wire_session").collect()
}

/// A client that sends lines.
struct Client {
    stream: BufReader<TcpStream>,
    lines: u64,
}

impl Client {
    fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the door is open");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has time-outs");
        Self { stream: BufReader::new(stream), lines: 0 }
    }

    fn send(&mut self, line: &str) {
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes()).expect("the connection is open");
    }

    fn receive(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("an answer comes");
        line
    }

    /// Sends a line and returns the version of the code that answered. Checks that no line is lost
    /// or doubled.
    fn ask(&mut self, line: &str) -> String {
        self.lines += 1;
        self.send(line);
        let answer = self.receive();
        let (version, rest) =
            answer.split_once(' ').unwrap_or_else(|| panic!("line {}: {answer:?}", self.lines));
        assert_eq!(rest, format!("{} {line}\n", self.lines));
        version.to_owned()
    }

    fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0))
    }
}

/// Load: clients that send without pause, and clients that connect and leave.
struct Traffic {
    stop: Arc<AtomicBool>,
    lines: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Traffic {
    fn start(address: &str, connections: usize) -> Self {
        let (stop, lines) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |work: fn(&str, &AtomicBool, &AtomicU64)| {
            let (address, stop, lines) = (address.to_owned(), Arc::clone(&stop), Arc::clone(&lines));
            std::thread::spawn(move || work(&address, &stop, &lines))
        };
        let mut threads: Vec<_> = (0..connections / 16).map(|_| client(stay)).collect();
        threads.push(client(come_and_go));
        Self { stop, lines, threads }
    }

    /// Waits until the clients have got 200 more answers.
    fn flow(&self) {
        let before = self.lines.load(Ordering::Relaxed);
        eventually("the clients are answered", || {
            (self.lines.load(Ordering::Relaxed) > before + 200).then_some(())
        });
    }

    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().expect("no client lost anything"));
        self.lines.load(Ordering::Relaxed)
    }
}

/// Keeps sixteen connections and sends one line on each in turn.
fn stay(address: &str, stop: &AtomicBool, lines: &AtomicU64) {
    let mut clients: Vec<_> = (0..16).map(|_| Client::connect(address)).collect();
    while !stop.load(Ordering::Relaxed) {
        for client in &mut clients {
            client.ask("hello");
            lines.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn come_and_go(address: &str, stop: &AtomicBool, _: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        let mut client = Client::connect(address);
        client.ask("once");
        client.ask("twice");
    }
}

#[test]
fn no_connection_and_no_line_is_lost_while_a_server_goes_up_and_down_under_load() {
    let (node, address) = wire();
    node.ok(&["unpack", &release("wire-2.0.0")]);
    let mut quiet = Client::connect(&address);
    assert_eq!(quiet.ask("before"), "1");
    let traffic = Traffic::start(&address, 64);
    for _ in 0..4 {
        traffic.flow();
        let up = node.report(&["upgrade", "2.0.0"]);
        assert_eq!((up.outcome, up.killed), (Outcome::Installed, vec![]));
        assert_eq!(quiet.ask("up"), "2");
        traffic.flow();
        node.ok(&["downgrade"]);
        assert_eq!(quiet.ask("down"), "1");
    }
    let lines = traffic.stop();
    assert!(lines > 1_000, "{lines} lines");
    assert_eq!(sessions(&node).len(), 1, "the sessions of clients that are gone have ended");
}

#[test]
fn s69_waiting_acceptors_and_readers_do_not_delay_an_upgrade() {
    let (node, address) = wire();
    let idle: Vec<_> = (0..20).map(|_| Client::connect(&address)).collect();
    eventually("all are let in", || (sessions(&node).len() == 20).then_some(()));
    let door = node.pid("wire", "door");
    let report = node.report(&["upgrade", &release("wire-2.0.0")]);
    assert_eq!((report.outcome, report.lingering), (Outcome::Installed, vec![]));
    assert_eq!(node.pid("wire", "door"), door);
    for mut client in idle {
        assert_eq!(client.ask("awake"), "2");
    }
    assert_eq!(Client::connect(&address).ask("new"), "2");
}

#[test]
fn s69_an_awaited_accept_delays_the_upgrade_and_its_process_is_named() {
    let (node, _) = wire();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let socket = folder.path().join("held");
    let hand_pid = node.pid("wire", "hand");
    node.ok(&["cast", "wire_hand", &json!(format!("unix:{}", socket.display())).to_string()]);
    eventually("it listens", || socket.exists().then_some(()));
    // The hand waits in other code than the session, so it lingers on the old version.
    let report = node.report(&["upgrade", &release("wire-2.0.0")]);
    assert_eq!(report.lingering.iter().map(|process| &process.pid).collect::<Vec<_>>(), [&hand_pid]);
    assert_contains(&report.warnings.join("\n"), &[&hand_pid, "did not come to rest"]);
    UnixStream::connect(&socket).expect("the app listens");
    eventually("it goes on with new code", || {
        (node.proc(&hand_pid).process.version == "2.0.0").then_some(())
    });
    assert_eq!(hand(&node, &json!("log")), ["accepted true"]);
}

#[test]
fn a_client_that_does_not_read_blocks_its_writer_and_no_upgrade() {
    const LINES: u64 = 200_000;
    let (node, address) = wire();
    let mut client = Client::connect(&address);
    client.send(&format!("flood {LINES}"));
    let session = eventually("it is let in", || sessions(&node).pop()).pid;
    let owed = || field::<u64>(&node.state(&session), "owed");
    let held = eventually("the flood stands", || {
        let before = owed();
        // A single read may fall between the sending of bytes and their arrival in the kernel.
        (before > 0 && (0..50).all(|_| owed() == before)).then_some(before)
    });
    assert!(held > LINES / 4, "{held} of {LINES} lines are held back");
    node.ok(&["upgrade", &release("wire-2.0.0")]);
    assert_eq!(owed(), held);
    for owed in (1..=LINES).rev() {
        assert_eq!(client.receive(), format!("{owed:063}\n"));
    }
    client.lines = 0;
    assert_eq!(client.ask("after"), "2");
}

#[test]
fn a_connection_is_closed_with_its_process_and_reports_the_peer_s_end_to_it() {
    let (node, address) = wire();
    for word in ["crash", "bye"] {
        let mut client = Client::connect(&address);
        client.ask("hello");
        client.send(word);
        assert!(client.is_closed(), "{word}");
    }
    eventually("both have ended", || sessions(&node).is_empty().then_some(()));
    let mut client = Client::connect(&address);
    client.ask("hello");
    assert_eq!(sessions(&node).len(), 1);
    // Data before the end of the stream is answered, including a last line without a newline.
    client.stream.get_mut().write_all(b"last").expect("the connection is open");
    client.stream.get_mut().shutdown(Shutdown::Write).expect("the connection is open");
    assert_eq!(client.receive(), "1 2 last");
    assert!(client.is_closed());
    eventually("the session ends with its client", || sessions(&node).is_empty().then_some(()));
    let mut client = Client::connect(&address);
    client.send(&"x".repeat(100));
    assert!(client.is_closed(), "a line of 100 bytes where 64 are allowed");
}

#[test]
fn a_listener_of_a_supervisor_outlives_its_acceptor() {
    let (node, address) = wire();
    let door = node.pid("wire", "door");
    let mut before = Client::connect(&address);
    before.ask("before");
    node.ok(&["kill", &door]);
    // A client accepted by the old door, but not yet handed to a session, would end with the door.
    eventually("the door has ended", || node.ps().iter().all(|process| process.pid != door).then_some(()));
    // The listener lives on, so the connection succeeds even before the new door runs.
    let mut client = Client::connect(&address);
    assert_eq!(client.ask("after"), "1");
    assert_ne!(node.pid("wire", "door"), door);
    assert_eq!(before.ask("still"), "1");
}

#[test]
fn an_address_in_use_and_an_invalid_one_are_named() {
    let (node, address) = wire();
    let refused = hand(&node, &json!({"listen": address}));
    assert_contains(&refused[0], &[&address, "in use"]);
    let refused = hand(&node, &json!({"listen": "nowhere"}));
    assert_contains(&refused[0], &["nowhere", "127.0.0.1:8080"]);
    let door = node.pid("wire", "door");
    assert_eq!(node.call(&door, "close"), "closed");
    eventually("the address is free", || {
        (hand(&node, &json!({"listen": address})) == [address.clone()]).then_some(())
    });
}

#[test]
fn apps_connect_over_tcp_and_unix_sockets_and_get_errors_of_failures() {
    let (node, address) = wire();
    assert_eq!(hand(&node, &json!({"ask": [address, "hi"]})), ["1 1 hi"]);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let unix = format!("unix:{}", folder.path().join("socket").display());
    let nobody = hand(&node, &json!({"ask": [unix, "hi"]}));
    assert_contains(&nobody[0], &[&unix]);
    assert_eq!(hand(&node, &json!({"open": unix})), std::slice::from_ref(&unix));
    assert_eq!(hand(&node, &json!({"ask": [unix, "hi"]})), ["1 1 hi"]);
    let mut outside = UnixStream::connect(folder.path().join("socket")).expect("the app listens");
    outside.write_all(b"hello\n").expect("the connection is open");
    let mut line = String::new();
    BufReader::new(outside).read_line(&mut line).expect("an answer comes");
    assert_eq!(line, "1 1 hello\n");
    hand(&node, &json!({"connect": address}));
    hand(&node, &json!({"connect": "unix:/nowhere"}));
    eventually("both got the result", || {
        let log = hand(&node, &json!("log"));
        (log.contains(&"connected true".to_owned()) && log.contains(&"closed BadAddress".to_owned()))
            .then_some(())
    });
}

#[test]
fn an_acceptor_outlives_thousands_of_clients_that_leave_at_once() {
    let (node, address) = wire();
    let door = node.pid("wire", "door");
    for _ in 0..3_000 {
        drop(TcpStream::connect(&address).expect("the door is open"));
    }
    assert_eq!(Client::connect(&address).ask("hello"), "1");
    assert_eq!(node.pid("wire", "door"), door, "it did not end");
}

#[test]
fn an_app_that_listens_replaces_an_abandoned_socket_and_no_other_file() {
    let (node, _) = wire();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("file"), "theirs").expect("a file can be written");
    drop(std::os::unix::net::UnixListener::bind(path("left")).expect("a socket can be bound"));
    let listen = |name: &str| hand(&node, &json!({"listen": format!("unix:{}", path(name).display())}));
    let refused = listen("file");
    assert_contains(&refused[0], &[&path("file").to_string_lossy(), "not a socket"]);
    assert_eq!(std::fs::read_to_string(path("file")).expect("the file exists"), "theirs");
    assert_eq!(listen("left"), [format!("unix:{}", path("left").display())]);
    UnixStream::connect(path("left")).expect("the app listens");
}
