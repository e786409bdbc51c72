//! Supervisors of idle servers: measures starts and restarts.

use std::time::{Duration, Instant};

use reld_sdk::{
    Answer, ChildSpec, Exit, From, GenServer, Next, NotStarted, Pid, Supervisor, SupervisorSpec, call, cast,
    exit, self_pid, send, supervisor, task,
};
use serde::{Deserialize, Serialize};

use crate::calls::{TIMEOUT, nanoseconds};
use crate::pool::{Shape, running};

/// A server with five numbers, or one that reports its start.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Idle([u64; 5]);

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Kind {
    Idle,
    /// Sends `Up` to this process when it starts.
    Target(Pid),
}

/// How a child is made to end.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Crash {
    /// An untrappable exit signal.
    Kill,
    /// A stop with an error.
    Exit,
    /// A panic in the callback.
    Panic,
}

/// A target has started.
#[derive(Debug, Serialize, Deserialize)]
struct Up(Pid);

impl GenServer for Idle {
    type Args = Kind;
    type Call = ();
    type Reply = u64;
    type Cast = Crash;
    type Message = ();

    async fn init(kind: Kind) -> Result<Self, NotStarted> {
        if let (Kind::Target(who), Some(me)) = (kind, self_pid()) {
            send(who, &Up(me)).map_err(Exit::from)?;
        }
        Ok(Self([1, 2, 3, 4, 5]))
    }

    async fn handle_call(&mut self, (): (), _from: From) -> Answer<u64> {
        Answer::Reply(self.0[0])
    }

    async fn handle_cast(&mut self, crash: Crash) -> Next {
        assert!(!matches!(crash, Crash::Panic), "as it was asked to");
        Next::Stop(Exit::error("as it was asked to"))
    }
}

/// Allows more restarts than any benchmark makes.
fn patient(spec: SupervisorSpec) -> SupervisorSpec {
    spec.intensity(u32::MAX, Duration::from_secs(1))
}

/// A supervisor with one template for all children.
pub(crate) struct SimpleSup;

impl Supervisor for SimpleSup {
    type Args = ();

    fn init((): ()) -> SupervisorSpec {
        patient(SupervisorSpec::simple_one_for_one(ChildSpec::worker("idle", "idle", Kind::Idle)))
    }
}

/// A supervisor with one spec per child.
pub(crate) struct OneSup;

impl Supervisor for OneSup {
    type Args = ();

    fn init((): ()) -> SupervisorSpec {
        patient(SupervisorSpec::one_for_one())
    }
}

/// A supervisor of idle servers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Family {
    supervisor: Pid,
    shape: Shape,
}

impl Family {
    /// Starts a supervisor with the id `family NUMBER` below `root`.
    pub(crate) async fn start(root: Pid, number: u64, shape: Shape) -> Result<Self, Exit> {
        let module = if shape == Shape::One { "one_sup" } else { "simple_sup" };
        let spec = ChildSpec::supervisor(format!("family {number}"), module, ());
        Ok(Self { supervisor: running(supervisor::start_child(root, spec).await)?, shape })
    }

    async fn add(self, id: u64, kind: Kind) -> Result<Pid, Exit> {
        running(match self.shape {
            Shape::One => supervisor::start_child(self.supervisor, ChildSpec::worker(id, "idle", kind)).await,
            Shape::Simple | Shape::Tree => supervisor::start_child_of(self.supervisor, &kind).await,
        })
    }

    /// Starts `servers` idle servers one after the other, and returns the total time in
    /// nanoseconds.
    pub(crate) async fn fill(self, servers: u64) -> Result<u64, Exit> {
        let start = Instant::now();
        for id in 1..=servers {
            self.add(id, Kind::Idle).await?;
        }
        Ok(nanoseconds(start))
    }

    /// Starts one more child and ends it `times` times. Returns the time until each restarted child
    /// had answered, in nanoseconds.
    pub(crate) async fn restart(self, crash: Crash, times: u64) -> Result<Vec<u64>, Exit> {
        let me = self_pid().ok_or(Exit::Noproc)?;
        self.add(0, Kind::Target(me)).await?;
        let mut target = up().await?;
        let mut took = Vec::new();
        for _ in 0..times {
            let start = Instant::now();
            match crash {
                Crash::Kill => exit(target, Exit::Killed)?,
                Crash::Exit | Crash::Panic => cast(target, &crash)?,
            }
            target = up().await?;
            call::<u64>(target, &(), TIMEOUT).await?;
            took.push(nanoseconds(start));
        }
        Ok(took)
    }

    /// Lists the children `times` times. Returns each duration in nanoseconds.
    pub(crate) async fn list(self, times: u64) -> Result<Vec<u64>, Exit> {
        let mut took = Vec::new();
        for _ in 0..times {
            let start = Instant::now();
            let children = supervisor::which_children(self.supervisor).await.map_err(Exit::error)?;
            took.push(nanoseconds(start));
            drop(children);
        }
        Ok(took)
    }
}

async fn up() -> Result<Pid, Exit> {
    match task::recv::<Up>().await? {
        task::Message::Info(_, Up(pid)) => Ok(pid),
        other => Err(Exit::error(format!("{other:?} came instead of a new target"))),
    }
}
