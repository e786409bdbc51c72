//! Many senders that cast to one counter.

use std::time::{Duration, Instant};

use reld_sdk::{
    Answer, Exit, From, GenServer, Next, NotStarted, Pid, Task, call, cast, exit, self_pid, send, spawn, task,
};
use serde::{Deserialize, Serialize};

use crate::calls::{Finished, Go, nanoseconds};
use crate::echo::{Load, Payload};

/// Up to a million casts may be queued before the call that asks for their number.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Counts its casts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Counter {
    handled: u64,
}

impl GenServer for Counter {
    type Args = ();
    type Call = ();
    type Reply = u64;
    type Cast = Load;
    type Message = ();

    async fn init((): ()) -> Result<Self, NotStarted> {
        Ok(Self { handled: 0 })
    }

    async fn handle_call(&mut self, (): (), _from: From) -> Answer<u64> {
        Answer::Reply(self.handled)
    }

    async fn handle_cast(&mut self, _load: Load) -> Next {
        self.handled += 1;
        Next::Continue
    }
}

/// Waits for [`Go`], sends its casts, then notifies its starter.
pub(crate) struct Sender;

impl Task for Sender {
    type Args = (Pid, Pid, Payload, u64);

    async fn run((starter, counter, payload, casts): Self::Args) -> Result<(), Exit> {
        task::recv::<Go>().await?;
        for number in 0..casts {
            cast(counter, &Load::new(payload, number))?;
        }
        Ok(send(starter, &Finished)?)
    }
}

/// Returns the time until the last cast of all senders was handled, in nanoseconds.
pub(crate) async fn time(payload: Payload, senders: u64, casts: u64) -> Result<u64, Exit> {
    let me = self_pid().ok_or(Exit::Noproc)?;
    let counter = spawn("counter", &()).await?;
    let mut all = Vec::new();
    for _ in 0..senders {
        all.push(spawn("sender", &(me, counter, payload, casts)).await?);
    }
    let start = Instant::now();
    for sender in &all {
        send(*sender, &Go)?;
    }
    for _ in &all {
        task::recv::<Finished>().await?;
    }
    let handled: u64 = call(counter, &(), TIMEOUT).await?;
    let took = nanoseconds(start);
    exit(counter, Exit::Killed)?;
    if handled == senders * casts { Ok(took) } else { Err(Exit::error(format!("{handled} were handled"))) }
}
