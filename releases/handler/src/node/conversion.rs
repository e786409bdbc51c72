//! State conversions.

use reld_plan::{Dropped, Mode, ModuleName, Vsn};
use serde::Serialize;
use serde_json::Value;

use crate::process::Process;

/// How the states of one module's processes are converted.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversion {
    /// The module.
    pub module: ModuleName,
    /// The change of each state.
    pub change: StateChange,
}

/// A conversion, with the change that would convert its results back.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// The conversion.
    pub conversion: Conversion,
    /// The change that a trial applies to each new state to convert it back; `None` without a
    /// trial.
    pub back: Option<StateChange>,
}

/// The change of a state.
#[derive(Debug, Clone, PartialEq)]
pub enum StateChange {
    /// The old code writes the state, these places are dropped, and the new code reads the rest.
    Soft(Dropped),
    /// The `change_code` of the newer code converts the state.
    Advanced {
        /// Up: the new code converts the state. Down: the running code converts the state, and the
        /// older code reads the result.
        mode: Mode,
        /// Up: the version of the old states. Down: the version of the new states.
        vsn: Vsn,
        /// The `extra` data of the instruction.
        extra: Value,
        /// Down: the places of the result that the older code does not read.
        dropped: Dropped,
    },
    /// The `init` of the new code runs again with the original argument; child specs are merged,
    /// children stay.
    Supervisor,
}

/// The result of a conversion.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Converted {
    /// The number of shadow states that the conversion made.
    pub processes: usize,
    /// The changed children of each supervisor of the module, including supervisors with a shadow
    /// state from a pre-copy.
    pub children: Vec<ChangedChildren>,
}

/// The changed child specs of one supervisor. OTP: the child specs that a supervisor's code change
/// keeps and adds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangedChildren {
    /// The supervisor.
    pub supervisor: Process,
    /// Child ids that only the old init names: the children keep their specs and keep running.
    pub vanished: Vec<Value>,
    /// Child ids that only the new init names: the children have specs but are not started.
    pub added: Vec<Value>,
}
