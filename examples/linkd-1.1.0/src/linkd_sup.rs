//! The root supervisor.

use reld_sdk::{ChildSpec, Supervisor, SupervisorSpec};

use crate::linkd_acceptor::Door;

#[derive(Debug)]
pub(crate) struct Sup;

impl Supervisor for Sup {
    type Args = Door;

    /// Each child uses the ones before it: sessions hold the numbers of the tables, and the
    /// acceptor starts sessions. So the end of a child ends the ones after it as well.
    ///
    /// The default intensity of 1 restart in 5 seconds is enough, because no client can end one of
    /// these children. If they end again at once, a restart does not help.
    fn init(door: Door) -> SupervisorSpec {
        SupervisorSpec::rest_for_one()
            .child(ChildSpec::worker("tables", "linkd_tables", ()))
            .child(ChildSpec::supervisor("sessions", "linkd_sessions", ()))
            .child(ChildSpec::worker("acceptor", "linkd_acceptor", door))
            .child(ChildSpec::worker("sweeper", "linkd_sweeper", ()))
    }
}
