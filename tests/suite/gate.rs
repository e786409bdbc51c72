//! The gate of a node (S126): the lock of a FleetLock server is taken before an order changes the
//! node, and given back when the node is at rest.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use reld_api::response::HistoryList;
use reld_tests::{Etcd, Node, assert_contains, eventually, release};
use serde_json::{Value, json};

use crate::settle::{beside, end};

/// A lock server with one lock.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Lock>>);

#[derive(Default)]
struct Lock {
    holder: Option<String>,
    is_broken: bool,
    redirects: bool,
    /// The granted and refused requests, such as `pre-reboot n1`.
    requests: Vec<String>,
}

impl Server {
    /// Starts the server with a lock that another node holds. Returns it with its URL.
    fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let server = Self::default();
        server.lock().holder = Some("node-7".to_owned());
        let serving = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // The client may hang up at any time.
                let _ = serving.answer(stream);
            }
        });
        (server, url)
    }

    fn lock(&self) -> MutexGuard<'_, Lock> {
        self.0.lock().expect("no test panics with it")
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head)?;
        }
        let head = head.to_ascii_lowercase();
        if head.starts_with("get ") {
            // The page that a redirect names.
            return write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        let length =
            head.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next()?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body)?;
        let (status, text) = self.judge(&head, &serde_json::from_slice(&body)?);
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
            text.len()
        )
    }

    fn judge(&self, head: &str, body: &Value) -> (&'static str, String) {
        let mut lock = self.lock();
        let client = &body["client_params"];
        assert_eq!(client["group"], "default");
        let id = client["id"].as_str().expect("a client has an id").to_owned();
        assert!(head.contains("fleet-lock-protocol: true"), "{head}");
        let verb = head.split(' ').nth(1).and_then(|path| path.strip_prefix("/v1/"));
        let verb = verb.expect("a request of the protocol");
        lock.requests.push(format!("{verb} {id}"));
        if lock.is_broken {
            return ("503 Service Unavailable", "no backend".to_owned());
        }
        let other = lock.holder.clone().filter(|holder| *holder != id);
        if lock.redirects {
            return ("302 Found\r\nLocation: /login", String::new());
        }
        match (verb, other) {
            ("pre-reboot", Some(holder)) => {
                let value = format!("the lock is held by {holder}");
                return ("409 Conflict", json!({"kind": "failed_lock", "value": value}).to_string());
            }
            ("pre-reboot", None) => lock.holder = Some(id),
            ("steady-state", None) => lock.holder = None,
            ("steady-state", Some(_)) => {}
            (verb, _) => panic!("no request {verb}"),
        }
        ("200 OK", String::new())
    }

    #[track_caller]
    fn await_free(&self) {
        eventually("the lock is given back", || self.lock().holder.is_none().then_some(()));
    }
}

fn gated(url: &str) -> Node {
    Node::start_with(&["--gate", &format!("fleetlock:{url}/"), "--gate-id", "n1"])
}

