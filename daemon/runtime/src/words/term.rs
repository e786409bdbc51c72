//! MessagePack with field names: the only format in which the runtime itself reads and writes
//! values.

use reld_wire::reader;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::words::code::Bytes;

/// The initial capacity, which is enough for most values. Without it, a vector that grows field by
/// field reallocates at each doubling.
const USUAL: usize = 64;

/// Encodes a value of a type of the runtime.
///
/// # Panics
/// Never for these types: all of them are plain structs and enums, and they are written to memory.
pub fn encode<T: Serialize>(value: &T) -> Bytes {
    let mut bytes = Vec::with_capacity(USUAL);
    rmp_serde::encode::write_named(&mut bytes, value).expect("the runtime's own types can be written");
    bytes
}

/// Decodes a value.
///
/// # Errors
/// The field that does not fit, and the reason.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match reader::whole::<T, false>(bytes, |reader| T::deserialize(reader)) {
        Some(value) => Ok(value),
        None => rmp_serde::from_slice(bytes).map_err(|error| locate::<T>(bytes, &error)),
    }
}

/// Decodes a value, and refuses members that its type does not have.
///
/// # Errors
/// Those of [`decode`], and the first unknown member.
pub fn decode_known<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match reader::without_skips::<T, false>(bytes, |reader| T::deserialize(reader)) {
        Some(value) => Ok(value),
        None => decode::<T>(bytes).and_then(|_| read_known(bytes)),
    }
}

fn read_known<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut unknown = None;
    let mut note = |place: serde_ignored::Path<'_>| {
        unknown.get_or_insert_with(|| place.to_string());
    };
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    let value = serde_ignored::deserialize(&mut reader, &mut note).map_err(|error| error.to_string())?;
    unknown.map_or(Ok(value), |place| Err(format!("unknown field `{place}`")))
}

/// Rewrites a value in the fewest bytes, as the SDK does, so that values can be compared by their
/// bytes. MessagePack allows longer encodings of the same value. Bytes that are not a value stay
/// unchanged.
pub(crate) fn shortest(bytes: &[u8]) -> Bytes {
    let mut rest = bytes;
    let mut short = Vec::with_capacity(bytes.len());
    match rmpv::decode::read_value(&mut rest) {
        Ok(value) if rest.is_empty() && rmpv::encode::write_value(&mut short, &value).is_ok() => short,
        _ => bytes.to_vec(),
    }
}

/// The maximum displayed length of a value, in characters.
const SHOWN_MAX: usize = 200;

/// Formats a value for display, roughly as JSON. A long value is cut off.
pub(crate) fn shown(mut bytes: &[u8]) -> String {
    let text = match rmpv::decode::read_value(&mut bytes) {
        Ok(value) => value.to_string(),
        Err(_) => format!("{bytes:02x?}"),
    };
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Decodes a second time to find the field that does not fit. Tracking the field in every first
/// pass would slow down the values that fit.
fn locate<T: DeserializeOwned>(bytes: &[u8], error: &rmp_serde::decode::Error) -> String {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(located) if located.path().iter().next().is_some() => {
            format!("field `{}`: {}", located.path(), located.inner())
        }
        _ => error.to_string(),
    }
}
