//! The supervisor of one player and its events.

use pq_stats::Stats;
use reld_sdk::{AutoShutdown, ChildSpec, HandlerSpec, Restart, Supervisor, SupervisorSpec};
use serde::{Deserialize, Serialize};

/// Who begins to play, and who sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Newcomer {
    pub(crate) name: String,
    pub(crate) stats: Stats,
    /// Handlers of the player's events. They are there before it, however often it begins anew.
    pub(crate) watchers: Vec<HandlerSpec>,
}

/// Keeps a player and its events together: where one fails, both begin anew. The end of a player that leaves is the end of
/// the pair.
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
