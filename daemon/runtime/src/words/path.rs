//! The ids of children in paths. `reld_wire::path` has the form of a path.

use reld_wire::path::SEPARATOR;
use serde_json::Value;

use crate::words::child_spec::show_id;
use crate::words::code::Bytes;
use crate::words::term;

/// The ids that a part can mean.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Meanings {
    /// The part as a text, encoded.
    pub(crate) text: Bytes,
    /// The part as JSON.
    pub(crate) json: Option<Value>,
}

/// Returns the ids that a part can mean.
pub(crate) fn meanings(part: &str) -> Meanings {
    Meanings { text: term::encode(&part), json: serde_json::from_str(part).ok() }
}

/// Returns an id as JSON; `None` for an id that has no path.
pub(crate) fn json(id: &[u8]) -> Option<Value> {
    rmp_serde::from_slice(id).ok().filter(|value| *value != Value::Null)
}

/// Returns the part that means an id and no other one.
pub(crate) fn part(id: &[u8]) -> String {
    match json(id) {
        Some(Value::String(text)) if is_plain(&text) => text,
        Some(value) => value.to_string(),
        None => show_id(id),
    }
}

fn is_plain(text: &str) -> bool {
    let is_special = |c: char| c == SEPARATOR || c == '"' || c.is_control();
    !text.is_empty() && !text.contains(is_special) && serde_json::from_str::<Value>(text).is_err()
}

#[cfg(test)]
mod tests {
    use reld_wire::path::split;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_part_of_an_id_means_that_id() {
        let texts =
            ["tills", "3", "true", "null", "", "a/b", "a b", "say \"hi\"", "line\nfeed", "[x", "é", "\\"];
        let ids = texts.map(|text| json!(text)).into_iter().chain([json!(3), json!(-1), json!(["a/b", 3])]);
        for id in ids {
            let path = format!("shop/{}/x", part(&term::encode(&id)));
            let (_, parts) = split(&path);
            assert_eq!(parts.len(), 2, "{path}");
            let Meanings { text, json } = meanings(parts[0].1);
            let meant = json.map_or(text, |value| term::encode(&value));
            assert_eq!(meant, term::encode(&id), "{path}");
        }
    }

    #[test]
    fn an_id_without_json_has_no_path() {
        assert_eq!(json(&term::encode(&())), None);
        assert_eq!(json(&[0xc4, 1, 7]), None);
        assert_eq!(json(&term::encode(&7)), Some(json!(7)));
    }
}
