//! Reads MessagePack from a slice, like `rmp-serde` and in fewer instructions.
//!
//! The reader knows the usual values only. It gives up on all others: on bytes that end too soon or
//! do not fit the type, and on forms that our own writers do not use. The caller then reads the
//! same bytes with `rmp-serde`, whose errors name the fault. So this reader needs one property,
//! which its tests and a fuzzer check: **a value that it returns is the value that `rmp-serde`
//! returns.**
//!
//! For this it calls the same methods of a visitor as `rmp-serde`, in the same order, with one
//! exception: the name of a field or a variant is passed as bytes, because text would first be
//! checked to be UTF-8. Derived types compare either with their names. If a type refuses the bytes,
//! the reader gives up. It remembers that it gave up, because a type may ignore the error of a
//! part.

use std::fmt;

use serde::de::value::SeqDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// Reads a value with `read`, if this reader knows it and nothing follows it.
///
/// `HUMAN_READABLE` is serde's `is_human_readable`.
#[inline]
pub fn whole<'de, T, const HUMAN_READABLE: bool>(
    bytes: &'de [u8],
    read: impl FnOnce(&mut Reader<'de, HUMAN_READABLE>) -> Result<T, GaveUp>,
) -> Option<T> {
    Reader::new(bytes, true).read(read)
}

/// Reads a value like [`whole`], if the type skips no part of it. A derived type skips the fields
/// that it does not have.
#[inline]
pub fn without_skips<'de, T, const HUMAN_READABLE: bool>(
    bytes: &'de [u8],
    read: impl FnOnce(&mut Reader<'de, HUMAN_READABLE>) -> Result<T, GaveUp>,
) -> Option<T> {
    Reader::new(bytes, false).read(read)
}

/// The reader gave up, or the type refused a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GaveUp;

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a usual value of this type")
    }
}

impl std::error::Error for GaveUp {}

impl de::Error for GaveUp {
    #[cold]
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// The number of lists and maps in each other from which on the reader gives up.
const DEPTH: u8 = 128;

/// A deserializer over the rest of a slice.
#[derive(Debug)]
pub struct Reader<'de, const HUMAN_READABLE: bool> {
    rest: &'de [u8],
    depth: u8,
    /// Whether the next value is the name of a field or a variant.
    is_name: bool,
    /// Whether the type may skip values.
    may_skip: bool,
    gave_up: bool,
}

impl<'de, const HUMAN_READABLE: bool> Reader<'de, HUMAN_READABLE> {
    #[inline]
    fn new(bytes: &'de [u8], may_skip: bool) -> Self {
        Self { rest: bytes, depth: DEPTH, is_name: false, may_skip, gave_up: false }
    }

    #[inline]
    fn read<T>(mut self, read: impl FnOnce(&mut Self) -> Result<T, GaveUp>) -> Option<T> {
        let value = read(&mut self).ok()?;
        (self.rest.is_empty() && !self.gave_up).then_some(value)
    }

    #[cold]
    fn give_up<T>(&mut self) -> Result<T, GaveUp> {
        self.gave_up = true;
        Err(GaveUp)
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, GaveUp> {
        self.array().map(|[byte]| byte)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], GaveUp> {
        let Some((array, rest)) = self.rest.split_first_chunk() else { return self.give_up() };
        self.rest = rest;
        Ok(*array)
    }

    #[inline]
    fn slice(&mut self, length: usize) -> Result<&'de [u8], GaveUp> {
        let Some((slice, rest)) = self.rest.split_at_checked(length) else { return self.give_up() };
        self.rest = rest;
        Ok(slice)
    }

    /// Reads a length of `1 << power` bytes.
    #[inline]
    fn length(&mut self, power: u8) -> Result<usize, GaveUp> {
        Ok(match power {
            0 => usize::from(self.byte()?),
            1 => usize::from(u16::from_be_bytes(self.array()?)),
            _ => u32::from_be_bytes(self.array()?) as usize,
        })
    }

