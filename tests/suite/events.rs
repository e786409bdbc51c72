//! Events of a node (O7): `relctl events`, and `/events` for any client.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use reld_api::response::{Event, Outcome, What};
use reld_tests::{Node, Run, assert_contains, release};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Time limit for an expected event.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running relctl that prints lines until it gets a signal.
pub(crate) struct Following {
    relctl: std::process::Child,
    lines: Receiver<String>,
}

impl Following {
    pub(crate) fn of(node: &Node, args: &[&str]) -> Self {
        let piped = |command: &mut Command| command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut relctl = piped(&mut node.relctl(args)).expect("relctl can be run");
        let stdout = BufReader::new(relctl.stdout.take().expect("the stream is piped"));
        let (sender, lines) = channel();
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { relctl, lines }
    }

    /// Waits for the next line.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("nothing more in {PATIENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => panic!("relctl has ended"),
        }
    }

    /// Waits for the next line and reads it as JSON.
    #[track_caller]
    pub(crate) fn next<T: DeserializeOwned + Serialize>(&self) -> T {
        Run { code: 0, stdout: self.line(), stderr: String::new() }.read()
    }

    /// Returns the events up to the first one that is the last.
    #[track_caller]
    fn until(&self, is_last: impl Fn(&What) -> bool) -> Vec<What> {
        let mut seen = Vec::new();
        loop {
            let event: Event = self.next();
            seen.push(event.what);
            if seen.last().is_some_and(&is_last) {
                return seen;
            }
        }
    }

    /// Sends a signal and returns the exit status and stderr of relctl.
    pub(crate) fn signal(self, signal: &str) -> (ExitStatus, String) {
        Run::of(Command::new("kill").args([signal, &self.relctl.id().to_string()])).expect(0);
        self.ended()
    }

    /// Waits for relctl to end, and returns its exit status and stderr.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let mut errors = String::new();
        let stderr = self.relctl.stderr.as_mut().expect("the stream is piped");
        stderr.read_to_string(&mut errors).expect("it is text");
        (self.relctl.wait().expect("it ends"), errors)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // relctl may have ended already.
        let _ = self.relctl.kill();
        let _ = self.relctl.wait();
    }
}

/// Follows all events of a node since its start.
fn events(node: &Node) -> Following {
    Following::of(node, &["events", "--json", "--since", "0"])
}

fn is_committed(version: &str) -> impl Fn(&What) -> bool {
    move |what| matches!(what, What::Committed { version: committed } if committed == version)
}

fn stage() -> (Node, Following) {
    let node = Node::start();
    let events = events(&node);
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    events.until(is_committed("1.0.0"));
    (node, events)
}

/// Returns the index of an event.
#[track_caller]
fn place(seen: &[What], is_it: impl Fn(&What) -> bool) -> usize {
    seen.iter().position(is_it).unwrap_or_else(|| panic!("not in {seen:#?}"))
}

