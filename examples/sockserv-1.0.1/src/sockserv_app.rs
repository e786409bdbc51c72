//! Starts the app with the address from its environment, and logs that it has stopped.

use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{Application, NotStarted, Root, Schema, StartArgs, log};
use serde::{Deserialize, Serialize};

use crate::sockserv_sup::Door;

/// Holds no state: start and stop share no data.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct App;

#[derive(Deserialize)]
struct Env {
    host: String,
    port: u16,
    acceptors: u16,
}

impl Application for App {
    async fn start(args: StartArgs) -> Result<(Self, Root), NotStarted> {
        let Env { host, port, acceptors } = args.env()?;
        let door = Door { address: format!("{host}:{port}"), acceptors };
        Ok((Self, Root::new("sockserv_sup", &door)?))
    }

    async fn stop(&mut self) {
        log::info!("sockserv has stopped");
    }

    fn schema() -> Schema {
        Schema::of_application::<Self>()
    }
}