#[test]
fn s126_an_order_needs_the_lock_of_the_fleet_and_every_end_gives_it_back() {
    let (server, url) = Server::start();
    let node = gated(&url);
    let start = || (server.lock().requests == ["steady-state n1"]).then_some(());
    eventually("the lock is given back at the start", start);
    let refused = node.refused(&["upgrade", &release("stage-1.0.0")]);
    assert_eq!(refused.kind, "locked_out");
    let answer = format!("the lock server {url}/ answers: the lock is held by node-7 (failed_lock)");
    assert_eq!(refused.message, format!("cannot begin upgrade to 1.0.0: {answer}"));
    assert_eq!(node.status().release.map(|release| release.version), None);

    server.lock().redirects = true;
    assert_contains(&node.refused(&["upgrade", "1.0.0"]).message, &["answers 302 Found"]);
    server.lock().redirects = false;

    let waiting = beside(&node, &["upgrade", "1.0.0", "--wait"]);
    let order = || node.status().order.filter(|order| order.contains("which waits for the lock: "));
    assert_contains(&eventually("it waits", order), &["upgrade to 1.0.0", "held by node-7"]);
    server.lock().holder = None;
    end(waiting).expect(0);
    server.await_free();

    // A rollback, a way back and a commit end with the lock free.
    let pid = node.pid("stage", "a");
    node.ok(&["cast", &pid, r#"{"trouble": "fail"}"#]);
    node.error(4, &["upgrade", &release("stage-2.0.0")]);
    server.await_free();
    node.ok(&["cast", &pid, r#"{"trouble": null}"#]);
    node.error(4, &["upgrade", "2.0.0", "--probe", "false"]);
    server.await_free();
    node.ok(&["upgrade", "2.0.0", "--no-commit"]);
    assert_eq!(server.lock().holder.as_deref(), Some("n1"), "the release may still be taken back");
    server.lock().requests.clear();
    node.ok(&["commit"]);
    server.await_free();
    node.ok(&["upgrade", "2.0.0"]);
    node.ok(&["downgrade", "1.0.0", "--dry-run"]);
    assert_eq!(server.lock().requests, ["steady-state n1"], "nothing has changed the node since");
}

#[test]
fn an_order_of_a_fleet_that_waits_for_the_lock_does_not_begin_after_its_node_was_skipped() {
    let Some(etcd) = Etcd::start() else { return };
    let (server, url) = Server::start();
    server.lock().holder = None;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let write = |file: &str, text: String| {
        fs::write(folder.path().join(file), text).expect("the folder can be written");
        folder.path().join(file).to_string_lossy().into_owned()
    };
    let member = "fleet = 'shop'\nnode = 'n1'\nallow_unsigned = true\n";
    let member = write("fleet.toml", format!("endpoints = {:?}\n{member}", etcd.endpoints()));
    let gate = format!("fleetlock:{url}/");
    let node = Node::start_with(&["--fleet", &member, "--gate", &gate, "--gate-id", "n1"]);
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    server.await_free();
    server.lock().holder = Some("node-7".to_owned());
    let policy = write("rollout.toml", format!("release = '{}'\n", release("stage-2.0.0")));
    let watcher = beside(&node, &["rollout", "start", &policy, "--fleet"]);
    eventually("the order waits for the lock", || {
        node.status().order.filter(|order| order.contains("waits for the lock"))
    });
    node.ok(&["rollout", "skip", "n1"]);
    end(watcher);
    eventually("the order is revoked", || node.status().order.is_none().then_some(()));
    server.lock().holder = None;
    node.ok(&["upgrade", "1.0.0"]);
    let history = node.read::<HistoryList>(&["history"]).entries;
    assert!(history.iter().all(|entry| entry.rollout.is_none()), "{history:?}");
    assert_eq!(node.version(), "1.0.0");
}

#[test]
fn a_lock_that_cannot_be_given_back_raises_an_alarm_and_is_given_back_later_or_at_the_next_start() {
    let (server, url) = Server::start();
    server.lock().holder = None;
    let mut node = gated(&url);
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    server.await_free();
    let silence = || node.status().alarms.into_iter().find(|alarm| alarm.contains("cannot give the lock"));
    eventually("no alarm is left", || silence().is_none().then_some(()));

    node.ok(&["upgrade", &release("stage-2.0.0"), "--settle", "600", "--detach"]);
    eventually("it settles", || node.status().settling);
    server.lock().is_broken = true;
    // The way back of a settling release needs no lock.
    node.ok(&["downgrade", "1.0.0"]);
    assert_contains(&eventually("an alarm", silence), &["answers 503", "it is tried again"]);
    let refused = node.refused(&["upgrade", "2.0.0"]);
    assert_contains(&refused.message, &["answers 503 Service Unavailable"]);
    server.lock().is_broken = false;
    server.await_free();
    eventually("the alarm is lowered", || silence().is_none().then_some(()));

    node.ok(&["upgrade", "2.0.0", "--settle", "600", "--detach"]);
    eventually("it settles", || node.status().settling);
    assert_eq!(server.lock().holder.as_deref(), Some("n1"));
    node.kill_9_and_restart();
    server.await_free();
    assert_eq!(node.version(), "1.0.0");
}
