//! `relctl events` and `relctl logs`: what the node reports, and has reported.

use std::io;
use std::pin::pin;

use reld_api::response::{Followed, LogList};
use reld_api::{Client, Lines, Request, request as q};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::Shown;
use crate::args::Logs;
use crate::error::Failure;
use crate::{render, terminal};

/// With how many lines following the log begins.
const BEGIN: usize = 10;

pub(super) async fn events(client: &Client, since: Option<u64>, json: bool) -> Result<Shown, Failure> {
    let events = client.follow(&q::Events { since }).await?;
    follow(events, |event| shown(event, json, render::reports::event)).await
}

pub(super) async fn logs(client: &Client, args: Logs, json: bool) -> Result<Shown, Failure> {
    let Logs { app, lines, follow: is_followed } = args;
    let show = |line: &Followed| shown(line, json, render::reports::followed);
    if is_followed {
        let lines = lines.unwrap_or(BEGIN);
        return follow(client.follow(&q::FollowLogs { app, lines }).await?, show).await;
    }
    let LogList { lines } = client.call(&q::Logs { app, lines }).await?;
    let text: String = lines.into_iter().map(|line| show(&Followed::Line(line))).collect();
    print(&text)?;
    Ok(Shown::nothing())
}

/// One JSON document a line, or text.
fn shown<T: Serialize>(part: &T, json: bool, text: fn(&T) -> String) -> String {
    if json { serde_json::to_string(part).expect("answers came from JSON") + "\n" } else { text(part) }
}

/// Prints each part as it comes, until told to end, or until whoever reads has seen enough.
async fn follow<R: Request>(
    mut parts: Lines<R>,
    shown: impl Fn(&R::Response) -> String,
) -> Result<Shown, Failure> {
    let mut end = pin!(told_to_end());
    loop {
        let part = tokio::select! {
            part = parts.next() => part?,
            told = &mut end => return told.map(|()| Shown::nothing()),
        };
        if !print(&shown(&part))? {
            return Ok(Shown::nothing());
        }
    }
}

/// Says whether anybody reads.
fn print(text: &str) -> Result<bool, Failure> {
    match terminal::out(text) {
        Ok(()) => Ok(true),
        Err(fault) if fault.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(fault) => Err(Failure::io("write", "stdout", &fault)),
    }
}

async fn told_to_end() -> Result<(), Failure> {
    let wait = |kind| signal(kind).map_err(|fault| Failure::io("wait for", "a signal", &fault));
    let (mut interrupt, mut terminate) = (wait(SignalKind::interrupt())?, wait(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}
