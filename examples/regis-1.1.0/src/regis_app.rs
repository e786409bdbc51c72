//! Starts the app, and says when it has stopped.

use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{Application, NotStarted, Root, Schema, StartArgs, log};
use serde::{Deserialize, Serialize};

/// Nothing to remember between start and stop.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RegisApp;

impl Application for RegisApp {
    async fn start(_args: StartArgs) -> Result<(Self, Root), NotStarted> {
        Ok((Self, Root::new("regis_sup", &())?))
    }

    async fn stop(&mut self) {
        log::info!("regis has stopped");
    }

    fn schema() -> Schema {
        Schema::of_application::<Self>()
    }
}
