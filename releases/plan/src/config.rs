//! `config.toml`: the configuration of a release's apps, and of a node (OTP's `sys.config`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use toml_edit::{DocumentMut, Item, Table};

use crate::doc_error::DocError;
use crate::name::AppName;
use crate::print::{inline, quoted};
use crate::read::{self, Fault, Fields};

/// The configuration of apps. It overrides the `env` of the apps.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// One table per app. As in OTP, the table of an app that is not in the release has no effect.
    pub apps: BTreeMap<AppName, Map<String, Value>>,
}

impl Config {
    /// Parses a `config.toml`. `path` is only shown in errors.
    ///
    /// # Errors
    /// An invalid app name, or a value that is not a table, with its place.
    pub fn parse(path: &str, text: &str) -> Result<Self, DocError> {
        Self::read(text).map_err(|fault| DocError::new(path, text, &fault))
    }

    /// Parses a setting of a command line, `APP.KEY=VALUE`. The value is TOML, or else a bare word,
    /// which becomes a string. `option` is only shown in errors.
    ///
    /// # Errors
    /// A key of more than two parts, because a table is set as a whole, and everything that is not
    /// a setting. A value that begins like a list, a table or a string must be complete TOML.
    pub fn setting(option: &str, text: &str) -> Result<Self, DocError> {
        let parsed = Self::parse(option, text);
        let Some((key, value)) = text.split_once('=') else { return parsed };
        if dots(key) > 1 {
            let message = "expected APP.KEY=VALUE; a table is set as a whole: APP.KEY={ a = 1, b = 2 }";
            return Err(DocError::new(
                option,
                text,
                &Fault { span: 0..key.len(), message: message.to_owned() },
            ));
        }
        let value = value.trim();
        match parsed {
            Err(_) if !value.is_empty() && !value.starts_with(['{', '[', '"', '\'']) => {
                Self::parse(option, &format!("{key}={}", quoted(value)))
            }
            parsed => parsed,
        }
    }

    /// Merges another configuration, which takes precedence, key by key.
    pub fn override_with(&mut self, other: &Self) {
        for (app, env) in &other.apps {
            self.apps.entry(app.clone()).or_default().extend(env.clone());
        }
    }

    /// Returns the text of a `config.toml` with some values set and some keys removed. Comments and
    /// the order of the other lines stay.
    ///
    /// # Errors
    /// The text is no `config.toml`, or TOML cannot represent a value, such as null.
    pub fn edited(path: &str, text: &str, edit: &ConfigEdit) -> Result<String, DocError> {
        let mut wanted = Self::parse(path, text)?;
        wanted.apply(edit);
        let refuse = |message: String| DocError::new(path, text, &Fault { span: 0..0, message });
        let mut document: DocumentMut = text.parse().map_err(|error| refuse(format!("{error}")))?;
        for (app, keys) in &edit.unset {
            let table = document.get_mut(app.as_str()).and_then(Item::as_table_like_mut);
            if let Some(table) = table {
                keys.iter().for_each(|key| drop(table.remove(key)));
                if table.is_empty() {
                    document.remove(app.as_str());
                }
            }
        }
        for (app, env) in &edit.set.apps {
            let section = document.entry(app.as_str()).or_insert_with(|| Item::Table(Table::new()));
            let table = section.as_table_like_mut().ok_or_else(|| refuse(format!("{app} is no table")))?;
            for (key, value) in env {
                let mut value: toml_edit::Value =
                    inline(value).parse().map_err(|error| refuse(format!("{app}.{key}: {error}")))?;
                match table.get_mut(key).and_then(Item::as_value_mut) {
                    Some(old) => {
                        *value.decor_mut() = old.decor().clone();
                        *old = value;
                    }
                    None => drop(table.insert(key, Item::Value(value))),
                }
            }
        }
        let edited = document.to_string();
        if Self::parse(path, &edited)? == wanted {
            Ok(edited)
        } else {
            Err(refuse(format!("TOML cannot represent {}", edit.set)))
        }
    }

    fn apply(&mut self, edit: &ConfigEdit) {
        for (app, keys) in &edit.unset {
            if let Some(env) = self.apps.get_mut(app) {
                env.retain(|key, _| !keys.contains(key));
                if env.is_empty() {
                    self.apps.remove(app);
                }
            }
        }
        self.override_with(&edit.set);
    }

    fn read(text: &str) -> Result<Self, Fault> {
        let tables = Fields::any_document(text)?.into_entries().map(|(key, node)| {
            let name = AppName::new(key.get_ref().as_ref())
                .map_err(|error| Fault { span: key.span(), message: error.to_string() })?;
            Ok((name, read::data_table(node)?))
        });
        Ok(Self { apps: tables.collect::<Result<_, _>>()? })
    }
}

