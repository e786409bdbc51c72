//! Log entries in memory, with separate fields instead of formatted text.
//!
//! The fields are stored as one JSON text, because entries are written often and read seldom.

use std::fmt::{self, Display, Write as _};
use std::ops::Range;
use std::time::SystemTime;

use serde::{Serialize, Serializer};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// The maximum length of a field's value, in bytes.
const VALUE_MAX: usize = 8 << 10;

/// A field that only the log on stderr contains. Clients do not get the field, because a module may
/// hide its messages from clients with read access only.
const HIDDEN: &str = "last_message";

/// An entry of the log.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) at: SystemTime,
    pub(crate) level: Level,
    pub(crate) target: &'static str,
    /// A JSON object of all fields, including `message`, and with the entry's name as `kind`.
    json: Vec<u8>,
    /// The position of the app's name within `json`, if the entry has an app.
    app: Option<Range<usize>>,
}

impl Record {
    /// Makes a record of a tracing event.
    pub(crate) fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut record = Self::new(*metadata.level(), metadata.target(), metadata.name());
        event.record(&mut record);
        record.ended()
    }

    /// Makes a record of a message without fields.
    pub(crate) fn plain(level: Level, message: &str) -> Self {
        let mut record = Self::new(level, "reld::log", "");
        record.add("message", Bounded(message));
        record.ended()
    }

    fn new(level: Level, target: &'static str, name: &'static str) -> Self {
        let mut json = Vec::with_capacity(256);
        json.push(b'{');
        let mut record = Self { at: SystemTime::now(), level, target, json, app: None };
        record.add("kind", name);
        record
    }

    fn ended(mut self) -> Self {
        self.json.push(b'}');
        self
    }

    /// Returns the fields as JSON.
    pub(crate) fn json(&self) -> &[u8] {
        &self.json
    }

    /// Returns the app of the entry.
    pub(crate) fn app(&self) -> Option<&str> {
        std::str::from_utf8(&self.json[self.app.clone()?]).ok()
    }

    /// Returns the record's size in memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.json.capacity()
    }

    fn add(&mut self, name: &str, value: impl Serialize) {
        if name == HIDDEN {
            return;
        }
        let before = self.json.len();
        if before > 1 {
            self.json.push(b',');
        }
        let pair = |json: &mut Vec<u8>| {
            serde_json::to_writer(&mut *json, name)?;
            json.push(b':');
            serde_json::to_writer(&mut *json, &value)
        };
        // This fails for a number that JSON cannot represent.
        if pair(&mut self.json).is_err() {
            self.json.truncate(before);
        } else if name == "app" {
            // The range of the name, without its quotes. App names contain no JSON escapes.
            self.app = Some(before + r#","app":""#.len()..self.json.len() - 1);
        }
    }
}

impl Visit for Record {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), Bounded(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), Bounded(format_args!("{value:?}")));
    }
}

/// Text that is cut after [`VALUE_MAX`] bytes, or at the first formatting error.
struct Bounded<T>(T);

impl<T: Display> Serialize for Bounded<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<T: Display> Display for Bounded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = Rest { out: f, left: VALUE_MAX, is_cut: false };
        // A formatting error cuts the text. It must not be returned, because serde_json would
        // panic.
        let is_whole = write!(rest, "{}", self.0).is_ok() && !rest.is_cut;
        if is_whole { Ok(()) } else { f.write_str("…") }
    }
}

/// Writes as much of a text as fits.
struct Rest<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    left: usize,
    is_cut: bool,
}

impl fmt::Write for Rest<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = text.floor_char_boundary(self.left);
        self.left -= end;
        self.is_cut |= end < text.len();
        self.out.write_str(&text[..end])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::{Value, json};
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt};

    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<Record>>);

    impl<S: tracing::Subscriber> Layer<S> for &'static Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(Record::of(event));
        }
    }

    fn recorded(log: impl FnOnce()) -> Record {
        let kept: &'static Kept = Box::leak(Box::default());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(kept), log);
        kept.0.lock().unwrap().pop().unwrap()
    }

    fn read(record: &Record) -> Value {
        serde_json::from_slice(record.json()).unwrap()
    }

    #[test]
    fn a_record_has_the_typed_fields_of_the_entry_except_hidden_ones() {
        let record = recorded(|| {
            let nothing: Option<&str> = None;
            tracing::warn!(
                name: "process.crash", n = 1_u64, less = -1, app = "shop", quoted = "\"a\"\n", on = true,
                pid = %"<4.1>", during = ?Some(7), nothing, last_message = "a secret", "it ended"
            );
        });
        let expected = json!({
            "kind": "process.crash", "n": 1, "less": -1, "app": "shop", "quoted": "\"a\"\n", "on": true,
            "pid": "<4.1>", "during": "Some(7)", "message": "it ended"
        });
        assert_eq!((read(&record), record.app(), record.level), (expected, Some("shop"), Level::WARN));
        assert_eq!(recorded(|| tracing::info!("no app")).app(), None);
    }

    #[test]
    fn a_long_value_is_cut_and_so_is_one_with_a_formatting_error() {
        struct Broken;
        impl Display for Broken {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half")?;
                Err(fmt::Error)
            }
        }
        let long = "ä".repeat(VALUE_MAX);
        let record = recorded(|| tracing::info!(broken = %Broken, long, "said"));
        let cut = "ä".repeat(VALUE_MAX / 2) + "…";
        let kind = read(&record)["kind"].clone();
        let expected = json!({"kind": kind, "broken": "half…", "long": cut, "message": "said"});
        assert_eq!(read(&record), expected);
    }
}
