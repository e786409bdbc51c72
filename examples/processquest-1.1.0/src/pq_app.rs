//! Starts the app, and says when it has stopped.

use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{Application, NotStarted, Root, Schema, StartArgs, log};
use serde::{Deserialize, Serialize};

/// Nothing to remember between start and stop.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct App;

impl Application for App {
    async fn start(_args: StartArgs) -> Result<(Self, Root), NotStarted> {
        Ok((Self, Root::new("pq_sup", &())?))
    }

    async fn stop(&mut self) {
        log::info!("processquest has stopped");
    }

    fn schema() -> Schema {
        Schema::of_application::<Self>()
    }
}