    #[inline]
    fn text<V: Visitor<'de>>(&mut self, length: usize, visitor: V) -> Result<V::Value, GaveUp> {
        match std::str::from_utf8(self.slice(length)?) {
            Ok(text) => visitor.visit_borrowed_str(text),
            Err(_) => self.give_up(),
        }
    }

    #[inline]
    fn parts<T>(
        &mut self,
        length: usize,
        visit: impl FnOnce(&mut Parts<'_, 'de, HUMAN_READABLE>) -> Result<T, GaveUp>,
    ) -> Result<T, GaveUp> {
        let Some(depth) = self.depth.checked_sub(1) else { return self.give_up() };
        self.depth = depth;
        let mut parts = Parts { reader: self, left: length };
        let value = visit(&mut parts)?;
        if parts.left > 0 {
            return self.give_up();
        }
        self.depth += 1;
        Ok(value)
    }

    #[inline]
    fn name<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, GaveUp> {
        self.is_name = true;
        let name = seed.deserialize(&mut *self);
        self.is_name = false;
        name
    }

    /// Reads a value with this marker that is a number, a bool or nil.
    #[inline]
    fn scalar<V: Visitor<'de>>(&mut self, marker: u8, visitor: V) -> Result<V::Value, GaveUp> {
        match marker {
            0x00..=0x7f => visitor.visit_u8(marker),
            0xcc => visitor.visit_u8(self.byte()?),
            0xcd => visitor.visit_u16(u16::from_be_bytes(self.array()?)),
            0xce => visitor.visit_u32(u32::from_be_bytes(self.array()?)),
            0xcf => visitor.visit_u64(u64::from_be_bytes(self.array()?)),
            0xe0..=0xff => visitor.visit_i8(marker.cast_signed()),
            0xd0 => visitor.visit_i8(self.byte()?.cast_signed()),
            0xd1 => visitor.visit_i16(i16::from_be_bytes(self.array()?)),
            0xd2 => visitor.visit_i32(i32::from_be_bytes(self.array()?)),
            0xd3 => visitor.visit_i64(i64::from_be_bytes(self.array()?)),
            0xca => visitor.visit_f32(f32::from_be_bytes(self.array()?)),
            0xcb => visitor.visit_f64(f64::from_be_bytes(self.array()?)),
            0xc0 => visitor.visit_unit(),
            0xc2 | 0xc3 => visitor.visit_bool(marker == 0xc3),
            _ => self.give_up(),
        }
    }

    /// Reads any value. A byte string is a list of numbers to a type that asks for a list.
    #[inline]
    fn any<V: Visitor<'de>>(&mut self, visitor: V, is_list: bool) -> Result<V::Value, GaveUp> {
        let marker = self.byte()?;
        match marker {
            0xa0..=0xbf => self.text(usize::from(marker & 0x1f), visitor),
            0xd9..=0xdb => {
                let length = self.length(marker - 0xd9)?;
                self.text(length, visitor)
            }
            0x80..=0x8f => self.parts(usize::from(marker & 0x0f), |parts| visitor.visit_map(parts)),
            0xde | 0xdf => {
                let length = self.length(marker - 0xde + 1)?;
                self.parts(length, |parts| visitor.visit_map(parts))
            }
            0x90..=0x9f => self.parts(usize::from(marker & 0x0f), |parts| visitor.visit_seq(parts)),
            0xdc | 0xdd => {
                let length = self.length(marker - 0xdc + 1)?;
                self.parts(length, |parts| visitor.visit_seq(parts))
            }
            0xc4..=0xc6 => {
                let length = self.length(marker - 0xc4)?;
                let bytes = self.slice(length)?;
                if is_list {
                    visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied()))
                } else {
                    visitor.visit_borrowed_bytes(bytes)
                }
            }
            _ => self.scalar(marker, visitor),
        }
    }
}

macro_rules! read {
    (scalar: $($scalar:ident)*; list: $($list:ident($($argument:ty),*))*) => {
        $(#[inline]
        fn $scalar<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GaveUp> {
            let marker = self.byte()?;
            self.scalar(marker, visitor)
        })*
        $(#[inline]
        fn $list<V: Visitor<'de>>(self, $(_: $argument,)* visitor: V) -> Result<V::Value, GaveUp> {
            self.any(visitor, true)
        })*
    };
}

