//! The ledger of a fleet: the documents that its nodes share in etcd, and every change of them.
//!
//! ```text
//! one read of all keys ──> View ──> step ──────────────> Idle | Wait | Carry(slot) | Write(txn)
//!                           ├─────> give ──────────────> txn
//!                           └─────> start, halt, ... ──> txn, or the reason against it
//! ```
//!
//! A rollout has one key for its state. Each transaction compares the revision of that key with
//! the revision in the view, and rewrites the key. So all changes of a rollout have one order, and
//! each of them was decided with the knowledge of all earlier ones: no upgrade begins after too
//! many failures are known. Only the presence of nodes changes beside it, because an absent node
//! cannot write.
//!
//! Slots and results are under no lease. A node that is cut off during its upgrade still holds its
//! slot, so no other node takes its place in the budget.

mod change;
mod direction;
mod document;
mod give;
mod keys;
mod step;
mod txn;
mod view;

pub use change::Refused;
pub use direction::Direction;
pub use document::{Document, Ending, Member, Note, Outcome, Phase, Presence, Slot, Standing};
pub use give::{Given, ended};
pub use keys::{Keys, Name, UnknownName};
pub use step::{Own, Step, Why};
pub use txn::{Compare, Delete, Entry, Put, Txn};
pub use view::{Run, Seen, Unreadable, View};

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
