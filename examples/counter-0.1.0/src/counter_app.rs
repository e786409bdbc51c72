//! Starts the app. Before the supervisors stop it, `prep_stop` lets each counter finish at a round
//! number.

use futures::future::join_all;
use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::supervisor::which_children;
use reld_sdk::{Application, INFINITY, NotStarted, Pid, Root, Schema, StartArgs, Stopping, call, log};
use serde::{Deserialize, Serialize};

use crate::counter::{Request, Response};

/// Holds no state: start and stop share no data.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct CounterApp;

impl Application for CounterApp {
    async fn start(_args: StartArgs) -> Result<(Self, Root), NotStarted> {
        Ok((Self, Root::new("counter_sup", &())?))
    }

    async fn prep_stop(&mut self, stopping: Stopping) {
        let Some(root) = stopping.root else { return };
        match which_children(root).await {
            // Ask all counters at once: your app then stops in the time of the slowest counter, not
            // in the sum of all.
            Ok(children) => {
                join_all(children.into_iter().filter_map(|child| child.pid).map(stop_gracefully)).await;
            }
            Err(error) => log::error!("the counters cannot be asked to stop: {error}"),
        }
    }

    async fn stop(&mut self) {
        log::info!("counter has stopped");
    }

    fn schema() -> Schema {
        Schema::of_application::<Self>()
    }
}

async fn stop_gracefully(counter: Pid) {
    match call::<Response>(counter, &Request::StopGracefully, INFINITY).await {
        Ok(response) => log::info!("counter {counter}: {response:?}"),
        Err(error) => log::warn!("counter {counter} did not stop gracefully: {error}"),
    }
}
