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

/// The duration of each call of a caller, in nanoseconds.
#[derive(Debug, Serialize, Deserialize)]
struct Latencies(Vec<u64>);

/// A [`Caller`] that also sends the duration of each of its calls.
pub(crate) struct TimedCaller;

impl Task for TimedCaller {
    type Args = (Pid, Pid, Payload, u64);

    async fn run((starter, echo, payload, calls): Self::Args) -> Result<(), Exit> {
        task::recv::<Go>().await?;
        let mut latencies = Vec::new();
        for number in 0..calls {
            let start = Instant::now();
            call::<Load>(echo, &Load::new(payload, number), TIMEOUT).await?;
            latencies.push(nanoseconds(start));
        }
        Ok(send(starter, &Latencies(latencies))?)
    }
}

/// Returns the duration of the calls of all pairs together, in nanoseconds.
pub(crate) async fn time(payload: Payload, pairs: u64, calls: u64) -> Result<u64, Exit> {
    let pairs = Pairs::start("caller", payload, pairs, calls).await?;
    let start = Instant::now();
    pairs.go()?;
    for _ in &pairs.callers {
        task::recv::<Finished>().await?;
    }
    let took = nanoseconds(start);
    pairs.end()?;
    Ok(took)
}

/// Returns the duration of each call of all pairs, in nanoseconds.
pub(crate) async fn latencies(payload: Payload, pairs: u64, calls: u64) -> Result<Vec<u64>, Exit> {
    let pairs = Pairs::start("timed_caller", payload, pairs, calls).await?;
    pairs.go()?;
    let mut all = Vec::new();
    for _ in &pairs.callers {
        match task::recv::<Latencies>().await? {
            task::Message::Info(_, Latencies(some)) => all.extend(some),
            other => return Err(Exit::error(format!("{other:?} came instead of latencies"))),
        }
    }
    pairs.end()?;
    Ok(all)
}

/// Callers that wait for [`Go`], each with an echo.
struct Pairs {
    callers: Vec<Pid>,
    echoes: Vec<Pid>,
}

impl Pairs {
    async fn start(module: &str, payload: Payload, pairs: u64, calls: u64) -> Result<Self, Exit> {
        let me = self_pid().ok_or(Exit::Noproc)?;
        let mut all = Self { callers: Vec::new(), echoes: Vec::new() };
        for _ in 0..pairs {
            let echo = spawn("echo", &()).await?;
            all.callers.push(spawn(module, &(me, echo, payload, calls)).await?);
            all.echoes.push(echo);
        }
        Ok(all)
    }

    fn go(&self) -> Result<(), Exit> {
        self.callers.iter().try_for_each(|caller| send(*caller, &Go)).map_err(Exit::from)
    }

    fn end(self) -> Result<(), Exit> {
        self.echoes.into_iter().try_for_each(|echo| exit(echo, Exit::Killed)).map_err(Exit::from)
    }
}

/// Returns the nanoseconds since `start`.
pub(crate) fn nanoseconds(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
