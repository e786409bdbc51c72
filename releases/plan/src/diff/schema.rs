//! Compares two schemas: can the reader read every value that the writer writes?
//!
//! A schema is a JSON schema in the form that `schemars` generates for a type with serde's
//! attributes. Each schema is treated as a choice between several *shapes* (`shape.rs`). The reader
//! must be able to read each shape that the writer can write:
//!
//! | writer | reader | result |
//! |---|---|---|
//! | field | the same field | compared recursively |
//! | field | none | in a state: gone, unless declared dropped; in a message: skipped; in both: needs code if the reader denies unknown fields |
//! | none | field with a default | additive |
//! | none | field without a default | needs code |
//! | variant | none | needs code |
//! | none | variant | additive |
//! | integer | integer of at least its range | the same, or additive |
//! | any other difference | | needs code |
//!
//! A state with indistinguishable shapes (an `untagged` enum) needs code if any part of it changed,
//! including the order of its variants, because the reader takes the first shape that fits.
//!
//! An unknown keyword must have the same value in both schemas, and types that serde merges
//! (`flatten`, an internal tag) must be equal. Otherwise a person must decide.
//!
//! Places are written in the notation of the SDK, see the table at `GenServer::DROPPED`. A place
//! that a comparison prints as gone can therefore be declared in `DROPPED`, and the SDK finds the
//! same place in the bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::ptr;

use serde_json::{Map, Value};

use super::same::{are_same, is_same};
use super::shape::{ANNOTATIONS, Key, Shape, are_distinguishable, shapes};

/// The result of comparing two versions of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// No difference.
    Same,
    /// No difference that needs a conversion: new fields have a default, missing fields are
    /// declared dropped.
    Additive,
    /// The written value cannot be read without a conversion.
    NeedsCode,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    pub(crate) verdict: Verdict,
    /// Describes the difference, for people.
    pub(crate) text: String,
    pub(crate) kind: Kind,
}

/// The effect of a difference on places.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// This place of a state is written but not read. If the place is not declared dropped, code
    /// must leave it out, which requires no other data.
    Gone(String),
    /// A place in a recursive type is gone. It occurs at every depth, so it has no name.
    GoneBelow,
    /// This place is read but not written.
    New(String),
    /// Places cannot describe the difference: any place below this one may be new, gone or moved.
    Hidden,
    /// No effect.
    Other,
}

/// All differences, in the order of the writer's fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Differences(pub(crate) Vec<Difference>);

impl Differences {
    pub(crate) fn verdict(&self) -> Verdict {
        self.0.iter().map(|difference| difference.verdict).max().unwrap_or(Verdict::Same)
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|difference| difference.text.as_str())
    }

    fn push(&mut self, verdict: Verdict, kind: Kind, text: String) {
        self.0.push(Difference { verdict, text, kind });
    }

    /// Returns the same differences without places, for values with bytes that do not show the
    /// places.
    fn hidden(mut self) -> Self {
        self.0.iter_mut().for_each(|difference| difference.kind = Kind::Hidden);
        self
    }

    fn needs_code(&mut self, kind: Kind, text: String) {
        self.push(Verdict::NeedsCode, kind, text);
    }
}

/// How the reader treats unknown fields.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unread<'a> {
    /// The value is a state: every field must be read or be in the reader's list of dropped fields.
    Refused(&'a [String]),
    /// The value is a message or an argument: unknown fields are skipped.
    Skipped,
}

/// Compares the values that one schema writes with the values that another reads.
pub(crate) fn compare(writer: &Value, reader: &Value, unread: Unread<'_>) -> Differences {
    let (open, kept) = (BTreeMap::new(), BTreeSet::new());
    let mut comparison = Comparison { writer, reader, unread, open, kept };
    let mut all = comparison.values(writer, reader, "");
    for difference in &mut all.0 {
        if matches!(&difference.kind, Kind::Gone(place) if comparison.kept.contains(place)) {
            difference.kind = Kind::Hidden;
        }
    }
    // Several fields may share one place: the items of a tuple, or fields that become entries of a
    // map.
    let mut seen = BTreeSet::new();
    all.0.retain(|difference| seen.insert(difference.clone()));
    all
}

