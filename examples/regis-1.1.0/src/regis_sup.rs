//! The supervisor of the server and of the owner of the table.

use reld_sdk::{ChildSpec, Supervisor, SupervisorSpec};

/// Starts the owner of the table before the server, which writes to the table.
#[derive(Debug)]
pub(crate) struct RegisSup;

impl Supervisor for RegisSup {
    type Args = ();

    fn init((): ()) -> SupervisorSpec {
        SupervisorSpec::one_for_one()
            .child(ChildSpec::worker("table", "regis_table", ()))
            .child(ChildSpec::worker("regis", "regis", ()))
    }
}
