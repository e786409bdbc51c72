//! The supervisor of the sessions.

use reld_sdk::{ChildSpec, Restart, Supervisor, SupervisorSpec, register};

/// Keeps a session for each client. One that ends is not started again: its connection went with it.
#[derive(Debug)]
pub(crate) struct Sessions;

impl Supervisor for Sessions {
    type Args = ();

    fn init((): ()) -> SupervisorSpec {
        // Refused when an upgrade asks again: then it has its name.
        let _ = register("sockserv_sessions");
        let session = ChildSpec::worker("session", "sockserv_serv", ()).restart(Restart::Temporary);
        SupervisorSpec::simple_one_for_one(session)
    }
}
