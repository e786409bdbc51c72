//! The supervisor of the sessions.

use reld_sdk::{ChildSpec, Restart, Supervisor, SupervisorSpec};

/// Starts a session for each client. A session is temporary: a restart is useless, because the
/// connection has closed with the old session.
#[derive(Debug)]
pub(crate) struct Sessions;

impl Supervisor for Sessions {
    type Args = ();

    fn init((): ()) -> SupervisorSpec {
        let session = ChildSpec::worker("session", "sockserv_serv", ()).restart(Restart::Temporary);
        SupervisorSpec::simple_one_for_one(session).named("sockserv_sessions")
    }
}
