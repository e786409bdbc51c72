//! The output of libraries is logged with their names, for every way to print and for every call.

use std::io::{self, Write};
use std::sync::{Mutex, Once};
use std::time::Instant;

use reld_loader::{Library, log_output};
use reld_runtime::{Event, From, Step};
use reld_wire::Pid;

use crate::fixture::{Bench, DEADLINE};

/// The log of all tests of this program so far. The tests of this file find their lines by the app.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn capture_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log_output();
        tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(|| Log).init();
    });
}

/// Returns the logged lines of an app, with the stream.
fn printed(app: &str) -> Vec<String> {
    let log = String::from_utf8(LOG.lock().unwrap().clone()).unwrap();
    let app = format!(" app=\"{app}\"");
    let lines = log.lines().filter_map(|line| line.split_once("INFO app: ")).map(|(_, line)| line);
    lines.filter(|line| line.contains(&app)).map(|line| line.replace(&app, "")).collect()
}

/// Calls a fresh server of the library.
fn call(library: &Library, body: &[u8]) {
    let Step::Ready(born) = library.modules()[0].init(b"") else { panic!("waits") };
    let from = From { caller: Pid::NONE, server: Pid::NONE, reference: 1 };
    let Step::Ready(_) = born.instance.unwrap().callback(&Event::Call(from, body)) else { panic!("waits") };
}

#[test]
fn output_of_every_kind_is_logged_by_line_and_so_is_an_unfinished_line() {
    capture_log();
    let bench = Bench::new();
    let library = bench.named("printer", &[]);
    call(&library, b"print");
    let expected = [
        "by printf of 7 stream=\"stdout\"",
        "by puts stream=\"stdout\"",
        "in two parts stream=\"stdout\"",
        "by perror: Operation not permitted stream=\"stderr\"",
        "by write stream=\"stderr\"",
        "by writev stream=\"stdout\"",
        "not ended stream=\"stdout\"",
    ];
    assert_eq!(printed("printer"), expected);
}

#[test]
fn output_is_logged_for_the_app_from_the_first_constructor_to_the_last_destructor() {
    capture_log();
    let bench = Bench::new();
    let gate = bench.folder.path().join("gate");
    let waits = format!("-DTHREAD_WAITS_FOR={gate:?}");
    let library = bench.named("witness", &["-DPRINTS", &waits]);
    call(&library, b"leave value");
    reld_loader::flush();
    call(&library, b"start thread");
    std::fs::write(&gate, "").unwrap();
    drop(library);
    let begun = Instant::now();
    while !bench.loader.residents().is_empty() {
        reld_loader::flush();
        assert!(begun.elapsed() < DEADLINE);
        std::thread::park_timeout(std::time::Duration::from_millis(1));
    }
    let mut printed = printed("witness");
    printed.sort();
    printed.dedup();
    let expected =
        ["a constructor", "a destructor", "a drop", "a thread", "the load function", "the unload function"];
    assert_eq!(printed, expected.map(|line| format!("{line} stream=\"stdout\"")));

    // The streams that other libraries print through are intact.
    call(&bench.named("successor", &[]), b"print");
    assert_eq!(self::printed("successor").len(), 7);
}
