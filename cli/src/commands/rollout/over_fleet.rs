//! Rollouts over the fleet of the local node: its nodes drive themselves. Each command is a request
//! to the local daemon.

mod release;
mod tables;
mod view;
mod watch;

use std::path::Path;

use reld_api::response::RolloutChanged;
use reld_api::{Client, request as q};
use reld_plan::Rollout as Document;
use serde_json::json;

use self::release::Release;
use self::view::View;
use super::journal::user;
use super::outcome;
use crate::error::Failure;
use crate::shown::Shown;

pub(super) async fn start(
    client: &Client,
    path: &Path,
    skip: Vec<String>,
    waits: bool,
) -> Result<Shown, Failure> {
    let policy =
        std::fs::read_to_string(path).map_err(|fault| Failure::io("read", path.display(), &fault))?;
    let document = Document::parse(&path.to_string_lossy(), &policy)?;
    let Release { source, name, version, identity } = Release::of(path, &document.release)?;
    let request = q::StartRollout { policy, source, name, version, identity, skip, by: user() };
    let begun = client.call(&request).await?;
    follow(client, &begun, waits, "has begun").await
}

pub(super) async fn take_back(client: &Client, waits: bool) -> Result<Shown, Failure> {
    let changed = client.call(&q::TakeBackRollout { by: user() }).await?;
    follow(client, &changed, waits, "is taken back").await
}

/// Watches a rollout up to its end, if the command waits for it.
async fn follow(
    client: &Client,
    changed: &RolloutChanged,
    waits: bool,
    verb: &str,
) -> Result<Shown, Failure> {
    if waits {
        let view = watch::until_end(client, Some(changed.rollout.clone())).await?;
        return view.map_or_else(|| Ok(none()), |view| outcome::answer(&view.report(), view.exit_code()));
    }
    let message = format!("rollout {} {verb}; `relctl rollout status --watch` shows it", changed.rollout);
    Ok(Shown::line(changed, message))
}

pub(super) async fn status(client: &Client, watches: bool) -> Result<Shown, Failure> {
    let view = if watches {
        watch::until_end(client, None).await?
    } else {
        client.call(&q::FleetRollout {}).await?.rollout.map(View::of)
    };
    Ok(view.map_or_else(none, |view| {
        let report = view.report();
        Shown { exit_code: view.exit_code(), ..Shown::new(&report, report.text()) }
    }))
}

fn none() -> Shown {
    Shown::line(&json!({ "rollout": null }), "the fleet has had no rollout")
}

pub(super) async fn pause(client: &Client) -> Result<Shown, Failure> {
    let changed = client.call(&q::PauseRollout { by: user() }).await?;
    Ok(done(&changed, "pauses: no upgrade begins; `relctl rollout resume` ends the pause"))
}

pub(super) async fn resume(client: &Client) -> Result<Shown, Failure> {
    let changed = client.call(&q::ResumeRollout { by: user() }).await?;
    Ok(done(&changed, "goes on"))
}

pub(super) async fn halt(client: &Client) -> Result<Shown, Failure> {
    let changed = client.call(&q::HaltRollout { by: user() }).await?;
    Ok(done(&changed, "halts: no further upgrade begins; those under way end on their nodes"))
}

pub(super) async fn skip(client: &Client, node: String) -> Result<Shown, Failure> {
    let request = q::SkipNode { node, by: user() };
    let changed = client.call(&request).await?;
    Ok(done(&changed, &format!("leaves out {}", request.node)))
}

fn done(changed: &RolloutChanged, what: &str) -> Shown {
    Shown::line(changed, format!("rollout {} {what}", changed.rollout))
}

pub(super) async fn locks(client: &Client) -> Result<Shown, Failure> {
    let Some(rollout) = client.call(&q::FleetRollout {}).await?.rollout else { return Ok(none()) };
    let answer = json!({ "rollout": rollout.rollout, "holders": rollout.holders });
    Ok(Shown::new(&answer, tables::locks(&rollout)))
}

pub(super) async fn nodes(client: &Client) -> Result<Shown, Failure> {
    let list = client.call(&q::FleetNodes {}).await?;
    Ok(Shown::new(&list, tables::nodes(&list)))
}

pub(super) async fn remove(client: &Client, node: String) -> Result<Shown, Failure> {
    let removed = client.call(&q::RemoveNode { node }).await?;
    Ok(Shown::line(&removed, format!("removed {} from the fleet", removed.node)))
}
