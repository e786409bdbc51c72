//! The app `count_loop` 0.1.0: a process that is one function and keeps its number in a local
//! variable.
#![forbid(unsafe_code)]

use reld_sdk::{Exit, Task, reply, task};
use serde::Deserialize;

/// The increment of each `next`.
const STEP: i64 = 0;

/// The calls that the loop answers.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    Next,
}

/// The loop never leaves `run`, so the process stays in the code that it was started with. If your
/// process is to change code, write a `gen_server`, or begin each round with `task::continue_with`.
struct CountLoop;

impl Task for CountLoop {
    type Args = i64;

    async fn run(mut n: i64) -> Result<(), Exit> {
        loop {
            if let task::Message::Call(from, Request::Next) = task::recv().await? {
                n += STEP;
                reply(from, &n)?;
            }
        }
    }
}

reld_sdk::export_app! {
    app: "count_loop",
    version: env!("CARGO_PKG_VERSION"),
    modules: { count_loop: task CountLoop },
}
