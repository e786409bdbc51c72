//! Measures from inside a node, so that no figure includes the control API.
//!
//! The `driver` task runs one order after the other. A `caller` calls an `echo` as fast as it
//! answers; a `sender` casts to a `counter`. `idle` servers are started and restarted. A `probe`
//! pings a server every millisecond without waiting for the answers.
#![forbid(unsafe_code)]

mod calls;
mod casts;
mod children;
mod clock;
#[path = "../../echo.rs"]
mod echo;
mod pool;
mod probe;

use std::time::Duration;

use reld_sdk::{
    Application, ChildSpec, Exit, NotStarted, Pid, Root, StartArgs, Supervisor, SupervisorSpec, Task, call,
    export_app, register, reply, task,
};
use serde::{Deserialize, Serialize};

use calls::{Caller, TimedCaller};
use casts::{Counter, Sender};
use children::{Crash, Family, Idle, OneSup, SimpleSup};
use clock::{Clock, Heard};
use echo::{Echo, Payload};
use pool::{Pool, Shape};
use probe::Probe;

export_app! {
    app: "driver",
    version: env!("CARGO_PKG_VERSION"),
    modules: {
        driver: task Driver,
        caller: task Caller,
        timed_caller: task TimedCaller,
        echo: gen_server Echo,
        sender: task Sender,
        counter: gen_server Counter,
        idle: gen_server Idle,
        simple_sup: supervisor SimpleSup,
        one_sup: supervisor OneSup,
        probe: task Probe,
        clock: task Clock,
        driver_sup: supervisor DriverSup,
        driver_app: application DriverApp,
    }
}

/// Orders of the benchmark.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// Measures calls. Each pair of processes makes the same number. The reply is in nanoseconds.
    Call { payload: Payload, pairs: u64, calls: u64 },
    /// Makes the same calls. The reply has the nanoseconds of each.
    Latencies { payload: Payload, pairs: u64, calls: u64 },
    /// Measures casts from `senders` processes to one. The reply is in nanoseconds.
    Cast { payload: Payload, senders: u64, casts: u64 },
    /// Starts idle servers below a new supervisor. The reply is in nanoseconds.
    Spawn { root: Pid, shape: Shape, servers: u64 },
    /// Like `Spawn`, then ends one more server again and again. The reply has the nanoseconds of
    /// each restart.
    Restart { root: Pid, shape: Shape, siblings: u64, crash: Crash, times: u64 },
    /// Like `Spawn`, then lists the children again and again. The reply has the nanoseconds of each
    /// list.
    Which { root: Pid, shape: Shape, servers: u64, times: u64 },
    /// Adds servers below a supervisor until there are `servers` of them. The new ones are spread
    /// over `groups` modules. The reply is the number of servers.
    Fill { supervisor: Pid, servers: u64, state: String, shape: Shape, groups: usize },
    /// Asks every server whether it runs a version and has the matching state. The reply is the
    /// number of servers that do.
    Check { version: u64 },
    /// Sets timers for the servers of the pool, all due at the same time. The reply is in
    /// nanoseconds.
    Timers { timers: u64, after_ms: u64 },
    /// Waits up to `patience_ms` until all timers have fired. The reply is the delay of the last
    /// timer in nanoseconds.
    Rung { patience_ms: u64 },
    /// Starts probes of some servers, four at most. The reply is the number of probes.
    Watch { probes: usize },
    /// Stops the probes. The reply has the time of sending and the latency of each ping.
    Unwatch,
    /// Makes callgrind write its counts since the previous cut.
    Cut,
}

/// Does nothing. callgrind is configured to dump its counts before this function.
#[inline(never)]
fn cut() {
    std::hint::black_box(());
}

struct Driver;

impl Task for Driver {
    type Args = ();

    async fn run((): ()) -> Result<(), Exit> {
        register("driver")?;
        let (mut pool, mut probes, mut timers) = (Pool::default(), Vec::new(), None);
        for number in 0.. {
            let task::Message::Call(from, order) = task::recv::<Order>().await? else {
                return Err(Exit::error("the driver only takes calls"));
            };
            match order {
                Order::Call { payload, pairs, calls } => {
                    reply(from, &calls::time(payload, pairs, calls).await?)?;
                }
                Order::Latencies { payload, pairs, calls } => {
                    reply(from, &calls::latencies(payload, pairs, calls).await?)?;
                }
                Order::Cast { payload, senders, casts } => {
                    reply(from, &casts::time(payload, senders, casts).await?)?;
                }
                Order::Spawn { root, shape, servers } => {
                    reply(from, &Family::start(root, number, shape).await?.fill(servers).await?)?;
                }
                Order::Restart { root, shape, siblings, crash, times } => {
                    let family = Family::start(root, number, shape).await?;
                    family.fill(siblings).await?;
                    reply(from, &family.restart(crash, times).await?)?;
                }
                Order::Which { root, shape, servers, times } => {
                    let family = Family::start(root, number, shape).await?;
                    family.fill(servers).await?;
                    reply(from, &family.list(times).await?)?;
                }
                Order::Fill { supervisor, servers, state, shape, groups } => {
                    pool.fill(supervisor, servers, &state, shape, groups).await?;
                    reply(from, &pool.servers.len())?;
                }
                Order::Check { version } => reply(from, &pool.check(version).await?)?,
                Order::Timers { timers: number, after_ms } => {
                    let (clock, took) = clock::start(&pool.servers, number, after_ms).await?;
                    timers = Some(clock);
                    reply(from, &took)?;
                }
                Order::Rung { patience_ms } => {
                    let clock = timers.ok_or(Exit::Noproc)?;
                    let late = call::<u64>(clock, &Heard::Rung, Duration::from_millis(patience_ms)).await?;
                    reply(from, &late)?;
                }
                Order::Watch { probes: number } => {
                    probes = probe::start(&pool.servers, number).await?;
                    reply(from, &probes.len())?;
                }
                Order::Unwatch => reply(from, &probe::stop(std::mem::take(&mut probes)).await?)?,
                Order::Cut => {
                    cut();
                    reply(from, &())?;
                }
            }
        }
        Ok(())
    }
}

struct DriverSup;

impl Supervisor for DriverSup {
    type Args = ();

    fn init((): ()) -> SupervisorSpec {
        SupervisorSpec::one_for_one().child(ChildSpec::worker("driver", "driver", ()))
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct DriverApp;

impl Application for DriverApp {
    async fn start(_args: StartArgs) -> Result<(Self, Root), NotStarted> {
        Ok((Self, Root::new("driver_sup", &())?))
    }
}
