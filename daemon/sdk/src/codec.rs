//! How values become bytes: MessagePack with field names. The one place that chooses the format.
//!
//! Positional formats are forbidden: they read a changed struct as wrong data without an error. Enums, maps and options
//! are in serde's human-readable form, and runs of bytes are MessagePack's bin.

use rmp_serde::config::BytesMode;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

/// Bytes could not be read as the type that was asked for, or a value could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecodable(String);

impl Undecodable {
    /// Says which body it was.
    pub(crate) fn of(self, what: &str) -> Self {
        Self(format!("{what}: {}", self.0))
    }
}

/// Room for a usual message or state: a vector that grows byte by byte asks the daemon's allocator five times.
const USUAL: usize = 128;

/// `()` as it is written: nil.
pub(crate) const NOTHING: [u8; 1] = [0xc0];

/// Writes a value.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Undecodable> {
    let mut bytes = Vec::with_capacity(USUAL);
    let mut serializer = rmp_serde::Serializer::new(&mut bytes)
        .with_bytes(BytesMode::ForceAll)
        .with_struct_map()
        .with_human_readable();
    value.serialize(&mut serializer).map_err(|error| Undecodable(error.to_string()))?;
    Ok(bytes)
}

/// Reads a value. Fields that the type does not know are skipped: a newer sender may say more.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Undecodable> {
    whole(bytes, |reader| T::deserialize(reader)).map_err(|error| locate::<T>(bytes, error))
}

/// Reads a state. Every field must be read, or stand in `dropped` by its path (`limits.max`).
///
/// A field that nobody reads is a forgotten rename or a lost value; neither may become a default in silence.
pub(crate) fn decode_all<T: DeserializeOwned>(bytes: &[u8], dropped: &[&str]) -> Result<T, Undecodable> {
    let mut unread = Vec::new();
    let value =
        whole(bytes, |reader| serde_ignored::deserialize(reader, |path| unread.push(path.to_string())))
            .map_err(|error| locate::<T>(bytes, error))?;
    unread.retain(|field| !dropped.contains(&field.as_str()));
    match unread.as_slice() {
        [] => Ok(value),
        fields => {
            Err(Undecodable(format!("read by nobody and not declared in DROPPED: `{}`", fields.join("`, `"))))
        }
    }
}

type Reader<'a> = rmp_serde::Deserializer<
    rmp_serde::decode::ReadRefReader<'a, [u8]>,
    rmp_serde::config::HumanReadableConfig<rmp_serde::config::DefaultConfig>,
>;

/// Reads one value and makes sure that nothing follows it.
fn whole<T>(
    bytes: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, rmp_serde::decode::Error>,
) -> Result<T, String> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    let value = read(&mut reader).map_err(|error| error.to_string())?;
    match IgnoredAny::deserialize(&mut reader) {
        Err(rmp_serde::decode::Error::InvalidMarkerRead(_)) => Ok(value),
        _ => Err("bytes follow the value".to_owned()),
    }
}

/// Reads once more to learn which field was at fault; keeping track of that is too dear for values that fit.
fn locate<T: DeserializeOwned>(bytes: &[u8], error: String) -> Undecodable {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(located) if located.path().iter().next().is_some() => {
            Undecodable(format!("field `{}`: {}", located.path(), located.inner()))
        }
        _ => Undecodable(error),
    }
}

/// Shows how a value is written, for tests; runs of bytes as lists of numbers.
#[cfg(test)]
pub(crate) fn shown<T: Serialize>(value: &T) -> String {
    let bytes = encode(value).expect("encodes");
    rmpv::decode::read_value(&mut bytes.as_slice()).expect("reads").to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

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
        assert!(error.to_string().contains(expected), "`{error}` does not say `{expected}`");
    }

    fn map(fields: &[(&str, u32)]) -> Vec<u8> {
        encode(&fields.iter().copied().collect::<BTreeMap<_, _>>()).expect("encodes")
    }

    #[test]
    fn what_was_written_is_read_again() {
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
    fn what_does_not_fit_is_named() {
        check::<Limits>(&map(&[("max", 1)]), "missing field `names`");
        check::<Limits>(&encode(&("x", ["n"])).expect("encodes"), "field `[0]`");
        check::<Limits>(&encode(&BTreeMap::from([("max", "x")])).expect("encodes"), "field `max`");
        check::<BTreeMap<String, Limits>>(
            &encode(&BTreeMap::from([("a", ())])).expect("encodes"),
            "field `a`",
        );
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
}
