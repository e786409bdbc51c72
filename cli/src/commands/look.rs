//! Commands that inspect the node: status, tree, ps, proc, apps, ports, tables, code, state.

use reld_api::{Client, request as q};

use crate::args::{Tree, TreeFormat};
use crate::error::Failure;
use crate::render;
use crate::shown::Shown;

pub(super) async fn status(client: &Client) -> Result<Shown, Failure> {
    let answer = client.call(&q::Status {}).await?;
    Ok(Shown::new(&answer, render::status(&answer)))
}

pub(super) async fn tree(client: &Client, args: Tree) -> Result<Shown, Failure> {
    let forest = client.call(&q::Tree { app: args.app, supervisor: args.supervisor }).await?;
    let text = match args.format {
        TreeFormat::Text => render::tree::text(&forest),
        TreeFormat::Mermaid => render::tree::mermaid(&forest, args.direction),
        TreeFormat::Json => serde_json::to_string_pretty(&forest).expect("answers came from JSON") + "\n",
    };
    Ok(Shown::new(&forest, text))
}

pub(super) async fn processes(client: &Client) -> Result<Shown, Failure> {
    let answer = client.call(&q::Processes {}).await?;
    Ok(Shown::new(&answer, render::processes(&answer)))
}

pub(super) async fn proc(client: &Client, process: String) -> Result<Shown, Failure> {
    let answer = client.call(&q::Process { process }).await?;
    Ok(Shown::new(&answer, render::process(&answer)))
}

pub(super) async fn apps(client: &Client) -> Result<Shown, Failure> {
    let answer = client.call(&q::Apps {}).await?;
    Ok(Shown::new(&answer, render::apps(&answer)))
}

pub(super) async fn ports(client: &Client) -> Result<Shown, Failure> {
    let answer = client.call(&q::Ports {}).await?;
    Ok(Shown::new(&answer, render::ports(&answer)))
}

pub(super) async fn tables(client: &Client) -> Result<Shown, Failure> {
    let answer = client.call(&q::Tables {}).await?;
    Ok(Shown::new(&answer, render::tables(&answer)))
}

pub(super) async fn code(client: &Client, module: Option<String>) -> Result<Shown, Failure> {
    let answer = client.call(&q::Code { module }).await?;
    Ok(Shown::new(&answer, render::code(&answer)))
}

pub(super) async fn state(client: &Client, process: String) -> Result<Shown, Failure> {
    let answer = client.call(&q::State { process }).await?;
    Ok(Shown::new(&answer, format!("{:#}\n", answer.state)))
}
