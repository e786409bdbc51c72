//! `relctl app start|stop`.

use reld_api::Client;
use reld_api::request::{AppStart, AppStop};

use crate::args::App;
use crate::error::Failure;
use crate::render::duration;
use crate::shown::Shown;

pub(super) async fn run(client: &Client, args: App) -> Result<Shown, Failure> {
    match args {
        App::Start { app } => start(client, app).await,
        App::Stop { app } => stop(client, app).await,
    }
}

async fn start(client: &Client, app: String) -> Result<Shown, Failure> {
    let answer = client.call(&AppStart { app }).await?;
    let line = match answer.started.as_slice() {
        [] => format!("{} is already running", answer.app),
        started => format!("started {}", started.join(", ")),
    };
    Ok(Shown::line(&answer, line))
}

async fn stop(client: &Client, app: String) -> Result<Shown, Failure> {
    let answer = client.call(&AppStop { app }).await?;
    Ok(Shown::line(&answer, format_args!("stopped {} in {}", answer.app, duration::us(answer.took_us))))
}
