//! `keys.toml`: the change of keys that a release brings.

use std::fmt;

use reld_plan::{AppName, DocError};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::key::{Key, KeyId, KeyLine, Limits, check_name};

/// The name of the document, beside `release.toml`.
pub const KEYS: &str = "keys.toml";

/// The keys that a node adds and retires when it commits a release.
///
/// ```toml
/// retire = ["E7620F1842B4E81F"]
///
/// [[add]]
/// name = "ci-2027"
/// key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
/// names = ["shop"]
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyChange {
    /// The keys that may not sign any more. Keys of the administrator stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retire: Vec<KeyId>,
    /// The new keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<NewKey>,
}

/// A new key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Its name for messages.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// The public key.
    pub key: KeyLine,
    /// The names of the releases that it may sign; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<AppName>,
    /// The last serial that it may sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<u64>,
}

impl KeyChange {
    /// Parses a `keys.toml`. `path` is only shown in errors.
    ///
    /// # Errors
    /// The mistake with its place. A text that is no key is a mistake too.
    pub fn parse(path: &str, text: &str) -> Result<Self, DocError> {
        toml::from_str(text).map_err(|error| DocError::of_toml(path, text, &error))
    }

    /// Returns whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.retire.is_empty() && self.add.is_empty()
    }
}

impl fmt::Display for KeyChange {
    /// Writes the change as the predicate of a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let added = self.add.iter().map(|new| format!("adds the key {} ({})", new.name, new.key().id));
        let retired = self.retire.iter().map(|id| format!("retires the key {id}"));
        f.write_str(&added.chain(retired).collect::<Vec<_>>().join(", "))
    }
}

fn name<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let name = String::deserialize(input)?;
    check_name(&name).map_err(D::Error::custom)?;
    Ok(name)
}

impl NewKey {
    pub(crate) fn key(&self) -> Key {
        let limits = Limits { names: self.names.clone(), not_after: self.not_after };
        self.key.with(&self.name, limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    #[test]
    fn a_change_adds_and_retires_keys() {
        let text = format!(
            "retire = [\"E7620F1842B4E81F\"]\n[[add]]\nname = \"ci\"\nkey = \"{KEY}\"\nnot_after = 90\n"
        );
        let change = KeyChange::parse("keys.toml", &text).unwrap();
        assert_eq!(change.retire, [change.add[0].key().id]);
        assert_eq!(change.add[0].key().limits.not_after, Some(90));
        let words = "adds the key ci (E7620F1842B4E81F), retires the key E7620F1842B4E81F";
        assert_eq!(change.to_string(), words);
        assert_eq!(toml::from_str(&toml::to_string(&change).unwrap()), Ok(change));
    }

    #[test]
    fn the_name_of_a_key_is_short_and_plain() {
        let long = "x".repeat(65);
        for name in ["", "ci root", "ci\u{1b}[2J", "r\u{43e}ot", &long] {
            let text = format!("[[add]]\nname = {name:?}\nkey = \"{KEY}\"\n").replace("\\u{1b}", "\\u001b");
            let mistake = KeyChange::parse("keys.toml", &text).unwrap_err();
            assert!(mistake.to_string().contains("cannot be the name of a key"), "{mistake}");
        }
    }

    #[test]
    fn a_mistake_has_a_line() {
        for (text, line) in
            [("retire = [\"12\"]", 1), ("[[add]]\nname = \"a\"\nkey = \"RW\"", 3), ("add = 1", 1)]
        {
            assert_eq!(KeyChange::parse("keys.toml", text).unwrap_err().line, line, "{text}");
        }
    }
}
