//! The process that owns the table of names, and does nothing else, so that nothing goes wrong with it. New in 1.1.0.

use reld_sdk::ets::{self, Table};
use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{GenServer, NotStarted, Pid, Schema, cast};
use serde::{Deserialize, Serialize};

use crate::regis::Order;

/// The names, each with its process: `whereis` by any process finds them without a call.
pub(crate) type Names = Table<String, Pid>;

/// The name of the table.
const NAMES: &str = "regis";

/// Returns the table, if its owner runs.
pub(crate) fn find() -> Option<Names> {
    // Refused outside a callback only.
    ets::whereis(NAMES).ok().flatten()
}

/// The owner.
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
        // Public: the server writes it.
        let names = ets::Options::new().ordered().public().named(NAMES).create()?;
        // At the start of the app the server is not there yet, and will look by itself.
        cast("regis", &Order::Publish)?;
        Ok(Self { names })
    }

    fn schema() -> Schema {
        Schema::of_server::<Self>()
    }
}
