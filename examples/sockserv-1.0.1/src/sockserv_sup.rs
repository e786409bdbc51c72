//! The root supervisor.

use reld_sdk::{ChildSpec, Supervisor, SupervisorSpec};
use serde::{Deserialize, Serialize};

/// The address of the listener, and the number of acceptors.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Door {
    pub(crate) address: String,
    pub(crate) acceptors: u16,
}

/// The sessions come first: the acceptors start them.
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
