//! MessagePack with field names: the one form in which the runtime itself reads and writes values.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::code::Bytes;

/// Writes a value of the runtime's own types.
///
/// # Panics
/// Never for the runtime's own types: all of them are plain structs and enums, and memory is the only target.
pub fn encode<T: Serialize>(value: &T) -> Bytes {
    rmp_serde::to_vec_named(value).expect("the runtime's own types can be written")
}

/// Reads a value.
///
/// # Errors
/// Says what does not fit.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(bytes).map_err(|e| e.to_string())
}