/// Any item of an array, in the SDK's notation.
const ITEM: &str = "[]";
/// Any entry of a map, in the SDK's notation.
const ENTRY: &str = "*";
/// Any key of a map, in the SDK's notation.
const KEY: &str = "?";

struct Comparison<'a> {
    /// The documents, for their `$defs`.
    writer: &'a Value,
    reader: &'a Value,
    unread: Unread<'a>,
    /// The pairs of shapes (by address) with a comparison that has not ended. A pair that recurs
    /// inside its own comparison is a recursive type; the value is then the place of the recursion.
    open: BTreeMap<[*const Map<String, Value>; 2], Option<String>>,
    /// The places that both the writer and the reader have.
    kept: BTreeSet<String>,
}

/// Keywords that are compared by code of their own.
const KNOWN: [&str; 14] = [
    "type",
    "format",
    "minimum",
    "maximum",
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "const",
    "$ref",
];

impl<'a> Comparison<'a> {
    fn values(&mut self, writer: &'a Value, reader: &'a Value, path: &str) -> Differences {
        let readers = shapes(self.reader, reader);
        let writers = shapes(self.writer, writer);
        if readers.iter().any(Shape::is_anything) {
            return Differences::default();
        }
        let all = self.several(&writers, &readers, path);
        if are_distinguishable(&writers) && are_distinguishable(&readers) {
            return all;
        }
        let mut all = all.hidden();
        let is_same = || is_same([self.writer, self.reader], writer, reader);
        if all.verdict() < Verdict::NeedsCode && matches!(self.unread, Unread::Refused(_)) && !is_same() {
            let text = format!(
                "{} changed, and may be read as another variant: its bytes do not show the variant",
                place(path)
            );
            all.needs_code(Kind::Hidden, text);
        }
        all
    }

