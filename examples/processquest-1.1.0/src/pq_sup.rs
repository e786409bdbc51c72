//! The root supervisor.

use reld_sdk::{ChildSpec, Supervisor, SupervisorSpec};

#[derive(Debug)]
pub(crate) struct Sup;

impl Supervisor for Sup {
    type Args = ();

    fn init((): ()) -> SupervisorSpec {
        SupervisorSpec::one_for_one()
            .child(ChildSpec::worker("enemies", "pq_enemy", ()))
            .child(ChildSpec::worker("quests", "pq_quest", ()))
            .child(ChildSpec::supervisor("players", "pq_players", ()))
    }
}
