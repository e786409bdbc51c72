//! The way of the log to stderr: lines wait in a bounded queue, and one thread writes them.
//!
//! ```text
//!  any thread --line--> the queue --all that waits--> the writer --> stderr
//!                          |                             |
//!                    full: dropped             error: what is left is dropped
//! ```
//!
//! Nothing waits for stderr. Where that takes nothing (its reader is gone or does not read, its
//! disk is full), lines are dropped and counted, and the daemon does its work as if they had been
//! written. The log says in their place how many are missing. A daemon that is killed loses what
//! waits: as a rule nothing, at most what the queue holds.
//!
//! The last lines are kept in memory as well, and so are the events of the node: those entries of the
//! log whose names are [kinds](What::KINDS) of the API, whatever `RELD_LOG` asks for.

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

/// How much may wait. The thread writes without pause, so only a reader that is too slow lets the
/// queue grow.
const LINES_MAX: usize = 20_000;
const BYTES_MAX: usize = 4 << 20;

/// The longest entry in the form of text, in characters.
const ENTRY_MAX: usize = 64 << 10;

/// How much of the node's events is kept.
const EVENTS_BYTES_MAX: usize = 4 << 20;

/// What the writer keeps of its memory from one write to the next.
const KEPT: usize = 64 << 10;

/// How long the writer rests where stderr does not block and takes nothing.
const REST: Duration = Duration::from_millis(10);

/// For how long a loss is an alarm. The figure for operators stays.
const ALARM: Duration = Duration::from_secs(3600);

const WRITER: &str = "reld-log";

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
}

/// The log. Cloning gives another handle.
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
    /// Lines that came after `text` and found no room. Until the writer has taken that, none does:
    /// lines keep their order.
    refused: u64,
    /// Lines that the writer has taken, while it writes.
    writing: Option<usize>,
    lost: u64,
    last_loss: Option<(Instant, String)>,
}

impl Log {
    /// Starts a log that goes to stderr, and keeps so many bytes of it.
    ///
    /// # Errors
    /// The system gives no descriptor or no thread.
    pub(crate) fn to_stderr(form: Form, kept: usize) -> io::Result<Self> {
        // A descriptor of its own: the lock of the standard library's would be held by a writer
        // that is held up.
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

    /// Has all that the program reports logged that is asked for, by the words of `RELD_LOG`, and the
    /// events of the node kept.
    pub(crate) fn subscribe(&self, asked: Option<&str>) {
        let filter =
            || asked.and_then(|asked| EnvFilter::try_new(asked).ok()).unwrap_or_else(|| "info".into());
        // What cannot be formatted is left out: the complaint would go to stderr, and panic where
        // that is gone.
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

    /// Returns the last lines.
    pub(crate) fn lines(&self) -> &Ring {
        &self.0.lines
    }

    /// Returns the last events of the node.
    pub(crate) fn events(&self) -> &Ring {
        &self.0.events
    }

    /// Logs something whatever `RELD_LOG` asks for, without the machinery for events.
    pub(crate) fn error(&self, message: &str) {
        self.0.push(self.0.form.line("ERROR", message).as_bytes());
        self.0.lines.push(Record::plain(Level::ERROR, message));
    }

    /// Writes text as it is: the last words of the daemon.
    pub(crate) fn plain(&self, line: &str) {
        self.0.push(format!("{line}\n").as_bytes());
    }

    /// Waits until all is written that was logged before, but no longer than this.
    pub(crate) fn flush(&self, at_most: Duration) {
        // The writer would wait for itself.
        if thread::current().name() != Some(WRITER) {
            self.0.flush(at_most);
        }
    }

    /// Returns how many lines wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        let queue = self.0.queue.lock();
        queue.lines + queue.writing.unwrap_or_default()
    }

    /// Returns how many lines were dropped since the start.
    pub(crate) fn lost(&self) -> u64 {
        self.0.queue.lock().lost
    }

    /// Says that lines were dropped, if some were lately.
    pub(crate) fn alarm(&self) -> Option<String> {
        let queue = self.0.queue.lock();
        let (at, why) = queue.last_loss.as_ref().filter(|(at, _)| at.elapsed() < ALARM)?;
        Some(format!(
            "{} lines of the log are lost, the last {} s ago: {why}; look after whatever reads the daemon's stderr",
            queue.lost,
            at.elapsed().as_secs()
        ))
    }
}

/// Keeps an entry of the log once, for the readers of lines and for those of events.
struct Kept {
    lines: Ring,
    events: Ring,
    /// Which entries are lines.
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
    /// Takes a line, or drops it. Never fails and never waits.
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

    /// Writes as long as the program runs.
    fn serve(&self, mut writer: Writer<impl Write>) {
        let mut text = Vec::new();
        loop {
            let refused = self.take(&mut text);
            self.done(writer.write(&text, refused));
            text.clear();
            text.shrink_to(KEPT);
        }
    }

    /// Waits for something to write and takes all of it. Returns how many lines are missing behind
    /// it.
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
    /// Returns an entry as it is written. What comes from others can neither make a terminal do
    /// something, nor look like an entry of its own, nor be without end.
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
            // A line of JSON has no other end, and is useless without that.
            Self::Json => text.into_owned(),
        };
        Cow::Owned(printable(&text).into_owned().into_bytes())
    }

    /// Makes a line that looks like those of events.
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

/// What the writer's thread has.
struct Writer<W> {
    out: W,
    form: Form,
    /// How many lines are missing in the log at the place where it is now.
    missing: u64,
    /// Only the begin of the last line was written.
    is_cut: bool,
}

/// A write that was not done to its end.
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
    /// Writes lines behind which some are missing.
    fn write(&mut self, text: &[u8], missing: u64) -> Result<(), Cut> {
        let written = contained(|| {
            self.fill_gap().map_err(|gap| Cut::all(text, gap.why))?;
            self.put(text)
        });
        let written = written.unwrap_or_else(|panicked| Err(Cut::all(text, panicked.to_string())));
        self.missing += written.as_ref().map_or_else(|cut| cut.lines, |()| 0) + missing;
        if written.is_ok() {
            // What fails is tried again before the next lines.
            let _ = contained(|| self.fill_gap());
        }
        written
    }

    /// Writes how many lines are missing here, if any are.
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

    /// Writes all of it, or says what is left and why.
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
