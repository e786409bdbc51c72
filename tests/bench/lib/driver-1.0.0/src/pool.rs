//! The servers of the benchmark app, which upgrades convert.

use std::time::Duration;

use reld_sdk::{ChildSpec, Exit, Pid, call, supervisor};
use serde::{Deserialize, Serialize};

const TIMEOUT: Duration = Duration::from_secs(60);

/// The modules of the servers. Each is updated by an instruction of its own, so each is a group.
const MODULES: [&str; 4] = ["server", "server_2", "server_3", "server_4"];

/// The shape of the supervision tree of the servers.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    /// One simple_one_for_one supervisor per group.
    Simple,
    /// One one_for_one supervisor per group.
    One,
    /// The square root of the number of servers as simple_one_for_one supervisors.
    Tree,
}

/// All servers. The server with id N is at index N - 1.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    pub(crate) servers: Vec<Pid>,
}

#[derive(Debug, Serialize)]
enum Ask {
    Check,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Checked(u64, u64, u64);

impl Pool {
    pub(crate) async fn fill(
        &mut self,
        root: Pid,
        servers: u64,
        state: &str,
        shape: Shape,
        groups: usize,
    ) -> Result<(), Exit> {
        let modules = MODULES.get(..groups).filter(|modules| !modules.is_empty());
        let modules = modules.ok_or_else(|| Exit::error("there are one to four groups"))?;
        let mut supervisors = Vec::new();
        let of_module = if shape == Shape::Tree { servers.isqrt().div_ceil(groups as u64).max(1) } else { 1 };
        let before = self.servers.len();
        for (number, module) in (before..).zip(modules.iter().cycle().take(groups * of_module as usize)) {
            let spec = match shape {
                Shape::One => ChildSpec::supervisor(number, "static_sup", ()),
                Shape::Simple | Shape::Tree => ChildSpec::supervisor(number, "dynamic_sup", module),
            };
            supervisors.push((running(supervisor::start_child(root, spec).await)?, *module));
        }
        for (id, (supervisor, module)) in (before as u64 + 1..=servers).zip(supervisors.iter().cycle()) {
            let args = (id, state);
            let started = match shape {
                Shape::One => supervisor::start_child(*supervisor, ChildSpec::worker(id, module, args)).await,
                Shape::Simple | Shape::Tree => supervisor::start_child_of(*supervisor, &args).await,
            };
            self.servers.push(running(started)?);
        }
        Ok(())
    }

    /// Counts the servers that run a version and have the state that belongs to it.
    pub(crate) async fn check(&self, version: u64) -> Result<u64, Exit> {
        let mut right = 0;
        for (id, server) in (1..).zip(&self.servers) {
            let checked: Checked = call(*server, &Ask::Check, TIMEOUT).await?;
            right += u64::from(checked == Checked(version, id, id + version - 1));
        }
        Ok(right)
    }
}

pub(crate) fn running(started: Result<Option<Pid>, supervisor::SupervisorError>) -> Result<Pid, Exit> {
    started.map_err(Exit::error)?.ok_or_else(|| Exit::error("a child said ignore"))
}
