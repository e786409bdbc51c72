//! Prints documents as TOML: one `key = value` per line with inline values, as people write it.

use std::fmt::Write as _;

use serde_json::Value;

/// The text of a document under construction.
#[derive(Debug, Default)]
pub(crate) struct Printer {
    text: String,
}

impl Printer {
    pub(crate) fn field(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.line(&format!("{} = {}", key(name), inline(&value.into())))
    }

    /// Prints a list of names. An empty list is omitted, because every list of a document is empty
    /// by default.
    pub(crate) fn names<T: AsRef<str>>(&mut self, name: &str, names: &[T]) -> &mut Self {
        if names.is_empty() {
            return self;
        }
        self.field(name, names.iter().map(|name| name.as_ref().to_owned()).collect::<Vec<_>>())
    }

    pub(crate) fn header(&mut self, header: &str) -> &mut Self {
        self.line("").line(header)
    }

    pub(crate) fn line(&mut self, line: &str) -> &mut Self {
        self.text.push_str(line);
        self.text.push('\n');
        self
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// Prints data as an inline TOML value. TOML has no null: it is omitted from tables and printed as
/// `[]` elsewhere.
pub(crate) fn inline(value: &Value) -> String {
    match value {
        Value::Null => "[]".to_owned(),
        Value::Bool(yes) => yes.to_string(),
        Value::Number(number) if number.is_f64() => format!("{:?}", number.as_f64().unwrap_or_default()),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entries = map.iter().filter(|(_, value)| !value.is_null());
            table(entries.map(|(name, value)| (name.as_str(), inline(value))))
        }
    }
}

/// Prints an inline table of keys and printed values, in this order.
pub(crate) fn table<'a>(entries: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let entries: Vec<_> =
        entries.into_iter().map(|(name, value)| format!("{} = {value}", key(name))).collect();
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
}

fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}

/// Prints a basic string on one line with all control characters escaped.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                // Writing into a String cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(value: Value, expected: &str) {
        assert_eq!(inline(&value), expected);
    }

    #[test]
    fn data_is_printed_as_inline_toml() {
        check(json!({"a": [1, 2.5, true], "b c": "x\ny"}), r#"{ a = [1, 2.5, true], "b c" = "x\ny" }"#);
        check(json!({}), "{}");
    }

    #[test]
    fn null_is_left_out_of_tables_and_an_empty_list_elsewhere() {
        check(json!({"gone": null, "here": 1}), "{ here = 1 }");
        check(json!([null]), "[[]]");
    }
}
