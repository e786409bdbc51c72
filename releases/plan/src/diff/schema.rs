//! Comparing two schemas: can what was written by the one be read by the other?
//!
//! A schema is a JSON schema as `schemars` makes it from a type with serde's attributes. Both are looked at as *one of
//! several shapes* (an enum has one for each variant, an option has null for a second); each shape that can be written
//! has to be one that can be read:
//!
//! | of the writer | of the reader | |
//! |---|---|---|
//! | field | the same field | compared in turn |
//! | field | none | a state: gone, unless it is declared dropped; a message: skipped; either: needs code where unknown fields are denied |
//! | none | field with a default | additive |
//! | none | field without | needs code |
//! | variant | none | needs code |
//! | none | variant | additive |
//! | integer | integer of at least its range | the same, or additive |
//! | any other difference | | needs code |
//!
//! A keyword that is not known here has to be equal on both sides: in doubt a person is asked.
//!
//! Places are spelled as the SDK spells them, in the table at `GenServer::DROPPED`: what is printed here as gone can be
//! declared there, and is what the SDK finds in the bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::ptr;

use serde_json::{Map, Value};

/// What stands between two versions of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// Nothing.
    Same,
    /// Nothing that has to be converted: what is new has a default, what is gone is declared dropped.
    Additive,
    /// What was written cannot be read without code of its own.
    NeedsCode,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    pub(crate) verdict: Verdict,
    /// Says what differs, for people.
    pub(crate) text: String,
    /// A field that is written and not read, in a state: where it is not declared, code has to leave it out, and needs
    /// nothing to do so.
    pub(crate) is_gone: bool,
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

    fn push(&mut self, verdict: Verdict, text: String) {
        self.0.push(Difference { verdict, text, is_gone: false });
    }

    fn gone(&mut self, verdict: Verdict, text: String) {
        self.0.push(Difference { verdict, text, is_gone: true });
    }

    fn needs_code(&mut self, text: String) {
        self.push(Verdict::NeedsCode, text);
    }
}

/// How the reader treats fields that it does not know.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unread<'a> {
    /// A state: every field has to be read, or stand in the reader's list of dropped ones.
    Refused(&'a [String]),
    /// A message, an argument: they are skipped.
    Skipped,
}

/// Compares what is written by one schema with what is read by another.
pub(crate) fn compare(writer: &Value, reader: &Value, unread: Unread<'_>) -> Differences {
    let mut comparison = Comparison { writer, reader, unread, open: BTreeMap::new() };
    let mut all = comparison.values(writer, reader, "");
    // One place may stand for several: the items of a tuple, the fields that become a map's entries.
    let mut told = BTreeSet::new();
    all.0.retain(|difference| told.insert(difference.clone()));
    all
}

/// Any item of an array, as in the SDK.
const ITEM: &str = "[]";
/// Any entry of a map, as in the SDK.
const ENTRY: &str = "*";

struct Comparison<'a> {
    /// The documents, for their `$defs`.
    writer: &'a Value,
    reader: &'a Value,
    unread: Unread<'a>,
    /// The pairs of shapes, by address, that are being compared: a type may hold itself. With the place where it does.
    open: BTreeMap<[*const Map<String, Value>; 2], Option<String>>,
}

/// Keywords that say nothing about what can be read.
const ANNOTATIONS: [&str; 9] =
    ["$schema", "$defs", "$id", "title", "description", "default", "examples", "deprecated", "uniqueItems"];