    fn several(&mut self, writers: &[Shape<'a>], readers: &[Shape<'a>], path: &str) -> Differences {
        if let ([one], [other]) = (writers, readers) {
            return self.shape(one, other, path);
        }
        let mut all = Differences::default();
        for shape in writers {
            all.0.extend(self.one_of(shape, readers, path).0);
        }
        for shape in readers {
            let is_there = |other: &Shape<'a>| match &shape.key {
                Key::Layers => self.are_same_layers(other, shape),
                key => other.key == *key,
            };
            if !writers.iter().any(is_there) {
                let kind = match (&shape.key, shape.variant()) {
                    (Key::Layers, _) => Kind::Hidden,
                    (_, Some(name)) => Kind::New(joined(path, &name)),
                    (_, None) => Kind::Other,
                };
                all.push(Verdict::Additive, kind, format!("{} is new{}", shape.name(), within(path)));
            }
        }
        all
    }

    /// Compares a written shape with the reader's shape that can read it. If there are several, the
    /// most similar one counts.
    fn one_of(&mut self, shape: &Shape<'a>, readers: &[Shape<'a>], path: &str) -> Differences {
        let fitting = readers.iter().filter(|reader| reader.may_read(shape));
        let compared = fitting.map(|reader| self.shape(shape, reader, path)).collect::<Vec<_>>();
        compared.into_iter().min_by_key(Differences::verdict).unwrap_or_else(|| {
            let mut gone = Differences::default();
            gone.needs_code(Kind::Other, format!("{} is gone{}", shape.name(), within(path)));
            gone
        })
    }

    fn shape(&mut self, writer: &Shape<'a>, reader: &Shape<'a>, path: &str) -> Differences {
        let mut all = Differences::default();
        if !reader.may_read(writer) {
            let text = format!("{} was {}, is {}", place(path), writer.name(), reader.name());
            all.needs_code(Kind::Hidden, text);
            return all;
        }
        if reader.key == Key::Layers {
            if !self.are_same_layers(writer, reader) {
                all.needs_code(Kind::Hidden, format!("{} differs, and combines several types", place(path)));
            }
            return all;
        }
        let pair = [writer, reader].map(|shape| shape.source.map_or(ptr::null(), ptr::from_ref));
        if let Some(again) = self.open.get_mut(&pair) {
            again.get_or_insert_with(|| path.to_owned());
            return all;
        }
        self.open.insert(pair, None);
        match reader.kind() {
            "object" => self.objects(writer, reader, path, &mut all),
            "array" => self.arrays(writer, reader, path, &mut all),
            "integer" => integers(writer, reader, path, &mut all),
            _ if writer.get("format") != reader.get("format") => {
                let text = format!("{} was {}, is {}", place(path), writer.name(), reader.name());
                all.needs_code(Kind::Other, text);
            }
            _ => {}
        }
        self.unknown_keywords(writer, reader, path, &mut all);
        if let Some(again) = self.open.remove(&pair).flatten()
            && all.0.iter().any(|difference| matches!(difference.kind, Kind::Gone(_) | Kind::GoneBelow))
        {
            let text = format!("{} is recursive: fields that are gone there need code", place(&again));
            all.needs_code(Kind::GoneBelow, text);
        }
        all
    }

    fn are_same_layers(&self, writer: &Shape<'a>, reader: &Shape<'a>) -> bool {
        let both = writer.source.zip(reader.source);
        both.is_some_and(|(writer, reader)| are_same([self.writer, self.reader], writer, reader))
    }

    fn objects(&mut self, writer: &Shape<'a>, reader: &Shape<'a>, path: &str, all: &mut Differences) {
        let is_keyed_by_words = reader.is_keyed_by_words();
        for (name, value) in writer.properties() {
            let field = joined(path, name);
            match reader.property(name) {
                Some(read) => {
                    let at = if is_keyed_by_words { &joined(path, ENTRY) } else { &field };
                    let below = self.values(value, read, at);
                    all.0.extend(if is_plain(name) { below } else { below.hidden() }.0);
                    if !writer.requires(name) && reader.requires(name) {
                        let text = format!("{} could be absent, and has no default now", place(&field));
                        all.needs_code(Kind::Other, text);
                    }
                    self.kept.insert(field);
                }
                None => match reader.entries() {
                    Some(read) => all.0.extend(self.values(value, read, &joined(path, ENTRY)).0),
                    None => {
                        let is_field = is_plain(name) && !is_keyed_by_words;
                        let gone = self.unread(field, reader);
                        all.0.extend(if is_field { gone } else { gone.hidden() }.0);
                    }
                },
            }
        }
        for name in reader.properties().map(|(name, _)| name).filter(|name| writer.property(name).is_none()) {
            let field = joined(path, name);
            let shown = place(&field);
            if reader.requires(name) {
                all.needs_code(Kind::New(field), format!("{shown} is new and has no default"));
            } else {
                all.push(Verdict::Additive, Kind::New(field), format!("{shown} is new, with a default"));
            }
        }
        if let Some(written) = writer.entries() {
            self.entries(written, writer, reader, path, all);
        }
    }

    /// Compares the values under arbitrary keys: those of a map, and those beside the fields of a
    /// struct.
    fn entries(
        &mut self,
        written: &'a Value,
        writer: &Shape<'a>,
        reader: &Shape<'a>,
        path: &str,
        all: &mut Differences,
    ) {
        match reader.entries() {
            Some(read) => {
                all.0.extend(self.values(written, read, &joined(path, ENTRY)).0);
                if !writer.patterns().eq(reader.patterns()) {
                    all.needs_code(Kind::Hidden, format!("{} has keys of another kind", place(path)));
                }
            }
            None if reader.is_closed() || matches!(self.unread, Unread::Refused(_)) => {
                let text = format!("{} allowed any key, and now allows only its fields", place(path));
                all.needs_code(Kind::Hidden, text);
            }
            None => {}
        }
    }

    /// Describes a field that the reader does not have.
    fn unread(&self, field: String, reader: &Shape<'_>) -> Differences {
        let shown = place(&field);
        let denied = format!("{shown} is gone, and unknown fields are denied");
        let gone = Kind::Gone(field.clone());
        let (verdict, kind, text) = match self.unread {
            Unread::Skipped if reader.is_closed() => (Verdict::NeedsCode, Kind::Other, denied),
            Unread::Skipped => (Verdict::Additive, Kind::Other, format!("{shown} is no longer read")),
            Unread::Refused(_) if reader.is_closed() => (Verdict::NeedsCode, gone, denied),
            Unread::Refused(dropped) if dropped.contains(&field) => {
                (Verdict::Additive, gone, format!("{shown} is gone, and declared in DROPPED"))
            }
            Unread::Refused(_) => {
                (Verdict::NeedsCode, gone, format!("{shown} is gone, and not declared in DROPPED"))
            }
        };
        Differences(vec![Difference { verdict, text, kind }])
    }

    fn arrays(&mut self, writer: &Shape<'a>, reader: &Shape<'a>, path: &str, all: &mut Differences) {
        if let (Some(written), Some(read)) = (writer.get("items"), reader.get("items")) {
            all.0.extend(self.values(written, read, &joined(path, ITEM)).0);
        }
        let (written, read) = (writer.places(), reader.places());
        let is_same = written.len() == read.len()
            && ["minItems", "maxItems"].iter().all(|key| writer.get(key) == reader.get(key))
            && writer.get("items").is_some() == reader.get("items").is_some();
        if !is_same {
            all.needs_code(Kind::Hidden, format!("{} has another number of items", place(path)));
        }
        for (written, read) in written.iter().zip(read) {
            all.0.extend(self.values(written, read, &joined(path, ITEM)).0);
        }
    }

    fn unknown_keywords(&self, writer: &Shape<'a>, reader: &Shape<'a>, path: &str, all: &mut Differences) {
        let unknown = |key: &&String| !ANNOTATIONS.contains(&key.as_str()) && !KNOWN.contains(&key.as_str());
        let keys: BTreeSet<_> = writer.map.keys().chain(reader.map.keys()).filter(unknown).collect();
        let differs = |key: &&String| match (writer.get(key), reader.get(key)) {
            (Some(written), Some(read)) => !is_same([self.writer, self.reader], written, read),
            (written, read) => written.is_some() || read.is_some(),
        };
        for key in keys.into_iter().filter(differs) {
            all.needs_code(Kind::Hidden, format!("{} differs in `{key}`", place(path)));
        }
    }
}

