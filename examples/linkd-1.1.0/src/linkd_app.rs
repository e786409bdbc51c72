//! Starts the app with the settings from its environment.

use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{Application, NotStarted, Root, Schema, StartArgs};
use serde::{Deserialize, Serialize};

use crate::linkd_acceptor::Door;

/// Holds no state: start and stop share no data.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct App;

impl Application for App {
    async fn start(args: StartArgs) -> Result<(Self, Root), NotStarted> {
        let door: Door = args.env()?;
        Ok((Self, Root::new("linkd_sup", &door)?))
    }

    fn schema() -> Schema {
        Schema::of_application::<Self>()
    }
}