/// Keywords that are compared by their meaning.
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
        let mut all = Differences::default();
        if readers.iter().any(Shape::is_anything) {
            return all;
        }
        if let ([one], [other]) = (writers.as_slice(), readers.as_slice()) {
            return self.shape(one, other, path);
        }
        for shape in &writers {
            all.0.extend(self.one_of(shape, &readers, path).0);
        }
        for shape in &readers {
            if !writers.iter().any(|other| other.key == shape.key) {
                all.push(Verdict::Additive, format!("{} is new{}", shape.name(), within(path)));
            }
        }
        all
    }

    /// Finds the shape that reads another one: of several that might, the one that comes nearest.
    fn one_of(&mut self, shape: &Shape<'a>, readers: &[Shape<'a>], path: &str) -> Differences {
        let fitting = readers.iter().filter(|reader| reader.may_read(shape));
        let compared = fitting.map(|reader| self.shape(shape, reader, path)).collect::<Vec<_>>();
        compared.into_iter().min_by_key(Differences::verdict).unwrap_or_else(|| {
            let mut gone = Differences::default();
            gone.needs_code(format!("{} is gone{}", shape.name(), within(path)));
            gone
        })
    }

    fn shape(&mut self, writer: &Shape<'a>, reader: &Shape<'a>, path: &str) -> Differences {
        let mut all = Differences::default();
        if !reader.may_read(writer) {
            all.needs_code(format!("{} was {}, is {}", place(path), writer.name(), reader.name()));
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
                all.needs_code(format!("{} was {}, is {}", place(path), writer.name(), reader.name()));
            }
            _ => {}
        }
        self.unknown_keywords(writer, reader, path, &mut all);
        if let Some(again) = self.open.remove(&pair).flatten()
            && all.0.iter().any(|difference| difference.is_gone)
        {
            let text = format!("{} is of the same type again: what is gone there needs code", place(&again));
            all.gone(Verdict::NeedsCode, text);
        }
        all
    }

    fn objects(&mut self, writer: &Shape<'a>, reader: &Shape<'a>, path: &str, all: &mut Differences) {
        let is_keyed_by_words = reader.is_keyed_by_words();
        for (name, value) in writer.properties() {
            let field = joined(path, name);
            match reader.property(name) {
                Some(read) => {
                    let at = if is_keyed_by_words { &joined(path, ENTRY) } else { &field };
                    all.0.extend(self.values(value, read, at).0);
                    if !writer.requires(name) && reader.requires(name) {
                        all.needs_code(format!("{} could be absent, and has no default now", place(&field)));
                    }
                }
                None => match reader.entries() {
                    Some(read) => all.0.extend(self.values(value, read, &joined(path, ENTRY)).0),
                    None => self.unread(&field, reader, all),
                },
            }
        }
        for name in reader.properties().map(|(name, _)| name).filter(|name| writer.property(name).is_none()) {
            let field = place(&joined(path, name));
            if reader.requires(name) {
                all.needs_code(format!("{field} is new and has no default"));
            } else {
                all.push(Verdict::Additive, format!("{field} is new, with a default"));
            }
        }
        if let Some(written) = writer.entries() {
            self.entries(written, writer, reader, path, all);
        }
    }

    /// What may be in a map, or beside a struct's fields, under any key.
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
                    all.needs_code(format!("{} has keys of another kind", place(path)));
                }
            }
            None if reader.is_closed() || matches!(self.unread, Unread::Refused(_)) => {
                all.needs_code(format!("{} had any key, and has its fields only", place(path)));
            }
            None => {}
        }
    }

    /// A field that the reader has no name for.
    fn unread(&self, field: &str, reader: &Shape<'_>, all: &mut Differences) {
        let shown = place(field);
        match self.unread {
            Unread::Skipped if !reader.is_closed() => {
                all.push(Verdict::Additive, format!("{shown} is not read any more"));
            }
            Unread::Skipped => all.needs_code(format!("{shown} is gone, and unknown fields are denied")),
            Unread::Refused(_) if reader.is_closed() => {
                all.gone(Verdict::NeedsCode, format!("{shown} is gone, and unknown fields are denied"));
            }
            Unread::Refused(dropped) if dropped.iter().any(|place| place == field) => {
                all.gone(Verdict::Additive, format!("{shown} is gone, and declared in DROPPED"));
            }
            Unread::Refused(_) => {
                all.gone(Verdict::NeedsCode, format!("{shown} is gone, and not declared in DROPPED"));
            }
        }
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
            all.needs_code(format!("{} has another number of items", place(path)));
        }
        for (written, read) in written.iter().zip(read) {
            all.0.extend(self.values(written, read, &joined(path, ITEM)).0);
        }
    }

    fn unknown_keywords(&self, writer: &Shape<'a>, reader: &Shape<'a>, path: &str, all: &mut Differences) {
        let unknown = |key: &&String| !ANNOTATIONS.contains(&key.as_str()) && !KNOWN.contains(&key.as_str());
        let keys: BTreeSet<_> = writer.map.keys().chain(reader.map.keys()).filter(unknown).collect();
        for key in keys.into_iter().filter(|key| writer.map.get(*key) != reader.map.get(*key)) {
            all.needs_code(format!("{} differs in `{key}`", place(path)));
        }
    }
}

