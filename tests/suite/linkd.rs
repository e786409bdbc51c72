//! `linkd`, the second app of the SDK's documentation, with clients over real sockets.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use reld_api::response::{Outcome, PortList};
use reld_tests::{Node, assert_contains, eventually, field, folder, keys, release};

use crate::transcript::Document;
use crate::tree;

/// Time limit for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The clients that connect and leave.
const VISITORS: usize = 3_000;

/// The clients that stay during the upgrade and the downgrade.
const REGULARS: usize = 6;

/// Starts a node with linkd 1.0.0, and returns the address of the listener.
fn linkd(command: &[&str], options: &[&str]) -> (Node, String) {
    let options = [&["--env", "linkd.port=0"], options].concat();
    let node = Node::start_under(command, &options, &[]);
    node.ok(&["upgrade", &release("linkd-1.0.0")]);
    let address = node.call(&node.pid("linkd", "acceptor"), "address");
    let address = address.as_str().expect("an acceptor reports its address").to_owned();
    (node, address)
}

/// Returns the pids of the sessions.
fn sessions(node: &Node) -> BTreeSet<String> {
    let sessions = node.ps().into_iter().filter(|process| process.module == "linkd_session");
    sessions.map(|session| session.pid).collect()
}

/// Returns the pids of the children of the root, which no client may end.
fn children(node: &Node) -> [String; 3] {
    ["tables", "sessions", "acceptor"].map(|id| node.pid("linkd", id))
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the listener is open");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has time-outs");
        Self(BufReader::new(stream))
    }

    fn send(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).expect("the connection is open");
    }

    fn receive(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer comes");
        line.trim_end().to_owned()
    }

    fn ask(&mut self, line: &str) -> String {
        self.send(line);
        self.receive()
    }

    /// Returns whether the client still has a session.
    fn is_served(&mut self) -> bool {
        let mut line = String::new();
        let sent = self.0.get_mut().write_all(b"hits nothing\n");
        sent.is_ok() && self.0.read_line(&mut line).is_ok_and(|_| line == "none\n")
    }
}

/// Connects and leaves at once, in the ways in which clients leave.
fn visit(address: &str, number: usize) {
    let mut stream = TcpStream::connect(address).expect("the listener is open");
    let sent: &[u8] = match number % 4 {
        0 | 1 => b"",
        2 => b"get reg",
        // The answer meets a closed socket.
        _ => b"get nothing\nget nothing\n",
    };
    // The session may have closed the connection.
    let _ = stream.write_all(sent);
}

/// Lets the regulars leave when it is dropped, also by a failure of the test.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Follows the link with this number until `is_over`, and returns how often it did.
fn stay(mut client: Client, number: usize, is_over: &AtomicBool) -> (Client, u64) {
    let mut followed = 0;
    while !is_over.load(Ordering::Relaxed) {
        assert_eq!(client.ask(&format!("get regular{number}")), format!("https://regular{number}.example"));
        followed += 1;
    }
    (client, followed)
}

/// Goes to 1.1.0 and back, without the end of a process.
fn go_up_and_down(node: &Node) {
    for order in [&["upgrade", "1.1.0"][..], &["downgrade"]] {
        let report = node.report(order);
        assert_eq!(
            (report.outcome, report.killed, report.lingering),
            (Outcome::Installed, vec![], vec![]),
            "{order:?}"
        );
    }
}

#[test]
fn linkd_goes_up_and_down_while_3000_clients_leave_and_others_lose_no_answer_and_no_hit() {
    let (node, address) = linkd(&[], &[]);
    node.ok(&["unpack", &release("linkd-1.1.0")]);
    let mut regulars: Vec<_> = (0..REGULARS).map(|_| Client::connect(&address)).collect();
    for (number, client) in regulars.iter_mut().enumerate() {
        assert_eq!(client.ask(&format!("put regular{number} https://regular{number}.example")), "ok");
    }
    let (before, kept) = (children(&node), sessions(&node));
    assert_eq!(kept.len(), REGULARS);

    let is_over = AtomicBool::new(false);
    let regulars: Vec<_> = thread::scope(|scope| {
        let (address, is_over) = (&address, &is_over);
        let stay = |(number, client)| scope.spawn(move || stay(client, number, is_over));
        let staying: Vec<_> = regulars.into_iter().enumerate().map(stay).collect();
        let visiting: Vec<_> = (0..3)
            .map(|part| scope.spawn(move || (part..VISITORS).step_by(3).for_each(|n| visit(address, n))))
            .collect();
        let over = Over(is_over);
        loop {
            go_up_and_down(&node);
            if visiting.iter().all(ScopedJoinHandle::is_finished) {
                break;
            }
        }
        drop(over);
        staying.into_iter().map(|client| client.join().expect("no answer was lost")).collect()
    });

    eventually("the visitors' sessions have ended", || (sessions(&node) == kept).then_some(()));
    assert_eq!(children(&node), before, "none was restarted");
    for (number, (mut client, followed)) in regulars.into_iter().enumerate() {
        assert_eq!(client.ask(&format!("hits regular{number}")), followed.to_string());
        assert!(followed > 0, "regular {number} was not served");
    }
}

