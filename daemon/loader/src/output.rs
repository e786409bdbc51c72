//! Logs the output that libraries print, with app and process.
//!
//! A library's output ends in a `write` to descriptor 1 or 2, called by its own standard library or
//! by libc's streams. Both are interposed (`interpose/stdio.rs`). To attribute the output, every
//! thread records the library whose code it runs: `outbound.rs` sets the record before each call
//! into a library, and `inbound.rs` clears it while the library calls the daemon.
//!
//! | writer to descriptor 1 or 2 | the output goes to |
//! |---|---|
//! | code of a library that the daemon called, a thread that a library started | the log |
//! | the daemon itself: its log, its panics | the descriptor |
//! | a child process of an app, code that does not call libc, a destructor at the very end of a thread | the descriptor |
//!
//! A line is logged when it ends. An unfinished line is logged when the library returns, and after
//! every [`LINE_MAX`] bytes. Rust's `print!` keeps an unfinished line in the library's own buffer,
//! as in any program. The SDK flushes this buffer when a process ends normally or fails, and when
//! the library is unloaded.
//!
//! Nothing here points into a library: lines are bytes in a buffer of the thread, and the app's
//! name belongs to the daemon.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use reld_runtime::context;
use reld_wire::Pid;

use crate::interpose;

/// The maximum length of a line that consists of several writes. A longer line is logged in pieces.
const LINE_MAX: usize = 4096;

/// The id of the OS process that logs the output of libraries, or 0 before [`log_output`]. The
/// output of a child that an app has forked is not logged.
static PROCESS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    // These thread-locals have no destructors, so library code may still use them at the end of a
    // thread.
    /// An address in the library whose code the thread runs, or 0 for the daemon's own code.
    static INSIDE: Cell<usize> = const { Cell::new(0) };
    /// The process for which a thread for blocking work runs a job.
    static WORKS_FOR: Cell<Pid> = const { Cell::new(Pid::NONE) };
    /// An address in the library that has an unfinished line, or 0 if there is none.
    static HOLDS: Cell<usize> = const { Cell::new(0) };
    static LINES: RefCell<[Line; 2]> = const { RefCell::new([Line::EMPTY; 2]) };
}

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

/// Logs the output of all libraries from now on. Must be called once, before the first library is
/// opened.
///
/// Without this call libraries print to the program's own stdout and stderr.
pub fn log_output() {
    interpose::replace_streams();
    PROCESS.store(std::process::id(), Ordering::Relaxed);
}

/// A guard. Until it is dropped, the calling thread counts as running code of a library.
#[must_use]
pub(crate) struct Visit {
    before: usize,
}

/// Records that the calling thread is about to run code of the library that contains this address.
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

/// A guard. Until it is dropped, the calling thread counts as outside the library.
#[must_use]
pub(crate) struct Interlude {
    library: usize,
}

/// Records that the calling thread runs code of the daemon, which a library has called.
pub(crate) fn interlude() -> Interlude {
    interlude_of(0)
}

/// Records that the calling thread runs a signal handler of another library. This is
/// async-signal-safe.
pub(crate) fn interlude_of(library: usize) -> Interlude {
    Interlude { library: INSIDE.replace(library) }
}

impl Drop for Interlude {
    fn drop(&mut self) {
        INSIDE.set(self.library);
    }
}

/// A library and a process for which another thread runs work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    library: usize,
    pid: Pid,
}

/// Returns an address in the library whose code the calling thread runs, or 0 for the daemon's own
/// code.
pub(crate) fn inside() -> usize {
    INSIDE.get()
}

/// Returns the library and the process whose code the calling thread runs, so that another thread
/// can work for them. Must be called outside an [`interlude`].
pub(crate) fn origin() -> Origin {
    Origin { library: INSIDE.get(), pid: context::self_pid().unwrap_or(Pid::NONE) }
}

impl Origin {
    /// Runs the work on the calling thread, as the code of this library and process.
    pub(crate) fn run(self, work: impl FnOnce()) {
        let _visit = visit(self.library);
        WORKS_FOR.set(self.pid);
        work();
        WORKS_FOR.set(Pid::NONE);
    }
}

/// Records that the calling thread runs the library that has started it. There is no guard, because
/// code of the library may unwind the thread.
pub(crate) fn thread_begins(library: usize) {
    INSIDE.set(library);
}

/// Logs the unfinished lines of a library's thread when its start function has returned.
pub(crate) fn thread_returns() {
    end_lines();
}

