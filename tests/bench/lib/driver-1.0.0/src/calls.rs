//! Pairs of a caller and an echo.

use std::time::{Duration, Instant};

use reld_sdk::{Exit, Pid, Task, call, exit, self_pid, send, spawn, task};
use serde::{Deserialize, Serialize};

use crate::echo::{Load, Payload};

/// How long a call may take: OTP's default.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Go;

/// Sent to its starter by a process that has finished its work.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Finished;

/// Waits for [`Go`], makes its calls, then notifies its starter.
pub(crate) struct Caller;

impl Task for Caller {
    type Args = (Pid, Pid, Payload, u64);

    async fn run((starter, echo, payload, calls): Self::Args) -> Result<(), Exit> {
        task::recv::<Go>().await?;
        for number in 0..calls {
            call::<Load>(echo, &Load::new(payload, number), TIMEOUT).await?;
        }
        Ok(send(starter, &Finished)?)
    }
}

/// Returns the duration of the calls of all pairs together, in nanoseconds.
pub(crate) async fn time(payload: Payload, pairs: u64, calls: u64) -> Result<u64, Exit> {
    let me = self_pid().ok_or(Exit::Noproc)?;
    let (mut echoes, mut callers) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        let echo = spawn("echo", &()).await?;
        callers.push(spawn("caller", &(me, echo, payload, calls)).await?);
        echoes.push(echo);
    }
    let start = Instant::now();
    for caller in &callers {
        send(*caller, &Go)?;
    }
    for _ in &callers {
        task::recv::<Finished>().await?;
    }
    let took = nanoseconds(start);
    for echo in echoes {
        exit(echo, Exit::Killed)?;
    }
    Ok(took)
}

/// Returns the nanoseconds since `start`.
pub(crate) fn nanoseconds(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
