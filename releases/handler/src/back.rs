//! The way back from an upgrade: the reasons to need it, and how it changes states.

use std::collections::BTreeMap;
use std::fmt;

use reld_plan::ModuleName;

use crate::node::StateChange;

/// The reason to need the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The release settles, and may be taken back while it does.
    Settling,
    /// The upgrade has several windows, and a later one can fail.
    Windows,
    /// This step, counted from 1 as the script prints it, comes after the switch and can fail.
    Step(usize),
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settling => f.write_str("settling"),
            Self::Windows => f.write_str("a failure of a later window"),
            Self::Step(step) => write!(f, "a failure of step {step}"),
        }
    }
}

/// How the states of a release are converted back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Back {
    /// The way back may be needed, but no trial is made.
    OneWay,
    /// The change of each module's states, or the reason why these states are not tried.
    Script(BTreeMap<ModuleName, Result<StateChange, String>>),
}
