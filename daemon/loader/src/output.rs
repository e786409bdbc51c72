//! What libraries print: lines of the daemon's log, with app and process.
//!
//! A library's output ends in a `write` to descriptor 1 or 2, by its own standard library or by libc's streams. Both come
//! here (`interpose/stdio.rs`). Who printed is known by whose code the thread runs: each door out (`outbound.rs`) says so,
//! and the door in (`inbound.rs`) takes it back for as long as the daemon works in between.
//!
//! | who writes to descriptor 1 or 2 | it goes |
//! |---|---|
//! | code of a library that the daemon called, and a thread that a library started | into the log |
//! | the daemon itself: its log, its panics | where it always goes |
//! | a child process of an app, what passes libc by, a destructor at the very end of a thread | where the daemon's goes |
//!
//! A line is logged when it ends. What is not ended when the library returns is a line as well, and so is every
//! [`LINE_MAX`] bytes. `print!` of Rust keeps what is not ended in the library's own buffer, as it does in any program;
//! the SDK hands it over when a process ends by itself or fails, and when the library is unloaded.
//!
//! Nothing here keeps anything of a library: lines are bytes in a buffer of the thread, and the app's name is the daemon's.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use reld_runtime::context;
use reld_wire::Pid;

use crate::interpose;

/// The longest piece of a line that is put together of several writes.
const LINE_MAX: usize = 4096;

/// The process that logs what libraries print; 0 while none does. A child that an app forked is another one.
static PROCESS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    // None has a destructor, so they are there for whatever a library does at the end of a thread.
    /// An address in the library whose code the thread runs; 0 for the daemon's own.
    static INSIDE: Cell<usize> = const { Cell::new(0) };
    /// The process that a spare thread works for.
    static WORKS_FOR: Cell<Pid> = const { Cell::new(Pid::NONE) };
    /// As [`INSIDE`], of the library that has begun a line and not ended it; 0 for none.
    static HOLDS: Cell<usize> = const { Cell::new(0) };
    static LINES: RefCell<[Line; 2]> = const { RefCell::new([Line::EMPTY; 2]) };
}

/// Where something is printed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

/// Has all that libraries print become lines of the log: to be called once, before the first library is opened.
///
/// Without it they print to the program's own stdout and stderr.
pub fn log_output() {
    interpose::replace_streams();
    PROCESS.store(std::process::id(), Ordering::Relaxed);
}

/// The calling thread runs code of a library until this is dropped.
#[must_use]
pub(crate) struct Visit {
    before: usize,
}

/// Says that the calling thread is about to run code of the library at this address.
pub(crate) fn visit(library: usize) -> Visit {
    end_lines();
    Visit { before: INSIDE.replace(library) }
}

impl Drop for Visit {
    fn drop(&mut self) {
        end_lines();
        INSIDE.set(self.before);
    }
}

/// A library has the daemon work until this is dropped.
#[must_use]
pub(crate) struct Interlude {
    library: usize,
}

/// Says that the calling thread works for the daemon for a while, called by a library.
pub(crate) fn interlude() -> Interlude {
    interlude_of(0)
}

/// Says that the calling thread runs code of another library for a while, which a signal has it do. Does only what a
/// handler may.
pub(crate) fn interlude_of(library: usize) -> Interlude {
    Interlude { library: INSIDE.replace(library) }
}

impl Drop for Interlude {
    fn drop(&mut self) {
        INSIDE.set(self.library);
    }
}

/// Who hands work to a spare thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    library: usize,
    pid: Pid,
}

/// Returns an address in the library whose code the calling thread runs; 0 for the daemon's own.
pub(crate) fn inside() -> usize {
    INSIDE.get()
}

/// Returns whose code the calling thread runs, for another thread to go on in its name. To be asked outside an
/// [`interlude`].
pub(crate) fn origin() -> Origin {
    Origin { library: INSIDE.get(), pid: context::self_pid().unwrap_or(Pid::NONE) }
}

impl Origin {
    /// Runs the work on the calling thread.
    pub(crate) fn run(self, work: impl FnOnce()) {
        let _visit = visit(self.library);
        WORKS_FOR.set(self.pid);
        work();
        WORKS_FOR.set(Pid::NONE);
    }
}

/// The calling thread is gone over to the library that started it, and is not expected back: it may be unwound from inside.
pub(crate) fn thread_begins(library: usize) {
    INSIDE.set(library);
}

/// The function that a thread of a library began with has returned.
pub(crate) fn thread_returns() {
    end_lines();
}

/// The calling thread ends. What destructors print from now on is not logged: the log's own thread-locals may be gone.
pub(crate) fn thread_ends() {
    INSIDE.set(0);
    HOLDS.set(0);
}

/// Logs what the calling thread prints, if that is a library's. Says whether it was; else it is to be written.
pub(crate) fn print(stream: Stream, text: &[u8]) -> bool {
    let library = INSIDE.get();
    library != 0
        && PROCESS.load(Ordering::Relaxed) == std::process::id()
        && with_lines(library, |lines, who| {
            lines[stream as usize].take(text, &mut |line| who.log(stream, line));
        })
}

