//! `relctl events` and `relctl logs`.

use std::io;
use std::ops::ControlFlow;

use reld_api::response::{Followed, LogList};
use reld_api::{Client, Request, request as q};
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::Logs;
use crate::error::Failure;
use crate::{render, terminal};

/// The default number of old lines that `logs --follow` begins with.
const BEGIN: usize = 10;

pub(super) async fn events(client: &Client, since: Option<u64>, json: bool) -> Result<(), Failure> {
    follow(client, q::Events { since }, |event| shown(event, json, render::reports::event)).await
}

pub(super) async fn logs(client: &Client, args: Logs, json: bool) -> Result<(), Failure> {
    let Logs { app, lines, follow: is_followed } = args;
    let show = |line: &Followed| shown(line, json, render::reports::followed);
    if is_followed {
        let lines = lines.unwrap_or(BEGIN);
        return follow(client, q::FollowLogs { app, lines }, show).await;
    }
    let LogList { lines } = client.call(&q::Logs { app, lines }).await?;
    let text: String = lines.into_iter().map(|line| show(&Followed::Line(line))).collect();
    print(&text).map(drop)
}

/// Formats an item as one JSON document per line, or as text.
fn shown<T: Serialize>(part: &T, json: bool, text: fn(&T) -> String) -> String {
    if json { serde_json::to_string(part).expect("answers came from JSON") + "\n" } else { text(part) }
}

/// Prints each item as it arrives, until a signal ends the command or the reader of stdout is gone.
async fn follow<R: Request>(
    client: &Client,
    request: R,
    shown: impl Fn(&R::Response) -> String,
) -> Result<(), Failure> {
    let mut end = End::new()?;
    let print_all = async {
        let mut parts = client.follow(&request).await?;
        while print(&shown(&parts.next().await?))?.is_continue() {}
        Ok(())
    };
    tokio::select! {
        printed = print_all => printed,
        () = end.signalled() => Ok(()),
    }
}

/// Prints a text. Returns `Break` if the reader of stdout has closed it.
fn print(text: &str) -> Result<ControlFlow<()>, Failure> {
    match terminal::out(text) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(fault) if fault.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(fault) => Err(Failure::io("write", "stdout", &fault)),
    }
}

/// The signals that end a command that does not end by itself. [`End::new`] turns off their default
/// action.
pub(super) struct End {
    interrupt: Signal,
    terminate: Signal,
}

impl End {
    pub(super) fn new() -> Result<Self, Failure> {
        let wait = |kind| signal(kind).map_err(|fault| Failure::io("wait for", "a signal", &fault));
        Ok(Self { interrupt: wait(SignalKind::interrupt())?, terminate: wait(SignalKind::terminate())? })
    }

    pub(super) async fn signalled(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
