//! Strict JSON readers: a missing key is an error, so that a test cannot pass by comparing two
//! absent values.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads JSON as a type that covers all of it.
///
/// serde skips unknown keys and reads a missing key of an `Option` as `None`. Both fail here: the
/// value must serialize to the same JSON.
#[track_caller]
pub fn exactly<T: DeserializeOwned + Serialize>(json: &Value) -> T {
    let read = T::deserialize(json).unwrap_or_else(|error| panic!("{error} in {json:#}"));
    let written = serde_json::to_value(&read).expect("a value read from JSON can be written as JSON");
    assert_eq!(written, *json, "a type that holds other keys than the JSON");
    read
}

/// Reads one key of JSON that an app defines, such as a state or a reply.
#[track_caller]
pub fn field<T: DeserializeOwned>(json: &Value, key: &str) -> T {
    let value = json.get(key).unwrap_or_else(|| panic!("no {key:?} in {json:#}"));
    T::deserialize(value).unwrap_or_else(|error| panic!("{key:?}: {error} in {json:#}"))
}

/// Returns the keys of an object, sorted.
#[track_caller]
pub fn keys(json: &Value) -> Vec<&str> {
    let object = json.as_object().unwrap_or_else(|| panic!("no object: {json:#}"));
    object.keys().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use reld_api::response::{Module, OldCode};
    use serde_json::json;

    use super::*;

    fn module() -> Module {
        let old = Some(OldCode { version: "1".to_owned(), lingering: Vec::new() });
        Module { module: "m".to_owned(), app: "a".to_owned(), current: None, current_processes: 0, old }
    }

    #[test]
    fn a_type_that_holds_all_keys_is_read() {
        let json = serde_json::to_value(module()).expect("a module is JSON");
        assert_eq!(exactly::<Module>(&json), module());
    }

    #[test]
    #[should_panic(expected = "other keys")]
    fn a_missing_key_is_not_none() {
        let mut json = serde_json::to_value(module()).expect("a module is JSON");
        json.as_object_mut().expect("an object").remove("old");
        exactly::<Module>(&json);
    }

    #[test]
    #[should_panic(expected = "other keys")]
    fn an_unknown_key_is_not_skipped() {
        let mut json = serde_json::to_value(module()).expect("a module is JSON");
        json.as_object_mut().expect("an object").insert("older".to_owned(), Value::Null);
        exactly::<Module>(&json);
    }

    #[test]
    fn a_field_is_read_as_the_type_asked_for() {
        assert_eq!(field::<u64>(&json!({"n": 7}), "n"), 7);
        assert_eq!(field::<Option<u64>>(&json!({"n": null}), "n"), None);
        assert_eq!(keys(&json!({"n": 7, "a": 1})), ["a", "n"]);
    }

    #[test]
    #[should_panic(expected = "no \"m\" in")]
    fn a_field_that_is_not_there_is_not_null() {
        field::<Option<u64>>(&json!({"n": 7}), "m");
    }
}
