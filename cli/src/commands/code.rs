//! `relctl purge` and `relctl soft-purge`.

use reld_api::request::{Purge, SoftPurge};
use reld_api::{Client, ExitCode};

use crate::error::Failure;
use crate::render;
use crate::shown::Shown;

pub(super) async fn purge(client: &Client, module: String) -> Result<Shown, Failure> {
    let answer = client.call(&Purge { module }).await?;
    let text = match answer.killed.as_slice() {
        [] => format!("purged {}; no process ran old code\n", answer.module),
        killed => format!("purged {}\n{}", answer.module, render::ended("killed", killed)),
    };
    Ok(Shown::new(&answer, text))
}

pub(super) async fn soft_purge(client: &Client, module: String) -> Result<Shown, Failure> {
    let answer = client.call(&SoftPurge { module }).await?;
    if answer.purged {
        return Ok(Shown::line(&answer, format_args!("purged {}", answer.module)));
    }
    let lingering = render::lingering(&answer.lingering);
    let shown = Shown::new(&answer, format!("{} was not purged\n{lingering}", answer.module));
    Ok(Shown { exit_code: ExitCode::Refused, ..shown })
}
