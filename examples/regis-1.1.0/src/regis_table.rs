//! The process that owns the table of names. It does nothing else: the less code it runs, the less
//! can make it crash and lose the table. New in 1.1.0.

use reld_sdk::ets::{self, Table};
use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{GenServer, NotStarted, Pid, Schema, cast};
use serde::{Deserialize, Serialize};

use crate::regis::Order;

/// The names with their processes. Any process can look up a name without a call to the server.
pub(crate) type Names = Table<String, Pid>;

/// The name of the table.
const NAMES: &str = "regis";

/// Returns the table, if its owner runs.
pub(crate) fn find() -> Option<Names> {
    // `whereis` fails only outside a callback.
    ets::whereis(NAMES).ok().flatten()
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RegisTable {
    names: Names,
}

impl GenServer for RegisTable {
    type Args = ();
    type Call = ();
    type Reply = ();
    type Cast = ();
    type Message = ();

    async fn init((): ()) -> Result<Self, NotStarted> {
        // Public, because the server writes to the table and does not own it.
        let names = ets::Options::new().ordered().public().named(NAMES).create()?;
        // At the start of the app the server does not run yet. It looks for the table itself in
        // `init`.
        cast("regis", &Order::Publish)?;
        Ok(Self { names })
    }

    fn schema() -> Schema {
        Schema::of_server::<Self>()
    }
}