#[test]
fn linkd_1_1_0_ends_links_and_gives_the_links_and_sessions_of_1_0_0_a_time() {
    let (node, address) = linkd(&[], &["--env", "linkd.sweep_ms=20"]);
    let mut client = Client::connect(&address);
    assert_eq!(client.ask("put old https://old.example"), "ok");
    assert_contains(&client.ask("keep 0"), &["commands: put"]);
    let session = sessions(&node).pop_first().expect("the client has one");

    node.ok(&["upgrade", &release("linkd-1.1.0")]);
    assert_eq!(field::<u64>(&node.state(&session), "keep_s"), 86_400);
    assert_eq!(
        (client.ask("keep 0"), client.ask("put short https://short.example")),
        ("ok".into(), "ok".into())
    );
    eventually("the link has ended", || (client.ask("get short") == "none").then_some(()));
    assert_eq!(
        (client.ask("hits short"), client.ask("get old")),
        ("none".into(), "https://old.example".into())
    );

    let report = node.report(&["downgrade"]);
    assert_eq!(report.outcome, Outcome::Installed);
    assert_eq!(keys(&node.state(&session)), ["connection", "idle_ms", "links"]);
    // 1.0.0 reads the row that the sweeper has written with a column more.
    assert_eq!((client.ask("get old"), client.ask("hits old")), ("https://old.example".into(), "2".into()));
    assert_eq!(sessions(&node).into_iter().collect::<Vec<_>>(), [session]);
}

#[test]
fn a_session_that_ends_affects_no_other_and_a_full_house_lets_clients_wait() {
    let (node, address) = linkd(&[], &["--env", "linkd.sessions=8"]);
    let before = children(&node);
    let mut clients: Vec<_> = (0..8).map(|_| Client::connect(&address)).collect();
    for client in &mut clients {
        assert_eq!(client.ask("hits nothing"), "none");
    }
    let mut waiting = Client::connect(&address);
    waiting.send("get nothing");
    let is_let_in = || node.read::<PortList>(&["ports"]).ports.len() > 1 + clients.len();
    // The acceptor looks again every 100 ms, and answers a call only between two looks.
    for _ in 0..20 {
        node.call(&before[2], "address");
        assert!(!is_let_in(), "a ninth client is let in");
    }
    // Far more than the restart intensity of any supervisor of the app.
    let ended: Vec<_> = sessions(&node).into_iter().skip(1).collect();
    for session in &ended {
        node.ok(&["kill", session]);
    }
    assert_eq!(waiting.receive(), "none");
    let served = clients.iter_mut().map(Client::is_served).filter(|served| *served).count();
    assert_eq!((served, ended.len()), (1, 7));
    assert_eq!(children(&node), before, "none was restarted");
}

#[test]
fn clients_wait_in_the_kernel_while_the_daemon_has_no_free_descriptors() {
    let (node, address) = linkd(&["prlimit", "--nofile=96:96"], &[]);
    let before = children(&node);
    let mut clients: Vec<_> = (0..120).map(|_| Client::connect(&address)).collect();
    clients.iter_mut().for_each(|client| client.send("hits nothing"));
    eventually("the daemon runs out of descriptors", || {
        node.written().contains("cannot accept").then_some(())
    });
    assert_eq!(clients[0].receive(), "none");
    // Each client that leaves makes room for one that waits.
    for mut client in clients.into_iter().skip(1) {
        assert_eq!(client.receive(), "none");
    }
    assert_eq!(children(&node), before, "none was restarted");
}

#[test]
fn the_commands_of_the_readme_of_linkd_print_the_documented_output() {
    let (blocks, by_hand) = Document { path: "examples/linkd-1.1.0/README.md", folder: "LINKD" }.run();
    assert!(blocks > 5 && by_hand == 2, "{blocks} blocks, {by_hand} by hand");
}

/// Returns the lines of a text without their indentation, so that a part of a function is found.
fn lines(text: &str) -> String {
    text.lines().map(|line| format!("\n{}", line.trim_start())).collect()
}

#[test]
fn the_code_of_the_guide_is_the_code_of_linkd() {
    let sources = ["1.0.0", "1.1.0"]
        .map(|version| tree::files(&folder(&format!("examples/linkd-{version}")), &["rs", "toml"]));
    let sources: Vec<_> = sources.iter().flatten().map(|(_, text)| lines(text)).collect();
    let guide = fs::read_to_string(folder("daemon/sdk/src/guide.rs")).expect("the guide is there");
    let guide: String = guide
        .lines()
        .map(|line| format!("{}\n", line.trim_start_matches("//!").strip_prefix(' ').unwrap_or("")))
        .collect();
    let blocks: Vec<_> =
        guide.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect();
    let code: Vec<_> = blocks.iter().filter(|(language, _)| *language != "text").collect();
    assert!(code.len() > 10, "{code:?}");
    for (_, block) in code {
        let is_real = sources.iter().any(|source| source.contains(&lines(block)));
        assert!(is_real, "no file of linkd contains\n{block}");
    }
}
