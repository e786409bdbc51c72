//! A node works normally with a broken log or a wrong clock.

use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use reld_api::response::{HistoryList, Outcome};
use reld_tests::{Node, Run, eventually, release};
use serde::Deserialize;

/// Number of calls while the log is not read. Their lines exceed its queue.
const CALLS: usize = 40_000;

/// Number of calls that run at the same time.
const AT_ONCE: usize = 100;

/// A line of the log, as `--log-json` writes it.
#[derive(Deserialize)]
struct Line {
    fields: Fields,
}

#[derive(Deserialize)]
struct Fields {
    message: Option<String>,
    path: Option<String>,
}

#[track_caller]
fn check_runs(node: &Node, version: &str) {
    let status = node.status();
    assert_eq!(status.release.map(|release| release.version).as_deref(), Some(version));
    assert_eq!(status.permanent.as_deref(), Some(version));
}

/// Waits for an alarm with this text and returns it.
fn alarm(node: &Node, about: &str) -> String {
    eventually(about, || node.status().alarms.into_iter().find(|alarm| alarm.contains(about)))
}

/// Returns the metric of lost log lines.
fn lost(node: &Node) -> usize {
    let figures = node.metrics();
    let lost = figures.lines().find_map(|line| line.strip_prefix("reld_log_lost_lines_total "));
    lost.and_then(|lost| lost.parse().ok()).unwrap_or_else(|| panic!("no figure in:\n{figures}"))
}

/// Checks upgrades, settling, downgrades and restarts of a node without a working log.
fn check_works_without_a_log(mut node: Node, why: &str) {
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    node.ok(&["upgrade", &release("stage-2.0.0"), "--settle", "1", "--probe", "true"]);
    check_runs(&node, "2.0.0");
    node.run(&["upgrade", &release("stage-3.0.0"), "--settle", "1", "--probe", "false"]).expect(4);
    node.ok(&["downgrade", "--settle", "1", "--probe", "true"]);
    check_runs(&node, "1.0.0");
    let alarm = alarm(&node, "lines of the log are lost");
    assert!(alarm.contains(why), "{alarm}");
    assert!(lost(&node) > 0);
    let os_pid = node.status().os_pid;
    node.ok(&["upgrade", "2.0.0", "--mode", "restart"]);
    check_runs(&node, "2.0.0");
    assert_eq!(node.status().os_pid, os_pid, "it has executed itself");
    check_stops(&mut node);
}

/// Stops the daemon. The log must not delay the stop.
fn check_stops(node: &mut Node) {
    Run::of(Command::new("kill").args(["-TERM", &node.id().to_string()])).expect(0);
    assert!(node.ended().success());
}

#[test]
fn a_node_works_when_the_reader_of_its_log_is_gone() {
    let (reader, writer) = io::pipe().expect("a pipe can be made");
    drop(reader);
    check_works_without_a_log(Node::start_logging_to(writer), "Broken pipe");
}

#[test]
fn a_node_works_when_the_disk_of_its_log_is_full() {
    let full = File::options().write(true).open("/dev/full").expect("every Linux has it");
    check_works_without_a_log(Node::start_logging_to(full), "No space left on device");
}

