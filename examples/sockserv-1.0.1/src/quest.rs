//! Calls to the apps `processquest` and `regis`. Apps share no types: what they exchange is bytes,
//! so this app declares the part of their messages that it needs.

use std::time::Duration;

use pq_stats::Stats;
use reld_sdk::supervisor::{SupervisorError, start_child_of};
use reld_sdk::{Exit, HandlerSpec, MonitorRef, Pid, call, cast, monitor, self_pid};
use serde::{Deserialize, Serialize};

use crate::sockserv_pq_events::Watch;

const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Newcomer<'a> {
    name: &'a str,
    stats: Stats,
    watchers: [HandlerSpec; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    Leave,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Request<'a> {
    Whereis(&'a str),
    Names,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Response {
    Pid(Option<Pid>),
    Names(Vec<String>),
}

/// Starts a game that the calling session watches. Returns the monitor that reports the end of the
/// game, or `None` if another player has the name.
pub(crate) async fn begin(name: &str, stats: Stats) -> Result<Option<MonitorRef>, Exit> {
    let session = self_pid().ok_or(Exit::Noproc)?;
    let watch = Watch { session, player: name.to_owned() };
    let watchers = [HandlerSpec::new(session, "sockserv_pq_events", watch)];
    match start_child_of("pq_players", &Newcomer { name, stats, watchers }).await {
        Ok(game) => Ok(Some(monitor(game.ok_or_else(|| Exit::error("the game did not start"))?)?)),
        // Another session took the name in the meantime, because the check of the name and the
        // start are two steps.
        Err(SupervisorError::StartFailed(_)) => Ok(None),
        Err(error) => Err(Exit::error(error)),
    }
}

/// Ends the game of this player if it exists.
pub(crate) async fn leave(player: &str) -> Result<(), Exit> {
    if let Some(player) = whereis(player).await? {
        cast(player, &Order::Leave)?;
    }
    Ok(())
}

/// Returns the process with this name.
pub(crate) async fn whereis(name: &str) -> Result<Option<Pid>, Exit> {
    match call("regis", &Request::Whereis(name), PATIENCE).await? {
        Response::Pid(found) => Ok(found),
        Response::Names(_) => Err(unexpected()),
    }
}

/// Returns the names of all players, sorted.
pub(crate) async fn players() -> Result<Vec<String>, Exit> {
    match call("regis", &Request::Names, PATIENCE).await? {
        // A name with a slash belongs to an event manager.
        Response::Names(names) => Ok(names.into_iter().filter(|name| !name.contains('/')).collect()),
        Response::Pid(_) => Err(unexpected()),
    }
}

fn unexpected() -> Exit {
    Exit::error("regis answered something else than it was asked")
}
