//! Encodes values as bytes: MessagePack with field names. Only this file chooses the format.
//!
//! Positional formats are forbidden: they would decode a changed struct to wrong data without an
//! error. Enums, maps and options use serde's human-readable form, and byte strings are
//! MessagePack's bin.

mod unread;

use std::io;

use reld_wire::reader;
use rmp_serde::config::BytesMode;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::body::Body;

/// Some bytes could not be decoded as the requested type, or a value could not be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecodable(String);

impl Undecodable {
    /// Adds the name of the decoded body to the error.
    pub(crate) fn of(self, what: &str) -> Self {
        Self(format!("{what}: {}", self.0))
    }
}

/// The initial capacity, which is enough for a usual message or state. A vector that grows to this
/// size would call the allocator five times.
const USUAL: usize = 128;

/// The encoding of `()`: nil.
pub(crate) const NOTHING: [u8; 1] = [0xc0];

/// Encodes a value.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Undecodable> {
    let mut bytes = Vec::with_capacity(USUAL);
    write(value, &mut bytes)?;
    Ok(bytes)
}

/// Encodes a value as the body of a message.
///
/// # Errors
/// The value cannot be serialized.
pub(crate) fn body<T: Serialize + ?Sized>(value: &T) -> Result<Body, Undecodable> {
    let mut body = Body::with_room();
    write(value, &mut body)?;
    Ok(body)
}

fn write<T: Serialize + ?Sized>(value: &T, into: &mut impl io::Write) -> Result<(), Undecodable> {
    let mut serializer = rmp_serde::Serializer::new(into)
        .with_bytes(BytesMode::ForceAll)
        .with_struct_map()
        .with_human_readable();
    value.serialize(&mut serializer).map_err(|error| Undecodable(error.to_string()))
}

/// Decodes a value. Unknown fields are skipped, because a newer sender may add some.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Undecodable> {
    match reader::whole::<T, true>(bytes, |reader| T::deserialize(reader)) {
        Some(value) => Ok(value),
        None => rare(bytes, |reader| T::deserialize(reader)).map_err(|error| locate::<T>(bytes, error)),
    }
}

/// Decodes a body. An error contains the name of the body.
pub(crate) fn read<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, Undecodable> {
    decode(body).map_err(|error| error.of(what))
}

/// Decodes a state. Every field must be read, or listed in `dropped` by its path (`limits.max`).
///
/// An unread field is a forgotten rename or a lost value. It must not be replaced by a default
/// without an error.
pub(crate) fn decode_all<T: DeserializeOwned>(bytes: &[u8], dropped: &[&str]) -> Result<T, Undecodable> {
    if let Some(value) = reader::without_skips::<T, true>(bytes, |reader| T::deserialize(reader)) {
        return Ok(value);
    }
    let read = rare(bytes, |reader| unread::deserialize(reader));
    let (value, unread) = read.map_err(|error| locate::<T>(bytes, error))?;
    let Some(unread) = unread else { return Ok(value) };
    let undeclared = unread.iter().filter(|place| !dropped.contains(&place.as_str()));
    let places: Vec<_> = undeclared.map(|place| format!("`{place}`")).collect();
    if places.is_empty() {
        return Ok(value);
    }
    Err(Undecodable(format!("unread fields, not declared in DROPPED: {}", places.join(", "))))
}

type Rmp<'a> = rmp_serde::Deserializer<
    rmp_serde::decode::ReadRefReader<'a, [u8]>,
    rmp_serde::config::HumanReadableConfig<rmp_serde::config::DefaultConfig>,
>;

/// Decodes one value that [`reader`] does not know, and checks that no bytes follow it. Most of
/// these values are errors.
#[cold]
fn rare<T>(
    bytes: &[u8],
    read: impl FnOnce(&mut Rmp<'_>) -> Result<T, rmp_serde::decode::Error>,
) -> Result<T, String> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    let value = read(&mut reader).map_err(|error| described(&error))?;
    match IgnoredAny::deserialize(&mut reader) {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(value),
        _ => Err("bytes follow the value".to_owned()),
    }
}

/// Decodes again to find the field that does not fit. Tracking the field in every first pass would
/// be too slow for valid values.
fn locate<T: DeserializeOwned>(bytes: &[u8], error: String) -> Undecodable {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(located) if located.path().iter().next().is_some() => {
            Undecodable(format!("field `{}`: {}", located.path(), described(located.inner())))
        }
        _ => Undecodable(error),
    }
}

