//! The environments of apps, and changes of the node's own configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use reld_api::request as q;
use reld_api::response as r;
use reld_api::{ErrorCode, ErrorReport, ExitCode};
use reld_handler::{ChangedApp, Config, ConfigEdit, Configure, Configured, Error, Layers, Origin};
use reld_store::NodeConfig;

use super::api::Api;
use super::look::code::environment;
use super::routing::on;
use crate::node::chain;
use crate::report::error;

/// The time that an app has to take a new environment, unless the request names another.
const LIMIT: Duration = Duration::from_secs(5);

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = on(router, |api: Api, request: q::Env| async move { env(api, request).await });
    on(router, |api: Api, request: q::SetEnv| async move { set(api, request).await })
}

async fn env(api: Api, request: q::Env) -> Result<r::EnvList, ErrorReport> {
    let specs = api.runtime.applications();
    let mut apps: Vec<String> = specs.into_iter().map(|(spec, _)| spec.name).collect();
    apps.sort();
    if let Some(app) = request.app.as_ref().filter(|app| !apps.contains(app)) {
        let message = format!("no app {app} is loaded on this node; its apps: {}", apps.join(", "));
        return Err(ErrorReport::refused(ErrorCode::NoSuchApplication, message));
    }
    let layers = api.operator.board().layers;
    let apps = apps.into_iter().filter(|app| request.app.as_ref().is_none_or(|wanted| wanted == app));
    let values = apps.flat_map(|app| {
        let values = environment(&api, &app).into_iter();
        let origin = |key: &str| origin(&layers, &app, key);
        values
            .map(|(key, value)| r::EnvValue { origin: origin(&key), app: app.clone(), key, value })
            .collect::<Vec<_>>()
    });
    let values = values.collect();
    let (root, file) = (api.root.clone(), file(&api));
    let read = api.wait(move |_| Ok(NodeConfig::read(&root))).await?;
    let pending = match read {
        Ok(read) if read.config == layers.node => None,
        Ok(_) => Some("it was changed since it was read; `relctl env reload` applies it".to_owned()),
        Err(error) => Some(chain(&error)),
    };
    Ok(r::EnvList { values, file, pending })
}

fn file(api: &Api) -> String {
    api.root.config_file().display().to_string()
}

fn origin(layers: &Layers, app: &str, key: &str) -> r::EnvOrigin {
    let origin = app.parse().map_or(Origin::App, |app| layers.origin(&app, key));
    match origin {
        Origin::App => r::EnvOrigin::App,
        Origin::Release => r::EnvOrigin::Release,
        Origin::Node => r::EnvOrigin::Node,
        Origin::CommandLine => r::EnvOrigin::CommandLine,
    }
}

async fn set(api: Api, request: q::SetEnv) -> Result<r::EnvChanged, ErrorReport> {
    let q::SetEnv { set, unset, dry_run, timeout_ms, wait } = request;
    let edit = ConfigEdit { set: Config { apps: by_app(set)? }, unset: by_app(unset)? };
    let keys = keys(&edit);
    let limit = timeout_ms.map_or(LIMIT, Duration::from_millis);
    let order = Configure { edit, dry_run, limit };
    let entry = api.entry("a change of the configuration", wait);
    let done = api.operator.change(entry, move |handler| handler.configure(&order)).await?;
    if !dry_run {
        log(&done, &keys, api.peer.uid);
    }
    let Configured { changed, apps, warnings } = done.map_err(|e| error(&e))?;
    Ok(r::EnvChanged {
        changed,
        file: file(&api),
        apps: apps.into_iter().map(changed_env).collect(),
        warnings,
    })
}

/// Logs the keys of a change, without the values, which may be secrets.
fn log(done: &Result<Configured, Error>, keys: &str, uid: Option<u32>) {
    match done {
        Ok(done) if done.changed => {
            tracing::info!(name: "env.changed", keys, uid, "the configuration of the node was changed");
        }
        Ok(_) => {}
        Err(error) => {
            let error = chain(error);
            tracing::warn!(name: "env.refused", keys, uid, error, "the configuration of the node was not changed");
        }
    }
}

/// Lists the keys of a change; `-` marks removed ones.
fn keys(edit: &ConfigEdit) -> String {
    let unset = edit.unset.iter().flat_map(|(app, keys)| keys.iter().map(move |key| format!("-{app}.{key}")));
    let set = Some(edit.set.to_string()).filter(|set| !set.is_empty());
    set.into_iter().chain(unset).collect::<Vec<_>>().join(", ")
}

fn by_app<T>(map: BTreeMap<String, T>) -> Result<BTreeMap<reld_handler::AppName, T>, ErrorReport> {
    let parsed = map.into_iter().map(|(name, value)| match name.parse() {
        Ok(app) => Ok((app, value)),
        Err(cause) => {
            let report =
                ErrorReport::new(ErrorCode::BadRequest, format!("{name:?} is no app"), ExitCode::Usage);
            Err(report.caused_by(format!("{cause}")))
        }
    });
    parsed.collect()
}

fn changed_env(app: ChangedApp) -> r::ChangedEnv {
    let ChangedApp { app, notified, changed, new, removed } = app;
    r::ChangedEnv { app: app.to_string(), notified, changed, new, removed }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn the_log_names_keys_and_no_values() {
        let secret = Map::from_iter([("key".to_owned(), Value::from("a secret"))]);
        let set = Config { apps: BTreeMap::from([("shop".parse().unwrap(), secret)]) };
        let unset = BTreeMap::from([("counter".parse().unwrap(), vec!["limit".to_owned()])]);
        assert_eq!(keys(&ConfigEdit { set, unset }), "shop.key, -counter.limit");
        assert_eq!(keys(&ConfigEdit::default()), "");
    }
}
