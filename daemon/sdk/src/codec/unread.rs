//! Finds what nobody reads: a deserializer around another one that knows the place of each value.
//!
//! Wherever serde skips a value (`deserialize_ignored_any`: a field that a type does not know), its path is noted. Almost
//! always there is none, and a live upgrade reads the state of each process, so knowing a place must cost next to nothing: it
//! is a link on the stack, its name is borrowed from the bytes, and only a path that is noted is spelled.
//!
//! Paths are those of the crate `serde_ignored`, which keeps each key as a string of its own and refuses maps whose keys are
//! neither text nor numbers. Here these are named `?`, and what nobody reads within a key is found too.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

/// Reads a value and the paths of all that was skipped in it: `limits.max`, `list.0.max`, `option.?.max`.
#[inline]
pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    inner: D,
) -> Result<(T, Vec<String>), D::Error> {
    let unread = RefCell::default();
    let place = Place { parent: None, name: Name::Other, key: None, unread: &unread };
    let value = T::deserialize(Placed { inner, place: &place })?;
    Ok((value, unread.into_inner()))
}

/// Where a value stands.
struct Place<'a, 'de> {
    parent: Option<&'a Self>,
    name: Name<'de>,
    /// What to call the value of which this is the key, or the wrapping of the key.
    key: Option<&'a Cell<Name<'de>>>,
    unread: &'a RefCell<Vec<String>>,
}

/// What a value is called within the one around it.
#[derive(Clone, Copy)]
enum Name<'de> {
    Text(&'de str),
    Number(i128),
    /// What is in an option, a newtype or a variant, or has a key without a short name.
    Other,
}

impl<'de> Place<'_, 'de> {
    #[inline]
    fn child<'b>(&'b self, name: Name<'de>) -> Place<'b, 'de> {
        Place { parent: Some(self), name, key: None, unread: self.unread }
    }

    /// What is wrapped in a key is the key's name.
    #[inline]
    fn wrapped<'b>(&'b self) -> Place<'b, 'de> {
        Place { key: self.key, ..self.child(Name::Other) }
    }

    #[inline]
    fn says(&self, name: Name<'de>) {
        if let Some(key) = self.key {
            key.set(name);
        }
    }

    #[cold]
    fn note(&self) {
        self.unread.borrow_mut().push(self.to_string());
    }
}

impl fmt::Display for Place<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parent) = self.parent else { return f.write_str(".") };
        if parent.parent.is_some() {
            write!(f, "{parent}.")?;
        }
        match self.name {
            Name::Text(text) => f.write_str(text),
            Name::Number(number) => number.fmt(f),
            Name::Other => f.write_str("?"),
        }
    }
}

/// Anything of serde's that reads one value, with the value's place.
struct Placed<'a, 'de, X> {
    inner: X,
    place: &'a Place<'a, 'de>,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Placed<'_, 'de, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Placed { inner, place: self.place })
    }
}

macro_rules! ask {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method($($argument,)* Placed { inner: visitor, place: self.place })
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
        deserialize_identifier()
    }
}

macro_rules! answer {
    ($($method:ident($($value:ident: $type:ty)?) $(=> $name:expr)?;)*) => {$(
        #[inline]
        fn $method<E: Error>(self, $($value: $type)?) -> Result<V::Value, E> {
            $(self.place.says($name);)?
            self.inner.$method($($value)?)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Placed<'_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    answer! {
        visit_bool(value: bool) => Name::Text(if value { "true" } else { "false" });
        visit_i8(value: i8) => Name::Number(value.into());
        visit_i16(value: i16) => Name::Number(value.into());
        visit_i32(value: i32) => Name::Number(value.into());
        visit_i64(value: i64) => Name::Number(value.into());
        visit_i128(value: i128) => Name::Number(value);
        visit_u8(value: u8) => Name::Number(value.into());
        visit_u16(value: u16) => Name::Number(value.into());
        visit_u32(value: u32) => Name::Number(value.into());
        visit_u64(value: u64) => Name::Number(value.into());
        visit_u128(value: u128) => value.try_into().map_or(Name::Other, Name::Number);
        visit_f32(value: f32);
        visit_f64(value: f64);
        visit_char(value: char);
        visit_str(value: &str);
        visit_borrowed_str(value: &'de str) => Name::Text(value);
        visit_string(value: String);
        visit_bytes(value: &[u8]);
        visit_borrowed_bytes(value: &'de [u8]);
        visit_byte_buf(value: Vec<u8>);
        visit_none();
        visit_unit();
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Placed { inner, place: &self.place.wrapped() })
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Placed { inner, place: &self.place.wrapped() })
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Elements { inner, place: self.place, read: 0 })
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Entries { inner, place: self.place, name: Name::Other })
    }

    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Placed { inner, place: self.place })
    }
}

impl<'a, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Placed<'a, 'de, A> {
    type Error = A::Error;
    type Variant = Placed<'a, 'de, A::Variant>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let place = self.place;
        let (value, inner) = self.inner.variant_seed(Placed { inner: seed, place })?;
        Ok((value, Placed { inner, place }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Placed<'_, 'de, A> {
    type Error = A::Error;

    #[inline]
    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(Placed { inner: seed, place: &self.place.child(Name::Other) })
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, Placed { inner: visitor, place: self.place })
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner.struct_variant(fields, Placed { inner: visitor, place: self.place })
    }
}

/// The elements of a sequence.
struct Elements<'a, 'de, A> {
    inner: A,
    place: &'a Place<'a, 'de>,
    read: u64,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Elements<'_, 'de, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let place = self.place.child(Name::Number(self.read.into()));
        self.read += 1;
        self.inner.next_element_seed(Placed { inner: seed, place: &place })
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
    /// Of the entry whose key was read last.
    name: Name<'de>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Entries<'_, 'de, A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let name = Cell::new(Name::Other);
        let place = Place { key: Some(&name), ..self.place.child(Name::Other) };
        let key = self.inner.next_key_seed(Placed { inner: seed, place: &place })?;
        self.name = name.get();
        Ok(key)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let place = self.place.child(self.name);
        self.inner.next_value_seed(Placed { inner: seed, place: &place })
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests;