/// Logs the lines that were begun and not ended: whoever began them returns, or another library is about to print.
#[inline]
fn end_lines() {
    let library = HOLDS.get();
    if library != 0 {
        with_lines(library, |lines, who| {
            for stream in [Stream::Stdout, Stream::Stderr] {
                lines[stream as usize].end(&mut |line| who.log(stream, line));
            }
        });
    }
}

/// Says whether the lines were free: a signal handler may print while its thread does.
#[cold]
fn with_lines(library: usize, work: impl FnOnce(&mut [Line; 2], &Printer)) -> bool {
    let _interlude = interlude();
    LINES.with(|lines| {
        let Ok(mut lines) = lines.try_borrow_mut() else { return false };
        let logged = catch_unwind(AssertUnwindSafe(|| work(&mut lines, &Printer::of(library))));
        HOLDS.set(if lines.iter().any(|line| line.length > 0) { library } else { 0 });
        logged.is_ok()
    })
}

/// Who prints.
struct Printer {
    app: Option<Arc<str>>,
    module: Option<String>,
    pid: Option<Pid>,
}

impl Printer {
    fn of(library: usize) -> Self {
        let works_for = || Some(WORKS_FOR.get()).filter(|pid| *pid != Pid::NONE);
        Self {
            app: interpose::app_at(library),
            module: context::self_module(),
            pid: context::self_pid().or_else(works_for),
        }
    }

    fn log(&self, stream: Stream, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            return;
        }
        let stream = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let (app, module) = (self.app.as_deref(), self.module.as_deref());
        let pid = self.pid.map(tracing::field::display);
        tracing::info!(name: "app.output", target: "app", app, module, pid, stream, "{line}");
    }
}

/// A line that was begun.
struct Line {
    length: usize,
    bytes: [u8; LINE_MAX],
}

impl Line {
    const EMPTY: Self = Self { length: 0, bytes: [0; LINE_MAX] };

    /// Takes more text, and says each line that it ends.
    fn take(&mut self, text: &[u8], say: &mut impl FnMut(&[u8])) {
        for part in text.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(whole) if self.length == 0 => say(whole),
                Some(rest) => {
                    self.hold(rest, say);
                    self.end(say);
                }
                None => self.hold(part, say),
            }
        }
    }

    fn hold(&mut self, mut text: &[u8], say: &mut impl FnMut(&[u8])) {
        while !text.is_empty() {
            let (now, later) = text.split_at(text.len().min(LINE_MAX - self.length));
            self.bytes[self.length..][..now.len()].copy_from_slice(now);
            self.length += now.len();
            if self.length == LINE_MAX {
                self.cut(say);
            }
            text = later;
        }
    }

    /// Says a full buffer, but for a character that has only begun.
    fn cut(&mut self, say: &mut impl FnMut(&[u8])) {
        let whole = match str::from_utf8(&self.bytes) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => LINE_MAX,
        };
        say(&self.bytes[..whole]);
        self.bytes.copy_within(whole.., 0);
        self.length = LINE_MAX - whole;
    }

    fn end(&mut self, say: &mut impl FnMut(&[u8])) {
        if self.length > 0 {
            say(&self.bytes[..self.length]);
            self.length = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(writes: &[&str], said: &[&str], held: &str) {
        let (mut line, mut heard) = (Line::EMPTY, Vec::new());
        for text in writes {
            line.take(text.as_bytes(), &mut |line| heard.push(String::from_utf8(line.to_vec()).unwrap()));
        }
        let rest = String::from_utf8(line.bytes[..line.length].to_vec()).unwrap();
        assert_eq!((heard.iter().map(String::as_str).collect::<Vec<_>>(), &*rest), (said.to_vec(), held));
    }

    #[test]
    fn a_line_is_said_when_it_ends_however_it_was_written() {
        check(&["one\n"], &["one"], "");
        check(&["o", "n", "e\ntwo\nth"], &["one", "two"], "th");
        check(&["\n\n"], &["", ""], "");
        check(&[""], &[], "");
        let long = "x".repeat(3 * LINE_MAX);
        check(&[&format!("{long}\n")], &[&long], "");
    }

    #[test]
    fn a_line_without_end_is_said_in_pieces_and_no_character_is_cut() {
        let piece = "x".repeat(LINE_MAX - 1);
        check(&[&piece, "é"], &[&piece], "é");
        let full = format!("{piece}x");
        check(&[&full, "y"], &[&full], "y");
    }

    #[test]
    fn what_the_daemon_itself_prints_is_not_taken() {
        assert!(!print(Stream::Stdout, b"the daemon's\n"));
        let visit = visit(1);
        let interlude = interlude();
        assert!(!print(Stream::Stderr, b"the daemon's\n"));
        drop((interlude, visit));
        assert_eq!(INSIDE.get(), 0);
    }
}
