//! The gate: its members, its policies and its results.

use std::time::Duration;

use reld_plan::ModuleName;
use serde::Serialize;
use serde_json::Value;

use crate::process::Process;

/// The processes that have to come to rest, and the policies for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The modules with the processes that are the members.
    pub members: Vec<Member>,
    /// The policy for processes of these modules outside every tree.
    pub orphans: OrphanPolicy,
    /// Children that are deleted right after the switch, so the new code need not accept their
    /// start arguments.
    pub leaving: Vec<LeavingChild>,
}

/// One module of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The module with the processes that have to come to rest.
    pub module: ModuleName,
    /// The timeout of an instruction for each process; `None` means the deadline of the gate.
    pub timeout: Option<Duration>,
    /// The policy for processes that do not come to rest.
    pub unrest: Unrest,
    /// Whether the processes are not converted, but stay suspended until
    /// [`stop_children`](super::Node::stop_children).
    pub stop: bool,
}

/// The policy for a member that does not come to rest in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unrest {
    /// The gate is not raised, and the upgrade is rolled back.
    #[default]
    Abort,
    /// The member stays in its callback, and is killed right after the switch.
    Kill,
    /// The member continues in old code, and moves when its callback returns.
    Leave,
}

/// The policy for behaviour processes outside every supervision tree that use an updated module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrphanPolicy {
    /// The check refuses the upgrade, so a gate never has this policy.
    #[default]
    Refuse,
    /// The orphans are held, and killed right after the switch.
    Kill,
    /// The orphans are ordinary members.
    Include,
    /// The orphans are not converted, so at their next message new code gets an old state. OTP does
    /// this.
    Ignore,
}

/// A child that a script deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeavingChild {
    /// The supervisor, by name or place.
    pub supervisor: String,
    /// The id of the child.
    pub id: Value,
}

/// The result of a pre-copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Precopied {
    /// The number of processes with a shadow state that was made before the pause and is still
    /// valid.
    pub processes: usize,
    /// The number of passes over processes without a shadow state.
    pub rounds: usize,
    /// The total time of trials of the way back.
    #[serde(skip)]
    pub trial: Duration,
}

/// The result of raising a gate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Raised {
    /// The number of members at rest.
    pub at_rest: usize,
    /// The number of these members that already have a shadow state.
    pub precopied: usize,
    /// The number of these shadow states that a trial converted back.
    pub tried: usize,
    /// Members under [`Unrest::Leave`] that did not come to rest.
    pub left: Vec<Process>,
    /// Held processes that are to be killed right after the switch.
    pub doomed: Vec<Process>,
}

/// The pause of the members, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Pause {
    /// The median.
    pub p50_us: u64,
    /// The 99th percentile.
    pub p99_us: u64,
    /// The maximum.
    pub max_us: u64,
    /// The number of members that were held.
    pub processes: usize,
}
