//! The release handler: carries a script out as a transaction over trait Node
mod error;
mod node;
mod process;

pub use error::NodeError;
pub use node::{
    AppSpec, ChangedChildren, Comparison, Conversion, Converted, Exited, Gate, Image, Library, Lingerer,
    Member, Node, OldCode, OrphanPolicy, Outsider, OutsiderKind, Pause, Purged, Raised, Resident, Slot,
    Staging, StateChange, Unrest,
};
pub use process::{Pid, Process};
pub use reld_plan::{AppName, Mode, ModuleName, PurgeMethod, StartType, Vsn};
