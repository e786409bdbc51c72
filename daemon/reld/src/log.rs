//! The log on stderr: lines wait in a bounded queue, and one thread writes them.
//!
//! ```text
//!  any thread --line--> the queue --all waiting lines--> the writer --> stderr
//!                          |                              |
//!                    full: dropped              error: the rest is dropped
//! ```
//!
//! No thread waits for stderr. If stderr accepts nothing (its reader is gone or slow, its disk is
//! full), lines are dropped and counted, and the daemon continues. A line in the log shows the
//! number of missing lines. A daemon that is killed loses the waiting lines. Usually there are
//! none.
//!
//! The last lines are also kept in memory. So are the events of the node, which are the log entries
//! whose name is a [kind](What::KINDS) of the API. Events are kept whatever level `RELD_LOG` has.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Condvar, Mutex};
use reld_api::response::What;
use reld_plan::{bounded, printable};
use reld_runtime::contained;
use serde_json::json;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::record::Record;
use crate::ring::Ring;

/// The limits of the queue. The thread writes without pauses, so the queue grows only while the
/// reader of stderr is too slow.
const LINES_MAX: usize = 20_000;
const BYTES_MAX: usize = 4 << 20;

/// The maximum length of an entry in text form, in characters.
const ENTRY_MAX: usize = 64 << 10;

/// The size of the kept events in bytes.
const EVENTS_BYTES_MAX: usize = 4 << 20;

/// The capacity of its buffer that the writer keeps between writes.
const KEPT: usize = 64 << 10;

/// The pause of the writer when stderr is non-blocking and not ready.
const REST: Duration = Duration::from_millis(10);

/// The time for which lost lines raise an alarm. After it, only the counter in the metrics shows
/// them.
const ALARM: Duration = Duration::from_secs(3600);

const WRITER: &str = "reld-log";

/// The format of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
}

/// A handle to the log.
#[derive(Debug, Clone)]
pub(crate) struct Log(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    form: Form,
    queue: Mutex<Queue>,
    filled: Condvar,
    written: Condvar,
    lines: Ring,
    events: Ring,
}

#[derive(Debug, Default)]
struct Queue {
    text: Vec<u8>,
    lines: usize,
    /// The number of lines that were dropped after `text` filled up. All further lines are dropped
    /// until the writer takes `text`, so that the gap is in one position of the log.
    refused: u64,
    /// The number of lines that the writer is currently writing.
    writing: Option<usize>,
    lost: u64,
    last_loss: Option<(Instant, String)>,
}

impl Log {
    /// Starts a log on stderr that keeps `kept` bytes in memory.
    ///
    /// # Errors
    /// The system has no free descriptor or thread.
    pub(crate) fn to_stderr(form: Form, kept: usize) -> io::Result<Self> {
        // Duplicates the descriptor, because a blocked writer would hold the lock of the standard
        // library's stderr.
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        Self::start(stderr, form, kept)
    }

    pub(crate) fn start(out: impl Write + Send + 'static, form: Form, kept: usize) -> io::Result<Self> {
        let log = Self(Arc::new(Shared {
            form,
            queue: Mutex::default(),
            filled: Condvar::new(),
            written: Condvar::new(),
            lines: Ring::new(kept),
            events: Ring::new(EVENTS_BYTES_MAX),
        }));
        let shared = Arc::clone(&log.0);
        let writer = Writer { out, form, missing: 0, is_cut: false };
        thread::Builder::new().name(WRITER.to_owned()).spawn(move || shared.serve(writer))?;
        Ok(log)
    }

    /// Installs the tracing subscriber. It logs the entries that `RELD_LOG` selects, and keeps the
    /// events of the node.
    pub(crate) fn subscribe(&self, asked: Option<&str>) {
        let filter =
            || asked.and_then(|asked| EnvFilter::try_new(asked).ok()).unwrap_or_else(|| "info".into());
        // Formatting errors are not logged: tracing would write them to stderr, and panic if stderr
        // is gone.
        let text = tracing_subscriber::fmt::layer().with_ansi(false).log_internal_errors(false);
        let text = text.with_writer(self.clone());
        let text = match self.0.form {
            Form::Text => text.boxed(),
            Form::Json => text.json().boxed(),
        };
        let kept = Kept { lines: self.0.lines.clone(), events: self.0.events.clone(), asked: filter() };
        let events = filter_fn(is_event).with_max_level_hint(LevelFilter::INFO);
        let kept = kept.with_filter(filter().or(events));
        tracing_subscriber::registry().with(text.with_filter(filter())).with(kept).init();
    }

