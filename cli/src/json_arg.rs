//! Parses JSON values on the command line.

use serde_json::Value;

use crate::pid;

/// Parses a value of a command line: JSON, or else a bare word, which becomes a string.
///
/// # Errors
/// The text begins like a JSON list, object or string but is not valid JSON. It is refused, because
/// text with a forgotten quote must not be sent as a message.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        Err(fault) if text.trim_start().starts_with(['{', '[', '"']) => Err(format!("not JSON: {fault}")),
        Err(_) => Ok(Value::from(text)),
    }
}

/// Parses the id of a child. A pid without brackets is a pid too, and not a number.
///
/// # Errors
/// As [`parse`].
pub(crate) fn child_id(text: &str) -> Result<Value, String> {
    pid::printed(text).map_or_else(|| parse(text), |pid| Ok(Value::from(pid)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Value>) {
        assert_eq!(parse(text).ok(), expected);
    }

    #[test]
    fn a_value_is_json_or_a_bare_word_and_broken_json_is_an_error() {
        check("30000", Some(json!(30000)));
        check("\"30000\"", Some(json!("30000")));
        check("get", Some(json!("get")));
        check("<41.1>", Some(json!("<41.1>")));
        check(r#"{"add": 1}"#, Some(json!({"add": 1})));
        check(r#"{"add": 1"#, None);
        check("[1, 2", None);
        check("\"open", None);
    }
}
