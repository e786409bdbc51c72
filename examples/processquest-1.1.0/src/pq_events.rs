//! The events of one player, and the event manager that passes them to all handlers.

use reld_sdk::{GenEvent, HandlerSpec, NotStarted};
use serde::Serialize;

use crate::registry;

/// An event in the life of a player.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// The player carries its loot to the market.
    ToMarket,
    /// The player goes hunting. The event holds its balance.
    ToFields {
        money: u64,
        experience: u64,
    },
    /// The player won this fight.
    Killed {
        enemy: String,
        experience: u64,
        fight: u64,
    },
    Fled {
        enemy: String,
        fight: u64,
    },
    Found {
        item: String,
    },
    Sold {
        item: String,
        price: u64,
    },
    Bought {
        item: String,
        price: u64,
    },
    Leveled {
        level: u64,
    },
    /// A quest is done. `next` is the title of the following quest, if there is one.
    Quest {
        done: String,
        experience: u64,
        next: Option<String>,
    },
}

/// The event manager. Its start argument is the name of the player and the first handlers.
#[derive(Debug)]
pub(crate) struct Events;

impl GenEvent for Events {
    type Args = (String, Vec<HandlerSpec>);

    async fn init((player, watchers): Self::Args) -> Result<Vec<HandlerSpec>, NotStarted> {
        registry::register(&registry::events_of(&player)).await?;
        Ok(watchers)
    }
}
