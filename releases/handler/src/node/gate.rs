//! The gate: who is brought to rest, how, and what came of it.

use std::time::Duration;

use reld_plan::ModuleName;
use serde::Serialize;
use serde_json::Value;

use crate::process::Process;

/// Who is brought to rest, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The modules whose processes are members.
    pub members: Vec<Member>,
    /// What is done about the modules' processes outside every tree.
    pub orphans: OrphanPolicy,
    /// Children that are deleted right after the switch: the code that is to come need not take their start arguments.
    pub leaving: Vec<LeavingChild>,
}

/// One module of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The module whose processes are brought to rest.
    pub module: ModuleName,
    /// How long each may take, where an instruction says so; else the gate's deadline counts.
    pub timeout: Option<Duration>,
    /// What is done about those that do not come to rest.
    pub unrest: Unrest,
    /// They are not converted, and stay suspended after the switch until [`stop_children`](super::Node::stop_children).
    pub stop: bool,
}

/// What is done about a member that does not come to rest in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unrest {
    /// The gate is not raised.
    #[default]
    Abort,
    /// It is held where it is and killed right after the switch.
    Kill,
    /// It goes on in old code, and moves when its callback returns.
    Leave,
}

/// What is done about behaviour processes outside every supervision tree that use an updated module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrphanPolicy {
    /// The check refuses the upgrade; no gate ever sees this.
    #[default]
    Refuse,
    /// They are held and killed right after the switch.
    Kill,
    /// They are members like others.
    Include,
    /// They are left alone: their next message meets new code with a state of the old. OTP does this.
    Ignore,
}

/// A child that a script deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeavingChild {
    /// Its supervisor, by name or place.
    pub supervisor: String,
    /// Its id.
    pub id: Value,
}

/// What a pre-copy did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Precopied {
    /// How many processes had a shadow state before they were held, and did not run since.
    pub processes: usize,
    /// How often the node went over those that had none.
    pub rounds: usize,
    /// How long trials of the way back took, added up over all states.
    #[serde(skip)]
    pub trial: Duration,
}

/// What the gate brought to rest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Raised {
    /// How many members are at rest.
    pub at_rest: usize,
    /// How many of them have a shadow state already.
    pub precopied: usize,
    /// How many of these were tried on the way back.
    pub tried: usize,
    /// Members under [`Unrest::Leave`] that are not.
    pub left: Vec<Process>,
    /// Processes that are held to be killed right after the switch.
    pub doomed: Vec<Process>,
}

/// How long members were held, in microseconds, and how many they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Pause {
    /// Half of the members were held no longer than this.
    pub p50_us: u64,
    /// 99 of 100 members were held no longer than this.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
    /// How many members were held.
    pub processes: usize,
}