impl<'de, const HUMAN_READABLE: bool> Deserializer<'de> for &mut Reader<'de, HUMAN_READABLE> {
    type Error = GaveUp;

    #[inline]
    fn is_human_readable(&self) -> bool {
        HUMAN_READABLE
    }

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GaveUp> {
        self.any(visitor, false)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GaveUp> {
        match self.rest.split_first() {
            Some((0xc0, rest)) => {
                self.rest = rest;
                visitor.visit_none()
            }
            Some(_) => visitor.visit_some(self),
            None => self.give_up(),
        }
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, GaveUp> {
        match self.rest.split_first() {
            Some((0x81, rest)) => {
                self.rest = rest;
                visitor.visit_enum(Variant { reader: self, has_content: true })
            }
            Some((0x80..=0x8f | 0xde | 0xdf, _)) | None => self.give_up(),
            Some(_) => visitor.visit_enum(Variant { reader: self, has_content: false }),
        }
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, GaveUp> {
        // The name by which `rmp-serde` reads extension types.
        if name == "_ExtStruct" { self.give_up() } else { visitor.visit_newtype_struct(self) }
    }

    /// Maps that are no struct, such as those of `flatten`, keep their names as text.
    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GaveUp> {
        match self.rest.split_first() {
            Some((marker @ 0xa0..=0xbf, rest)) if self.is_name => {
                self.rest = rest;
                let name = self.slice(usize::from(marker & 0x1f))?;
                visitor.visit_borrowed_bytes(name).or_else(|GaveUp| self.give_up())
            }
            _ => self.any(visitor, false),
        }
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, GaveUp> {
        match self.rest.split_first() {
            Some((marker @ 0x80..=0x8f, rest)) => {
                self.rest = rest;
                self.parts(usize::from(marker & 0x0f), |parts| visitor.visit_map(Fields(parts)))
            }
            _ => self.any(visitor, true),
        }
    }

    /// A struct without fields is written as an empty list.
    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, GaveUp> {
        match self.rest.split_first() {
            Some((0xc0 | 0x90, rest)) => {
                self.rest = rest;
                visitor.visit_unit()
            }
            _ => self.any(visitor, false),
        }
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, GaveUp> {
        if self.may_skip { self.any(visitor, false) } else { self.give_up() }
    }

    fn deserialize_i128<V: Visitor<'de>>(self, _: V) -> Result<V::Value, GaveUp> {
        self.give_up()
    }

    fn deserialize_u128<V: Visitor<'de>>(self, _: V) -> Result<V::Value, GaveUp> {
        self.give_up()
    }

    read! {
        scalar:
            deserialize_bool
            deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
            deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
            deserialize_f32 deserialize_f64;
        list:
            deserialize_seq()
            deserialize_tuple(usize)
            deserialize_tuple_struct(&'static str, usize)
    }

    forward_to_deserialize_any! { bytes byte_buf unit map str string char }
}

/// The elements of a list, or the entries of a map.
#[derive(Debug)]
struct Parts<'a, 'de, const HUMAN_READABLE: bool> {
    reader: &'a mut Reader<'de, HUMAN_READABLE>,
    left: usize,
}

impl<'de, const HUMAN_READABLE: bool> SeqAccess<'de> for Parts<'_, 'de, HUMAN_READABLE> {
    type Error = GaveUp;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, GaveUp> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de, const HUMAN_READABLE: bool> MapAccess<'de> for Parts<'_, 'de, HUMAN_READABLE> {
    type Error = GaveUp;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, GaveUp> {
        self.next_element_seed(seed)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, GaveUp> {
        seed.deserialize(&mut *self.reader)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The fields of a struct.
struct Fields<'a, 'b, 'de, const HUMAN_READABLE: bool>(&'a mut Parts<'b, 'de, HUMAN_READABLE>);

impl<'de, const HUMAN_READABLE: bool> MapAccess<'de> for Fields<'_, '_, 'de, HUMAN_READABLE> {
    type Error = GaveUp;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, GaveUp> {
        if self.0.left == 0 {
            return Ok(None);
        }
        self.0.left -= 1;
        self.0.reader.name(seed).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, GaveUp> {
        self.0.next_value_seed(seed)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.0.left)
    }
}

/// A variant: its name alone, or a map of its name to its content.
#[derive(Debug)]
struct Variant<'a, 'de, const HUMAN_READABLE: bool> {
    reader: &'a mut Reader<'de, HUMAN_READABLE>,
    has_content: bool,
}

impl<'de, const HUMAN_READABLE: bool> EnumAccess<'de> for Variant<'_, 'de, HUMAN_READABLE> {
    type Error = GaveUp;
    type Variant = Self;

    #[inline]
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), GaveUp> {
        Ok((self.reader.name(seed)?, self))
    }
}

impl<'de, const HUMAN_READABLE: bool> VariantAccess<'de> for Variant<'_, 'de, HUMAN_READABLE> {
    type Error = GaveUp;

    #[inline]
    fn unit_variant(self) -> Result<(), GaveUp> {
        if self.has_content && self.reader.byte()? != 0xc0 { self.reader.give_up() } else { Ok(()) }
    }

    #[inline]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, GaveUp> {
        if self.has_content { seed.deserialize(self.reader) } else { self.reader.give_up() }
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, GaveUp> {
        if self.has_content { self.reader.any(visitor, true) } else { self.reader.give_up() }
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, GaveUp> {
        if self.has_content {
            self.reader.deserialize_struct("", fields, visitor)
        } else {
            self.reader.give_up()
        }
    }
}
