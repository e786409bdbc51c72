//! Bytes of a message, a state or a reply are refused in words, or shown as JSON that stands for the same bytes.

use reld_api::term::{to_json, to_msgpack};

/// Checks one input, and says whether it was taken.
pub(crate) fn check(bytes: &[u8]) -> bool {
    match to_json(bytes) {
        Ok(json) => {
            let written = to_msgpack(&json).expect("what is shown can be read");
            assert_eq!(to_json(&written).expect("what was written can be read"), json);
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}
