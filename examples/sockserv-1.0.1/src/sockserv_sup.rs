//! The root supervisor.

use reld_sdk::{ChildSpec, Supervisor, SupervisorSpec};
use serde::{Deserialize, Serialize};

/// Where clients are let in, and how many at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Door {
    pub(crate) address: String,
    pub(crate) acceptors: u16,
}

/// Keeps the sessions, and the acceptors that start them.
#[derive(Debug)]
pub(crate) struct Sup;

impl Supervisor for Sup {
    type Args = Door;

    fn init(door: Door) -> SupervisorSpec {
        SupervisorSpec::one_for_one()
            .child(ChildSpec::supervisor("sessions", "sockserv_sessions", ()))
            .child(ChildSpec::supervisor("acceptors", "sockserv_acceptors", door))
    }
}
