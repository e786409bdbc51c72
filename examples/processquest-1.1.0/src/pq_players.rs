//! The supervisor of all players.

use reld_sdk::{ChildSpec, Restart, Supervisor, SupervisorSpec, register};

/// Keeps a pair for each player. A pair that gives up is a game that is over.
#[derive(Debug)]
pub(crate) struct Players;

impl Supervisor for Players {
    type Args = ();

    fn init((): ()) -> SupervisorSpec {
        // Refused when an upgrade asks again: then it has its name.
        let _ = register("pq_players");
        let pair = ChildSpec::supervisor("pair", "pq_pair", ()).restart(Restart::Temporary);
        SupervisorSpec::simple_one_for_one(pair)
    }
}
