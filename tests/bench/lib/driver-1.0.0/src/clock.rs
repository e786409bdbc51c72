//! Sets many timers for the servers of the pool, and waits until all have fired.

use std::time::{Duration, Instant};

use reld_sdk::{Exit, From, Pid, Task, reply, self_pid, send, send_after, spawn, task};
use serde::{Deserialize, Serialize};

use crate::calls::{Finished, nanoseconds};

/// The servers answer each ping with a pong.
#[derive(Debug, Serialize)]
struct Ping {
    from: Pid,
    number: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Heard {
    /// The answer of a server to a ping.
    Pong { number: u64 },
    /// Asks for the delay of the last timer, in nanoseconds. Answered when all timers have fired.
    Rung,
}

/// Sets timers that ping the servers in turn, all due at the same time. Counts the pongs.
pub(crate) struct Clock;

impl Task for Clock {
    type Args = (Pid, Vec<Pid>, u64, u64);

    async fn run((starter, servers, timers, after_ms): Self::Args) -> Result<(), Exit> {
        let me = self_pid().ok_or(Exit::Noproc)?;
        let due = Instant::now() + Duration::from_millis(after_ms);
        for number in 0..timers {
            let server = servers[number as usize % servers.len()];
            let after = due.saturating_duration_since(Instant::now());
            send_after(server, after, &Ping { from: me, number })?;
        }
        send(starter, &Finished)?;
        let (mut rung, mut asked): (u64, Option<From>) = (0, None);
        let mut heard = vec![false; timers as usize];
        while rung < timers {
            match task::recv::<Heard>().await? {
                task::Message::Call(from, _) => asked = Some(from),
                task::Message::Info(_, Heard::Pong { number }) => {
                    if std::mem::replace(&mut heard[number as usize], true) {
                        return Err(Exit::error(format!("timer {number} fired twice")));
                    }
                    rung += 1;
                }
                other => return Err(Exit::error(format!("{other:?} is nothing for a clock"))),
            }
        }
        let late = u64::try_from(due.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let asked = match asked {
            Some(from) => from,
            None => match task::recv::<Heard>().await? {
                task::Message::Call(from, _) => from,
                other => return Err(Exit::error(format!("{other:?} is nothing for a clock"))),
            },
        };
        Ok(reply(asked, &late)?)
    }
}

/// Starts a clock with `timers` timers. Returns its pid and the time to set the timers, in
/// nanoseconds.
pub(crate) async fn start(servers: &[Pid], timers: u64, after_ms: u64) -> Result<(Pid, u64), Exit> {
    let me = self_pid().ok_or(Exit::Noproc)?;
    let begin = Instant::now();
    let clock = spawn("clock", &(me, servers, timers, after_ms)).await?;
    task::recv::<Finished>().await?;
    Ok((clock, nanoseconds(begin)))
}
