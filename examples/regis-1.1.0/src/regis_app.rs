//! Starts the app, and logs that it has stopped.

use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{Application, NotStarted, Root, Schema, StartArgs, log};
use serde::{Deserialize, Serialize};

/// Holds no state: start and stop share no data.
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
