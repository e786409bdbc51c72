//! A hand-written loop: between two calls the process waits in its own code, inside `run`.

use reld_sdk::{Exit, Task, register, reply, task};

use crate::Request;

pub(crate) struct PiLoop;

impl Task for PiLoop {
    type Args = f64;

    async fn run(pi: f64) -> Result<(), Exit> {
        register("pi_loop")?;
        loop {
            if let task::Message::Call(from, Request::Get) = task::recv().await? {
                reply(from, &pi)?;
            }
        }
    }
}
