//! Entries of the log as the daemon keeps them: by their fields, not as text.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::time::SystemTime;

use reld_plan::bounded;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

/// The longest text that is kept, in characters.
const TEXT_MAX: usize = 8 << 10;

/// What the log on stderr has and no client is shown: a module can hide it from those who may look.
const HIDDEN: &str = "last_message";

/// An entry of the log.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) at: SystemTime,
    pub(crate) level: Level,
    /// What it is called: for an event of the node its kind.
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    pub(crate) message: String,
    pub(crate) fields: Vec<(&'static str, Value)>,
}

impl Record {
    /// Returns what is logged by an event of tracing.
    pub(crate) fn of(event: &Event<'_>) -> Self {
        let mut record = Self::new(event.metadata());
        event.record(&mut record);
        record
    }

    fn new(metadata: &'static Metadata<'static>) -> Self {
        Self {
            at: SystemTime::now(),
            level: *metadata.level(),
            name: metadata.name(),
            target: metadata.target(),
            message: String::new(),
            fields: Vec::with_capacity(metadata.fields().len()),
        }
    }

    /// Returns an entry of the log itself.
    pub(crate) fn plain(level: Level, message: &str) -> Self {
        let message = bounded(message, TEXT_MAX).into_owned();
        Self { at: SystemTime::now(), level, name: "", target: "reld::log", message, fields: Vec::new() }
    }

    /// Returns the app that it is of or about.
    pub(crate) fn app(&self) -> Option<&str> {
        let app = self.fields.iter().find(|(name, _)| *name == "app")?;
        app.1.as_str()
    }

    /// Returns about how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let texts: usize = self.fields.iter().filter_map(|(_, value)| value.as_str()).map(str::len).sum();
        size_of::<Self>() + self.message.len() + self.fields.len() * size_of::<(&str, Value)>() + texts
    }

    fn add(&mut self, field: &Field, value: Value) {
        if field.name() != HIDDEN {
            self.fields.push((field.name(), value));
        }
    }

    fn add_text(&mut self, field: &Field, text: String) {
        let text = match bounded(&text, TEXT_MAX) {
            Cow::Borrowed(_) => text,
            Cow::Owned(shortened) => shortened,
        };
        if field.name() == "message" {
            self.message = text;
        } else {
            self.add(field, Value::String(text));
        }
    }
}

impl Visit for Record {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add_text(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // What cannot be formatted is left out, as on stderr.
        if write!(text, "{value:?}").is_ok() {
            self.add_text(field, text);
        }
    }
}
