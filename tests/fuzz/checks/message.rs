//! The bytes of a message, a state or a reply are refused with an error text, or shown as JSON that
//! converts back to the same bytes.

use reld_api::term::{to_json, to_msgpack};

/// Checks one input and returns whether it was accepted.
pub(crate) fn check(bytes: &[u8]) -> bool {
    match to_json(bytes) {
        Ok(json) => {
            let written = to_msgpack(&json).expect("shown JSON can be read");
            assert_eq!(to_json(&written).expect("written bytes can be read"), json);
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}
