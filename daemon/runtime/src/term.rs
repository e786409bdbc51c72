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
/// Says what does not fit, and in which field.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(bytes).map_err(|error| locate::<T>(bytes, &error))
}

/// Reads once more to learn which field was at fault; keeping track of that is too dear for values that fit.
fn locate<T: DeserializeOwned>(bytes: &[u8], error: &rmp_serde::decode::Error) -> String {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(located) if located.path().iter().next().is_some() => {
            format!("field `{}`: {}", located.path(), located.inner())
        }
        _ => error.to_string(),
    }
}
