//! The events of one player, and the manager that hands them to whoever wants to see it play.

use reld_sdk::{GenEvent, HandlerSpec, NotStarted};
use serde::Serialize;

use crate::registry;

/// What happens to a player.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// It goes to the market with what it found.
    ToMarket,
    /// It goes hunting, with so much.
    ToFields {
        money: u64,
        experience: u64,
    },
    /// The fight of that number is won.
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
    /// A quest is done; `next` is the one that follows, if there is one.
    Quest {
        done: String,
        experience: u64,
        next: Option<String>,
    },
}

/// The manager. Its start argument is the player's name, and its first handlers.
#[derive(Debug)]
pub(crate) struct Events;

impl GenEvent for Events {
    type Args = (String, Vec<HandlerSpec>);

    async fn init((player, watchers): Self::Args) -> Result<Vec<HandlerSpec>, NotStarted> {
        registry::register(&registry::events_of(&player)).await?;
        Ok(watchers)
    }
}
