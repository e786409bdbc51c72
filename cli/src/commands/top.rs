//! `relctl top`: the busiest processes.

use std::io::{self, IsTerminal as _};

use reld_api::{Client, request as q};

use crate::args::{Top, TopSort};
use crate::error::Failure;
use crate::shown::Shown;
use crate::{render, terminal};

/// Shows one table, or on a terminal a refreshed one until interrupted.
pub(super) async fn top(client: &Client, args: Top, json: bool) -> Result<Shown, Failure> {
    let Top { count, sort, interval, once } = args;
    let sort = match sort {
        TopSort::Run => q::TopSort::Run,
        TopSort::Mailbox => q::TopSort::Mailbox,
    };
    let request = q::Top { sort, count, for_ms: interval };
    if once || json || !io::stdout().is_terminal() {
        let answer = client.call(&request).await?;
        return Ok(Shown::new(&answer, render::top(&answer)));
    }
    loop {
        let answer = client.call(&request).await?;
        terminal::redraw(&render::top(&answer)).map_err(|fault| Failure::io("write", "stdout", &fault))?;
    }
}
