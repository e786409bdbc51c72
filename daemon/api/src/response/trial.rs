//! The trial of the way back before a switch.

use serde::{Deserialize, Serialize};

/// The trial conversion of new states back to the previous version. It does not cover states that
/// the new code produces after the switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The number of states that were converted back by the code that will be replaced.
    pub tried: u64,
    /// The states that were not tried.
    pub not_tried: Vec<NotTried>,
    /// The total time for all states.
    pub took_us: u64,
}

/// A group of states that were not converted back in the trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotTried {
    /// The number of processes with such a state.
    pub processes: u64,
    /// The reason why they were not tried.
    pub why: String,
}