/// Describes an error of the format without marker bytes, which mean nothing to a person who typed
/// JSON.
fn described(error: &rmp_serde::decode::Error) -> String {
    let rmp_serde::decode::Error::TypeMismatch(marker) = error else { return error.to_string() };
    let found = match marker.to_u8() {
        0x80..=0x8f | 0xde | 0xdf => "map",
        0x90..=0x9f | 0xdc | 0xdd => "list",
        0xa0..=0xbf | 0xd9..=0xdb => "string",
        0xc0 => "null",
        0xc2 | 0xc3 => "bool",
        0xc4..=0xc6 => "bytes",
        0xca | 0xcb => "float",
        0xc7..=0xc9 | 0xd4..=0xd8 => "extension",
        _ => "integer",
    };
    format!("invalid type: {found}")
}

/// Joins encoded values to one map with these names as keys, like the fields of a struct.
pub(crate) fn join<const N: usize>(fields: [(&str, &[u8]); N]) -> Result<Vec<u8>, Undecodable> {
    debug_assert!(N < 16, "the header is one byte");
    let mut bytes = Vec::with_capacity(USUAL);
    bytes.push(0x80 | N as u8);
    for (name, value) in fields {
        bytes.extend(encode(name)?);
        bytes.extend_from_slice(value);
    }
    Ok(bytes)
}

/// Splits a map that [`join`] has made, without decoding the values.
pub(crate) fn split<'a, const N: usize>(
    bytes: &'a [u8],
    names: [&str; N],
) -> Result<[&'a [u8]; N], Undecodable> {
    let mut found = [None; N];
    let (header, mut rest) = bytes.split_first().ok_or_else(|| Undecodable("no bytes".to_owned()))?;
    if *header != 0x80 | N as u8 {
        return Err(Undecodable(format!("a map of `{}` was expected", names.join("`, `"))));
    }
    for _ in 0..N {
        let (name, value) = (next(&mut rest)?, next(&mut rest)?);
        let name: String = decode(name)?;
        let at = names.iter().position(|known| *known == name);
        found[at.ok_or_else(|| Undecodable(format!("unknown field `{name}`")))?] = Some(value);
    }
    if !rest.is_empty() {
        return Err(Undecodable("bytes follow the value".to_owned()));
    }
    for (name, value) in names.iter().zip(found) {
        value.ok_or_else(|| Undecodable(format!("missing field `{name}`")))?;
    }
    Ok(found.map(Option::unwrap_or_default))
}

/// Takes the bytes of the next value.
fn next<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Undecodable> {
    let bytes = *rest;
    let mut cursor = std::io::Cursor::new(bytes);
    IgnoredAny::deserialize(&mut rmp_serde::Deserializer::new(&mut cursor))
        .map_err(|error| Undecodable(error.to_string()))?;
    let end = usize::try_from(cursor.position()).unwrap_or(bytes.len());
    let (value, left) = bytes.split_at(end);
    *rest = left;
    Ok(value)
}

