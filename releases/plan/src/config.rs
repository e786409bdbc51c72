//! `config.toml`: the configuration of a release's apps (OTP's `sys.config`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::doc_error::DocError;
use crate::name::AppName;
use crate::read::{self, Fault, Fields};

/// The configuration of a release. It overrides the `env` of the apps.
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

    /// Merges another configuration, which takes precedence, key by key.
    pub fn override_with(&mut self, other: &Self) {
        for (app, env) in &other.apps {
            self.apps.entry(app.clone()).or_default().extend(env.clone());
        }
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