#[test]
fn an_upgrade_is_reported_step_by_step_with_the_code_that_comes_and_goes() {
    let node = Node::start();
    let events = events(&node);
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    let boot = events.until(is_committed("1.0.0"));
    let started = What::AppStarted { app: "stage".to_owned(), version: "0.1.0".to_owned() };
    place(&boot, |what| *what == What::Ready {});
    place(&boot, |what| *what == started);

    let report = node.report(&["upgrade", &release("stage-2.0.0")]);
    let seen = events.until(is_committed("2.0.0"));
    let steps = seen.iter().filter_map(|what| match what {
        What::Step { version, step, of, title } => Some((version.as_str(), *step, *of, title.as_str())),
        _ => None,
    });
    let of = report.steps.last().expect("it has steps").number as u64;
    let expected = report.steps.iter().map(|step| ("2.0.0", step.number as u64, of, step.text.as_str()));
    assert_eq!(steps.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    let code = |version: &str| ("stage".to_owned(), version.to_owned());
    let places = [
        place(
            &seen,
            |what| matches!(what, What::CodeLoaded { app, version } if (app.clone(), version.clone()) == code("0.2.0")),
        ),
        place(
            &seen,
            |what| matches!(what, What::CodePurged { module, version, .. } if module == "count_server" && version == "0.1.0"),
        ),
        place(
            &seen,
            |what| matches!(what, What::CodeUnmapped { app, version } if (app.clone(), version.clone()) == code("0.1.0")),
        ),
        place(&seen, |what| matches!(what, What::Done { outcome: Outcome::Installed, .. })),
    ];
    assert!(places.is_sorted(), "{places:?} in {seen:#?}");
}

#[test]
fn an_upgrade_that_fails_is_reported_with_its_cause_and_the_undone_steps() {
    let (node, events) = stage();
    node.ok(&["cast", &node.pid("stage", "a"), r#"{"trouble": "fail"}"#]);
    node.run(&["upgrade", &release("stage-2.0.0")]).expect(4);
    let seen = events.until(|what| matches!(what, What::Done { .. }));
    let failed = place(&seen, |what| matches!(what, What::Failed { version, .. } if version == "2.0.0"));
    let undone = place(&seen, |what| matches!(what, What::Undo { .. }));
    assert!(failed < undone, "{seen:#?}");
    let outcome = Outcome::RolledBack;
    assert_eq!(seen.last(), Some(&What::Done { version: "2.0.0".to_owned(), outcome }));
}

#[test]
fn a_crash_and_the_restart_after_it_are_reported_without_the_message_that_led_to_it() {
    let (node, events) = stage();
    let crashed = node.pid("stage", "pi");
    node.run(&["call", &crashed, r#"{"no": "such request"}"#]);
    node.ok(&["kill", &crashed, "a secret is out"]);
    let restarted = node.restarted("stage", "pi", &crashed);
    let seen = events.until(|what| matches!(what, What::Restart { .. }));
    let [.., What::Crash { pid, app, module, version, reason }, What::Restart { pid: new, child, .. }] =
        &seen[..]
    else {
        panic!("{seen:#?}")
    };
    assert_eq!([pid, app, module, version], [&crashed, "stage", "pi_gen", "0.1.0"]);
    assert_contains(reason, &["a secret is out"]);
    assert_eq!([new, child], [&restarted, r#""pi""#]);
}

#[test]
fn starts_and_ends_of_apps_purges_by_hand_and_the_end_of_the_node_are_reported() {
    let (mut node, events) = stage();
    let app = || "stage".to_owned();
    node.ok(&["app", "stop", "stage"]);
    node.ok(&["app", "start", "stage"]);
    events.until(|what| *what == What::AppStopped { app: app() });
    events.until(|what| matches!(what, What::AppStarted { .. }));

    node.ok(&["load", "--force", "--profile", "dev", &folder_of_stage()]);
    events.until(|what| matches!(what, What::CodeLoaded { .. }));
    node.ok(&["purge", "looper"]);
    let purged = |module: &str| What::CodePurged {
        module: module.to_owned(),
        version: "0.1.0".to_owned(),
        app: app(),
    };
    events.until(|what| *what == purged("looper"));

    node.ok(&["kill", &node.supervisor("stage")]);
    events
        .until(|what| matches!(what, What::AppEnded { app, reason } if app == "stage" && reason == "killed"));
    assert!(node.terminate().success());
    events.until(|what| *what == What::Stopping {});
    let (status, errors) = events.ended();
    assert_eq!(status.code(), Some(3), "{errors}");
    assert_contains(&errors, &["the connection broke", "/events"]);
}

#[test]
fn messages_are_no_events() {
    let (node, events) = stage();
    let a = node.pid("stage", "a");
    for _ in 0..20 {
        node.ok(&["cast", &a, r#"{"bump": 1}"#]);
        node.call(&a, "get");
    }
    node.ok(&["app", "stop", "stage"]);
    let stopped = What::AppStopped { app: "stage".to_owned() };
    assert_eq!(events.until(|what| *what == stopped), std::slice::from_ref(&stopped));
}

fn folder_of_stage() -> String {
    reld_tests::folder("tests/fixtures/lib/stage-0.2.0").display().to_string()
}

#[test]
fn an_alarm_is_reported_when_it_comes_and_when_it_goes() {
    let (node, events) = stage();
    let document = node.root().join("lib/stage-0.1.0/app.toml");
    fs::write(document, "changed").expect("the root can be written");
    node.run(&["verify"]).expect(1);
    let seen = events.until(|what| matches!(what, What::AlarmRaised { .. }));
    let Some(What::AlarmRaised { about, text }) = seen.last() else { panic!("{seen:#?}") };
    assert_eq!(&node.status().alarms, std::slice::from_ref(text));
    node.ok(&["unpack", &release("stage-1.0.0")]);
    let (about, text) = (about.clone(), text.clone());
    events.until(|what| *what == What::AlarmCleared { about: about.clone(), text: text.clone() });
    assert_contains(&node.log(), &["alarm raised about=", "alarm cleared about="]);
}

#[test]
fn events_are_kept_and_reported_at_every_log_level() {
    let node = Node::start_in(&[("RELD_LOG", "off")]);
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    events(&node).until(is_committed("1.0.0"));
    assert_eq!(node.log(), "");
}

#[test]
fn a_client_that_comes_back_misses_nothing_and_learns_of_a_restart_of_the_daemon() {
    let (mut node, events) = stage();
    drop(events);
    let all = self::events(&node);
    let first: Event = all.next();
    let second: Event = all.next();
    let after_first = Following::of(&node, &["events", "--json", "--since", &first.id.to_string()]);
    assert_eq!(after_first.next::<Event>(), second);
    assert_eq!(second.id, first.id + 1);

    node.kill_9_and_restart();
    let back = Following::of(&node, &["events", "--json", "--since", &second.id.to_string()]);
    assert_eq!(back.next::<Event>().what, What::Dropped { missed: 0, restarted: true });
    let begin: Event = back.next();
    assert!(begin.id > second.id);
    assert_eq!(self::events(&node).next::<Event>(), begin);
}

#[test]
fn relctl_events_prints_readable_lines_and_exits_with_success_when_interrupted_or_terminated() {
    let node = Node::start();
    for signal in ["-INT", "-TERM"] {
        let events = Following::of(&node, &["events", "--since", "0"]);
        assert_contains(&events.line(), &["Z  daemon.ready"]);
        let (status, errors) = events.signal(signal);
        assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
    }
}

/// A client of `/events` that reads only on demand.
struct Client(BufReader<UnixStream>);

impl Client {
    fn ask(node: &Node, target: &str, header: &str) -> Self {
        let mut stream = UnixStream::connect(node.socket()).expect("the daemon listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has a time-out");
        write!(stream, "GET {target} HTTP/1.0\r\nHost: reld\r\n{header}\r\n").expect("the daemon reads");
        Self(BufReader::new(stream))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.0.read_line(&mut line).expect("the daemon answers"), 0, "it hung up");
        line
    }

    fn event(&mut self) -> Event {
        loop {
            if let Some(data) = self.line().strip_prefix("data: ") {
                return serde_json::from_str(data).expect("it is an event");
            }
        }
    }
}

#[test]
fn an_event_is_a_server_sent_event_and_the_header_of_a_client_that_comes_back_goes_before_its_query() {
    let (node, events) = stage();
    drop(events);
    let mut client = Client::ask(&node, "/events?since=0", "");
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head += &client.line();
    }
    assert_contains(
        &head,
        &["HTTP/1.0 200 OK", "content-type: text/event-stream", "cache-control: no-cache"],
    );
    let first: Event = events_of(&node);
    let Event { id, time, .. } = &first;
    let frame = [client.line(), client.line(), client.line(), client.line()].concat();
    let kind = first.what.kind();
    let expected =
        format!("event: {kind}\nid: {id}\ndata: {{\"id\":{id},\"time\":\"{time}\",\"kind\":\"{kind}\"");
    assert!(frame.starts_with(&expected) && frame.ends_with("}\n\n"), "{frame}");
    let second = client.event();
    let mut back = Client::ask(&node, "/events?since=0", &format!("Last-Event-ID: {id}\r\n"));
    assert_eq!(back.event(), second);
}

fn events_of(node: &Node) -> Event {
    events(node).next()
}

/// Starts many processes at once that fail in their init, over one connection. Each failure is an
/// event.
fn crash(node: &Node, times: usize) {
    const AT_ONCE: usize = 100;
    let body = r#"{"module": "count_server", "args": -1}"#;
    let length = body.len();
    let request = format!("POST /spawn HTTP/1.1\r\nHost: reld\r\nContent-Length: {length}\r\n\r\n{body}");
    let mut socket = UnixStream::connect(node.socket()).expect("the daemon listens");
    for _ in 0..times / AT_ONCE {
        socket.write_all(request.repeat(AT_ONCE).as_bytes()).expect("the daemon reads");
        let (mut answers, mut chunk) = (String::new(), [0; 65536]);
        while answers.matches("HTTP/1.1 409").count() < AT_ONCE || !answers.ends_with('}') {
            let length = socket.read(&mut chunk).expect("the daemon answers");
            assert_ne!(length, 0, "the daemon hung up after:\n{answers}");
            answers += &String::from_utf8_lossy(&chunk[..length]);
        }
    }
}

#[test]
fn a_client_that_does_not_read_delays_nothing_and_gets_the_number_of_missed_events() {
    /// More events than the daemon keeps and the connection buffers.
    const CRASHES: usize = 20_000;
    let (node, events) = stage();
    drop(events);
    let mut slow = Client::ask(&node, "/events?since=0", "");
    crash(&node, CRASHES);
    node.ok(&["upgrade", &release("stage-2.0.0")]);
    let (mut crashes, mut missed) = (0, 0);
    let mut last = slow.event();
    while !is_committed("2.0.0")(&last.what) {
        let event = slow.event();
        match event.what {
            What::Dropped { missed: some, restarted: false } => {
                assert_eq!(event.id, last.id + some, "the id of the last one that is missing");
                missed += some;
            }
            What::Crash { .. } => crashes += 1,
            _ => {}
        }
        assert!(event.id > last.id);
        last = event;
    }
    assert!(missed > 0);
    assert_eq!(crashes + missed, CRASHES as u64, "all that is missing are crashes");
}
