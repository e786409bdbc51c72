//! What measures from inside a node, so that the way through the control API is not part of a figure.
//!
//! `driver` carries out one order after the other. `caller` calls an `echo` as fast as it is answered; `sender` casts to a
//! `counter`. `idle` servers are started, and started again. `probe` sends a server one ping each millisecond, answered or
//! not.
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

use calls::Caller;
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

/// What the benchmark asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// Times calls, each pair of processes doing the same number. Answered with nanoseconds.
    Call { payload: Payload, pairs: u64, calls: u64 },
    /// Times casts of so many processes to one. Answered with nanoseconds.
    Cast { payload: Payload, senders: u64, casts: u64 },
    /// Starts idle servers below a new supervisor. Answered with nanoseconds.
    Spawn { root: Pid, shape: Shape, servers: u64 },
    /// As `Spawn`, then ends one more server, again and again. Answered with nanoseconds for each time.
    Restart { root: Pid, shape: Shape, siblings: u64, crash: Crash, times: u64 },
    /// As `Spawn`, then lists the children, again and again. Answered with nanoseconds for each time.
    Which { root: Pid, shape: Shape, servers: u64, times: u64 },
    /// Fills the tree below a supervisor up to so many servers, those to come of so many modules. Answered with the number of
    /// servers.
    Fill { supervisor: Pid, servers: u64, state: String, shape: Shape, groups: usize },
    /// Asks every server whether it runs a version and has its state. Answered with the number of those that do.
    Check { version: u64 },
    /// Sets timers for the servers of the pool, all at one time from now. Answered with nanoseconds.
    Timers { timers: u64, after_ms: u64 },
    /// Waits until they have fired, for so long at most. Answered with the nanoseconds by which the last one was late.
    Rung { patience_ms: u64 },
    /// Starts to send pings to some of the servers, four at most. Answered with the number of probes.
    Watch { probes: usize },
    /// Stops that. Answered with each ping's time of sending and latency.
    Unwatch,
    /// Has callgrind write down what it has counted since the last time.
    Cut,
}

/// Does nothing. callgrind finds it by its name.
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
