//! A key of a table as a value that sorts: nil, booleans, integers, floats, strings, bytes, lists,
//! maps. The daemon sorts keys in the same order.

use std::fmt;

use reld_wire::table::{Error, Reason};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::codec;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Nil,
    Bool(bool),
    Integer(i128),
    /// Bits that sort like the float.
    Float(i64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

impl Key {
    pub(super) fn read(key: &[u8]) -> Result<Self, Error> {
        codec::decode(key).map_err(|error| Error::new(Reason::BadRequest, error.to_string()))
    }

    pub(super) fn begins_with(&self, prefix: &Self) -> bool {
        match (self, prefix) {
            (Self::Text(key), Self::Text(prefix)) => key.starts_with(prefix),
            (Self::Bytes(key), Self::Bytes(prefix)) => key.starts_with(prefix),
            (Self::List(key), Self::List(prefix)) => key.starts_with(prefix),
            _ => self == prefix,
        }
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OfAnyType)
    }
}

struct OfAnyType;

impl<'de> Visitor<'de> for OfAnyType {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key of a table")
    }

    fn visit_unit<E>(self) -> Result<Key, E> {
        Ok(Key::Nil)
    }

    fn visit_bool<E>(self, is: bool) -> Result<Key, E> {
        Ok(Key::Bool(is))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Key, E> {
        Ok(Key::Integer(n.into()))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Key, E> {
        Ok(Key::Integer(n.into()))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Key, E> {
        // As in `f64::total_cmp`: the bits of a negative float sort backwards.
        let bits = n.to_bits().cast_signed();
        let backwards = if bits < 0 { i64::MAX } else { 0 };
        Ok(Key::Float(bits ^ backwards))
    }

    fn visit_str<E>(self, text: &str) -> Result<Key, E> {
        Ok(Key::Text(text.to_owned()))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Key, E> {
        Ok(Key::Bytes(bytes.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Key, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Key::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Key, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Key::Map(map))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, _: D) -> Result<Key, D::Error> {
        Err(D::Error::custom("an extension cannot be a key in the harness"))
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    fn key(value: &impl Serialize) -> Key {
        Key::read(&codec::encode(value).expect("encodes")).expect("it is a key")
    }

    #[test]
    fn keys_sort_as_on_a_node() {
        let sorted = [
            key(&()),
            key(&false),
            key(&true),
            key(&i64::MIN),
            key(&-1),
            key(&u64::MAX),
            key(&f64::NEG_INFINITY),
            key(&-0.5),
            key(&0.25),
            key(&7.5),
            key(&""),
            key(&"a"),
            key(&"ab"),
            key(&serde_bytes::Bytes::new(b"a")),
            key(&(1,)),
            key(&(1, "z")),
            key(&(2,)),
            key(&serde_json::json!({"a": 1})),
        ];
        assert!(sorted.is_sorted_by(|one, next| one < next), "{sorted:?}");
        assert!(key(&(1, "z")).begins_with(&key(&(1,))) && !key(&(2, "z")).begins_with(&key(&(1,))));
        assert!(key(&"room/7").begins_with(&key(&"room/")) && !key(&"rooms").begins_with(&key(&"room/")));
    }
}
