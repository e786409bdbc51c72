//! Acceptors that wait inside a callback, as in the book, and the effects of upgrades on them (S69,
//! S70, S71). The acceptors of `sockserv` wait outside a callback and are not affected.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reld_api::response::{PortList, Report};
use reld_tests::{Node, assert_contains, eventually, release};

use super::session::{Game, USUAL_MS};
use crate::doctored::{doctored, edit};

/// Number of waiting acceptors.
const ACCEPTORS: usize = 20;

const APPUP: &str = "lib/lyse-1.0.1/appup.toml";

/// Returns a node with waiting acceptors, and three clients in play. `patience` sets how long an
/// acceptor waits inside a callback.
fn lyse(patience: &[&str]) -> (Node, [Client; 3]) {
    let node = Node::start_with(patience);
    node.ok(&["upgrade", &release("lyse-1.0.0")]);
    let clients = [(); 3].map(|()| Client::connect(&node));
    assert_eq!(clients.each_ref().map(|client| &*client.greeting), ["one welcome"; 3]);
    eventually("their acceptors have successors", || (servs(&node).len() == ACCEPTORS + 3).then_some(()));
    (node, clients)
}

/// Returns the pid and version of each acceptor and session.
fn servs(node: &Node) -> Vec<(String, String)> {
    let servs = node.ps().into_iter().filter(|process| process.module == "lyse_serv");
    servs.map(|serv| (serv.pid, serv.version)).collect()
}

/// Returns the release 1.0.1 with another instruction for the acceptors.
fn with(instruction: &str) -> (tempfile::TempDir, String) {
    doctored("lyse-1.0.1", |files| edit(files, APPUP, "{ load_module = \"lyse_serv\" }", instruction))
}

#[derive(Debug)]
struct Client {
    stream: BufReader<TcpStream>,
    greeting: String,
}

impl Client {
    /// Connects and waits for the greeting.
    fn connect(node: &Node) -> Self {
        let mut client = Self::knock(node);
        client.greeting = client.line();
        client
    }

    /// Connects without waiting for an acceptor.
    fn knock(node: &Node) -> Self {
        let listens = |ports: PortList| ports.ports.into_iter().find(|port| port.peer.is_none());
        let door = listens(node.read(&["ports"])).expect("there is a listener");
        let stream = TcpStream::connect(&door.local).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket has time-outs");
        Self { stream: BufReader::new(stream), greeting: String::new() }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line comes");
        line.trim_end().to_owned()
    }

    #[track_caller]
    fn check_answer(&mut self, version: &str) {
        self.stream.get_mut().write_all(b"hello\n").expect("the connection is open");
        assert_eq!(self.line(), format!("{version} hello"));
    }
}

fn pids(report: &Report) -> Vec<&str> {
    report.lingering.iter().map(|process| &*process.pid).collect()
}

#[test]
fn s69_acceptors_in_a_callback_linger_are_listed_and_greet_with_old_code_once_more() {
    let (node, mut clients) = lyse(&[]);
    let report = node.report(&["upgrade", &release("lyse-1.0.1")]);
    assert_eq!(report.lingering.len(), ACCEPTORS, "{report:#?}");
    clients.iter_mut().for_each(|client| client.check_answer("two"));
    let refused = node.run(&["soft-purge", "lyse_serv"]).expect(1).stdout;
    assert_contains(&refused, &pids(&report));
    let mut late = Client::connect(&node);
    assert_eq!(late.greeting, "one welcome", "its acceptor was in a callback of the old code");
    late.check_answer("two");
    eventually("one lingers less", || {
        let old = servs(&node).into_iter().filter(|(_, version)| version == "1.0.0").count();
        (old == ACCEPTORS - 1).then_some(())
    });
    // An acceptor with a client starts its successor, which runs the new code.
    eventually("none lingers", || {
        Client::connect(&node).check_answer("two");
        servs(&node).iter().all(|(_, version)| version == "1.0.1").then_some(())
    });
    assert_eq!(Client::connect(&node).greeting, "two welcome");
}

