//! Paths in supervision trees, such as `shop/tills/3`: an app or a registered name, then the ids of
//! children.
//!
//! A part is the text of an id, or its JSON. A `/` inside double quotes belongs to its part.
//!
//! | id           | part                                                 |
//! |--------------|------------------------------------------------------|
//! | `"tills"`    | `tills` or `"tills"`                                 |
//! | `3`          | `3`                                                  |
//! | `"3"`        | `"3"`, and `3` if no sibling has the number 3        |
//! | `"a/b"`      | `"a/b"`                                              |
//! | `["a", 3]`   | `["a",3]`                                            |
//! | bytes, nil   | none; the process is found by its pid                |

use serde_json::Value;

use crate::words::child_spec::show_id;
use crate::words::code::Bytes;
use crate::words::term;

/// Separates the parts of a path.
const SEPARATOR: char = '/';

/// Splits a path into its first part, and its other parts with the path before each.
pub(crate) fn split(path: &str) -> (&str, Vec<(&str, &str)>) {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let mut ends = Vec::new();
    for (at, c) in path.char_indices() {
        match c {
            SEPARATOR if !is_quoted => ends.push(at),
            '"' if !is_escaped => is_quoted = !is_quoted,
            _ => {}
        }
        is_escaped = is_quoted && !is_escaped && c == '\\';
    }
    let after = ends.iter().skip(1).copied().chain([path.len()]);
    let parts = ends.iter().zip(after).map(|(&start, end)| (&path[..start], &path[start + 1..end]));
    let first = ends.first().map_or(path, |end| &path[..*end]);
    (first, parts.collect())
}

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
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_is_split_at_slashes_outside_of_quotes() {
        assert_eq!(split("shop"), ("shop", vec![]));
        assert_eq!(split("shop/tills/3"), ("shop", vec![("shop", "tills"), ("shop/tills", "3")]));
        assert_eq!(split(r#"shop/"a/b"/3"#), ("shop", vec![("shop", r#""a/b""#), (r#"shop/"a/b""#, "3")]));
        assert_eq!(split(r#"shop/"\"/"/3"#).1[1].1, "3");
        assert_eq!(split(r#"shop/["a/b",1]"#).1[0].1, r#"["a/b",1]"#);
        assert_eq!(split("shop/"), ("shop", vec![("shop", "")]));
        assert_eq!(split("/a"), ("", vec![("", "a")]));
    }

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