/// One of the shapes that a schema allows.
#[derive(Debug, Clone)]
struct Shape<'a> {
    map: Map<String, Value>,
    /// The schema's own map, whose fields outlive this shape.
    source: Option<&'a Map<String, Value>>,
    key: Key,
}

/// What tells the shapes of one schema apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Anything,
    Nothing,
    Constant(String),
    /// A variant with data: the object that has just this field, or this constant in it.
    Variant(String),
    Kind(String),
}

/// Returns the shapes that a schema allows.
fn shapes<'a>(document: &'a Value, schema: &'a Value) -> Vec<Shape<'a>> {
    let mut found = Vec::new();
    collect(document, schema, DEPTH_MAX, &mut found);
    found
}

/// How many references may lead to each other before a shape.
const DEPTH_MAX: usize = 16;

fn collect<'a>(document: &'a Value, schema: &'a Value, depth: usize, found: &mut Vec<Shape<'a>>) {
    let Value::Object(map) = schema else {
        let key = if *schema == Value::Bool(false) { Key::Nothing } else { Key::Anything };
        found.push(Shape { map: Map::new(), source: None, key });
        return;
    };
    let is_deep = depth == 0;
    if let Some(target) = reference(schema).and_then(|name| definition(document, name)).filter(|_| !is_deep) {
        return collect(document, target, depth - 1, found);
    }
    if let Some(Value::Array(several)) = map.get("oneOf").or_else(|| map.get("anyOf"))
        && !is_deep
    {
        return several.iter().for_each(|schema| collect(document, schema, depth - 1, found));
    }
    if let Some(Value::Array(constants)) = map.get("enum") {
        return found.extend(constants.iter().map(|value| constant(value, map.get("type"))));
    }
    match map.get("type") {
        Some(Value::Array(kinds)) => found.extend(kinds.iter().map(|kind| shape_of_kind(map, kind))),
        _ => found.push(Shape { key: key(map), map: map.clone(), source: Some(map) }),
    }
}

fn constant<'a>(value: &Value, kind: Option<&Value>) -> Shape<'a> {
    let mut map = Map::from_iter([("const".to_owned(), value.clone())]);
    map.extend(kind.map(|kind| ("type".to_owned(), kind.clone())));
    Shape { map, source: None, key: Key::Constant(value.to_string()) }
}

fn shape_of_kind<'a>(map: &'a Map<String, Value>, kind: &Value) -> Shape<'a> {
    let name = kind.as_str().unwrap_or_default();
    let mut own = map.clone();
    own.insert("type".to_owned(), kind.clone());
    if name == "null" {
        own.retain(|key, _| key == "type");
    }
    Shape { map: own, source: Some(map), key: Key::Kind(name.to_owned()) }
}

fn key(map: &Map<String, Value>) -> Key {
    if let Some(value) = map.get("const") {
        return Key::Constant(value.to_string());
    }
    let properties = map.get("properties").and_then(Value::as_object);
    let constants = properties
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some(format!("{name} = {}", value.get("const")?)));
    if let Some(tag) = constants.into_iter().next() {
        return Key::Variant(tag);
    }
    // serde's usual form of a variant with data.
    let is_closed = map.get("additionalProperties") == Some(&Value::Bool(false));
    match properties.map(|fields| fields.keys().collect::<Vec<_>>()).as_deref() {
        Some([only]) if is_closed => return Key::Variant((*only).clone()),
        _ => {}
    }
    match map.get("type").and_then(Value::as_str) {
        Some(kind) => Key::Kind(kind.to_owned()),
        None => Key::Anything,
    }
}

