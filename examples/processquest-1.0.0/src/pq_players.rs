//! The supervisor of all players.

use reld_sdk::{ChildSpec, Restart, Supervisor, SupervisorSpec, register};

/// Starts a pair for each player. If a pair gives up, its game is over.
#[derive(Debug)]
pub(crate) struct Players;

impl Supervisor for Players {
    type Args = ();

    fn init((): ()) -> SupervisorSpec {
        // An upgrade calls `init` again in the running supervisor. The name is already registered
        // then, so the error is expected.
        let _ = register("pq_players");
        let pair = ChildSpec::supervisor("pair", "pq_pair", ()).restart(Restart::Temporary);
        SupervisorSpec::simple_one_for_one(pair)
    }
}
