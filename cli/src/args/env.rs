//! Arguments of `relctl env`.

use clap::{Args as ClapArgs, Subcommand};
use reld_plan::Config;

use super::release::Wait;

#[derive(Debug, ClapArgs)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "A later origin takes precedence, key by key: app.toml, the release's config.toml, the node's \
                  config.toml (`env set`), --env of the daemon."
)]
pub(crate) struct Env {
    #[command(subcommand)]
    pub(crate) command: Option<EnvCommand>,
    /// Show only this app
    pub(crate) app: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EnvCommand {
    /// Print one value
    Get {
        /// Name of the value
        #[arg(value_name = "APP.KEY", value_parser = key)]
        key: Key,
    },
    /// Set values in the node's config.toml and notify the running apps: all values, or none
    Set {
        /// Value as TOML; a bare word is a string
        #[arg(required = true, value_name = "APP.KEY=VALUE", value_parser = setting)]
        settings: Vec<Config>,
        #[command(flatten)]
        how: EnvHow,
    },
    /// Remove values from the node's config.toml; the values of the release take their place
    Unset {
        /// Name of the value
        #[arg(required = true, value_name = "APP.KEY", value_parser = key)]
        keys: Vec<Key>,
        #[command(flatten)]
        how: EnvHow,
    },
    /// Read the node's config.toml anew after it was edited, and notify the running apps
    Reload {
        #[command(flatten)]
        how: EnvHow,
    },
}

#[derive(Debug, ClapArgs)]
pub(crate) struct EnvHow {
    /// Only show the changes that the apps would be notified of
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Time that each app has to take its values
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

/// The name of a value in an app's environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) app: String,
    pub(crate) key: String,
}

fn key(text: &str) -> Result<Key, String> {
    let parsed = Config::setting("", &format!("{text}=0")).ok();
    let found = parsed.and_then(|config| {
        let (app, env) = config.apps.into_iter().next()?;
        Some(Key { app: app.to_string(), key: env.into_iter().next()?.0 })
    });
    found.ok_or_else(|| "expected APP.KEY".to_owned())
}

fn setting(text: &str) -> Result<Config, String> {
    Config::setting("", text).map_err(|error| error.message)
}
