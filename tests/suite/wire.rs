//! The wire format for any client: one answer of each route, and the form of an error.
//!
//! `wire.txt` has the keys of each answer and the types of their values.
//! `RELD_BLESS=1 cargo test -p reld-tests --test suite wire::` rewrites it. Review the difference
//! before you commit it: clients see it too.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use std::{env, fmt, fs};

use reld_api::request::ROUTES;
use reld_api::response::PortList;
use reld_tests::{Fleet, Node, eventually, field, folder, pid_value, release};
use serde_json::{Value, json};

/// Time limit of an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The keys of an object, each with the types of its values.
type Object = BTreeMap<String, BTreeSet<&'static str>>;

/// The observed answers: by route, the objects with their paths.
#[derive(Default)]
struct Wire {
    seen: BTreeMap<String, BTreeMap<String, Object>>,
}

impl Wire {
    /// Sends a read request, with the parameters as the query.
    fn get(&mut self, node: &Node, path: &str, query: &[(&str, &str)]) -> Value {
        let text = |(key, value): &(&str, &str)| {
            format!("{key}={}", value.replace('<', "%3C").replace('>', "%3E").replace('"', "%22"))
        };
        let query: Vec<String> = query.iter().map(text).collect();
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) };
        self.one(path, send(node, "GET", &target, b""))
    }

    /// Sends an order, with the request as the body.
    fn post(&mut self, node: &Node, path: &str, request: &Value) -> Value {
        self.one(path, send(node, "POST", path, request.to_string().as_bytes()))
    }

    /// Sends an order, with a tarball as the body.
    fn upload(&mut self, node: &Node, path: &str, tarball: &str) -> Value {
        self.one(path, send(node, "POST", path, &fs::read(tarball).expect("the tarball exists")))
    }

    /// Sends an order that must fail. The error is noted under a name of its own.
    fn fail(&mut self, node: &Node, name: &str, path: &str, request: &Value) {
        let mut answer = send(node, "POST", path, request.to_string().as_bytes());
        assert_ne!(answer.status, 200);
        let error = answer.line().expect("an error has a body");
        self.note(name, "", "", &json!({"status": answer.status, "body": error}));
    }

    fn one(&mut self, path: &str, mut answer: Answer) -> Value {
        let value = answer.line().expect("an answer has a body");
        assert_eq!(answer.status, 200, "{path}: {value:#}");
        self.note(path, "", "", &value);
        value
    }

    /// Notes the next line of a streamed answer. Returns `None` after the last one.
    fn line(&mut self, path: &str, answer: &mut Answer) -> Option<Value> {
        let value = answer.line()?;
        assert_eq!(answer.status, 200, "{path}: {value:#}");
        self.note(path, "", "", &value);
        Some(value)
    }

    /// Notes a value under a key of an object, and all values below it.
    fn note(&mut self, route: &str, object: &str, key: &str, value: &Value) {
        let kind = match value {
            Value::Object(fields) => {
                let dot = if object.is_empty() || key.is_empty() { "" } else { "." };
                let place = format!("{object}{dot}{key}");
                fields.iter().for_each(|(key, value)| self.note(route, &place, key, value));
                "map"
            }
            Value::Array(values) => {
                values.iter().for_each(|value| self.note(route, object, &format!("{key}[]"), value));
                "list"
            }
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "text",
        };
        if key.is_empty() && kind == "map" {
            return;
        }
        let objects = self.seen.entry(route.to_owned()).or_default();
        let key = if key.is_empty() { "the answer itself" } else { key };
        objects.entry(object.to_owned()).or_default().entry(key.to_owned()).or_default().insert(kind);
    }
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (route, objects) in &self.seen {
            writeln!(f, "{route}")?;
            for (object, fields) in objects {
                let kinds = |kinds: &BTreeSet<&str>| kinds.iter().copied().collect::<Vec<_>>().join(" or ");
                let fields: Vec<_> = fields.iter().map(|(key, of)| format!("{key}: {}", kinds(of))).collect();
                writeln!(f, "    {object}{{{}}}", fields.join(", "))?;
            }
        }
        Ok(())
    }
}

