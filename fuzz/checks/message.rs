//! Bytes of a message, a state or a reply are refused in words, or shown as JSON that stands for the same bytes.

use reld_api::term::{to_json, to_msgpack};

/// Checks one input.
pub(crate) fn check(bytes: &[u8]) {
    match to_json(bytes) {
        Ok(json) => {
            let written = to_msgpack(&json).expect("what is shown can be read");
            assert_eq!(to_json(&written).expect("what was written can be read"), json);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