/// A change of a `config.toml`. A key that is set and unset is set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConfigEdit {
    /// The values to set.
    pub set: Config,
    /// The keys to remove. Keys that the file does not have are ignored.
    pub unset: BTreeMap<AppName, Vec<String>>,
}

/// Prints the settings without their values, which may be secrets: `counter.limit, shop.key`.
impl std::fmt::Display for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys = self.apps.iter().flat_map(|(app, env)| env.keys().map(move |key| format!("{app}.{key}")));
        f.write_str(&keys.collect::<Vec<_>>().join(", "))
    }
}

/// Counts the dots of a key, except those inside quotes.
fn dots(key: &str) -> usize {
    key.split(['"', '\'']).step_by(2).map(|bare| bare.matches('.').count()).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn setting(text: &str, expected: Value) {
        let config = Config::setting("--env", text).unwrap();
        assert_eq!(config.apps[&"counter".parse().unwrap()].get("key"), Some(&expected), "{text}");
    }

    #[test]
    fn a_setting_is_toml_or_a_bare_word() {
        setting("counter.key=250", json!(250));
        setting("counter.key = true", json!(true));
        setting("counter.key=fast", json!("fast"));
        setting("counter.key=1.2.3", json!("1.2.3"));
        setting("counter.key=a \"b\" = c", json!("a \"b\" = c"));
        setting("counter.key='fast'", json!("fast"));
        setting("counter.key={ a = 1 }", json!({"a": 1}));
        setting("counter.'key'=[1, 2]", json!([1, 2]));
    }

    #[test]
    fn half_written_values_and_parts_of_tables_are_no_settings() {
        for text in
            ["counter.key", "counter.key=", "counter.key=[1", "counter.key={a", "counter.key='a", "key=1"]
        {
            assert!(Config::setting("--env", text).is_err(), "{text}");
        }
        let deep = Config::setting("--env", "counter.pool.size=5").unwrap_err().to_string();
        assert!(deep.contains("a table is set as a whole"), "{deep}");
    }

    const FILE: &str =
        "# This node.\n[counter]\nlimit = 5  # a small machine\nspeed = 'low'\n\n[shop]\nkey = 1\n";

    #[track_caller]
    fn edited(text: &str, set: &str, unset: &[(&str, &str)], expected: &str) {
        let mut edit = ConfigEdit { set: Config::parse("set", set).unwrap(), unset: BTreeMap::new() };
        for (app, key) in unset {
            edit.unset.entry(app.parse().unwrap()).or_default().push((*key).to_owned());
        }
        assert_eq!(Config::edited("config.toml", text, &edit).unwrap(), expected);
    }

    #[test]
    fn an_edit_keeps_comments_and_all_other_lines() {
        edited(FILE, "counter.limit = 9", &[], &FILE.replace("= 5", "= 9"));
        edited(
            FILE,
            "",
            &[("counter", "speed"), ("counter", "missing")],
            &FILE.replace("speed = 'low'\n", ""),
        );
        edited(FILE, "", &[("shop", "key")], &FILE.replace("\n[shop]\nkey = 1\n", ""));
        edited(FILE, "shop.more = [1, 2]", &[], &format!("{FILE}more = [1, 2]\n"));
        edited(FILE, "new.key = { a = 'b' }", &[], &format!("{FILE}\n[new]\nkey = {{ a = \"b\" }}\n"));
        edited("", "counter.limit = 1", &[], "[counter]\nlimit = 1\n");
        edited("counter.limit = 1\n", "counter.speed = 2", &[], "counter.limit = 1\ncounter.speed = 2\n");
        edited("shop = { a = 1 }\n", "shop.b = 2", &[], "shop = { a = 1 , b = 2 }\n");
        edited(FILE, "counter.speed = 'high'", &[("counter", "speed")], &FILE.replace("'low'", "\"high\""));
    }

    #[test]
    fn a_value_without_a_form_in_toml_is_refused() {
        for value in [json!(null), json!({"a": null}), json!([null])] {
            let env = Map::from_iter([("key".to_owned(), value)]);
            let set = Config { apps: BTreeMap::from([("counter".parse().unwrap(), env)]) };
            let edit = ConfigEdit { set, unset: BTreeMap::new() };
            let refused = Config::edited("config.toml", FILE, &edit).unwrap_err().to_string();
            assert!(refused.contains("TOML cannot represent counter.key"), "{refused}");
        }
    }
}