#[test]
fn s69_s71_a_brutal_purge_kills_and_reports_acceptors_and_the_operator_starts_others_by_hand() {
    let (node, mut clients) = lyse(&[]);
    let (_scratch, tarball) = with("{ load_module = \"lyse_serv\", post_purge = \"brutal\" }");
    let report = node.report(&["upgrade", &tarball]);
    assert_eq!((report.killed.len(), report.lingering.len()), (ACCEPTORS, 0), "{report:#?}");
    clients.iter_mut().for_each(|client| client.check_answer("two"));
    assert_eq!(servs(&node).len(), 3, "only the sessions in play are left");
    // There is no acceptor yet. The connection waits in the kernel's backlog.
    let mut late = Client::knock(&node);
    for _ in 0..ACCEPTORS {
        node.ok(&["child", "start", "lyse_sup", "--args", "null"]);
    }
    assert_eq!(late.line(), "two welcome");
    late.check_answer("two");
    eventually("its acceptor has a successor", || (servs(&node).len() == 4 + ACCEPTORS).then_some(()));
}

#[test]
fn s70_an_update_that_waits_for_acceptors_is_given_up_after_one_deadline_for_all() {
    let (node, mut clients) = lyse(&[]);
    let before = servs(&node);
    let (_scratch, tarball) = with("{ update = \"lyse_serv\" }");
    let began = std::time::Instant::now();
    let failed = node.run(&["upgrade", &tarball]).expect(4).stderr;
    // One deadline after the other would take twenty seconds.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let acceptors: Vec<_> = before.iter().map(|(pid, _)| pid.as_str()).collect();
    let named = acceptors.iter().filter(|pid| failed.contains(**pid)).count();
    assert_contains(&failed, &["not at rest after 1000 ms", &format!("and {} more", ACCEPTORS - named)]);
    clients.iter_mut().for_each(|client| client.check_answer("one"));
    assert_eq!(servs(&node), before);

    node.ok(&["upgrade", "1.0.1", "--unrest=leave"]);
    clients.iter_mut().for_each(|client| client.check_answer("two"));
}

#[test]
fn s71_acceptors_that_return_from_their_callback_now_and_then_take_new_code_without_an_end() {
    let (node, mut clients) = lyse(&["--env", "lyse.patience_ms=50"]);
    let before: Vec<_> = servs(&node).into_iter().map(|(pid, _)| pid).collect();
    node.ok(&["upgrade", &release("lyse-1.0.1")]);
    eventually("all have new code", || {
        servs(&node).iter().all(|(_, version)| version == "1.0.1").then_some(())
    });
    let after: Vec<_> = servs(&node).into_iter().map(|(pid, _)| pid).collect();
    assert_eq!(after, before);
    clients.iter_mut().for_each(|client| client.check_answer("two"));
    assert_eq!(Client::connect(&node).greeting, "two welcome");
}

#[test]
fn s71_a_watch_that_counts_acceptors_replaces_those_killed_by_a_purge() {
    let (node, _clients) = lyse(&[]);
    let watch = r#"{"id": "watch", "module": "lyse_watch", "args": 5}"#;
    node.start_child(&node.supervisor("lyse"), watch);
    // The watch does not count acceptors that were started before it.
    eventually("it has its own", || (servs(&node).len() == 3 + ACCEPTORS + 5).then_some(()));
    let (_scratch, tarball) = with("{ load_module = \"lyse_serv\", post_purge = \"brutal\" }");
    assert_eq!(node.report(&["upgrade", &tarball]).killed.len(), ACCEPTORS + 5);
    eventually("it has its own again", || (servs(&node).len() == 3 + 5).then_some(()));
    assert_eq!(Client::connect(&node).greeting, "two welcome");
}

#[test]
fn s69_acceptors_that_wait_outside_a_callback_do_not_linger() {
    let game = Game::start("quest-1.0.0", USUAL_MS);
    let acceptors =
        || game.processes("sockserv_acceptor").into_iter().map(|process| process.pid).collect::<Vec<_>>();
    let before = acceptors();
    assert_eq!(before.len(), ACCEPTORS);
    game.go_to("quest-1.1.0");
    assert_eq!(acceptors(), before);
    let mut ada = game.play("ada");
    ada.command("who", "1 play: ada.");
    ada.quit();
}
