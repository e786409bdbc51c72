//! Plays Process Quest: sessions over real sockets check every line while the release is upgraded
//! and downgraded and players are killed. The same with restarts, which end every game, is measured
//! for comparison.
//!
//! A silence is the time from one line of a session to the next. The delay is the part of a silence
//! beyond the step time of the player.

mod killer;

use std::net::TcpListener;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use quest_bot::{Crowd, Door, Tally};
use reld_tests::{Node, release};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::line;
use killer::Killer;

/// How the release is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Upgrades and downgrades during play, while players are killed.
    Live,
    /// Restarts into the other release, once up and once down.
    Restart,
}

/// Parameters of a quest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Play {
    pub(crate) sessions: usize,
    pub(crate) rounds: u64,
    pub(crate) pace_ms: u64,
    pub(crate) mode: Mode,
}

/// Results of a quest.
struct Played {
    tally: Tally,
    kills: u64,
    pauses_ms: Vec<f64>,
    /// Why the quest ended early.
    stopped: Option<String>,
}

/// Prints the figures, and returns the violations.
///
/// # Panics
/// When an upgrade fails.
pub(crate) fn run(play: Play) -> Vec<String> {
    let rounds = if play.mode == Mode::Restart { 1 } else { play.rounds };
    let play = Play { rounds, ..play };
    let played = Runtime::new().expect("a runtime starts").block_on(at_a_node(play));
    let mode = if play.mode == Mode::Live { "live" } else { "restart" };
    print(
        &played,
        &json!({"mode": mode, "sessions": play.sessions, "rounds": rounds, "pace_ms": play.pace_ms}),
    );
    faults(&played)
}

async fn at_a_node(play: Play) -> Played {
    // The node inherits the limit.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("limits can be read");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("a limit may be raised that far");
    let (port, pace) = (free_port(), play.pace_ms);
    let (at, paced) = (format!("sockserv.port={port}"), format!("processquest.pace_ms={pace}"));
    let node = Node::start_with(&["--env", &at, "--env", &paced]);
    node.ok(&["upgrade", &release("quest-1.0.0")]);
    node.ok(&["unpack", &release("quest-1.1.0")]);
    let restarts = play.mode == Mode::Restart;
    let door = Door { address: format!("127.0.0.1:{port}"), pace_ms: pace, restarts };
    let crowd = Crowd::enter(door, play.sessions);
    let mut pauses_ms = Vec::new();
    let mut killer = Killer::default();
    let stopped = rounds(&node, &crowd, play, &mut pauses_ms, &mut killer).await.err();
    Played { tally: crowd.leave().await, kills: killer.kills(), pauses_ms, stopped }
}

/// Returns a port that was just free. A fixed port lets a restarted release use the same one.
fn free_port() -> u16 {
    let taken = TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr());
    taken.expect("a port is free").port()
}

async fn rounds(
    node: &Node,
    crowd: &Crowd,
    play: Play,
    pauses_ms: &mut Vec<f64>,
    killer: &mut Killer,
) -> Result<(), String> {
    crowd.all_play().await?;
    for round in 0..play.rounds {
        for to in ["1.1.0", "1.0.0"] {
            crowd.switching();
            match play.mode {
                Mode::Live => {
                    let report = killer.at_work(node, crowd, play.sessions, || node.report(&["upgrade", to]));
                    pauses_ms.push(report.pauses.max_us as f64 / 1e3);
                }
                Mode::Restart => drop(node.ok(&["upgrade", to, "--mode", "restart"])),
            }
            crowd.switched();
            // In the first round each release is played for a while, so that quests appear and
            // prices change.
            if round == 0 {
                crowd.all_balanced().await?;
            } else {
                crowd.all_heard().await?;
            }
        }
    }
    crowd.all_balanced().await
}

fn print(played: &Played, parameters: &Value) {
    let Played { tally, kills, pauses_ms, .. } = played;
    let print = |bench, unit, samples| line::print(bench, parameters, unit, samples);
    let count = |bench, unit, number: u64| print(bench, unit, vec![number as f64]);
    let longest = |bench, time: Duration| print(bench, "ms", vec![time.as_secs_f64() * 1e3]);
    count("quest_lines", "lines", tally.lines);
    count("quest_lost_lines", "lines", tally.lost);
    count("quest_doubled_lines", "lines", tally.doubled);
    count("quest_disordered_lines", "lines", tally.disordered);
    count("quest_wrong_lines", "lines", tally.wrong);
    count("quest_dropped_sessions", "sessions", tally.dropped);
    count("quest_killed_players", "processes", *kills);
    count("quest_undone_players", "players", tally.undone);
    count("quest_restarted_games", "games", tally.restarted);
    count("quest_late_games", "games", tally.late);
    count("quest_done_quests", "quests", tally.quests);
    if !pauses_ms.is_empty() {
        print("quest_pause", "ms", pauses_ms.clone());
    }
    longest("quest_usual_silence", tally.usual.silence);
    longest("quest_usual_delay", tally.usual.delay);
    longest("quest_switch_silence", tally.switching.silence);
    longest("quest_switch_delay", tally.switching.delay);
}

fn faults(Played { tally, kills, stopped, .. }: &Played) -> Vec<String> {
    let undone = (tally.undone != *kills)
        .then(|| format!("{kills} players or their events were killed, {} began anew", tally.undone));
    tally.faults().into_iter().chain(undone).chain(stopped.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_player_without_a_kill_is_a_fault() {
        let tally = Tally { lines: 1, undone: 1, ..Tally::default() };
        let mut played = Played { tally, kills: 1, pauses_ms: Vec::new(), stopped: None };
        assert_eq!(faults(&played), [""; 0]);
        played.kills = 0;
        assert_eq!(faults(&played), ["0 players or their events were killed, 1 began anew"]);
    }
}
