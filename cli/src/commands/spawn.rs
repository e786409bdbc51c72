//! `relctl spawn [--link]`.

use reld_api::response::LinkEvent;
use reld_api::{Client, request as q};

use crate::args::Spawn;
use crate::error::Failure;
use crate::shown::Shown;
use crate::terminal;

pub(super) async fn spawn(client: &Client, args: Spawn, json: bool) -> Result<Shown, Failure> {
    if args.link {
        return linked(client, q::SpawnLink { module: args.module, args: args.args }, json).await;
    }
    let answer = client.call(&q::Spawn { module: args.module, args: args.args }).await?;
    Ok(Shown::line(&answer, &answer.pid))
}

/// Prints the pid at once, and the exit reason at the end. An interrupt closes the connection,
/// which ends the process.
async fn linked(client: &Client, request: q::SpawnLink, json: bool) -> Result<Shown, Failure> {
    let mut events = client.follow(&request).await?;
    loop {
        let event = events.next().await?;
        match &event {
            LinkEvent::Spawned { pid } => print(&event, pid, json)?,
            LinkEvent::Exited { pid, reason } => {
                return Ok(Shown::line(&event, format_args!("{pid} exited: {reason}")));
            }
        }
    }
}

fn print(event: &LinkEvent, pid: &str, json: bool) -> Result<(), Failure> {
    let line =
        if json { serde_json::to_string(event).expect("answers came from JSON") } else { pid.to_owned() };
    terminal::out(&format!("{line}\n")).map_err(|fault| Failure::io("write", "stdout", &fault))
}
