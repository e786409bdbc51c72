//! Compares two schemas for equality and follows their references, for schemas that are not
//! compared place by place.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::shape::{ANNOTATIONS, definition};

/// Returns whether two schemas are equal; each belongs to the document at the same index.
pub(super) fn is_same(documents: [&Value; 2], one: &Value, other: &Value) -> bool {
    Same { documents, seen: BTreeSet::new() }.values(one, other)
}

/// Returns whether two schemas that are objects are equal.
pub(super) fn are_same(documents: [&Value; 2], one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    Same { documents, seen: BTreeSet::new() }.maps(one, other)
}

struct Same<'a> {
    documents: [&'a Value; 2],
    /// The pairs of references that were already followed. They end the recursion in recursive
    /// types.
    seen: BTreeSet<[String; 2]>,
}

impl Same<'_> {
    fn values(&mut self, one: &Value, other: &Value) -> bool {
        match (one, other) {
            (Value::Object(one), Value::Object(other)) => self.maps(one, other),
            (Value::Array(one), Value::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| self.values(one, other))
            }
            _ => one == other,
        }
    }

    fn maps(&mut self, one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
        let keys: BTreeSet<_> = one.keys().chain(other.keys()).map(String::as_str).collect();
        let mut keys = keys.into_iter().filter(|key| !ANNOTATIONS.contains(key));
        keys.all(|key| match (one.get(key), other.get(key)) {
            (Some(one), Some(other)) => self.keyword(key, one, other),
            _ => false,
        })
    }

    fn keyword(&mut self, key: &str, one: &Value, other: &Value) -> bool {
        match (key, one, other) {
            ("$ref", Value::String(one), Value::String(other)) => self.references(one, other),
            // The keys of these maps are names of fields, not keywords.
            ("properties" | "patternProperties", Value::Object(one), Value::Object(other)) => {
                one.keys().eq(other.keys())
                    && one.values().zip(other.values()).all(|(one, other)| self.values(one, other))
            }
            ("required", Value::Array(one), Value::Array(other)) => {
                one.len() == other.len() && one.iter().all(|name| other.contains(name))
            }
            _ => self.values(one, other),
        }
    }

    fn references(&mut self, one: &str, other: &str) -> bool {
        if !self.seen.insert([one.to_owned(), other.to_owned()]) {
            return true;
        }
        let [document, other_document] = self.documents;
        let both = definition(document, one).zip(definition(other_document, other));
        both.is_some_and(|(one, other)| self.values(one, other))
    }
}
