//! The supervisor of one player and its events.

use pq_stats::Stats;
use reld_sdk::{AutoShutdown, ChildSpec, Restart, Supervisor, SupervisorSpec};
use serde::{Deserialize, Serialize};

/// Who begins to play.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Newcomer {
    pub(crate) name: String,
    pub(crate) stats: Stats,
}

/// Keeps a player and its events together: where one fails, both begin anew. The end of a player that leaves is the end of
/// the pair.
#[derive(Debug)]
pub(crate) struct Pair;

impl Supervisor for Pair {
    type Args = Newcomer;

    fn init(newcomer: Newcomer) -> SupervisorSpec {
        let events = ChildSpec::worker("events", "pq_events", newcomer.name.clone());
        let player = ChildSpec::worker("player", "pq_player", newcomer);
        SupervisorSpec::one_for_all()
            .auto_shutdown(AutoShutdown::AnySignificant)
            .child(events)
            .child(player.restart(Restart::Transient).significant())
    }
}
