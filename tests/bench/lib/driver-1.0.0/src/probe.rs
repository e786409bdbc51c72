//! Clients that send pings while their server is upgraded.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reld_sdk::{Exit, Pid, Task, self_pid, send, send_after, spawn, task};
use serde::{Deserialize, Serialize};

/// The time between two pings.
const INTERVAL: Duration = Duration::from_millis(1);

/// When the probe stops, pings without an answer for this time count as lost.
const PATIENCE_NS: u64 = 10_000_000_000;

/// The time when a ping was sent, in nanoseconds since 1970, and its latency. `None` means no
/// answer.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Latency(u64, Option<u64>);

#[derive(Debug, Serialize)]
struct Ping {
    from: Pid,
    number: usize,
}

#[derive(Debug, Serialize, Deserialize)]
enum Word {
    /// The answer of the server.
    Pong { number: usize },
    /// The probe's own timer.
    Tick,
    /// Asks for the latencies. Holds the pid of the receiver.
    Stop(Pid),
}

/// Pings a server every millisecond without waiting for earlier answers, as independent clients
/// would.
pub(crate) struct Probe;

impl Task for Probe {
    type Args = Pid;

    async fn run(server: Pid) -> Result<(), Exit> {
        let me = self_pid().ok_or(Exit::Noproc)?;
        let (mut latencies, mut open, mut stop) = (Vec::new(), 0_usize, None);
        let start = now();
        send(me, &Word::Tick)?;
        loop {
            let task::Message::Info(_, word) = task::recv::<Word>().await? else { continue };
            match word {
                Word::Tick => {
                    // A late tick also sends the pings of the missed ticks.
                    let due = (now() - start) / INTERVAL.as_nanos() as u64;
                    while stop.is_none() && latencies.len() as u64 <= due {
                        latencies.push(Latency(now(), None));
                        send(server, &Ping { from: me, number: latencies.len() - 1 })?;
                        open += 1;
                    }
                    send_after(me, INTERVAL, &Word::Tick)?;
                }
                Word::Pong { number } => {
                    let Latency(sent, latency) = &mut latencies[number];
                    *latency = Some(now() - *sent);
                    open -= 1;
                }
                Word::Stop(asker) => stop = Some(asker),
            }
            let is_late = |last: &Latency| now() > last.0 + PATIENCE_NS;
            if let Some(asker) = stop
                && (open == 0 || latencies.last().is_some_and(is_late))
            {
                return Ok(send(asker, &latencies)?);
            }
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// Starts `number` probes: of the first server, of two in between, and of the last.
pub(crate) async fn start(servers: &[Pid], number: usize) -> Result<Vec<Pid>, Exit> {
    let n = servers.len();
    let places = BTreeSet::from([0, n / 3, 2 * n / 3, n.saturating_sub(1)]);
    let mut probes = Vec::new();
    for place in places.into_iter().take(number) {
        probes.push(spawn("probe", servers.get(place).ok_or(Exit::Noproc)?).await?);
    }
    Ok(probes)
}

/// Stops the probes and returns their latencies.
pub(crate) async fn stop(probes: Vec<Pid>) -> Result<Vec<Latency>, Exit> {
    let me = self_pid().ok_or(Exit::Noproc)?;
    for probe in &probes {
        send(*probe, &Word::Stop(me))?;
    }
    let mut all = Vec::new();
    for _ in probes {
        if let task::Message::Info(_, mut latencies) = task::recv::<Vec<Latency>>().await? {
            all.append(&mut latencies);
        }
    }
    Ok(all)
}
