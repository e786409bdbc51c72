//! Calls to the app `regis`.

use std::time::Duration;

use reld_sdk::{Exit, Pid, call};
use serde::{Deserialize, Serialize};

const PATIENCE: Duration = Duration::from_secs(5);

/// The requests of `regis` that this app uses. Apps share no types: what they exchange is bytes, so
/// each app declares the part that it needs.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Request<'a> {
    Register(&'a str),
    Whereis(&'a str),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Response {
    Done,
    Taken(Pid),
    Pid(Option<Pid>),
}

/// Returns the registered name of the event manager of a player.
pub(crate) fn events_of(player: &str) -> String {
    format!("{player}/events")
}

/// Registers the calling process.
pub(crate) async fn register(name: &str) -> Result<(), Exit> {
    match call("regis", &Request::Register(name), PATIENCE).await? {
        Response::Done => Ok(()),
        Response::Taken(by) => Err(Exit::error(format!("the name {name} is taken by {by}"))),
        Response::Pid(_) => Err(unexpected()),
    }
}

/// Returns the process with this name, or an error if there is none.
pub(crate) async fn whereis(name: &str) -> Result<Pid, Exit> {
    match call("regis", &Request::Whereis(name), PATIENCE).await? {
        Response::Pid(found) => found.ok_or_else(|| Exit::error(format!("no process has the name {name}"))),
        Response::Done | Response::Taken(_) => Err(unexpected()),
    }
}

fn unexpected() -> Exit {
    Exit::error("regis answered something else than it was asked")
}