    /// Returns the ring of the last lines.
    pub(crate) fn lines(&self) -> &Ring {
        &self.0.lines
    }

    /// Returns the ring of the last events.
    pub(crate) fn events(&self) -> &Ring {
        &self.0.events
    }

    /// Logs an error without tracing, whatever level `RELD_LOG` selects.
    pub(crate) fn error(&self, message: &str) {
        self.0.push(self.0.form.line("ERROR", message).as_bytes());
        self.0.lines.push(Record::plain(Level::ERROR, message));
    }

    /// Writes a line without time and level. The daemon's final error has this form.
    pub(crate) fn plain(&self, line: &str) {
        self.0.push(format!("{line}\n").as_bytes());
    }

    /// Waits until all earlier lines are written, but no longer than `at_most`.
    pub(crate) fn flush(&self, at_most: Duration) {
        // The writer's own thread would wait for itself.
        if thread::current().name() != Some(WRITER) {
            self.0.flush(at_most);
        }
    }

    /// Returns the number of lines that wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        let queue = self.0.queue.lock();
        queue.lines + queue.writing.unwrap_or_default()
    }

    /// Returns the number of lines that were dropped since the start.
    pub(crate) fn lost(&self) -> u64 {
        self.0.queue.lock().lost
    }

    /// Returns an alarm if lines were dropped recently.
    pub(crate) fn alarm(&self) -> Option<String> {
        let queue = self.0.queue.lock();
        let (at, why) = queue.last_loss.as_ref().filter(|(at, _)| at.elapsed() < ALARM)?;
        Some(format!(
            "{} lines of the log are lost, the last {} s ago: {why}; check the reader of the daemon's stderr",
            queue.lost,
            at.elapsed().as_secs()
        ))
    }
}

/// A layer that keeps log entries in memory. An entry that is both a line and an event is stored
/// once.
struct Kept {
    lines: Ring,
    events: Ring,
    /// Selects the entries that are kept as lines.
    asked: EnvFilter,
}

fn is_event(metadata: &Metadata<'_>) -> bool {
    What::KINDS.contains(&metadata.name())
}

impl<S: Subscriber> Layer<S> for Kept {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let record = Arc::new(Record::of(event));
        if Filter::<S>::enabled(&self.asked, event.metadata(), &context) {
            self.lines.push(Arc::clone(&record));
        }
        if is_event(event.metadata()) {
            self.events.push(record);
        }
    }
}

impl Write for &Log {
    /// Queues a line, or drops it. Never fails and never waits.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Shared {
    fn push(&self, line: &[u8]) {
        let line = self.form.shown(line);
        let line = line.as_ref();
        let mut queue = self.queue.lock();
        let has_room = queue.lines < LINES_MAX && queue.text.len() + line.len() <= BYTES_MAX;
        let count = lines(line);
        if has_room && queue.refused == 0 {
            queue.text.extend_from_slice(line);
            queue.lines += count;
        } else {
            queue.refused += count as u64;
            queue.lose(count as u64, || "its reader does not keep up".to_owned());
        }
        drop(queue);
        self.filled.notify_one();
    }

    fn flush(&self, at_most: Duration) {
        let deadline = Instant::now() + at_most;
        let mut queue = self.queue.lock();
        while queue.writing.is_some() || !queue.is_empty() {
            if self.written.wait_until(&mut queue, deadline).timed_out() {
                return;
            }
        }
    }

    /// Writes lines until the program ends.
    fn serve(&self, mut writer: Writer<impl Write>) {
        let mut text = Vec::new();
        loop {
            let refused = self.take(&mut text);
            self.done(writer.write(&text, refused));
            text.clear();
            text.shrink_to(KEPT);
        }
    }

    /// Waits for lines and takes all of them. Returns the number of lines that were dropped after
    /// them.
    fn take(&self, text: &mut Vec<u8>) -> u64 {
        let mut queue = self.queue.lock();
        while queue.is_empty() {
            self.filled.wait(&mut queue);
        }
        std::mem::swap(&mut queue.text, text);
        queue.writing = Some(std::mem::take(&mut queue.lines));
        std::mem::take(&mut queue.refused)
    }

