//! Asking `processquest` and `regis`.

use std::time::Duration;

use pq_stats::Stats;
use reld_sdk::supervisor::{SupervisorError, start_child_of};
use reld_sdk::{Exit, HandlerSpec, MonitorRef, Pid, call, cast, gen_event, monitor, self_pid};
use serde::{Deserialize, Serialize};

use crate::sockserv_pq_events::Watch;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Newcomer<'a> {
    name: &'a str,
    stats: Stats,
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

/// Begins a game; `false` where another player has the name.
pub(crate) async fn begin(name: &str, stats: Stats) -> Result<bool, Exit> {
    match start_child_of("pq_players", &Newcomer { name, stats }).await {
        Ok(_) => Ok(true),
        // The check of the name and the start are two steps; another session was quicker.
        Err(SupervisorError::StartFailed(_)) => Ok(false),
        Err(error) => Err(Exit::error(error)),
    }
}

/// Has the calling session see what happens to a player. `None` where the player is not there, else the monitor that says
/// when there is nothing to see any more.
pub(crate) async fn watch(player: &str) -> Result<Option<MonitorRef>, Exit> {
    let session = self_pid().ok_or(Exit::Noproc)?;
    let Some(events) = whereis(&format!("{player}/events")).await? else { return Ok(None) };
    let watch = Watch { session, player: player.to_owned() };
    let monitor = monitor(events)?;
    match gen_event::add_handler(events, HandlerSpec::new(session, "sockserv_pq_events", watch)).await {
        Ok(()) => Ok(Some(monitor)),
        // It has ended since, as the monitor will tell.
        Err(gen_event::EventError::Call(_)) => Ok(Some(monitor)),
        Err(error) => Err(Exit::error(error)),
    }
}

/// Ends the game of a player, if it is there.
pub(crate) async fn leave(player: &str) -> Result<(), Exit> {
    if let Some(player) = whereis(player).await? {
        cast(player, &Order::Leave)?;
    }
    Ok(())
}

/// Returns the process of a name.
pub(crate) async fn whereis(name: &str) -> Result<Option<Pid>, Exit> {
    match call("regis", &Request::Whereis(name), PATIENCE).await? {
        Response::Pid(found) => Ok(found),
        Response::Names(_) => Err(unexpected()),
    }
}

/// Returns the names of all players, in their order.
pub(crate) async fn players() -> Result<Vec<String>, Exit> {
    match call("regis", &Request::Names, PATIENCE).await? {
        // Their events have names of their own.
        Response::Names(names) => Ok(names.into_iter().filter(|name| !name.contains('/')).collect()),
        Response::Pid(_) => Err(unexpected()),
    }
}

fn unexpected() -> Exit {
    Exit::error("regis answered something else than it was asked")
}