/// An answer after its head was read.
struct Answer {
    status: u16,
    body: BufReader<UnixStream>,
}

/// Sends a request as any client could. In HTTP/1.0 the body ends with the connection.
fn send(node: &Node, method: &str, target: &str, body: &[u8]) -> Answer {
    let mut stream = UnixStream::connect(node.socket()).expect("the daemon listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a time-out");
    let length = body.len();
    write!(stream, "{method} {target} HTTP/1.0\r\nHost: reld\r\nContent-Length: {length}\r\n\r\n")
        .and_then(|()| stream.write_all(body))
        .expect("the daemon reads");
    let mut body = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(body.read_line(&mut head).expect("the daemon answers"), 0, "{head}");
    }
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer { status: status.unwrap_or_else(|| panic!("no status in {head}")), body }
}

impl Answer {
    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        let length = self.body.read_line(&mut line).expect("the daemon answers");
        (length > 0).then(|| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}")))
    }

    /// Returns the data of the next server-sent event.
    fn data(&mut self) -> Value {
        loop {
            let mut line = String::new();
            assert_ne!(self.body.read_line(&mut line).expect("the daemon answers"), 0, "it hung up");
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {data}"));
            }
        }
    }
}

fn running(release_name: &str) -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release(release_name)]);
    node
}

fn releases(wire: &mut Wire) {
    let node = running("stage-1.0.0");
    node.spawn("looper", 1);
    wire.upload(&node, "/releases/unpack", &release("stage-2.0.0"));
    wire.post(&node, "/releases/fetch", &json!({"url": format!("file://{}", release("stage-2.0.0"))}));
    wire.get(&node, "/releases/check", &[("version", "2.0.0")]);
    wire.post(&node, "/releases/install", &json!({"version": "2.0.0"}));
    wire.post(&node, "/releases/commit", &json!({}));
    wire.get(&node, "/releases", &[]);
    wire.get(&node, "/releases/keys", &[]);
    wire.get(&node, "/status", &[]);
    node.ok(&["purge", "looper"]);
    wire.get(&node, "/releases/check_downgrade", &[]);
    wire.post(&node, "/releases/downgrade", &json!({}));
    let settle = json!({"window_ms": 1, "probe": {"command": "echo well", "timeout_ms": 60_000}});
    let policy = json!({"group_windows": true});
    let upgrade = json!({"version": "2.0.0", "settle": settle, "policy": policy, "rollout": "stage-2.0.0"});
    wire.post(&node, "/releases/upgrade", &upgrade);
    node.ok(&["downgrade"]);
    wire.get(&node, "/releases/history", &[]);
    files_of_releases(wire, &node);
    node.ok(&["unpack", &release("stage-2.0.0")]);
    wire.post(&node, "/releases/remove", &json!({"version": "2.0.0"}));
}

/// Deletes a file of an old release, repairs it, and removes the release.
fn files_of_releases(wire: &mut Wire, node: &Node) {
    fs::remove_file(node.root().join("releases/2.0.0/release.toml")).expect("the node has unpacked it");
    wire.get(node, "/releases/verify", &[]);
    wire.upload(node, "/releases/unpack", &release("stage-2.0.0"));
    wire.get(node, "/releases/check_prune", &[("keep", "0")]);
    wire.post(node, "/releases/prune", &json!({"keep": 0}));
}