fn integers(writer: &Shape<'_>, reader: &Shape<'_>, path: &str, all: &mut Differences) {
    let (written, read) = (range(writer), range(reader));
    if written == read {
        return;
    }
    let fits = read.0 <= written.0 && written.1 <= read.1;
    let verdict = if fits { Verdict::Additive } else { Verdict::NeedsCode };
    all.push(verdict, Kind::Other, format!("{} was {}, is {}", place(path), writer.name(), reader.name()));
}

/// The least and the greatest value; a 128-bit integer counts as unbounded.
fn range(shape: &Shape<'_>) -> (i128, i128) {
    let (least, most) = match shape.get("format").and_then(Value::as_str) {
        Some("uint8") => (0, u8::MAX.into()),
        Some("uint16") => (0, u16::MAX.into()),
        Some("uint32") => (0, u32::MAX.into()),
        Some("uint64" | "uint") => (0, u64::MAX.into()),
        Some("int8") => (i8::MIN.into(), i8::MAX.into()),
        Some("int16") => (i16::MIN.into(), i16::MAX.into()),
        Some("int32") => (i32::MIN.into(), i32::MAX.into()),
        Some("int64" | "int") => (i64::MIN.into(), i64::MAX.into()),
        _ => (i128::MIN, i128::MAX),
    };
    let bound = |key: &str| shape.get(key).and_then(Value::as_i64).map(i128::from);
    (
        bound("minimum").map_or(least, |bound| bound.max(least)),
        bound("maximum").map_or(most, |bound| bound.min(most)),
    )
}

/// Returns whether a name in a path cannot be mistaken for another notation.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains('.') && ![ITEM, ENTRY, KEY].contains(&name)
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn place(path: &str) -> String {
    if path.is_empty() { "it".to_owned() } else { format!("`{path}`") }
}

fn within(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" in `{path}`") }
}