/// Calls a process many times, many calls at once over one connection.
fn call(node: &Node, process: &str, times: usize) {
    let body = format!(r#"{{"process": "{process}", "request": "get"}}"#);
    let request =
        format!("POST /call HTTP/1.1\r\nHost: reld\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut socket = UnixStream::connect(node.socket()).expect("the daemon listens");
    for _ in 0..times / AT_ONCE {
        socket.write_all(request.repeat(AT_ONCE).as_bytes()).expect("the daemon reads");
        let (mut answers, mut chunk) = (String::new(), [0; 65536]);
        while answers.matches("HTTP/1.1 200 OK").count() < AT_ONCE || !answers.ends_with('}') {
            let length = socket.read(&mut chunk).expect("the daemon answers");
            assert_ne!(length, 0, "the daemon hung up after:\n{answers}");
            answers += &String::from_utf8_lossy(&chunk[..length]);
        }
    }
}

/// Reads a log in the background.
fn follow(mut reader: PipeReader) -> Arc<Mutex<Vec<u8>>> {
    let text = Arc::new(Mutex::new(Vec::new()));
    let shown = Arc::clone(&text);
    thread::spawn(move || {
        let mut chunk = [0; 65536];
        while let Ok(length @ 1..) = reader.read(&mut chunk) {
            shown.lock().expect("no reader panics").extend_from_slice(&chunk[..length]);
        }
    });
    text
}

#[test]
fn a_node_works_when_the_reader_of_its_log_does_not_read_and_each_line_is_written_or_counted() {
    let (reader, writer) = io::pipe().expect("a pipe can be made");
    let mut node = Node::start_logging_to(writer);
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    let processes = node.ps();
    let counts = processes.into_iter().find(|process| process.module == "count_server");
    call(&node, &counts.expect("stage counts").pid, CALLS);
    let alarm = alarm(&node, "lines of the log are lost");
    assert!(alarm.contains("its reader does not keep up"), "{alarm}");
    node.ok(&["upgrade", &release("stage-2.0.0")]);

    let log = follow(reader);
    let lines = || -> Vec<Line> {
        let text = log.lock().expect("no reader panics").clone();
        let whole = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        whole.map(|line| serde_json::from_slice(line).expect("every line is a whole one")).collect()
    };
    let missing = |line: &Line| {
        let text = line.fields.message.as_deref()?;
        text.strip_suffix(" lines of the log are missing here")?.parse::<usize>().ok()
    };
    // After the gap, new lines are written again.
    eventually("the log goes on", || {
        node.ok(&["status"]);
        node.run(&["call", "nobody", "1"]);
        let lines = lines();
        let gap = lines.iter().position(|line| missing(line).is_some())?;
        (gap + 1 < lines.len()).then_some(())
    });
    let counted: usize = lines().iter().filter_map(missing).sum();
    assert_eq!(counted, lost(&node));
    let is_call = |line: &&Line| line.fields.path.as_deref() == Some("/call");
    let written = lines().iter().filter(is_call).count();
    assert!((CALLS..CALLS + 1000).contains(&(written + counted)), "{written} written, {counted} missing");
    check_stops(&mut node);
}

#[test]
fn a_daemon_with_a_blocked_log_stops_and_executes_itself_anyway() {
    let (_reader, writer) = io::pipe().expect("a pipe can be made");
    let mut filled = writer.try_clone().expect("a descriptor can be copied");
    filled.write_all(&[b'\n'; 65536]).expect("a pipe takes so much");
    let mut node = Node::start_logging_to(writer);
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    node.ok(&["upgrade", &release("stage-2.0.0"), "--mode", "restart"]);
    check_runs(&node, "2.0.0");
    check_stops(&mut node);
}

/// Builds a library that shifts the clock of a process by `seconds`.
fn clock_off_by(seconds: i64, folder: &Path) -> PathBuf {
    let source = format!(
        "#define _GNU_SOURCE\n#include <sys/syscall.h>\n#include <time.h>\n#include <unistd.h>\n\
         int clock_gettime(clockid_t clock, struct timespec *time) {{\n    \
             int result = syscall(SYS_clock_gettime, clock, time);\n    \
             if (clock == CLOCK_REALTIME) time->tv_sec += {seconds}L;\n    return result;\n}}\n"
    );
    let (file, library) = (folder.join("clock.c"), folder.join("clock.so"));
    std::fs::write(&file, source).expect("a temporary folder can be written");
    Run::of(Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &file])).expect(0);
    library
}

/// Checks that a node with a wrong clock upgrades, downgrades, raises an alarm and boots again.
fn check_clock(off_by: i64, shown: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let clock = clock_off_by(off_by, folder.path());
    let mut node = Node::start_in(&[("LD_PRELOAD", &clock.to_string_lossy())]);
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    node.ok(&["upgrade", &release("stage-2.0.0"), "--settle", "1", "--probe", "true"]);
    node.ok(&["downgrade"]);
    node.kill_9_and_restart();
    check_runs(&node, "1.0.0");
    alarm(&node, "the system clock");
    assert!(node.metrics().contains("reld_alarms 1"));
    let history: HistoryList = node.read(&["history"]);
    let entries: Vec<_> = history.entries.iter().map(|entry| (entry.begun.as_str(), entry.outcome)).collect();
    assert_eq!(entries, [(shown, Outcome::Installed); 4]);
}

#[test]
fn a_node_works_with_a_clock_before_1970() {
    check_clock(-3_000_000_000, "1970-01-01T00:00:00Z");
}

#[test]
fn a_node_works_with_a_clock_after_9999() {
    check_clock(300_000_000_000, "9999-12-31T23:59:59Z");
}