/// Formats an encoded value for tests. Byte strings are formatted as lists of numbers.
#[cfg(test)]
pub(crate) fn shown<T: Serialize>(value: &T) -> String {
    let bytes = encode(value).expect("encodes");
    rmpv::decode::read_value(&mut bytes.as_slice()).expect("reads").to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::names::Pid;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Limits {
        max: u32,
        names: Vec<String>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Request {
        Get,
        Put { key: String, bytes: Vec<u8> },
        Tick(u64),
    }

    #[track_caller]
    fn survives<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
        let bytes = encode(value).expect("encodes");
        assert_eq!(decode::<T>(&bytes).as_ref(), Ok(value), "{bytes:02x?}");
    }

    #[track_caller]
    fn check<T: DeserializeOwned + std::fmt::Debug>(bytes: &[u8], expected: &str) {
        let error = decode_all::<T>(bytes, &["gone"]).expect_err("must not be read");
        assert!(error.to_string().contains(expected), "`{error}` does not contain `{expected}`");
    }

    fn map(fields: &[(&str, u32)]) -> Vec<u8> {
        encode(&fields.iter().copied().collect::<BTreeMap<_, _>>()).expect("encodes")
    }

    #[test]
    fn encoded_values_decode_to_themselves() {
        survives(&());
        survives(&Some(7_u8));
        survives(&Request::Get);
        survives(&Request::Tick(u64::MAX));
        survives(&Request::Put { key: "k".into(), bytes: vec![0, 255, 7] });
        survives(&Limits { max: 3, names: vec!["a".into()] });
        survives(&BTreeMap::from([(1_u64, (true, -5_i32))]));
    }

    #[test]
    fn structs_carry_their_names_and_bytes_are_bin() {
        assert_eq!(encode(&Limits { max: 3, names: vec![] }), Ok(b"\x82\xa3max\x03\xa5names\x90".to_vec()));
        assert_eq!(encode(&vec![1_u8, 2]), Ok(b"\xc4\x02\x01\x02".to_vec()));
    }

    #[test]
    fn a_mismatch_is_named() {
        check::<Limits>(&map(&[("max", 1)]), "missing field `names`");
        check::<Limits>(&encode(&("x", ["n"])).expect("encodes"), "field `[0]`");
        check::<Limits>(&encode(&BTreeMap::from([("max", "x")])).expect("encodes"), "field `max`");
        check::<BTreeMap<String, Limits>>(
            &encode(&BTreeMap::from([("a", ())])).expect("encodes"),
            "field `a`",
        );
    }

    #[test]
    fn a_value_of_another_type_is_named_by_its_type() {
        for (bytes, found) in [
            (encode("x"), "string"),
            (encode(&[0_u64]), "list"),
            (encode(&BTreeMap::from([("a", 1)])), "map"),
            (encode(&Vec::from(*b"bytes")), "bytes"),
        ] {
            check::<u64>(&bytes.expect("encodes"), &format!("invalid type: {found}"));
        }
        check::<Limits>(
            &encode(&BTreeMap::from([("max", "x")])).expect("encodes"),
            "field `max`: invalid type: string",
        );
    }

    #[test]
    fn joined_values_can_be_split_and_read_as_a_struct() {
        let names = encode(&["a"]).expect("encodes");
        let joined = join([("max", &[3]), ("names", &names)]).expect("encodes");
        assert_eq!(decode(&joined), Ok(Limits { max: 3, names: vec!["a".into()] }));
        assert_eq!(split(&joined, ["names", "max"]), Ok([names.as_slice(), &[3]]));
        for broken in [&joined[..joined.len() - 1], &[joined.as_slice(), &[1]].concat(), &[], &[0x81]] {
            assert!(split(broken, ["names", "max"]).is_err(), "{broken:02x?}");
        }
        assert!(split(&joined, ["names", "min"]).is_err());
    }

    #[test]
    fn garbage_is_refused() {
        check::<u64>(&[], "");
        check::<u64>(&[0xc1], "");
        check::<u64>(&[5, 5], "bytes follow the value");
        check::<Vec<u64>>(&[0xdd, 0xff, 0xff, 0xff, 0xff], "");
    }

    #[test]
    fn a_state_with_unread_fields_is_refused_unless_they_are_declared() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only read into")]
        struct Kept {
            kept: u32,
        }
        check::<Kept>(&map(&[("kept", 1), ("renamed", 2)]), "`renamed`");
        assert!(decode_all::<Kept>(&map(&[("kept", 1), ("gone", 2)]), &["gone"]).is_ok());
        assert!(decode::<Kept>(&map(&[("kept", 1), ("renamed", 2)])).is_ok());
    }

    #[test]
    fn a_state_keyed_by_pids_is_read_like_any_other() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Kept {
            by_pid: BTreeMap<Pid, u32>,
        }
        #[derive(Serialize)]
        struct Written {
            gone: u32,
            by_pid: BTreeMap<Pid, u32>,
        }
        let by_pid = BTreeMap::from([(Pid::new(1, 2), 3)]);
        let bytes = encode(&Written { gone: 1, by_pid: by_pid.clone() }).expect("encodes");
        assert_eq!(decode_all(&bytes, &["gone"]), Ok(Kept { by_pid }));
        let error = decode_all::<Kept>(&bytes, &[]).expect_err("has an unread field");
        assert_eq!(error.to_string(), "unread fields, not declared in DROPPED: `gone`");
    }
}
