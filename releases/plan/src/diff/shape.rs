//! The shapes that a JSON schema allows. An enum has one shape for each variant; an option has the
//! shape of its type and null.

use serde_json::{Map, Value};

/// Keywords without an effect on reading.
pub(super) const ANNOTATIONS: [&str; 9] =
    ["$schema", "$defs", "$id", "title", "description", "default", "examples", "deprecated", "uniqueItems"];

/// One of the shapes that a schema allows.
#[derive(Debug, Clone)]
pub(super) struct Shape<'a> {
    pub(super) map: Map<String, Value>,
    /// The map in the schema, which outlives this shape.
    pub(super) source: Option<&'a Map<String, Value>>,
    pub(super) key: Key,
}

/// The key that distinguishes the shapes of one schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Anything,
    Nothing,
    /// Several schemas merged by serde: `flatten` or an internal tag.
    Layers,
    Constant(String),
    /// A variant with data: an object with exactly this field, or with this constant.
    Variant(String),
    Kind(String),
}

/// Returns the shapes that a schema allows.
pub(super) fn shapes<'a>(document: &'a Value, schema: &'a Value) -> Vec<Shape<'a>> {
    let mut found = Vec::new();
    collect(document, schema, DEPTH_MAX, &mut found);
    found
}

/// The maximum number of references before a shape.
const DEPTH_MAX: usize = 16;

fn collect<'a>(document: &'a Value, schema: &'a Value, depth: usize, found: &mut Vec<Shape<'a>>) {
    let Value::Object(map) = schema else {
        let key = if *schema == Value::Bool(false) { Key::Nothing } else { Key::Anything };
        found.push(Shape { map: Map::new(), source: None, key });
        return;
    };
    if has_layers(map) {
        return found.push(Shape { map: map.clone(), source: Some(map), key: Key::Layers });
    }
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

/// Returns whether the bytes of a value show its shape.
pub(super) fn are_distinguishable(shapes: &[Shape<'_>]) -> bool {
    let looks_like_another = |(at, shape): (usize, &Shape<'_>)| {
        shapes.iter().enumerate().any(|(other, one)| other != at && shape.may_read(one))
    };
    !shapes.iter().enumerate().any(looks_like_another)
}

/// Returns whether a schema merges other schemas into itself.
fn has_layers(map: &Map<String, Value>) -> bool {
    let keywords = map.keys().map(String::as_str).filter(|key| !ANNOTATIONS.contains(key));
    let (references, own): (Vec<_>, Vec<_>) =
        keywords.partition(|key| ["$ref", "oneOf", "anyOf"].contains(key));
    references.len() > 1 || !references.is_empty() && !own.is_empty() || own.contains(&"allOf")
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
    // serde's usual form of a variant with data: a closed object with one field.
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
    pub(super) fn is_anything(&self) -> bool {
        self.key == Key::Anything && self.map.keys().all(|key| ANNOTATIONS.contains(&key.as_str()))
    }

    /// Returns whether this shape can read the written one at all.
    pub(super) fn may_read(&self, written: &Self) -> bool {
        match (&self.key, &written.key) {
            (own, other) if own == other => true,
            // A constant is read as its type, and every integer as a number.
            (Key::Kind(kind), Key::Constant(_)) => written.kind() == kind,
            (Key::Kind(kind), Key::Kind(other)) => kind == "number" && other == "integer",
            (Key::Kind(kind), Key::Variant(_)) | (Key::Variant(_), Key::Kind(kind)) => kind == "object",
            _ => false,
        }
    }

    pub(super) fn kind(&self) -> &str {
        match &self.key {
            Key::Variant(_) => "object",
            Key::Kind(kind) => kind,
            _ => self.map.get("type").and_then(Value::as_str).unwrap_or_default(),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.source.and_then(|map| map.get(key))
    }

    pub(super) fn properties(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.get("properties").and_then(Value::as_object).into_iter().flatten()
    }

    pub(super) fn property(&self, name: &str) -> Option<&'a Value> {
        self.get("properties")?.get(name)
    }

    pub(super) fn requires(&self, name: &str) -> bool {
        let required = self.get("required").and_then(Value::as_array);
        required.is_some_and(|names| names.iter().any(|required| required == name))
    }

    /// Returns the schema of a map's values, or of the values beside the fields of a struct. The
    /// values share one schema; their keys are arbitrary.
    pub(super) fn entries(&self) -> Option<&'a Value> {
        let by_pattern = self.get("patternProperties").and_then(Value::as_object);
        let by_number = by_pattern.and_then(|schemas| schemas.values().next());
        by_number.or_else(|| self.get("additionalProperties").filter(|_| !self.is_closed()))
    }

    /// Returns whether unknown fields are refused.
    pub(super) fn is_closed(&self) -> bool {
        self.get("additionalProperties") == Some(&Value::Bool(false))
    }

    /// Returns the patterns of map keys that are not arbitrary text.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &'a String> + use<'a> {
        self.get("patternProperties").and_then(Value::as_object).into_iter().flat_map(Map::keys)
    }

    /// Returns whether this shape is a map with the variants of an enum as keys. The schema of such
    /// a map lists the variants like fields, each with the map's value type. A struct that denies
    /// unknown fields and has only options of one type has the same schema, so it is treated as a
    /// map.
    pub(super) fn is_keyed_by_words(&self) -> bool {
        let mut values = self.properties().map(|(_, value)| value);
        let Some(first) = values.next() else { return false };
        self.is_closed()
            && self.get("required").is_none()
            && first.get("default").is_none()
            && values.all(|value| value == first)
    }

    pub(super) fn places(&self) -> &'a [Value] {
        self.get("prefixItems").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Returns the name of the variant, if the shape is a variant.
    pub(super) fn variant(&self) -> Option<String> {
        match &self.key {
            Key::Constant(value) => Some(value.trim_matches('"').to_owned()),
            Key::Variant(name) => Some(name.clone()),
            _ => None,
        }
    }

    /// Returns the name of the shape for messages.
    pub(super) fn name(&self) -> String {
        match &self.key {
            Key::Anything => "anything".to_owned(),
            Key::Nothing => "nothing".to_owned(),
            Key::Layers => "several types in one".to_owned(),
            Key::Constant(value) => format!("`{}`", value.trim_matches('"')),
            Key::Variant(name) => format!("`{name}`"),
            Key::Kind(kind) => match self.get("format").and_then(Value::as_str) {
                Some(format) if kind != "null" => format!("{kind} ({format})"),
                _ => kind.clone(),
            },
        }
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()
}

pub(super) fn definition<'a>(document: &'a Value, reference: &str) -> Option<&'a Value> {
    match reference.strip_prefix('#')? {
        "" => Some(document),
        pointer => document.pointer(pointer),
    }
}
