//! The supervisor of all players.

use reld_sdk::{ChildSpec, Restart, Supervisor, SupervisorSpec};

/// Starts a pair for each player. If a pair gives up, its game is over.
#[derive(Debug)]
pub(crate) struct Players;

impl Supervisor for Players {
    type Args = ();

    fn init((): ()) -> SupervisorSpec {
        let pair = ChildSpec::supervisor("pair", "pq_pair", ()).restart(Restart::Temporary);
        SupervisorSpec::simple_one_for_one(pair).named("pq_players")
    }
}
