//! Pairs of a caller and an echo.

use std::time::{Duration, Instant};

use reld_sdk::{
    Answer, Exit, From, GenServer, NotStarted, Pid, Task, call, exit, self_pid, send, spawn, task,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// How long a call may take: OTP's default.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// What a call carries, both ways.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Payload {
    Int,
    Bin100,
    Map100,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Load {
    Int(u64),
    Bin100(ByteBuf),
    Map100 { id: u64, a: u64, b: (u64, u64), s: ByteBuf },
}

impl Load {
    /// Made anew for each call, as a caller has something new to say.
    pub(crate) fn new(payload: Payload, number: u64) -> Self {
        match payload {
            Payload::Int => Self::Int(number),
            Payload::Bin100 => Self::Bin100(bytes(number, 100)),
            Payload::Map100 => {
                Self::Map100 { id: number, a: number + 1, b: (number, number), s: bytes(number, 32) }
            }
        }
    }
}

fn bytes(number: u64, length: usize) -> ByteBuf {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(length, 0);
    ByteBuf::from(bytes)
}

/// Answers what it is asked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Echo {
    answered: u64,
}

impl GenServer for Echo {
    type Args = ();
    type Call = Load;
    type Reply = Load;
    type Cast = ();
    type Message = ();

    async fn init((): ()) -> Result<Self, NotStarted> {
        Ok(Self { answered: 0 })
    }

    async fn handle_call(&mut self, load: Load, _from: From) -> Answer<Load> {
        self.answered += 1;
        Answer::Reply(load)
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Go;

/// From who has done all that it was to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Finished;

/// Waits for [`Go`], makes its calls, then tells who started it.
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

/// Returns how long all pairs took together, in nanoseconds.
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

/// Returns the nanoseconds since then.
pub(crate) fn nanoseconds(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
