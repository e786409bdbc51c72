//! `relctl demo`: a live upgrade and downgrade of an example on a temporary node, under traffic.

mod build;
mod quest;
mod traffic;

use std::path::Path;

use reld_api::response::{Behaviour, Forest, TreeNode};
use reld_api::{Client, ErrorCode, ErrorReport, ExitCode, request as q};
use tempfile::TempDir;

use super::node::Node;
use super::upgrade;
use crate::args::{AppBuild, ByHand, Downgrade, Floor, Going, Upgrade};
use crate::error::Failure;
use crate::shown::Shown;
use crate::{render, terminal};
use build::Built;
use traffic::{Tally, Traffic};

const APP: &str = "counter";

/// The folders of the two releases of the example.
const RELEASES: [&str; 2] = ["shop-1.0.0", "shop-1.1.0"];
const OPTIONS: &[&str] = &[];

/// Builds and runs the demo, and cleans up even if it fails.
pub(super) async fn demo(is_quest: bool) -> Result<Shown, Failure> {
    let folder = TempDir::with_prefix("reld-demo-");
    let folder = folder.map_err(|fault| Failure::io("create", "a temporary folder", &fault))?;
    heading("building the daemon and both releases of the example")?;
    let (releases, options) = if is_quest { (quest::RELEASES, quest::OPTIONS) } else { (RELEASES, OPTIONS) };
    let built = build::build(folder.path(), releases).await?;
    heading("starting a node in a temporary folder")?;
    let node = Node::start(&built.reld, folder.path(), options).await?;
    let client = node.client();
    let played = if is_quest { quest::play(&client, &built).await } else { play(&client, &built).await };
    let stopped = node.stop().await;
    played?;
    stopped?;
    heading("the node has stopped and its folder is removed")?;
    Ok(Shown::nothing())
}

/// Upgrades and downgrades under continuous calls.
async fn play(client: &Client, built: &Built) -> Result<(), Failure> {
    show("boot release 1.0.0", &go(client, &built.first, false).await?)?;
    let before = tree(client).await?;
    let traffic = Traffic::start(client, &pids(&before.roots));
    let ran = up_and_down(client, built, &before).await;
    let tally = traffic.stop().await;
    ran?;
    heading(&format!("{} calls were made meanwhile, {} were lost", tally.calls, tally.lost))?;
    judge(&tally)
}

async fn up_and_down(client: &Client, built: &Built, before: &Forest) -> Result<(), Failure> {
    show("dry run of the upgrade to 1.1.0", &go(client, &built.second, true).await?)?;
    show("upgrade to 1.1.0", &go(client, &built.second, false).await?)?;
    same_processes(before, &tree(client).await?)?;
    show("downgrade to 1.0.0", &back(client).await?)?;
    same_processes(before, &tree(client).await?)
}

async fn go(client: &Client, tarball: &Path, dry_run: bool) -> Result<Shown, Failure> {
    let going = Going { dry_run, ..Going::default() };
    let upgrade = Upgrade {
        release: tarball.into(),
        app: None,
        build: AppBuild::default(),
        floor: Floor::default(),
        by_hand: ByHand::default(),
        going,
    };
    upgrade::upgrade(client, upgrade).await
}

async fn back(client: &Client) -> Result<Shown, Failure> {
    upgrade::downgrade(client, Downgrade { version: None, going: Going::default() }).await
}

async fn tree(client: &Client) -> Result<Forest, Failure> {
    let forest = client.call(&q::Tree { app: Some(APP.to_owned()), supervisor: None }).await?;
    write(&render::tree::text(&forest))?;
    Ok(forest)
}

/// Returns the pids of the workers, in the tree's order.
fn pids(nodes: &[TreeNode]) -> Vec<String> {
    let own = |node: &TreeNode| node.pid.clone().filter(|_| node.behaviour == Behaviour::GenServer);
    nodes.iter().flat_map(|node| own(node).into_iter().chain(pids(&node.children))).collect()
}

fn same_processes(before: &Forest, after: &Forest) -> Result<(), Failure> {
    let (before, after) = (pids(&before.roots), pids(&after.roots));
    if before == after {
        return Ok(());
    }
    Err(failed(format!("the processes were replaced: {before:?} became {after:?}")))
}

fn judge(tally: &Tally) -> Result<(), Failure> {
    if tally.calls == 0 {
        return Err(failed("no call was made".to_owned()));
    }
    match &tally.complaint {
        Some(complaint) => Err(failed(complaint.clone())),
        None => Ok(()),
    }
}

fn failed(message: String) -> Failure {
    ErrorReport::new(ErrorCode::Demo, message, ExitCode::Bug).into()
}

fn show(title: &str, shown: &Shown) -> Result<(), Failure> {
    heading(title)?;
    write(&shown.text)
}

fn heading(title: &str) -> Result<(), Failure> {
    write(&format!("\n== {title}\n"))
}

fn write(text: &str) -> Result<(), Failure> {
    terminal::out(text).map_err(|fault| Failure::io("write", "stdout", &fault))
}
