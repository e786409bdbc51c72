//! How states are converted, and what may come of it.

use std::time::Duration;

use crate::tree::supervisor;
use crate::words::code::Bytes;
use crate::words::cut::Cut;
use crate::words::exit::Exit;
use crate::words::pid::Pid;

/// How the states of a module's processes are converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conversion {
    /// Written by the old code, read by the new.
    Soft {
        /// What the new code is not to see of it.
        cut: Cut,
    },
    /// The new code converts from this version.
    Up {
        /// The version the states come from.
        from: String,
        /// MessagePack for the app.
        extra: Bytes,
    },
    /// The code that is left converts to this version, then the older code reads.
    Down {
        /// The version the states go to.
        to: String,
        /// MessagePack for the app.
        extra: Bytes,
        /// What the older code is not to see of the answer.
        cut: Cut,
    },
    /// The new code's init is asked again with the original argument; specs are merged, children stay.
    Supervisor,
}

impl Conversion {
    /// Returns what is cut out of a state that is carried over by bytes; nothing of one that its
    /// new code converts.
    pub(crate) fn cut(&self) -> &Cut {
        static NOTHING: Cut = Cut::NOTHING;
        match self {
            Self::Soft { cut } | Self::Down { cut, .. } => cut,
            Self::Up { .. } | Self::Supervisor => &NOTHING,
        }
    }
}

/// The way of a module's states to other code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// How they are converted.
    pub how: Conversion,
    /// How each is carried back, as a trial, before its conversion counts; `None` for no trial.
    pub back: Option<Conversion>,
}

/// A conversion that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// A process's state was not accepted.
    #[error("{pid}: {version}: {exit}")]
    Refused {
        /// The process.
        pid: Pid,
        /// The version of the code that answered.
        version: String,
        /// Why.
        exit: Exit,
    },
    /// A conversion did not come back in time; its thread is left to itself, see [`Stuck`](crate::Stuck).
    #[error("{pid}: {version}: no answer in time")]
    TimedOut {
        /// The process.
        pid: Pid,
        /// The version of the code that does not come back.
        version: String,
    },
    /// A new state cannot be carried back: a trial failed.
    #[error("no way back from {from} to {to}: {cause}")]
    NoWayBack {
        /// The version of the code that is to come.
        from: String,
        /// The version of the code that runs.
        to: String,
        /// What the trial came to.
        cause: Box<Self>,
    },
    /// No thread was free to convert anything for all that time.
    #[error("no thread was free")]
    Starved,
    /// The upgrade was given up meanwhile.
    #[error("the upgrade was given up")]
    GivenUp,
}

impl ConvertError {
    /// Returns the process whose state it is about.
    pub fn pid(&self) -> Option<Pid> {
        match self {
            Self::Refused { pid, .. } | Self::TimedOut { pid, .. } => Some(*pid),
            Self::NoWayBack { cause, .. } => cause.pid(),
            Self::Starved | Self::GivenUp => None,
        }
    }
}

/// What a conversion did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Converted {
    /// How many processes have a shadow now.
    pub processes: usize,
    /// What changed for supervisors.
    pub children: Vec<(Pid, supervisor::Change)>,
}

/// What a pre-copy came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Precopied {
    /// How many processes have a shadow. Those that run from now on lose theirs.
    pub processes: usize,
    /// How often those that ran meanwhile were gone over, the first time included.
    pub rounds: usize,
    /// How long the trials of the way back took, added up.
    pub trial: Duration,
}
