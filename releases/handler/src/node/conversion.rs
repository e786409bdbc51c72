//! Conversions of states.

use reld_plan::{Dropped, Mode, ModuleName, Vsn};
use serde::Serialize;
use serde_json::Value;

use crate::process::Process;

/// How the states of one module's processes are converted.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversion {
    /// The module.
    pub module: ModuleName,
    /// What is done to a state.
    pub change: StateChange,
}

/// A conversion, and the way back of the states that it makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// The conversion.
    pub conversion: Conversion,
    /// What is done to each new state to carry it back, where that is tried.
    pub back: Option<StateChange>,
}

/// What is done to a state.
#[derive(Debug, Clone, PartialEq)]
pub enum StateChange {
    /// It is written by the old code and read by the new one, without these places.
    Soft(Dropped),
    /// It goes through the newer code's `change_code`, with this data as `extra`.
    Advanced {
        /// Up: the new code converts. Down: the code that is left converts, then the older code reads.
        mode: Mode,
        /// Up: the version the states come from. Down: the version they go to.
        vsn: Vsn,
        /// For the app.
        extra: Value,
        /// Down: the places that the older code does not read of the answer.
        dropped: Dropped,
    },
    /// The new code's `init` is asked again with the original argument; child specs are merged, children stay.
    Supervisor,
}

/// What a conversion did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Converted {
    /// How many shadow states it made.
    pub processes: usize,
    /// Which children changed, for each supervisor of the module where some did, whenever its shadow state was made.
    pub children: Vec<ChangedChildren>,
}

/// How the child specs of one supervisor changed. OTP: kept and new rows of a supervisor's code change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangedChildren {
    /// The supervisor.
    pub supervisor: Process,
    /// Child ids of the old init that the new one does not name: their rows stay, and run on.
    pub vanished: Vec<Value>,
    /// Child ids that only the new init names: their rows are there, not started.
    pub added: Vec<Value>,
}
