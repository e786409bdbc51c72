//! Process Quest: bots play it across an upgrade and a downgrade, and check each line of their
//! session.

use quest_bot::{Crowd, Door, Tally};
use reld_api::response::TreeNode;
use reld_api::{Client, request as q};
use serde_json::json;

use super::build::Built;
use super::{back, failed, go, heading, show, write};
use crate::error::Failure;
use crate::render;

pub(super) const RELEASES: [&str; 2] = ["quest-1.0.0", "quest-1.1.0"];

/// Options of the daemon: a port chosen by the system, and game steps shorter than the default.
pub(super) const OPTIONS: &[&str] = &["--env", "sockserv.port=0", "--env", "processquest.pace_ms=100"];
const PACE_MS: u64 = 100;

const BOTS: usize = 20;

/// The maximum number of lines shown of a tree. The lines of the players are all alike.
const TREE_LINES: usize = 8;

/// Lets the bots play across both switches and reports their findings.
pub(super) async fn play(client: &Client, built: &Built) -> Result<(), Failure> {
    show("boot release 1.0.0", &go(client, &built.first, false).await?)?;
    let door = Door { address: address(client).await?, pace_ms: PACE_MS, restarts: false };
    heading(&format!("{BOTS} bots play at {}", door.address))?;
    let crowd = Crowd::enter(door, BOTS);
    let ran = up_and_down(client, built, &crowd).await;
    let tally = crowd.leave().await;
    ran?;
    heading(&summary(&tally))?;
    match tally.faults() {
        faults if faults.is_empty() => Ok(()),
        faults => Err(failed(faults.join("\n"))),
    }
}

async fn up_and_down(client: &Client, built: &Built, crowd: &Crowd) -> Result<(), Failure> {
    crowd.all_balanced().await.map_err(failed)?;
    tree(client).await?;
    lines("the session of one bot", &crowd.recent(0))?;
    crowd.switching();
    show("upgrade to 1.1.0 while they play", &go(client, &built.second, false).await?)?;
    crowd.switched();
    tree(client).await?;
    lines("the same session: a quest is completed", &crowd.first_quest(0).await.map_err(failed)?)?;
    crowd.switching();
    show("downgrade to 1.0.0", &back(client).await?)?;
    crowd.switched();
    tree(client).await?;
    crowd.all_balanced().await.map_err(failed)
}

/// Returns the address of the game, as reported by an acceptor.
async fn address(client: &Client) -> Result<String, Failure> {
    let forest = client.call(&q::Tree { app: Some("sockserv".to_owned()), supervisor: None }).await?;
    let process =
        acceptor(&forest.roots).ok_or_else(|| failed("no acceptor process was found".to_owned()))?;
    let request = q::Call { process, request: json!("address"), timeout_ms: None };
    let reply = client.call(&request).await?.reply;
    reply.as_str().map(str::to_owned).ok_or_else(|| failed(format!("the acceptor replied {reply}")))
}

fn acceptor(nodes: &[TreeNode]) -> Option<String> {
    nodes.iter().find_map(|node| {
        let own = node.pid.clone().filter(|_| node.module == "sockserv_acceptor");
        own.or_else(|| acceptor(&node.children))
    })
}

async fn tree(client: &Client) -> Result<(), Failure> {
    let forest = client.call(&q::Tree { app: Some("processquest".to_owned()), supervisor: None }).await?;
    let text = render::tree::text(&forest);
    let all: Vec<_> = text.lines().collect();
    let rest = all.len().saturating_sub(TREE_LINES);
    let shown = all[..all.len() - rest].join("\n");
    write(&format!("{shown}\n... and {rest} lines more\n"))
}

fn lines(title: &str, lines: &[String]) -> Result<(), Failure> {
    heading(title)?;
    write(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())
}

fn summary(tally: &Tally) -> String {
    let Tally { lines, lost, doubled, disordered, wrong, dropped, quests, .. } = tally;
    format!(
        "{lines} lines were read: {lost} lost, {doubled} doubled, {disordered} out of order, {wrong} wrong; {dropped} \
         sessions were dropped; {quests} quests were done; a line was late by at most {} ms while the release changed, \
         and by {} ms otherwise",
        tally.switching.delay.as_millis(),
        tally.usual.delay.as_millis()
    )
}
