//! The supervisor of the server and of the table.

use reld_sdk::{ChildSpec, Supervisor, SupervisorSpec};

/// Keeps the table, and the server that writes it.
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
