//! The enemies, and the server that gives one to each player that hunts.

use std::time::Duration;

use pq_stats::Dice;
use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{Answer, CallError, From, GenServer, NotStarted, Schema, call, register};
use serde::{Deserialize, Serialize};

/// How long a player waits for the reply.
const PATIENCE: Duration = Duration::from_secs(5);

/// An enemy with its loot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Enemy {
    pub(crate) name: String,
    pub(crate) power: u64,
    pub(crate) experience: u64,
    pub(crate) loot: Item,
}

/// An item for sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) value: u64,
}

/// A kind of enemy: name, power, experience, and its possible loot with the values.
type Kind = (&'static str, u64, u64, &'static [(&'static str, u64)]);

const KINDS: &[Kind] = &[
    ("Spider", 3, 3, &[("Spider Egg", 10), ("Silk Thread", 4)]),
    ("Wildcat", 8, 10, &[("Cat Pelt", 30), ("Whisker", 6)]),
    ("Wild Pig", 6, 6, &[("Bacon", 12), ("Bristle", 5)]),
    ("Wild Dog", 9, 12, &[("Dog Tag", 20), ("Old Bone", 3)]),
    ("Goblin", 12, 20, &[("Goblin Ear", 45), ("Rusty Key", 15)]),
];

/// Returns a random enemy.
fn any(dice: &mut Dice) -> Enemy {
    let (name, power, experience, loot) = *dice.pick(KINDS);
    let (item, value) = *dice.pick(loot);
    Enemy { name: name.to_owned(), power, experience, loot: Item { name: item.to_owned(), value } }
}

/// The server that creates enemies.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Wilds {
    dice: Dice,
}

/// The calls of the server.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Returns an enemy.
    Meet,
}

/// Asks the server for an enemy.
pub(crate) async fn meet() -> Result<Enemy, CallError> {
    call("pq_enemy", &Request::Meet, PATIENCE).await
}

impl GenServer for Wilds {
    type Args = ();
    type Call = Request;
    type Reply = Enemy;
    type Cast = ();
    type Message = ();

    async fn init((): ()) -> Result<Self, NotStarted> {
        register("pq_enemy")?;
        Ok(Self { dice: Dice::default() })
    }

    async fn handle_call(&mut self, Request::Meet: Request, _from: From) -> Answer<Enemy> {
        Answer::Reply(any(&mut self.dice))
    }

    fn schema() -> Schema {
        Schema::of_server::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_is_met_at_some_time() {
        let mut dice = Dice::seeded(5);
        let met: BTreeSet<_> = (0..200).map(|_| any(&mut dice).name).collect();
        assert_eq!(met.len(), KINDS.len());
        assert!(!met.contains("Ant"), "they are gone since 1.1.0");
    }
}
