//! Test kit of the game: a node that runs it, and clients that play it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reld_api::response::{Process, Report};
use reld_tests::{Node, eventually, exactly, release};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ledger::{Ledger, Sheet};

/// Time limit for an expected line.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time of a step in milliseconds, for fast tests. `USUAL_MS` is the pace for people.
pub(super) const QUICK_MS: u64 = 10;
pub(super) const USUAL_MS: u64 = 800;

/// A node that runs the game.
#[derive(Debug)]
pub(super) struct Game {
    pub(super) node: Node,
    address: String,
}

/// The replies of `regis`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Registered {
    Pid(Option<PidValue>),
    Names(Vec<String>),
}

#[derive(Serialize, Deserialize)]
struct PidValue {
    slot: u32,
    generation: u32,
}

impl Game {
    /// Starts a node with a release by its name. `pace_ms` is the time of a player's step.
    pub(super) fn start(release_name: &str, pace_ms: u64) -> Self {
        Self::start_tarball(&release(release_name), pace_ms)
    }

    /// Like `start`, with a packed release.
    pub(super) fn start_tarball(tarball: &str, pace_ms: u64) -> Self {
        let pace = format!("processquest.pace_ms={pace_ms}");
        let node = Node::start_with(&["--env", "sockserv.port=0", "--env", &pace]);
        node.ok(&["upgrade", tarball]);
        let address = node.call(&node.pid("sockserv", 1), "address");
        let address = address.as_str().expect("an acceptor reports its address").to_owned();
        Self { node, address }
    }

    /// Goes to a release by its name. The release must be installed without the end of a process.
    #[track_caller]
    pub(super) fn go_to(&self, release_name: &str) -> Report {
        self.go(&["upgrade", &release(release_name)])
    }

    /// Runs an upgrade or downgrade. It must be installed without the end of a process.
    #[track_caller]
    pub(super) fn go(&self, args: &[&str]) -> Report {
        let report = self.node.report(args);
        assert_eq!(
            (&report.killed[..], &report.lingering[..], report.timeouts),
            (&[][..], &[][..], 0),
            "{report:#?}"
        );
        report
    }

    /// Connects a client.
    pub(super) fn connect(&self) -> Client {
        Client::connect(&self.address)
    }

    /// Connects a client that begins to play under a name.
    pub(super) fn play(&self, name: &str) -> Client {
        let mut client = self.connect();
        client.begin(name);
        client
    }

    /// Returns the process registered under a name.
    pub(super) fn find(&self, name: &str) -> Option<String> {
        match exactly(&self.node.call("regis", json!({"whereis": name}))) {
            Registered::Pid(found) => found.map(|pid| format!("<{}.{}>", pid.slot, pid.generation)),
            Registered::Names(_) => panic!("regis answered with names"),
        }
    }

    /// Returns all names.
    pub(super) fn names(&self) -> Vec<String> {
        match exactly(&self.node.call("regis", "names")) {
            Registered::Names(names) => names,
            Registered::Pid(_) => panic!("regis answered with a process"),
        }
    }

    /// Returns the state of a player.
    #[track_caller]
    pub(super) fn sheet(&self, name: &str) -> Sheet {
        let pid = self.find(name).unwrap_or_else(|| panic!("{name} does not play"));
        exactly(&self.node.call(&pid, "sheet"))
    }

    /// Checks that the lines of a client agree with its player, and quits.
    #[track_caller]
    pub(super) fn check_and_quit(&self, name: &str, mut client: Client) {
        let pid = self.find(name).unwrap_or_else(|| panic!("{name} does not play"));
        let sheet: Sheet = exactly(&self.node.call(&pid, "sheet"));
        while !client.ledger.agrees_with(&sheet) {
            let ledger = &client.ledger;
            assert!(ledger.fights <= sheet.fights, "{sheet:#?} was never so: {ledger:#?}");
            client.event();
        }
        assert_eq!(sheet.name, name);
        client.quit();
        eventually("the player is gone", || self.find(name).is_none().then_some(()));
    }

