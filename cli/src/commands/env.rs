//! `relctl env`, `relctl env get|set|unset|reload`.

use std::collections::BTreeMap;

use reld_api::response::EnvValue;
use reld_api::{Client, ErrorCode, ErrorReport, request as q};
use reld_plan::Config;

use crate::args::{Env, EnvCommand, EnvHow, EnvKey};
use crate::error::Failure;
use crate::render;
use crate::shown::Shown;

pub(super) async fn run(client: &Client, args: Env) -> Result<Shown, Failure> {
    match args.command {
        None => {
            let list = client.call(&q::Env { app: args.app }).await?;
            Ok(Shown::new(&list, render::env(&list)))
        }
        Some(EnvCommand::Get { key }) => get(client, key).await,
        Some(EnvCommand::Set { settings, how }) => {
            let mut all = Config::default();
            settings.iter().for_each(|setting| all.override_with(setting));
            let set = all.apps.into_iter().map(|(app, env)| (app.to_string(), env)).collect();
            change(client, q::SetEnv { set, ..q::SetEnv::default() }, how).await
        }
        Some(EnvCommand::Unset { keys, how }) => {
            let mut unset = BTreeMap::<String, Vec<String>>::new();
            for EnvKey { app, key } in keys {
                unset.entry(app).or_default().push(key);
            }
            change(client, q::SetEnv { unset, ..q::SetEnv::default() }, how).await
        }
        Some(EnvCommand::Reload { how }) => change(client, q::SetEnv::default(), how).await,
    }
}

async fn get(client: &Client, EnvKey { app, key }: EnvKey) -> Result<Shown, Failure> {
    let list = client.call(&q::Env { app: Some(app.clone()) }).await?;
    match list.values.iter().find(|value| value.key == key) {
        Some(value) => Ok(Shown::line(value, &value.value)),
        None => {
            let keys: Vec<&str> = list.values.iter().map(|EnvValue { key, .. }| key.as_str()).collect();
            let message =
                format!("the environment of app {app} has no key {key}; it has: {}", keys.join(", "));
            Err(ErrorReport::refused(ErrorCode::NotFound, message).into())
        }
    }
}

async fn change(client: &Client, request: q::SetEnv, how: EnvHow) -> Result<Shown, Failure> {
    let EnvHow { dry_run, timeout, wait } = how;
    let request = q::SetEnv { dry_run, timeout_ms: Some(timeout), wait: wait.wait, ..request };
    let answer = client.call(&request).await?;
    Ok(Shown::new(&answer, render::env_changed(&answer, dry_run)))
}
