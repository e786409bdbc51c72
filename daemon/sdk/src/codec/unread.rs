//! Finds unread fields, by a deserializer around another one that tracks the path of each value.
//!
//! When serde skips a value, the value's path is recorded. (serde calls `deserialize_ignored_any`
//! for a field that the type does not have.) Only states with skipped values are read with
//! tracking. But a type with `DROPPED` fields may skip them in every process of an upgrade. For
//! this reason a path is a linked list on the stack, with names borrowed from the bytes, and only a
//! recorded path is formatted.
//!
//! Paths are formatted by the table at [`GenServer::DROPPED`](crate::GenServer::DROPPED). serde
//! does not reveal whether a map is a struct, but it asks for the names of fields and variants as
//! *identifiers*, and for the keys of maps by their own types.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

/// The paths of the skipped values, without duplicates. The set is allocated only if there are any.
pub(super) type Unread = Option<BTreeSet<String>>;

/// Decodes a value, and finds the values that serde skips in it.
#[inline]
pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    inner: D,
) -> Result<(T, Unread), D::Error> {
    let unread = RefCell::new(None);
    let value = T::deserialize(Placed::new(inner, &Place { parent: None, name: b".", unread: &unread }))?;
    Ok((value, unread.into_inner()))
}

/// The path of a value.
struct Place<'a, 'de> {
    parent: Option<&'a Self>,
    /// The name of the value within its parent.
    name: &'de [u8],
    unread: &'a RefCell<Unread>,
}

/// The name of any element of a list or a tuple.
const ELEMENT: &[u8] = b"[]";
/// The name of any value of a map.
const ENTRY: &[u8] = b"*";
/// The name of any key of a map.
const KEY: &[u8] = b"?";

impl<'de> Place<'_, 'de> {
    #[inline]
    fn child<'b>(&'b self, name: &'de [u8]) -> Place<'b, 'de> {
        Place { parent: Some(self), name, unread: self.unread }
    }

    #[cold]
    fn note(&self) {
        self.unread.borrow_mut().get_or_insert_default().insert(self.to_string());
    }
}

impl fmt::Display for Place<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent.filter(|parent| parent.parent.is_some()) {
            write!(f, "{parent}.")?;
        }
        f.write_str(&String::from_utf8_lossy(self.name))
    }
}

/// A serde object that reads one value, together with the path of that value.
struct Placed<'a, 'de, X> {
    inner: X,
    place: &'a Place<'a, 'de>,
    /// The cell that receives the bytes of an identifier, if the value is one.
    identifier: Option<&'a Cell<&'de [u8]>>,
}

impl<'a, 'de, X> Placed<'a, 'de, X> {
    #[inline]
    fn new(inner: X, place: &'a Place<'a, 'de>) -> Self {
        Self { inner, place, identifier: None }
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Placed<'_, 'de, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Placed { inner, place: self.place, identifier: self.identifier })
    }
}

macro_rules! ask {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method($($argument,)* Placed::new(visitor, self.place))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Placed<'_, 'de, D> {
    type Error = D::Error;

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.place.note();
        self.inner.deserialize_ignored_any(visitor)
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let Self { inner, place, identifier } = self;
        inner.deserialize_identifier(Placed { inner: visitor, place, identifier })
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }

    ask! {
        deserialize_any()
        deserialize_bool()
        deserialize_i8()
        deserialize_i16()
        deserialize_i32()
        deserialize_i64()
        deserialize_i128()
        deserialize_u8()
        deserialize_u16()
        deserialize_u32()
        deserialize_u64()
        deserialize_u128()
        deserialize_f32()
        deserialize_f64()
        deserialize_char()
        deserialize_str()
        deserialize_string()
        deserialize_bytes()
        deserialize_byte_buf()
        deserialize_option()
        deserialize_unit()
        deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str)
        deserialize_seq()
        deserialize_tuple(len: usize)
        deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_map()
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }
}

macro_rules! answer {
    ($($method:ident($($value:ident: $type:ty)?))*) => {$(
        #[inline]
        fn $method<E: Error>(self, $($value: $type)?) -> Result<V::Value, E> {
            self.inner.$method($($value)?)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Placed<'_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    #[inline]
    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<V::Value, E> {
        if let Some(identifier) = self.identifier {
            identifier.set(value.as_bytes());
        }
        self.inner.visit_borrowed_str(value)
    }

    #[inline]
    fn visit_borrowed_bytes<E: Error>(self, value: &'de [u8]) -> Result<V::Value, E> {
        if let Some(identifier) = self.identifier {
            identifier.set(value);
        }
        self.inner.visit_borrowed_bytes(value)
    }

    answer! {
        visit_bool(value: bool)
        visit_i8(value: i8)
        visit_i16(value: i16)
        visit_i32(value: i32)
        visit_i64(value: i64)
        visit_i128(value: i128)
        visit_u8(value: u8)
        visit_u16(value: u16)
        visit_u32(value: u32)
        visit_u64(value: u64)
        visit_u128(value: u128)
        visit_f32(value: f32)
        visit_f64(value: f64)
        visit_char(value: char)
        visit_str(value: &str)
        visit_string(value: String)
        visit_bytes(value: &[u8])
        visit_byte_buf(value: Vec<u8>)
        visit_none()
        visit_unit()
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Placed::new(inner, self.place))
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Placed::new(inner, self.place))
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Elements { inner, place: self.place.child(ELEMENT) })
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Entries { inner, place: self.place, name: ENTRY })
    }

    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Placed::new(inner, self.place))
    }
}

impl<'a, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Placed<'a, 'de, A> {
    type Error = A::Error;
    type Variant = Variant<'a, 'de, A::Variant>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let Self { inner, place, .. } = self;
        let name = Cell::new(ENTRY);
        let (value, inner) = inner.variant_seed(Placed { inner: seed, place, identifier: Some(&name) })?;
        Ok((value, Variant { inner, place: place.child(name.get()) }))
    }
}

/// The content of a variant.
struct Variant<'a, 'de, A> {
    inner: A,
    place: Place<'a, 'de>,
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Variant<'_, 'de, A> {
    type Error = A::Error;

    #[inline]
    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(Placed::new(seed, &self.place))
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, Placed::new(visitor, &self.place))
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner.struct_variant(fields, Placed::new(visitor, &self.place))
    }
}

/// The elements of a list or a tuple.
struct Elements<'a, 'de, A> {
    inner: A,
    place: Place<'a, 'de>,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Elements<'_, 'de, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_element_seed(Placed::new(seed, &self.place))
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// The entries of a map, or the fields of a struct.
struct Entries<'a, 'de, A> {
    inner: A,
    place: &'a Place<'a, 'de>,
    /// The name of the entry that belongs to the key read last.
    name: &'de [u8],
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Entries<'_, 'de, A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let name = Cell::new(ENTRY);
        let place = &self.place.child(KEY);
        let key = self.inner.next_key_seed(Placed { inner: seed, place, identifier: Some(&name) })?;
        self.name = name.get();
        Ok(key)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(Placed::new(seed, &self.place.child(self.name)))
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests;
