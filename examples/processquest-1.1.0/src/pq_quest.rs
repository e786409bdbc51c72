//! The quests, and the board that gives the next one to each player that has completed its quest.
//! New in 1.1.0.

use std::time::Duration;

use pq_stats::Dice;
use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{Answer, CallError, From, GenServer, NotStarted, Schema, call, register};
use serde::{Deserialize, Serialize};

/// How long a player waits for the reply.
const PATIENCE: Duration = Duration::from_secs(5);

/// A task with a reward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Quest {
    pub(crate) title: String,
    /// The number of kills still to do.
    pub(crate) kills: u64,
    pub(crate) experience: u64,
}

/// For each quest: the title, the number of kills, and the experience it brings.
const QUESTS: &[(&str, u64, u64)] = &[
    ("Keep the kitchen clean", 3, 10),
    ("Guard the bridge for a night", 5, 20),
    ("Clear the cellar of the inn", 8, 40),
    ("Make the road safe", 12, 80),
];

impl Quest {
    fn new(&(title, kills, experience): &(&str, u64, u64)) -> Self {
        Self { title: title.to_owned(), kills, experience }
    }

    /// Returns the first quest of every player.
    pub(crate) fn first() -> Self {
        Self::new(&QUESTS[0])
    }

    /// Counts a kill, and returns whether it was the last one.
    pub(crate) fn is_done_by_one_more(&mut self) -> bool {
        self.kills = self.kills.saturating_sub(1);
        self.kills == 0
    }
}

/// The server that hands out quests.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Board {
    dice: Dice,
}

/// The calls of the board.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Returns a quest.
    Next,
}

/// Asks the board for a quest.
pub(crate) async fn next() -> Result<Quest, CallError> {
    call("pq_quest", &Request::Next, PATIENCE).await
}

impl GenServer for Board {
    type Args = ();
    type Call = Request;
    type Reply = Quest;
    type Cast = ();
    type Message = ();

    async fn init((): ()) -> Result<Self, NotStarted> {
        register("pq_quest")?;
        Ok(Self { dice: Dice::default() })
    }

    async fn handle_call(&mut self, Request::Next: Request, _from: From) -> Answer<Quest> {
        Answer::Reply(Quest::new(self.dice.pick(QUESTS)))
    }

    fn schema() -> Schema {
        Schema::of_server::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use reld_sdk::harness::Node;

    use super::*;

    #[test]
    fn a_quest_is_done_by_its_last_kill() {
        let mut quest = Quest::first();
        for _ in 1..Quest::first().kills {
            assert!(!quest.is_done_by_one_more());
        }
        assert!(quest.is_done_by_one_more());
    }

    #[test]
    fn the_board_gives_quests_with_kills_to_do() {
        let mut board = Node::new().start::<Board>(&()).expect("starts");
        for _ in 0..20 {
            let quest: Quest = board.call(&Request::Next).expect("it answers");
            assert!(quest.kills > 0 && QUESTS.iter().any(|(title, ..)| *title == quest.title), "{quest:?}");
        }
    }
}
