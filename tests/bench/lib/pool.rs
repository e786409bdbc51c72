// Shared by both versions of the benchmark app: the supervision tree of the servers.

use reld_sdk::{
    Answer, Application, ChildSpec, Exit, From, GenServer, Info, Next, NotStarted, Pid, Root, StartArgs, State,
    Supervisor, SupervisorSpec, Value, export_app, send,
};
use serde::{Deserialize, Serialize};

export_app! {
    app: "pool",
    version: env!("CARGO_PKG_VERSION"),
    modules: {
        server: gen_server Server,
        server_2: gen_server Server,
        server_3: gen_server Server,
        server_4: gen_server Server,
        dynamic_sup: supervisor DynamicSup,
        static_sup: supervisor StaticSup,
        pool_sup: supervisor PoolSup,
        pool_app: application PoolApp,
    }
}

/// A state of one word, or of 64.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Data {
    Small(u64),
    Kb1(Vec<u64>),
}

impl Data {
    fn new(kind: &str, id: u64) -> Self {
        match kind {
            "kb1" => Self::Kb1((id..id + 64).collect()),
            _ => Self::Small(id),
        }
    }

    fn first(&self) -> u64 {
        match self {
            Self::Small(number) => *number,
            Self::Kb1(numbers) => numbers.first().copied().unwrap_or_default(),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum Ask {
    Check,
}

/// The version, the id and the first number of the data. They prove that the state was converted.
#[derive(Debug, Serialize, Deserialize)]
struct Checked(u64, u64, u64);

/// A request for a pong with the same number.
#[derive(Debug, Deserialize)]
struct Ping {
    from: Pid,
    number: u64,
}

#[derive(Debug, Serialize)]
enum Word {
    Pong { number: u64 },
}

fn pong(info: Info<Ping>) -> Next {
    if let Info::Message(Ping { from, number }) = info
        && let Err(error) = send(from, &Word::Pong { number })
    {
        return Next::Stop(error.into());
    }
    Next::Continue
}

struct DynamicSup;

impl Supervisor for DynamicSup {
    /// The module of the servers.
    type Args = String;

    fn init(module: String) -> SupervisorSpec {
        SupervisorSpec::simple_one_for_one(ChildSpec::worker("server", &module, ()))
    }
}

struct StaticSup;

impl Supervisor for StaticSup {
    type Args = ();

    fn init((): ()) -> SupervisorSpec {
        SupervisorSpec::one_for_one()
    }
}

/// The parent of the servers' supervisors, which the driver starts.
struct PoolSup;

impl Supervisor for PoolSup {
    type Args = ();

    fn init((): ()) -> SupervisorSpec {
        SupervisorSpec::one_for_one()
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct PoolApp;

impl Application for PoolApp {
    async fn start(_args: StartArgs) -> Result<(Self, Root), NotStarted> {
        Ok((Self, Root::new("pool_sup", &())?))
    }
}
