//! The environment of an app: the layers that set its values, and their precedence.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::app::App;
use crate::config::Config;
use crate::name::AppName;

/// The layer that sets a value.
///
/// A later layer takes precedence, key by key. OTP has the same order, without the node's own file:
///
/// | layer | OTP |
/// |---|---|
/// | `[env]` of the app's `app.toml` | `env` of the `.app` file |
/// | `config.toml` of the release | `sys.config` |
/// | `config.toml` below the node's root | |
/// | the daemon's `--env` | command line of `erl` |
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// `[env]` of the app's `app.toml`.
    App,
    /// The release's `config.toml`.
    Release,
    /// The `config.toml` below the node's root.
    Node,
    /// The daemon's command line.
    CommandLine,
}

/// The layers above the apps' own documents.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Layers {
    /// The release's `config.toml`.
    pub release: Config,
    /// The `config.toml` below the node's root.
    pub node: Config,
    /// The daemon's command line.
    pub command_line: Config,
}

impl Layers {
    /// Returns the layers with their origins, in ascending precedence.
    pub fn ascending(&self) -> [(Origin, &Config); 3] {
        [
            (Origin::Release, &self.release),
            (Origin::Node, &self.node),
            (Origin::CommandLine, &self.command_line),
        ]
    }

    /// Returns the effective environment of an app.
    pub fn environment(&self, app: &App) -> Map<String, Value> {
        let mut env = app.env.clone();
        for (_, layer) in self.ascending() {
            env.extend(layer.apps.get(&app.name).cloned().unwrap_or_default());
        }
        env
    }

    /// Returns the layer that decides a key of an app.
    pub fn origin(&self, app: &AppName, key: &str) -> Origin {
        let sets = |layer: &Config| layer.apps.get(app).is_some_and(|env| env.contains_key(key));
        let mut descending = self.ascending().into_iter().rev();
        descending.find(|(_, layer)| sets(layer)).map_or(Origin::App, |(origin, _)| origin)
    }

    /// Returns the apps that a layer configures and that the given test does not know.
    pub fn unknown(&self, is_known: impl Fn(&AppName) -> bool) -> BTreeMap<AppName, Origin> {
        let apps = self
            .ascending()
            .into_iter()
            .flat_map(|(origin, layer)| layer.apps.keys().map(move |app| (app.clone(), origin)));
        apps.filter(|(app, _)| !is_known(app)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(text: &str) -> Config {
        Config::parse("config.toml", text).unwrap()
    }

    #[test]
    fn each_key_comes_from_the_last_layer_that_sets_it() {
        let text = "name = 'counter'\nversion = '1.0.0'\n[env]\na = 1\nb = 1\nc = 1\nd = 1";
        let app = App::parse("app.toml", text).unwrap();
        let layers = Layers {
            release: config("[counter]\nb = 2\nc = 2\nd = 2\n[other]\na = 9"),
            node: config("[counter]\nc = 3\nd = 3\ne = { x = 3 }"),
            command_line: config("[counter]\nd = 4"),
        };
        let expected = json!({"a": 1, "b": 2, "c": 3, "d": 4, "e": {"x": 3}});
        assert_eq!(Value::Object(layers.environment(&app)), expected);
        let origins = ["a", "b", "c", "d", "e"].map(|key| layers.origin(&app.name, key));
        let expected = [Origin::App, Origin::Release, Origin::Node, Origin::CommandLine, Origin::Node];
        assert_eq!(origins, expected);
        let unknown = layers.unknown(|name| *name == app.name);
        assert_eq!(unknown, BTreeMap::from([("other".parse().unwrap(), Origin::Release)]));
    }

    #[test]
    fn a_table_is_one_value_and_a_removed_key_shows_the_layer_below() {
        let text = "name = 'counter'\nversion = '1.0.0'\n[env]\npool = { size = 1, wait = 2 }";
        let app = App::parse("app.toml", text).unwrap();
        let mut layers = Layers { node: config("[counter]\npool = { size = 5 }"), ..Layers::default() };
        assert_eq!(layers.environment(&app)["pool"], json!({"size": 5}));
        layers.node = Config::default();
        assert_eq!(layers.environment(&app)["pool"], json!({"size": 1, "wait": 2}));
    }
}
