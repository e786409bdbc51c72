//! A gen_server: between two calls the process runs no code of the library. Only its state remains.

use reld_sdk::{Answer, From, GenServer, NotStarted, register};
use serde::{Deserialize, Serialize};

use crate::Request;

#[derive(Serialize, Deserialize)]
pub(crate) struct PiServer {
    pi: f64,
}

impl GenServer for PiServer {
    type Args = f64;
    type Call = Request;
    type Reply = f64;
    type Cast = ();
    type Message = ();

    async fn init(pi: f64) -> Result<Self, NotStarted> {
        register("pi_server")?;
        Ok(Self { pi })
    }

    async fn handle_call(&mut self, Request::Get: Request, _: From) -> Answer<f64> {
        Answer::Reply(self.pi)
    }
}
