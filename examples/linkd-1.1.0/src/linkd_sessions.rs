//! The supervisor of the sessions.

use reld_sdk::{ChildSpec, Restart, Supervisor, SupervisorSpec};

#[derive(Debug)]
pub(crate) struct Sessions;

impl Supervisor for Sessions {
    type Args = ();

    /// A session is temporary: its connection closes with it, so a restart would be useless. And
    /// its end does not count for the intensity, so a session that crashes harms only its own
    /// client.
    fn init((): ()) -> SupervisorSpec {
        let session = ChildSpec::worker("session", "linkd_session", ()).restart(Restart::Temporary);
        SupervisorSpec::simple_one_for_one(session).named("linkd_sessions")
    }
}