    /// Returns the processes of a module.
    pub(super) fn processes(&self, module: &str) -> Vec<Process> {
        self.node.ps().into_iter().filter(|process| process.module == module).collect()
    }
}

/// A client, like a person with `nc`.
#[derive(Debug)]
pub(super) struct Client {
    stream: BufReader<TcpStream>,
    pub(super) ledger: Ledger,
}

impl Client {
    pub(super) fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("an acceptor waits");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has time-outs");
        let mut client = Self { stream: BufReader::new(stream), ledger: Ledger::new() };
        assert_eq!(client.line(), "Welcome to Process Quest. What is your name?");
        client
    }

    /// Types a line.
    pub(super) fn types(&mut self, text: &str) {
        self.stream.get_mut().write_all(format!("{text}\n").as_bytes()).expect("the connection is open");
    }

    /// Returns the next line, which must arrive.
    #[track_caller]
    pub(super) fn line(&mut self) -> String {
        self.next_line().unwrap_or_else(|| panic!("the connection was closed: {:#?}", self.ledger))
    }

    fn next_line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.stream.read_line(&mut line).expect("a line comes");
        (length > 0).then(|| line.trim_end().to_owned())
    }

    /// Types a line outside a game, and returns the answer.
    #[track_caller]
    pub(super) fn ask(&mut self, text: &str) -> String {
        self.types(text);
        self.line()
    }

    /// Begins to play under a name.
    #[track_caller]
    pub(super) fn begin(&mut self, name: &str) {
        assert!(self.ask(name).ends_with("Is that fine? (y/n)"));
        assert!(self.ask("y").starts_with("You go hunting."));
    }

    /// Returns the next line of the game, and enters it into the ledger.
    #[track_caller]
    pub(super) fn event(&mut self) -> String {
        let line = self.line();
        self.ledger.enter(&line);
        line
    }

    /// Plays until a line matches.
    #[track_caller]
    pub(super) fn until(&mut self, is_it: impl Fn(&str) -> bool) {
        while !is_it(&self.event()) {}
    }

    /// Plays until the ledger matches.
    #[track_caller]
    pub(super) fn until_ledger(&mut self, is_it: impl Fn(&Ledger) -> bool) {
        while !is_it(&self.ledger) {
            self.event();
        }
    }

    /// Types a command in the game, and plays until a line begins with `answer`.
    #[track_caller]
    pub(super) fn command(&mut self, text: &str, answer: &str) {
        self.types(text);
        self.until_answer(answer);
    }

    /// Plays until the player begins a new game, with a new ledger.
    #[track_caller]
    pub(super) fn begins_anew(&mut self) {
        self.until_answer("A strange force has undone you. You begin anew.");
        self.ledger = Ledger::new();
    }

    /// Plays until a line of the session begins with `answer`.
    #[track_caller]
    pub(super) fn until_answer(&mut self, answer: &str) {
        loop {
            let line = self.line();
            if line.starts_with(answer) {
                return;
            }
            self.ledger.enter(&line);
        }
    }

    /// Quits the game, and checks that the farewell is the last line.
    #[track_caller]
    pub(super) fn quit(mut self) {
        self.command("quit", "Farewell.");
        assert_eq!(self.next_line(), None, "nothing comes after that");
    }

    /// Plays until the session reports the end of the game, and checks that the connection is
    /// closed.
    #[track_caller]
    pub(super) fn is_over(&mut self) {
        self.until_answer("You are no more.");
        assert_eq!(self.next_line(), None, "nothing comes after that");
    }

    /// Plays until the connection is closed without a farewell.
    #[track_caller]
    pub(super) fn is_cut_off(&mut self) {
        while let Some(line) = self.next_line() {
            self.ledger.enter(&line);
        }
    }
}
