//! `relctl events` and `relctl logs`: what the node reports, and has reported.

use std::io;
use std::ops::ControlFlow;

use reld_api::response::{Followed, LogList};
use reld_api::{Client, Request, request as q};
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::Logs;
use crate::error::Failure;
use crate::{render, terminal};

/// With how many lines following the log begins.
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

/// One JSON document a line, or text.
fn shown<T: Serialize>(part: &T, json: bool, text: fn(&T) -> String) -> String {
    if json { serde_json::to_string(part).expect("answers came from JSON") + "\n" } else { text(part) }
}

/// Prints each part as it comes, until told to end, or until the reader of stdout is gone.
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
        () = end.told() => Ok(()),
    }
}

/// Breaks off where the reader of stdout has seen enough.
fn print(text: &str) -> Result<ControlFlow<()>, Failure> {
    match terminal::out(text) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(fault) if fault.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(fault) => Err(Failure::io("write", "stdout", &fault)),
    }
}

/// The signals that end a command which does not end by itself. From here on they do nothing else.
struct End {
    interrupt: Signal,
    terminate: Signal,
}

impl End {
    fn new() -> Result<Self, Failure> {
        let wait = |kind| signal(kind).map_err(|fault| Failure::io("wait for", "a signal", &fault));
        Ok(Self { interrupt: wait(SignalKind::interrupt())?, terminate: wait(SignalKind::terminate())? })
    }

    async fn told(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