impl<'a> Shape<'a> {
    fn is_anything(&self) -> bool {
        self.key == Key::Anything && self.map.keys().all(|key| ANNOTATIONS.contains(&key.as_str()))
    }

    /// Whether a shape of this key is read by this one at all.
    fn may_read(&self, written: &Self) -> bool {
        match (&self.key, &written.key) {
            (own, other) if own == other => true,
            // A word is text, and every integer is a number.
            (Key::Kind(kind), Key::Constant(_)) => written.kind() == kind,
            (Key::Kind(kind), Key::Kind(other)) => kind == "number" && other == "integer",
            (Key::Kind(kind), Key::Variant(_)) | (Key::Variant(_), Key::Kind(kind)) => kind == "object",
            _ => false,
        }
    }

    fn kind(&self) -> &str {
        match &self.key {
            Key::Variant(_) => "object",
            Key::Kind(kind) => kind,
            _ => self.map.get("type").and_then(Value::as_str).unwrap_or_default(),
        }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.source.and_then(|map| map.get(key))
    }

    fn properties(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.get("properties").and_then(Value::as_object).into_iter().flatten()
    }

    fn property(&self, name: &str) -> Option<&'a Value> {
        self.get("properties")?.get(name)
    }

    fn requires(&self, name: &str) -> bool {
        let required = self.get("required").and_then(Value::as_array);
        required.is_some_and(|names| names.iter().any(|required| required == name))
    }

    /// The schema of fields without a name of their own: the values of a map, all of one type.
    fn entries(&self) -> Option<&'a Value> {
        let by_pattern = self.get("patternProperties").and_then(Value::as_object);
        let of_numbers = by_pattern.and_then(|schemas| schemas.values().next());
        of_numbers.or_else(|| self.get("additionalProperties").filter(|_| !self.is_closed()))
    }

    /// Whether other fields than its own are refused.
    fn is_closed(&self) -> bool {
        self.get("additionalProperties") == Some(&Value::Bool(false))
    }

    /// How the keys of a map have to look that are no text.
    fn patterns(&self) -> impl Iterator<Item = &'a String> + use<'a> {
        self.get("patternProperties").and_then(Value::as_object).into_iter().flat_map(Map::keys)
    }

    /// Whether it is a map with an enum's words for keys: such a schema lists them like fields, each with the map's one
    /// type. (So does that of a struct which denies unknown fields and has options of one type only; it is taken for a map.)
    fn is_keyed_by_words(&self) -> bool {
        let mut values = self.properties().map(|(_, value)| value);
        let Some(first) = values.next() else { return false };
        self.is_closed()
            && self.get("required").is_none()
            && first.get("default").is_none()
            && values.all(|value| value == first)
    }

    fn places(&self) -> &'a [Value] {
        self.get("prefixItems").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Says what it is, for people.
    fn name(&self) -> String {
        match &self.key {
            Key::Anything => "anything".to_owned(),
            Key::Nothing => "nothing".to_owned(),
            Key::Constant(value) => format!("`{}`", value.trim_matches('"')),
            Key::Variant(name) => format!("`{name}`"),
            Key::Kind(kind) => match self.get("format").and_then(Value::as_str) {
                Some(format) if kind != "null" => format!("{kind} ({format})"),
                _ => kind.clone(),
            },
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
    all.push(verdict, format!("{} was {}, is {}", place(path), writer.name(), reader.name()));
}

/// The least and the greatest value; a 128-bit integer is only as good as none.
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

fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()
}

fn definition<'a>(document: &'a Value, reference: &str) -> Option<&'a Value> {
    match reference.strip_prefix('#')? {
        "" => Some(document),
        pointer => document.pointer(pointer),
    }
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
