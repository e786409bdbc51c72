//! Listening sockets that the service manager hands to the daemon, as systemd does for a socket
//! unit (S144).

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use nix::fcntl::{FcntlArg, fcntl};
use reld_tests::{Node, assert_contains, eventually, release};
use serde_json::json;

use crate::settle::{beside, end};

/// Places the descriptors of `COPIES` as systemd does, and becomes the daemon.
const HAND_OVER: &str = r#"
to=3
for from in $COPIES; do
    eval "exec $to<&$from $from<&-"
    to=$((to + 1))
done
LISTEN_PID=$$ exec "$@"
"#;

/// Starts an idle node with these sockets.
fn node(sockets: &[(&str, BorrowedFd<'_>)]) -> Node {
    // Copies with large numbers, which child processes inherit.
    let copy = |socket| fcntl(socket, FcntlArg::F_DUPFD(100)).expect("a descriptor can be copied");
    let copies: Vec<i32> = sockets.iter().map(|(_, socket)| copy(*socket)).collect();
    let numbers: Vec<String> = copies.iter().map(ToString::to_string).collect();
    let names: Vec<&str> = sockets.iter().map(|(name, _)| *name).collect();
    let environment = [
        ("COPIES", &*numbers.join(" ")),
        ("LISTEN_FDS", &*sockets.len().to_string()),
        ("LISTEN_FDNAMES", &*names.join(":")),
    ];
    let node = Node::start_under(&["bash", "-c", HAND_OVER, "bash"], &[], &environment);
    copies.into_iter().for_each(|copy| nix::unistd::close(copy).expect("it is open"));
    node
}

/// Sends a request to `wire_hand`, and returns its answer.
fn hand(node: &Node, request: &serde_json::Value) -> String {
    node.call("wire_hand", request)[0].as_str().expect("the hand answers with a text").to_owned()
}

/// Sends a line and returns the answer.
fn ask(mut stream: impl std::io::Read + std::io::Write) -> String {
    stream.write_all(b"hello\n").expect("the connection is open");
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).expect("an answer comes");
    answer
}

#[test]
fn s144_an_app_listens_at_a_socket_of_the_service_manager_and_clients_wait_for_a_restarted_node() {
    let scratch = tempfile::tempdir().expect("a temporary folder can be made");
    let web = TcpListener::bind("127.0.0.1:0").expect("the system has ports");
    let path = scratch.path().join("admin");
    let admin = UnixListener::bind(&path).expect("the folder can be written");
    let news = UdpSocket::bind("127.0.0.1:0").expect("the system has ports");
    let sockets = [
        ("web", web.as_fd()),
        ("admin", admin.as_fd()),
        ("two", web.as_fd()),
        ("two", web.as_fd()),
        ("news", news.as_fd()),
    ];
    let node = node(&sockets);
    node.ok(&["upgrade", &release("wire-1.0.0"), "--probe", "test ! -S /proc/$$/fd/3"]);
    for name in ["web", "admin"] {
        assert_eq!(hand(&node, &json!({"open": format!("systemd:{name}")})), format!("systemd:{name}"));
    }
    let address = web.local_addr().expect("it is bound");
    let connect = || TcpStream::connect(address).expect("it is never refused");
    assert_eq!(ask(connect()), "1 1 hello\n");
    assert_eq!(ask(UnixStream::connect(&path).expect("it listens")), "1 1 hello\n");
    for (name, reason) in [
        ("web", "another listener uses this socket"),
        ("two", "2 sockets have this name; use a socket unit for each"),
        ("news", "not a listening stream socket; use ListenStream="),
        ("none", "the service manager passed only the sockets web, admin, two, two, news"),
    ] {
        assert_contains(&hand(&node, &json!({"listen": format!("systemd:{name}")})), &[reason]);
    }
    let refused = hand(&node, &json!({"ask": ["systemd:web", "hello"]}));
    assert_contains(&refused, &["the sockets of the service manager only listen"]);

    // A closed listener leaves the socket open for the next one.
    for process in node.ps().into_iter().filter(|process| process.module == "wire_door") {
        node.ok(&["kill", &process.pid, "shutdown"]);
    }
    let early = connect();
    let restart = beside(&node, &["upgrade", &release("wire-2.0.0"), "--mode", "restart"]);
    let (mut restart, mut clients) = (Some(restart), vec![early]);
    eventually("the node has restarted", || {
        // The kernel's queue has room for 128.
        if clients.len() < 100 {
            clients.push(connect());
        }
        let ended = restart.as_mut()?.try_wait().expect("relctl can be watched").is_some();
        ended.then(|| restart.take().map(end))?
    })
    .expect(0);
    assert_eq!(hand(&node, &json!({"open": "systemd:web"})), "systemd:web");
    for client in clients {
        assert_eq!(ask(client), "2 1 hello\n");
    }
}