/// Stops logging the output of the calling thread, which ends. The log's own thread-locals may be
/// gone when the last destructors print.
pub(crate) fn thread_ends() {
    INSIDE.set(0);
    HOLDS.set(0);
}

/// Logs output of the calling thread if the thread runs code of a library. If this returns false,
/// the caller must write the text itself.
pub(crate) fn print(stream: Stream, text: &[u8]) -> bool {
    let library = INSIDE.get();
    library != 0
        && PROCESS.load(Ordering::Relaxed) == std::process::id()
        && with_lines(library, |lines, printer| {
            lines[stream as usize].take(text, &mut |line| printer.log(stream, line));
        })
}

/// Logs the unfinished lines. This is called when their library returns, and when another library
/// is about to print.
#[inline]
fn end_lines() {
    let library = HOLDS.get();
    if library != 0 {
        with_lines(library, |lines, printer| {
            for stream in [Stream::Stdout, Stream::Stderr] {
                lines[stream as usize].end(&mut |line| printer.log(stream, line));
            }
        });
    }
}

/// Uses the lines of the calling thread. Returns false if they are in use, because a signal handler
/// prints while its thread does.
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

/// The app and the process that have printed a line.
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

/// An unfinished line.
struct Line {
    length: usize,
    bytes: [u8; LINE_MAX],
}

impl Line {
    const EMPTY: Self = Self { length: 0, bytes: [0; LINE_MAX] };

    /// Appends text, and emits each line that ends in the text.
    fn take(&mut self, text: &[u8], emit: &mut impl FnMut(&[u8])) {
        for part in text.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(whole) if self.length == 0 => emit(whole),
                Some(rest) => {
                    self.hold(rest, emit);
                    self.end(emit);
                }
                None => self.hold(part, emit),
            }
        }
    }

    fn hold(&mut self, mut text: &[u8], emit: &mut impl FnMut(&[u8])) {
        while !text.is_empty() {
            let (now, later) = text.split_at(text.len().min(LINE_MAX - self.length));
            self.bytes[self.length..][..now.len()].copy_from_slice(now);
            self.length += now.len();
            if self.length == LINE_MAX {
                self.cut(emit);
            }
            text = later;
        }
    }

    /// Emits a full buffer, and keeps the beginning of an incomplete character.
    fn cut(&mut self, emit: &mut impl FnMut(&[u8])) {
        let whole = match str::from_utf8(&self.bytes) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => LINE_MAX,
        };
        emit(&self.bytes[..whole]);
        self.bytes.copy_within(whole.., 0);
        self.length = LINE_MAX - whole;
    }

    fn end(&mut self, emit: &mut impl FnMut(&[u8])) {
        if self.length > 0 {
            emit(&self.bytes[..self.length]);
            self.length = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(writes: &[&str], emitted: &[&str], held: &str) {
        let (mut line, mut lines) = (Line::EMPTY, Vec::new());
        for text in writes {
            line.take(text.as_bytes(), &mut |line| lines.push(String::from_utf8(line.to_vec()).unwrap()));
        }
        let rest = String::from_utf8(line.bytes[..line.length].to_vec()).unwrap();
        assert_eq!((lines.iter().map(String::as_str).collect::<Vec<_>>(), &*rest), (emitted.to_vec(), held));
    }

    #[test]
    fn a_line_is_emitted_when_it_ends_however_it_was_written() {
        check(&["one\n"], &["one"], "");
        check(&["o", "n", "e\ntwo\nth"], &["one", "two"], "th");
        check(&["\n\n"], &["", ""], "");
        check(&[""], &[], "");
        let long = "x".repeat(3 * LINE_MAX);
        check(&[&format!("{long}\n")], &[&long], "");
    }

    #[test]
    fn a_line_without_end_is_emitted_in_pieces_and_no_character_is_cut() {
        let piece = "x".repeat(LINE_MAX - 1);
        check(&[&piece, "é"], &[&piece], "é");
        let full = format!("{piece}x");
        check(&[&full, "y"], &[&full], "y");
    }

    #[test]
    fn output_of_the_daemon_itself_is_not_logged() {
        assert!(!print(Stream::Stdout, b"the daemon's\n"));
        let visit = visit(1);
        let interlude = interlude();
        assert!(!print(Stream::Stderr, b"the daemon's\n"));
        drop((interlude, visit));
        assert_eq!(INSIDE.get(), 0);
    }
}