/// Follows an upgrade that another client aborts, and an upgrade that fails.
fn ends_of_upgrades(wire: &mut Wire) {
    let node = running("stage-1.0.0");
    node.ok(&["unpack", &release("stage-2.0.0")]);
    // A tick between the trial and the pause would exclude a state from the trial.
    let ticking = ["a", "b"].map(|child| node.pid("stage", child));
    ticking.iter().for_each(|pid| drop(node.ok(&["suspend", pid])));
    let settle = json!({"version": "2.0.0", "settle": {"window_ms": 600_000}, "detach": true});
    wire.post(&node, "/releases/upgrade", &settle);
    let mut attached = send(&node, "POST", "/releases/attach", b"");
    wire.line("/releases/attach", &mut attached).expect("the upgrade is under way");
    eventually("it settles", || node.status().upgrade?.text.contains("settle").then_some(()));
    wire.get(&node, "/status", &[]);
    wire.post(&node, "/releases/abort", &json!({}));
    while wire.line("/releases/attach", &mut attached).is_some() {}
    let mut attached = send(&node, "POST", "/releases/attach", b"");
    while wire.line("/releases/attach", &mut attached).is_some() {}
    ticking.iter().for_each(|pid| drop(node.ok(&["resume", pid])));

    node.ok(&["cast", &node.pid("stage", "a"), r#"{"trouble": "fail"}"#]);
    wire.fail(&node, "an upgrade that was rolled back", "/releases/upgrade", &json!({"version": "2.0.0"}));
    wire.fail(&node, "a request that was refused", "/releases/upgrade", &json!({"version": "7.0.0"}));
    wire.fail(&node, "a request that makes no sense", "/releases/upgrade", &json!({"vsn": "2.0.0"}));
    wire.fail(&node, "no such route", "/releases/upgrades", &json!({}));
    node.ok(&["cast", &node.pid("stage", "a"), r#"{"trouble": null}"#]);
    node.ok(&["upgrade", "2.0.0"]);
    wire.post(&node, "/releases/reboot_old", &json!({"version": "1.0.0"}));
}

fn single_app(wire: &mut Wire) {
    let node = running("shop-1.0.0");
    wire.upload(&node, "/releases/check_app", &release("shop-1.1.0"));
    wire.upload(&node, "/releases/upgrade_app", &release("shop-1.1.0"));
}

fn code(wire: &mut Wire) {
    let node = running("stage-1.0.0");
    node.spawn("looper", 0);
    let a = node.pid("stage", "a");
    wire.post(&node, "/suspend", &json!({"process": a}));
    wire.upload(&node, "/load", &release("stage-2.0.0"));
    wire.get(&node, "/code", &[]);
    let change = json!({"process": a, "module": "count_server", "from_version": "0.1.0"});
    wire.post(&node, "/change_code", &change);
    wire.post(&node, "/resume", &json!({"process": a}));
    wire.post(&node, "/soft_purge", &json!({"module": "looper"}));
    wire.post(&node, "/purge", &json!({"module": "looper"}));
}

fn processes(wire: &mut Wire) {
    let node = running("stage-1.0.0");
    let [a, pi] = ["a", "pi"].map(|id| node.pid("stage", id));
    let process = |pid: &str| json!({"process": pid});
    wire.post(&node, "/cast", &json!({"process": a, "message": {"bind": pid_value(&pi)}}));
    // A suspend overtakes queued messages, but not an answered call.
    node.call(&a, "get");
    wire.post(&node, "/suspend", &process(&a));
    node.ok(&["cast", &a, r#"{"bump": 5}"#]);
    eventually("the last tick waits beside the cast", || (node.proc(&a).mailbox.len() == 2).then_some(()));
    wire.get(&node, "/process", &[("process", &a)]);
    wire.get(&node, "/state", &[("process", &a)]);
    wire.post(&node, "/replace_state", &json!({"process": a, "state": node.state(&a)}));
    wire.post(&node, "/resume", &process(&a));

    wire.post(&node, "/statistics/set", &json!({"process": pi, "on": true}));
    wire.post(&node, "/message_log/set", &json!({"process": pi, "max": 5}));
    wire.post(&node, "/call", &json!({"process": pi, "request": "get"}));
    for path in ["/statistics", "/message_log", "/sys_status"] {
        wire.get(&node, path, &[("process", &pi)]);
    }
    wire.post(&node, "/no_debug", &process(&pi));

    let started = wire.post(&node, "/spawn", &json!({"module": "count_server", "args": 0}));
    for path in ["/processes", "/tree"] {
        wire.get(&node, path, &[]);
    }
    wire.get(&node, "/top", &[("for_ms", "1")]);
    let started: String = field(&started, "pid");
    wire.post(&node, "/terminate", &json!({"process": started, "reason": "normal"}));

    let mut linked = send(&node, "POST", "/spawn_link", br#"{"module": "looper", "args": 0}"#);
    let spawned = wire.line("/spawn_link", &mut linked).expect("it has started");
    let spawned: String = field(&field::<Value>(&spawned, "spawned"), "pid");
    wire.post(&node, "/kill", &json!({"process": spawned}));
    while wire.line("/spawn_link", &mut linked).is_some() {}

    let only = json!({"processes": [pi]}).to_string();
    let mut trace = send(&node, "POST", "/trace", only.as_bytes());
    assert_eq!(wire.line("/trace", &mut trace), Some(json!("began")));
    node.call(&pi, "get");
    wire.line("/trace", &mut trace).expect("the call is shown");
}

fn supervisors(wire: &mut Wire) {
    let node = running("stage-1.0.0");
    let sup = node.supervisor("stage");
    let spec = json!({"id": "c", "module": "count_server", "args": 7});
    wire.post(&node, "/children/start", &json!({"supervisor": sup, "child": {"spec": spec}}));
    wire.get(&node, "/children", &[("supervisor", &sup)]);
    wire.get(&node, "/children/spec", &[("supervisor", &sup), ("id", r#""c""#)]);
    let child = json!({"supervisor": sup, "id": "c"});
    wire.post(&node, "/children/terminate", &child);
    wire.post(&node, "/children/restart", &child);
    node.ok(&["child", "terminate", &sup, "c"]);
    wire.post(&node, "/children/delete", &child);
    wire.post(&node, "/apps/stop", &json!({"app": "stage"}));
    wire.post(&node, "/apps/start", &json!({"app": "stage"}));
    node.ok(&["kill", &node.supervisor("stage")]);
    eventually("the app has ended", || (!node.status().ended.is_empty()).then_some(()));
    wire.get(&node, "/status", &[]);
    wire.get(&node, "/apps", &[]);
}

/// Makes the node report most kinds of events. Each kind has keys of its own.
fn reports(wire: &mut Wire) {
    let node = running("stage-1.0.0");
    let a = node.pid("stage", "a");
    node.run(&["call", &a, "panic"]).expect(1);
    node.restarted("stage", "a", &a);
    let mut events = send(&node, "GET", "/events?since=1", b"");
    let mut kind = String::new();
    while kind != "supervisor.restart" {
        let event = events.data();
        kind = field(&event, "kind");
        wire.note("/events", "", &kind, &event);
    }
    wire.get(&node, "/logs", &[("lines", "1"), ("app", "stage")]);
    let mut log = send(&node, "GET", "/logs/follow?lines=1&app=stage", b"");
    wire.note("/logs/follow", "", "", &log.data());
}

fn ports_and_tables(wire: &mut Wire) {
    let node = running("wire-1.0.0");
    let address = node.call(&node.pid("wire", "door"), "address");
    let _client = TcpStream::connect(address.as_str().expect("an address")).expect("the door is open");
    node.call("wire_desk", json!({"open": "wire_clerk"}));
    eventually("the client is in", || (node.read::<PortList>(&["ports"]).ports.len() > 1).then_some(()));
    wire.get(&node, "/ports", &[]);
    wire.get(&node, "/tables", &[]);
}

fn environment(wire: &mut Wire) {
    let node = running("yard-1.0.0");
    let set = json!({"yard": {"speed": 2, "fresh": 3}, "shed": {"gone": true}});
    wire.post(&node, "/env/set", &json!({"set": set, "dry_run": false, "timeout_ms": 5000}));
    wire.post(&node, "/env/set", &json!({"set": {"yard": {"speed": 4}}, "unset": {"shed": ["gone"]}}));
    fs::write(node.root().join("config.toml"), "").expect("the root is ours");
    wire.get(&node, "/env", &[("app", "yard")]);
    wire.fail(
        &node,
        "a refused change of the configuration",
        "/env/set",
        &json!({"set": {"yard": {"speed": "refuse"}}}),
    );
}

/// Rolls a release out over a fleet with a node that is gone.
fn fleet(wire: &mut Wire) {
    let Some(mut fleet) = Fleet::of(2, &release("stage-1.0.0")) else { return };
    fleet.nodes[1].kill_9();
    fleet.expire("n2");
    fleet.await_nodes(1);
    let (node, tarball) = (&fleet.nodes[0], release("stage-2.0.0"));
    wire.get(node, "/fleet", &[]);
    eventually("n2 is missed", || fleet.run(&["nodes"]).stdout.contains("missing_since").then_some(()));
    wire.get(node, "/fleet/nodes", &[]);
    node.ok(&["unpack", &tarball]);
    let identity = node.releases()[0].identity.clone();
    let by = json!({"by": "op"});
    let start = json!({"policy": "release = ''\nprobe = 'smoke'", "source": format!("file://{tarball}"), "name": "stage",
                       "version": "2.0.0", "identity": identity, "skip": [], "by": "op"});
    fleet.write("n1.hold", "");
    wire.post(node, "/fleet/rollout/start", &start);
    wire.post(node, "/fleet/rollout/pause", &by);
    wire.post(node, "/fleet/rollout/resume", &by);
    wire.get(node, "/fleet/rollout", &[]);
    wire.post(node, "/fleet/rollout/skip", &json!({"node": "n2", "by": "op"}));
    fleet.await_state("n1", "upgrading");
    // A halt would revoke an order that has not begun yet.
    eventually("the probe runs", || (!fleet.log().is_empty()).then_some(()));
    wire.get(node, "/fleet/rollout", &[]);
    wire.post(node, "/fleet/rollout/halt", &by);
    fleet.remove("n1.hold");
    fleet.await_state("n1", "committed");
    wire.get(node, "/fleet/rollout", &[]);
    wire.post(node, "/fleet/rollout/take_back", &by);
    wire.post(node, "/fleet/nodes/remove", &json!({"node": "n2"}));
    wire.get(node, "/status", &[]);
}

#[test]
fn every_route_answers_with_the_recorded_keys() {
    let mut wire = Wire::default();
    for scenario in [
        releases,
        ends_of_upgrades,
        single_app,
        code,
        processes,
        supervisors,
        reports,
        ports_and_tables,
        environment,
        fleet,
    ] {
        scenario(&mut wire);
    }
    let mut routes: BTreeSet<_> = ROUTES.iter().map(|(_, path)| (*path).to_owned()).collect();
    let asked: BTreeSet<_> = wire.seen.keys().filter(|name| name.starts_with('/')).cloned().collect();
    if !asked.contains("/fleet") {
        // Without etcd the file cannot be compared as a whole.
        routes.retain(|route| !route.starts_with("/fleet"));
        return assert_eq!(asked, routes);
    }
    assert_eq!(asked, routes);
    let file = folder("tests/suite/wire.txt");
    if env::var_os("RELD_BLESS").is_some() {
        fs::write(&file, wire.to_string()).expect("the file can be changed");
    }
    assert_eq!(wire.to_string(), fs::read_to_string(file).expect("it was written down"));
}

#[test]
fn the_answer_to_a_linked_spawn_ends_with_its_process() {
    let node = running("stage-1.0.0");
    let mut linked = send(&node, "POST", "/spawn_link", br#"{"module": "looper", "args": 0}"#);
    let spawned = linked.line().expect("it has started");
    let pid: String = field(&field::<Value>(&spawned, "spawned"), "pid");
    node.ok(&["kill", &pid]);
    assert_eq!(linked.line(), Some(json!({"exited": {"pid": pid, "reason": "killed"}})));
    assert_eq!(linked.line(), None, "nothing follows");
}
