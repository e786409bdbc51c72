//! The supervisor of the acceptors.

use std::time::Duration;

use reld_sdk::{ChildSpec, Supervisor, SupervisorSpec};

use crate::sockserv_sup::Door;

/// Starts the configured number of acceptors. This supervisor owns the listener, so the port stays
/// open when an acceptor is restarted.
#[derive(Debug)]
pub(crate) struct Acceptors;

impl Supervisor for Acceptors {
    type Args = Door;

    fn init(Door { address, acceptors }: Door) -> SupervisorSpec {
        let acceptor = |number| ChildSpec::worker(number, "sockserv_acceptor", &address);
        // They share the listener, so they end together if it fails.
        let spec = SupervisorSpec::one_for_one().intensity(acceptors.into(), Duration::from_secs(5));
        (1..=acceptors).map(acceptor).fold(spec, SupervisorSpec::child)
    }
}
