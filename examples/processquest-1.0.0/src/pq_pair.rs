//! The supervisor of one player and its event manager.

use pq_stats::Stats;
use reld_sdk::{AutoShutdown, ChildSpec, HandlerSpec, Restart, Supervisor, SupervisorSpec};
use serde::{Deserialize, Serialize};

/// The start argument of a game: the new player and its watchers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Newcomer {
    pub(crate) name: String,
    pub(crate) stats: Stats,
    /// Handlers for the events of the player. They start before the player, also after each
    /// restart, so they miss no event.
    pub(crate) watchers: Vec<HandlerSpec>,
}

/// Restarts the player and its event manager together if one of them fails. The player is a
/// significant child: when it leaves the game, the pair stops.
#[derive(Debug)]
pub(crate) struct Pair;

impl Supervisor for Pair {
    type Args = Newcomer;

    fn init(Newcomer { name, stats, watchers }: Newcomer) -> SupervisorSpec {
        let events = ChildSpec::worker("events", "pq_events", (&name, watchers));
        let player = ChildSpec::worker("player", "pq_player", (&name, stats));
        SupervisorSpec::one_for_all()
            .auto_shutdown(AutoShutdown::AnySignificant)
            .child(events)
            .child(player.restart(Restart::Transient).significant())
    }
}
