//! What measures from inside a node, so that the way through the control API is not part of a figure.
//!
//! `driver` carries out one order after the other. `caller` calls an `echo` as fast as it is answered. `probe` sends a
//! server one ping each millisecond, answered or not.
#![forbid(unsafe_code)]

mod calls;
mod pool;
mod probe;

use reld_sdk::{
    Application, ChildSpec, Exit, NotStarted, Pid, Root, StartArgs, Supervisor, SupervisorSpec, Task,
    export_app, register, reply, task,
};
use serde::{Deserialize, Serialize};

use calls::{Caller, Echo, Payload};
use pool::{Pool, Shape};
use probe::Probe;

export_app! {
    app: "driver",
    version: env!("CARGO_PKG_VERSION"),
    modules: {
        driver: task Driver,
        caller: task Caller,
        echo: gen_server Echo,
        probe: task Probe,
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
    /// Fills the tree below a supervisor. Answered with the number of servers.
    Fill { supervisor: Pid, servers: u64, state: String, shape: Shape },
    /// Asks every server whether it runs a version and has its state. Answered with the number of those that do.
    Check { version: u64 },
    /// Starts to send pings to some of the servers. Answered with the number of probes.
    Watch,
    /// Stops that. Answered with each ping's time of sending and latency.
    Unwatch,
}

struct Driver;

impl Task for Driver {
    type Args = ();

    async fn run((): ()) -> Result<(), Exit> {
        register("driver")?;
        let (mut pool, mut probes) = (Pool::default(), Vec::new());
        loop {
            let task::Message::Call(from, order) = task::recv::<Order>().await? else {
                return Err(Exit::error("the driver only takes calls"));
            };
            match order {
                Order::Call { payload, pairs, calls } => {
                    reply(from, &calls::time(payload, pairs, calls).await?)?;
                }
                Order::Fill { supervisor, servers, state, shape } => {
                    pool.fill(supervisor, servers, &state, shape).await?;
                    reply(from, &pool.servers.len())?;
                }
                Order::Check { version } => reply(from, &pool.check(version).await?)?,
                Order::Watch => {
                    probes = probe::start(&pool.servers).await?;
                    reply(from, &probes.len())?;
                }
                Order::Unwatch => reply(from, &probe::stop(std::mem::take(&mut probes)).await?)?,
            }
        }
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
