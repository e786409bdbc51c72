//! How states are converted, and the results of conversions.

use std::time::Duration;

use crate::tree::supervisor;
use crate::words::code::Bytes;
use crate::words::cut::Cut;
use crate::words::exit::Exit;
use crate::words::pid::Pid;

/// How the states of a module's processes are converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conversion {
    /// The old code exports the state, and the new code reads it unchanged except for the cut.
    Soft {
        /// The parts of the state that the new code does not get.
        cut: Cut,
    },
    /// The new code converts from this version.
    Up {
        /// The version of the states.
        from: String,
        /// MessagePack for the app.
        extra: Bytes,
    },
    /// The running code converts to this version; the older code then reads the result.
    Down {
        /// The version to convert to.
        to: String,
        /// MessagePack for the app.
        extra: Bytes,
        /// The parts of the result that the older code does not get.
        cut: Cut,
    },
    /// The init of the new code is called again with the original argument. The specs that it
    /// returns are merged with the present ones, and the children stay.
    Supervisor,
}

impl Conversion {
    /// Returns the parts that are cut out of a state before other code reads it. Nothing is cut out
    /// of a state that the new code converts.
    pub(crate) fn cut(&self) -> &Cut {
        static NOTHING: Cut = Cut::NOTHING;
        match self {
            Self::Soft { cut } | Self::Down { cut, .. } => cut,
            Self::Up { .. } | Self::Supervisor => &NOTHING,
        }
    }
}

/// The way in which the states of a module are carried to other code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// The conversion to the new code.
    pub how: Conversion,
    /// The conversion back, which is tried on each new state before its shadow is placed; `None`
    /// for no trial.
    pub back: Option<Conversion>,
}

/// A conversion that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// The code refused the state of a process.
    #[error("{pid}: {version}: {exit}")]
    Refused {
        /// The process.
        pid: Pid,
        /// The version of the code that refused.
        version: String,
        /// The reason.
        exit: Exit,
    },
    /// A conversion did not return in time. Its thread stays with it, see [`Stuck`](crate::Stuck).
    #[error("{pid}: {version}: no answer in time")]
    TimedOut {
        /// The process.
        pid: Pid,
        /// The version of the code that does not return.
        version: String,
    },
    /// A new state cannot be converted back: a trial failed.
    #[error("no way back from {from} to {to}: {cause}")]
    NoWayBack {
        /// The version of the new code.
        from: String,
        /// The version of the code that runs.
        to: String,
        /// The failure of the trial.
        cause: Box<Self>,
    },
    /// No thread was free to convert anything during the whole time limit.
    #[error("no thread was free")]
    Starved,
    /// The upgrade was given up during the conversion.
    #[error("the upgrade was given up")]
    GivenUp,
}

impl ConvertError {
    /// Returns the process with the failed conversion.
    pub fn pid(&self) -> Option<Pid> {
        match self {
            Self::Refused { pid, .. } | Self::TimedOut { pid, .. } => Some(*pid),
            Self::NoWayBack { cause, .. } => cause.pid(),
            Self::Starved | Self::GivenUp => None,
        }
    }
}

/// The result of a conversion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Converted {
    /// The number of processes that were given a shadow.
    pub processes: usize,
    /// The changes of the converted supervisors.
    pub children: Vec<(Pid, supervisor::Change)>,
}

/// The result of a pre-copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Precopied {
    /// The number of processes with a shadow. A process that begins a callback after this loses its
    /// shadow.
    pub processes: usize,
    /// The number of rounds over the members.
    pub rounds: usize,
    /// The total time that the trials took.
    pub trial: Duration,
}
