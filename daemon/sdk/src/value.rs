//! Values of a type that the SDK does not know: states between two versions, start arguments and
//! child ids.

use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;

use crate::codec::{self, Undecodable};

/// Any value, as bytes, such as a child's id, a start argument, or the `extra` of an appup.
///
/// Two values are equal if their bytes are equal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
pub struct Value(
    /// `None` stands for nil and needs no memory. Nearly every `extra` is nil, and an upgrade makes
    /// one for each process.
    #[schemars(with = "Vec<u8>")]
    Option<Vec<u8>>,
);

impl Value {
    /// Encodes a value.
    ///
    /// # Errors
    /// The value cannot be serialized.
    pub fn write<T: Serialize + ?Sized>(value: &T) -> Result<Self, Undecodable> {
        codec::encode(value).map(|bytes| Self::from(ByteBuf::from(bytes)))
    }

    /// Decodes the value.
    ///
    /// # Errors
    /// The value is not a `T`. The error calls it `value`, to distinguish it from a state.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Undecodable> {
        codec::decode(self.bytes()).map_err(|error| error.of("value"))
    }

    /// Returns the empty value, nil.
    pub fn nothing() -> Self {
        Self(None)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self((bytes != codec::NOTHING).then(|| bytes.to_vec()))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or(&codec::NOTHING)
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0.unwrap_or_else(|| codec::NOTHING.to_vec())
    }
}

impl From<ByteBuf> for Value {
    fn from(bytes: ByteBuf) -> Self {
        Self((*bytes != codec::NOTHING).then(|| bytes.into_vec()))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ByteBuf::deserialize(deserializer).map(Self::from)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.bytes())
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.bytes().len())
    }
}

/// The state of a process on its way from one version to another.
///
/// Reading is strict: an unread field is an error, because it is a forgotten rename or a value
/// about to be lost. But serde cannot see unread fields below `#[serde(flatten)]`, `#[serde(tag)]`
/// and `#[serde(untagged)]`. If a state has such attributes, read it with a type that lists these
/// fields.
#[derive(Clone, PartialEq, Eq)]
pub struct State(Vec<u8>);

impl State {
    /// Encodes a state.
    ///
    /// # Errors
    /// The state cannot be serialized.
    pub fn write<T: Serialize + ?Sized>(state: &T) -> Result<Self, Undecodable> {
        codec::encode(state).map(Self)
    }

    /// Decodes the whole state.
    ///
    /// # Errors
    /// A field is missing, of another type, or not in `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Undecodable> {
        self.read_without(&[])
    }

    /// Decodes the state except the fields with these paths, such as `"limits.max"`. The paths are
    /// written as in [`GenServer::DROPPED`](crate::GenServer::DROPPED).
    ///
    /// # Errors
    /// The same as for [`State::read`], about the other fields.
    pub fn read_without<T: DeserializeOwned>(&self, dropped: &[&str]) -> Result<T, Undecodable> {
        codec::decode_all(&self.0, dropped).map_err(|error| error.of("state"))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nil_has_one_representation_and_no_bytes_are_not_nil() {
        let nil = Value::nothing();
        let read: Value = codec::decode(b"\xc4\x01\xc0").expect("a value in bin");
        for same in [Value::from_bytes(&codec::NOTHING), Value::write(&()).expect("encodes"), read] {
            assert_eq!(same, nil);
            assert_eq!((same.read::<()>(), same.bytes()), (Ok(()), &codec::NOTHING[..]));
            assert_eq!(codec::encode(&same), Ok(b"\xc4\x01\xc0".to_vec()));
            assert_eq!(same.into_bytes(), codec::NOTHING);
        }
        let broken = Value::from_bytes(&[]);
        assert!(broken != nil && broken.read::<()>().is_err());
    }
}