    fn done(&self, written: Result<(), Cut>) {
        let mut queue = self.queue.lock();
        queue.writing = None;
        if let Err(Cut { lines, why }) = written {
            queue.lose(lines, || why);
        }
        self.written.notify_all();
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.refused == 0
    }

    fn lose(&mut self, lines: u64, why: impl FnOnce() -> String) {
        self.lost += lines;
        self.last_loss = Some((Instant::now(), why()));
    }
}

impl Form {
    /// Formats an entry for output. Text from apps and clients cannot control a terminal, imitate
    /// another entry, or exceed the maximum length.
    fn shown(self, entry: &[u8]) -> Cow<'_, [u8]> {
        let is_plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
        if let Some((b'\n', line)) = entry.split_last()
            && line.len() < ENTRY_MAX
            && line.iter().all(is_plain)
        {
            return Cow::Borrowed(entry);
        }
        let text = String::from_utf8_lossy(entry);
        let text = match self {
            Self::Text => bounded(text.trim_end(), ENTRY_MAX).replace('\n', "\n    ") + "\n",
            // A JSON line is not cut, because a cut line would not parse.
            Self::Json => text.into_owned(),
        };
        Cow::Owned(printable(&text).into_owned().into_bytes())
    }

    /// Makes a line in the format of tracing's lines.
    fn line(self, level: &str, message: &str) -> String {
        let time = humantime::format_rfc3339_micros(SystemTime::now());
        match self {
            Self::Text => format!("{time} {level:>5} reld::log: {message}\n"),
            Self::Json => {
                let fields = json!({"message": message});
                let time = time.to_string();
                let line =
                    json!({"timestamp": time, "level": level, "fields": fields, "target": "reld::log"});
                format!("{line}\n")
            }
        }
    }
}

/// The state of the writer's thread.
struct Writer<W> {
    out: W,
    form: Form,
    /// The number of lines that are missing at the current position of the log.
    missing: u64,
    /// Whether the last write failed in the middle of a line.
    is_cut: bool,
}

/// The lines that an incomplete write has lost.
#[derive(Debug, PartialEq, Eq)]
struct Cut {
    lines: u64,
    why: String,
}

impl Cut {
    fn all(text: &[u8], why: String) -> Self {
        Self { lines: lines(text) as u64, why }
    }
}

impl<W: Write> Writer<W> {
    /// Writes lines, followed by a note if lines are missing after them.
    fn write(&mut self, text: &[u8], missing: u64) -> Result<(), Cut> {
        let written = contained(|| {
            self.fill_gap().map_err(|gap| Cut::all(text, gap.why))?;
            self.put(text)
        });
        let written = written.unwrap_or_else(|panicked| Err(Cut::all(text, panicked.to_string())));
        self.missing += written.as_ref().map_or_else(|cut| cut.lines, |()| 0) + missing;
        if written.is_ok() {
            // If this fails, the note is written before the next lines.
            let _ = contained(|| self.fill_gap());
        }
        written
    }

    /// Writes the note about missing lines, if there are any.
    fn fill_gap(&mut self) -> Result<(), Cut> {
        if self.missing > 0 {
            let gap = format!("{} lines of the log are missing here", self.missing);
            self.put(self.form.line("WARN", &gap).as_bytes())?;
            self.missing = 0;
        }
        Ok(())
    }

    fn put(&mut self, text: &[u8]) -> Result<(), Cut> {
        if self.is_cut {
            self.put_bytes(b"\n").map_err(|(_, error)| Cut::all(text, error.to_string()))?;
        }
        self.put_bytes(text).map_err(|(rest, error)| Cut::all(rest, error.to_string()))
    }

    /// Writes all bytes, or returns the unwritten bytes and the error.
    fn put_bytes<'a>(&mut self, text: &'a [u8]) -> Result<(), (&'a [u8], io::Error)> {
        let mut rest = text;
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(0) => return Err((rest, ErrorKind::WriteZero.into())),
                Ok(length) => {
                    let written;
                    (written, rest) = rest.split_at(length);
                    self.is_cut = !written.ends_with(b"\n");
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(REST),
                Err(error) => return Err((rest, error)),
            }
        }
        Ok(())
    }
}

fn lines(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests;
