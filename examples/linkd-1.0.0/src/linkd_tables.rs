//! The process that owns the tables. It does nothing else: the less code it runs, the less can make
//! it crash, and the tables end with it.

use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{GenServer, NotStarted, Schema};
use serde::{Deserialize, Serialize};

use crate::links::Links;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Tables {
    links: Links,
}

impl GenServer for Tables {
    type Args = ();
    type Call = ();
    type Reply = ();
    type Cast = ();
    type Message = ();

    async fn init((): ()) -> Result<Self, NotStarted> {
        Ok(Self { links: Links::create()? })
    }

    fn schema() -> Schema {
        Schema::of_server::<Self>()
    }
}
