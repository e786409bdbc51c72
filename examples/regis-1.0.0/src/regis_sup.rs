//! The supervisor of the server.

use reld_sdk::{ChildSpec, Supervisor, SupervisorSpec};

#[derive(Debug)]
pub(crate) struct RegisSup;

impl Supervisor for RegisSup {
    type Args = ();

    fn init((): ()) -> SupervisorSpec {
        SupervisorSpec::one_for_one().child(ChildSpec::worker("regis", "regis", ()))
    }
}
